"""Faults planted in what multiplies bfloat16 terms: what, the file, the right text and the wrong one."""

from __future__ import annotations

DIVIDE, TERMS, KERNEL, CONFIGURATIONS, LOOP = (
    "gemm/divide.cuh",
    "gemm/terms.h",
    "gemm/arch/mma_sync/terms.cuh",
    "gemm/arch/mma_sync/term_configurations.h",
    "primitives/mainloop.h",
)

FAULTS = [
    (
        "one product of terms is missing",
        CONFIGURATIONS,
        "term_products(p.precision)};",
        "term_products(p.precision) - 1};",
    ),
    ("the largest products come first", TERMS, "kPairs[9 - products + i]", "kPairs[8 - i]"),
    ("hi times lo is taken twice, lo times hi never", TERMS, "{2, 0}, {0, 2}", "{0, 2}, {0, 2}"),
    ("chunks of k are not added up apart", KERNEL, "if (then.first != now.first) {", "if (then.here == 0) {"),
    (
        "a chunk's sums go to other totals",
        KERNEL,
        "total[i][j][e] += sum[i][j][e];",
        "total[i][j][e] += sum[i][j][e ^ 1];",
    ),
    ("sums are not cleared behind a chunk", KERNEL, "            sum[i][j][e] = 0;\n", ""),
    (
        "sums are lowered between products of one order",
        KERNEL,
        "].order() < w.pairs[now.pair].order()",
        "].order() <= w.pairs[now.pair].order()",
    ),
    (
        "sums that are not finite are kept",
        KERNEL,
        "? sum * (1.0f / (1 << terms::kShift)) : 0.0f;",
        "? sum * (1.0f / (1 << terms::kShift)) : sum * (1.0f / (1 << terms::kShift));",
    ),
    ("a tile behind the end of k", KERNEL, "left_of(block.range.end - block.range.first - k, Loop::BK)", "Loop::BK"),
    ("B's term is the one of A", KERNEL, "pair.b * w.b.term", "pair.a * w.b.term"),
    (
        "a stage is loaded while it is read",
        LOOP,
        "tiles.load_ahead(shared, Stages - 1, before(slot));",
        "tiles.load_ahead(shared, Stages - 1, slot);",
    ),
    (
        "every range of k begins at B's first",
        KERNEL,
        "block.range.first * along_b,\n            from_b",
        "0,\n            from_b",
    ),
    (
        "a last chunk that is not whole is left out",
        KERNEL,
        "  t.here = tiles_of_chunk(tiles - t.first, most);\n",
        "  t.here = tiles - t.first < most ? 0 : most;\n",
    ),
    ("lines are not padded", TERMS, "ceil_div(length, 8) * 8", "length"),
    (
        "hi is rounded to infinity",
        DIVIDE,
        "  if (rounded >= kInfinity) return bits_as<float>(sign | kLargest);\n",
        "",
    ),
    (
        "hi of the smallest numbers is 0",
        DIVIDE,
        "  if (rounded == 0 && size != 0) return bits_as<float>(sign | kSmallest);\n",
        "",
    ),
    ("infinity is cut to the largest number", DIVIDE, "  if (size >= kInfinity) return x;\n", ""),
    ("mid is not what hi leaves", DIVIDE, "finite ? x - term[0] : 0.0f", "finite ? x : 0.0f"),
    ("lo is scaled by half", DIVIDE, "* 65536.0f", "* 32768.0f"),
    ("what lies behind a line is read", DIVIDE, "i < left ? from[i * o.unit] : 0.0f", "from[i * o.unit]"),
    ("a third term is written where two have room", DIVIDE, "    if (t < d.terms) store", "    store"),
    ("the second operand begins a term too early", DIVIDE, "to + d.terms * a.term()", "to + (d.terms - 1) * a.term()"),
    ("packets of an operand that is not aligned", DIVIDE, "unit == 1 && l.align >= 16}", "unit == 1}"),
    (
        "matrices of a batch that is one lie apart",
        CONFIGURATIONS,
        "o.place.batches == 1 ? 0 : o.place.matrix()",
        "o.place.matrix()",
    ),
]
