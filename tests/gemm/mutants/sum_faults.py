"""Faults planted in the sums of D's columns: a warp's part, split's part, and what adds the parts."""

from __future__ import annotations

KERNEL, RUN, EMIT, PROBLEM = (
    "gemm/arch/mma_sync/store.cuh", "gemm/arch/mma_sync/launch.cuh", "gemm/emit.cuh", "gemm/problem.h",
)  # fmt: skip
PARTS, SPLIT, LAUNCH = "gemm/parts.cuh", "gemm/split/kernel.cuh", "gemm/split/split.cu"

# What is wrong, file, the right text and the wrong one.
SUM_FAULTS: list[tuple[str, str, str, str]] = [
    (
        "half of the lanes with a column are left out",
        PARTS,
        "add_lanes(total, across, 32);",
        "add_lanes(total, across, 16);",
    ),
    (
        "lanes of other columns are added",
        PARTS,
        "add_lanes(total, across, 32);",
        "add_lanes(total, across / 2, 32);",
    ),
    ("two warps write one part", PARTS, "row0 / WM;", "row0 / (2 * WM);"),
    ("parts of rows lie as those of columns", PARTS, "+ part * length + first;", "+ part * p.n + first;"),
    ("sums beyond the last column are written", PARTS, "if (there && first + e < length)", "if (there)"),
    ("a warp without rows writes a part", PARTS, "(w.down ? column0 < p.n : row0 < p.m);", "true;"),
    ("every lane writes its part", PARTS, "const bool there = lane < across &&", "const bool there = lane < 16 &&"),
    ("the sums of a slab go on in the next", PARTS, "    total[e] = 0;\n", ""),
    ("only the first slab is in a part", KERNEL, "|| i + 1 == MI)", "|| i == 0)"),
    ("rows of the second slab are written as the first's", KERNEL, "w.epilogue.down ? i * 16 : 0", "0"),
    ("rows outside of D are summed", KERNEL, "if (stored && w.epilogue.data.parts)", "if (w.epilogue.data.parts)"),
    (
        "what was rounded is summed",
        KERNEL,
        "total[e] += v[e];",
        "total[e] += Number<T>::widen(Number<T>::narrow(v[e]));",
    ),
    ("packets run along what is summed", EMIT, "return p.epilogue.sums == Sums::rows;", "return p.d.row == 1;"),
    ("columns stay columns of the transposed", PROBLEM, "  p.epilogue.sums = transposed(p.epilogue.sums);\n", ""),
    (
        "ranges of the transposed lie as its own",
        EMIT,
        "  if (is_transposed) return transposed(partial_of(transposed(p)));\n",
        "",
    ),
    ("the transposed is ended, not what was asked", RUN, "split::end(given,", "split::end(p,"),
    (
        "the last row of a part is left out",
        SPLIT,
        "row < (part + 1) * w.rows; ++row",
        "row + 1 < (part + 1) * w.rows; ++row",
    ),
    ("rows beyond D are ended", SPLIT, "    if (row >= now.epilogue.p.m) break;\n", ""),
    ("split's parts lie on one another", SPLIT, "data.parts) + part * n + column;", "data.parts) + column;"),
    ("split's sums beyond the last column", SPLIT, "    if (column + i < n) to[i]", "    to[i]"),
    (
        "a sum begins with the row before",
        SPLIT,
        "    V sum[each] = {};\n    add_packets(now,",
        "    V sum[each] = {total[0]};\n    add_packets(now,",
    ),
    ("no barrier before the lines are added", SPLIT, "  syncthreads();\n  if (line > 0", "  if (line > 0"),
    (
        "only the first parts are added",
        SPLIT,
        "part < w.count; part += kLines",
        "part < w.count && part < kLines; part += kLines",
    ),
    ("every line adds all parts", SPLIT, "int64_t part = line; part < w.count", "int64_t part = 0; part < w.count"),
    ("the last line is not added", SPLIT, "other < kLines; ++other", "other + 1 < kLines; ++other"),
    ("columns of the last block beyond D are written", SPLIT, "if (line > 0 || column >= w.length)", "if (line > 0)"),
    ("sums are stored as bits of float32", SPLIT, "else if (w.out == DType::bf16)", "else if (w.out == DType::i8)"),
    ("half of the parts are added", LAUNCH, "ceil_div(p.m, rows), p.n,", "ceil_div(p.m, 2 * rows), p.n,"),
]  # fmt: skip
