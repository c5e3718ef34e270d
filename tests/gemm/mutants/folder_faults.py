"""Faults planted in the other multipliers of the mainloop: wide float64, multiply-adds and 8-bit floats."""

from __future__ import annotations

from tests.gemm.mutants.mutants import BLOCK, CONFIGURATIONS, FRAGMENTS, LOOP, STORE, Mutant, Plant

# What is wrong, file, the right text and the wrong one.
Fault = tuple[str, str, str, str]

DOUBLE: list[Fault] = [
    ("every second product of A's rows is of the first", FRAGMENTS, "x + lane / 4 + i % 2 * 8", "x + lane / 4"),
    ("A's k is in another order", FRAGMENTS, "lane % 4 + i / 2 * 4)", "lane % 4 + i % 2 * 4)"),
    ("B's k is in another order", FRAGMENTS, "lane % 4 + i * 4)", "lane % 4 + (i ^ 1) * 4)"),
    ("B's second columns are the first", FRAGMENTS, "x + part * 8 + lane / 4", "x + lane / 4"),
    ("B's other columns are A's other rows", FRAGMENTS, "mma_m16n8k16_f64(d, a, b)", "mma_m16n8k16_f64(d, a, {b[0]})"),
    (
        "the layouts of A and B are exchanged",
        CONFIGURATIONS,
        "true, false>, true, false}",
        "false, false>, true, false}",
    ),
    (
        "the transposed product is not turned back",
        CONFIGURATIONS,
        "transposes(kConfigurations[row], given), separate_epilogue(p)",
        "false, separate_epilogue(p)",
    ),
    ("ends of gradients are left to the kernel", CONFIGURATIONS, "given), separate_epilogue(p)", "given), false"),
]

PARTS = "gemm/arch/mma_sync/multiply_add.cuh"
FLOAT: list[Fault] = [
    ("both rows of lines along k are the first", PARTS, "x + row(g, half), k)", "x + row(g, 0), k)"),
    ("rows of lines along x are eight apart", PARTS, "g + half * 8 : 2 * g + half;", "g + half * 8 : g + half * 8;"),
    ("columns of lines along x are two apart", PARTS, "q * (AlongB ? 2 : 4)", "q * 2"),
    ("A's k is the first of four", PARTS, "x + row(g, 0), k + i)", "x + row(g, 0), k)"),
    ("B's k is the first of four", PARTS, "x + column(0, q), k + i)", "x + column(0, q), k)"),
    ("both columns of B are the first", PARTS, "x + column(part, q) + e, k)", "x + column(part, q), k)"),
    ("the second eight columns are the first", PARTS, "x + column(part, q) + e, k)", "x + column(0, q) + e, k)"),
    ("four columns are handed out crosswise", PARTS, "r[e / 2][e % 2][i]", "r[e % 2][e / 2][i]"),
    ("the product is the transposed", PARTS, "a[i / 2][k], b[i % 2][k]", "a[i % 2][k], b[i / 2][k]"),
    ("one k of four is left out", PARTS, "for (int k = 0; k < kDeep; ++k)", "for (int k = 1; k < kDeep; ++k)"),
    ("a product is taken for eight of k", PARTS, "bytes = kDeep * 4;", "bytes = kDeep * 8;"),
    ("columns side by side are stored two by two", PARTS, "side = AlongB ? 1 : 2;", "side = 1;"),
    ("parts side by side are the first", STORE, "sum[0][j + e / 2][2 * half + e % 2]", "sum[0][j][2 * half + e % 2]"),
    ("a slab's rows are the first eight", STORE, "At::row(lane / 4, half) * pitch", "At::row(lane / 4, 0) * pitch"),
    (
        "the layouts of A and B are exchanged",
        CONFIGURATIONS,
        "true, false>, true, false}",
        "false, false>, true, false}",
    ),
    (
        "the transposed product is not turned back",
        CONFIGURATIONS,
        "transposes(kConfigurations[row], given), separate_epilogue(p)",
        "false, separate_epilogue(p)",
    ),
    ("ends of gradients are left to the kernel", CONFIGURATIONS, "given), separate_epilogue(p)", "given), false"),
]

ADA = "gemm/arch/mma_sync/promotion.cuh"
EIGHT: list[Fault] = [
    ("A is in B's format", ADA, "if constexpr (WideA) mma", "if constexpr (WideB) mma"),
    ("e5m2 of B is read as e4m3", ADA, "mma_m16n8k32_e4m3_e5m2(d", "mma_m16n8k32_e4m3_e4m3(d"),
    ("blocks of scales are added fast", ADA, "p.scaling.fast && !blocks && !last", "p.scaling.fast && !last"),
    ("sums are promoted behind the last tile", ADA, "p.scaling.fast && !blocks && !last", "!last"),
    ("each tile scales the sums so far", ADA, "if (blocks || last) {", "{"),
    ("a tile's sums stay", ADA, "sum[i][j][e] = 0;", ""),
    ("a block's sums stay", ADA, "one = last ? all : 0;", "one = last ? all : one;"),
    ("the last sums are not handed over", ADA, "one = last ? all : 0;", "one = 0;"),
    ("sums of blocks are promoted unscaled", ADA, "all + scale * one", "all + one"),
    ("the whole sum is not scaled", ADA, ": scale * all;", ": all;"),
    ("scales of the next block", ADA, "block = k / kScaleBlock;", "block = k / kScaleBlock + 1;"),
    ("the scale of eight rows above", ADA, "rows[i * 16 + half * 8]", "rows[i * 16]"),
    ("the scale of the column beside", ADA, "columns[j * 8 + e]", "columns[j * 8]"),
    (
        "the first group of 128 is the only one",
        ADA,
        "(s.group > 1 ? x / kScaleBlock : x) * s.x",
        "(s.group > 1 ? 0 : x) * s.x",
    ),
    ("a group's rows have scales of their own", ADA, "step(s.group > 1 ? 0 : s.x)", "step(s.x)"),
    ("scales beyond the matrices are read", ADA, "i < left ? first[i * step] : 0", "first[i * step]"),
    (
        "A's format is asked of B",
        CONFIGURATIONS,
        "if (p.type == DType::e5m2)",
        "if (p.type == DType::e5m2 || p.scaling.b_type == DType::e5m2)",
    ),
    ("B's format is not asked", CONFIGURATIONS, "if (p.scaling.b_type == DType::e5m2)", "if (false)"),
    (
        "a range begins with the first block",
        BLOCK,
        "after(here, block.range.first + k * Loop::BK,",
        "after(here, k * Loop::BK,",
    ),
    ("no tile of k is the last", BLOCK, "k * Loop::BK, last(), sum)", "k * Loop::BK, k == block.tiles, sum)"),
    (
        "a warp's rows are the block's",
        BLOCK,
        "{block.slice, block.row + warp_row, block",
        "{block.slice, block.row, block",
    ),
]


# What is no choice at run time: constants, arguments of templates.
APART = {
    "double": ("the layouts of A and B are exchanged",),
    "float": (
        "a product is taken for eight of k",
        "columns side by side are stored two by two",
        "the layouts of A and B are exchanged",
    ),
    "eight": ("A is in B's format", "e5m2 of B is read as e4m3"),
}


def planted(name: str, source: str, faults: list[Fault]) -> tuple[Mutant, list[Mutant], Plant]:
    """The sound tree, the mutants, and both as a plant: compiled together, except those in APART."""
    sound, mutants = Mutant(f"nothing, {name}", LOOP, "", ""), [Mutant(*fault) for fault in faults]
    apart = frozenset(APART[name]) if name in APART else None
    return sound, mutants, Plant(f"{name}_mutants", f"tests/gemm/mutants/{source}", (sound, *mutants), apart=apart)
