"""Faults of where an element lies and of the order in which it is added: strides in 32 bits, operands that are
broadcast and yet walked, ranges the other way round.  switched.py plants them, test_far_stride_faults.py looks for
them."""

from __future__ import annotations

from tests.gemm.mutants.switched import Fault

SKINNY, SKINNY_RUN = "gemm/arch/skinny/kernel.cuh", "gemm/arch/skinny/configurations.h"
SIMT = "gemm/arch/simt/kernel.cuh"
LOOP, RUN, ADA, F32 = (
    f"gemm/arch/mma_sync/{name}" for name in ("block.cuh", "launch.cuh", "promotion.cuh", "multiply_add.cuh")
)
TILE = "primitives/tile.h"
DIVIDE, PACK, HOPPER = "gemm/divide.cuh", "gemm/arch/wgmma/pack.cuh", "gemm/arch/wgmma/configurations.h"
NEIGHBOURS = "primitives/packets.h"
EMIT, SPLIT, RANGES = "gemm/emit.cuh", "gemm/split/kernel.cuh", "gemm/arch/wgmma/ranges.cuh"
OPERANDS = "gemm/arch/wgmma/operands.h"


def narrow(what: str, file: str, right: str) -> Fault:
    """What is marked is computed in 32 bits."""
    middle = right.split("«")[1].split("»")[0]
    return Fault(f"{what} in 32 bits", file, right, f"static_cast<int>({middle})")


# ---- strides ---------------------------------------------------------------------------------------------------------

BY_ROWS = [
    narrow("A's matrices by rows", SKINNY, "«place.batch * p.a.batch» + inside"),
    narrow("A's rows by rows", SKINNY, "+ «inside * p.a.row» + place"),
    narrow("A's first k of a range by rows", SKINNY, "+ «place.k.first * p.a.column»;"),
    narrow("A's k by rows", SKINNY, "row[r][«(k + i * share) * p.a.column»]"),
    narrow("B's matrices by rows", SKINNY, "«place.batch * p.b.batch» + place"),
    narrow("B's first k of a range by rows", SKINNY, "+ «place.k.first * p.b.row»;"),
    narrow("B's k by rows", SKINNY, "x[«(k + i * share) * p.b.row» + v"),
]
BY_ROWS_OF_MANY = [
    narrow("B's vectors by rows", SKINNY, "p.b.row + «v * p.b.column»])"),
    narrow("B's vectors by packets", SKINNY, "(x + «v * p.b.column») + at)"),
]
BY_COLUMNS = [
    narrow("A's matrices by columns", SKINNY, "«place.batch * p.a.batch» + row0"),
    narrow("A's rows by columns", SKINNY, "+ «row0 * p.a.row» + k"),
    narrow("A's k by columns", SKINNY, "+ «k * p.a.column»;"),
    narrow("B's matrices by columns", SKINNY, "«place.batch * p.b.batch» + k"),
    narrow("B's k by columns", SKINNY, "p.b.batch + «k * p.b.row»;"),
    narrow("A's rows of a packet", SKINNY, "w.step + «j * p.a.row»]"),
    narrow("A's step of a round", SKINNY_RUN, "w.step = «kThreads / w.share * p.a.column»;"),
    narrow("B's step of a round", SKINNY_RUN, "w.x_step = «kThreads / w.share * p.b.row»;"),
]
BY_COLUMNS_OF_ONE = [narrow("A's rounds of single elements", SKINNY, "from[«i * w.step» + j")]
BY_COLUMNS_OF_MANY = [narrow("B's vectors by columns", SKINNY, "at += «p.b.column»)")]

ORDINARY = [
    narrow("A's matrices", SIMT, "«batch * p.a.batch» + row0"),
    narrow("B's matrices", SIMT, "«batch * p.b.batch» + column0"),
    narrow("A's tile", SIMT, "+ «row0 * p.a.row» + range"),
    narrow("B's tile", SIMT, "+ «column0 * p.b.column» + range"),
    narrow("A's range", SIMT, "«range.first * p.a.column», thread"),
    narrow("B's range", SIMT, "«range.first * p.b.row», thread"),
    narrow("a thread's line", SIMT, "+ «x_of(q, along_k) * x_stride» +"),
    narrow("a thread's k", SIMT, "+ «k_of(q, along_k) * k_stride»;"),
    narrow("neighbours of a packet", SIMT, "at[i][«j * step»]"),
    narrow("the next tile", SIMT, "at[i] += «BK * k_stride»;"),
]
ORDINARY_SCALES = [
    narrow("scales of rows", SIMT, "[«row / a.group * a.x» + block"),
    narrow("scales of columns", SIMT, "[«column / b.group * b.x» + block"),
    narrow("scales of A's blocks", SIMT, "a.x + «block * a.k»]"),
    narrow("scales of B's blocks", SIMT, "b.x + «block * b.k»]"),
]
RING = [  # of all multipliers but terms
    narrow("A's matrices in the ring", LOOP, "«block.batch * p.a.batch» + block.row"),
    narrow("B's matrices in the ring", LOOP, "«block.batch * p.b.batch» + block.column"),
    narrow("A's tile in the ring", LOOP, "+ «block.row * p.a.row» + range"),
    narrow("B's tile in the ring", LOOP, "+ «block.column * p.b.column» + range"),
    narrow("A's range in the ring", LOOP, "«range.first * p.a.column»,\n            w.a"),
    narrow("B's range in the ring", LOOP, "«range.first * p.b.row»,\n            w.b"),
    narrow("a thread's line of a tile", TILE, "(corner + «line * s.line» +"),
    narrow("a thread's place in a line", TILE, "+ «column * s.unit»);"),
    narrow("the line step of chunks", TILE, "step = «s.line * (hop * size)»;"),
    narrow("the next tile of the ring", TILE, "at += «(AlongK ? s.unit : s.line) * (BK * size)»;"),
    narrow("the line step of pieces", TILE, "at + «s.line * (i * hop * size)»;"),
    narrow("the step of pieces", TILE, "from + «s.unit * (j * piece)»,"),
    narrow("the step of elements", TILE, "(from + «s.unit * (j * size)»)"),
    narrow("the lines of A", RUN, "{«c.along_a ? p.a.row : p.a.column», c"),
    narrow("the lines of B", RUN, "{«c.along_b ? p.b.column : p.b.row», c"),
]
ADA_SCALES = [
    narrow("scales of blocks of k", ADA, "all + «block * s.k» +"),
    narrow("scales of a warp's lines", ADA, "«(s.group > 1 ? x / kScaleBlock : x) * s.x»),"),
    narrow("scales of a lane's lines", ADA, "first[«i * step»]"),
]
TERMS = [
    narrow("matrices that are divided", DIVIDE, "«batch * o.batch» + line"),
    narrow("lines that are divided", DIVIDE, "+ «line * o.line» + first"),
    narrow("packets that are divided", DIVIDE, "+ «first * o.unit»;"),
    narrow("elements that are divided", DIVIDE, "from[«i * o.unit»]"),
]
TMA = [
    narrow("lines of a map", HOPPER, "static_cast<uint64_t>(«m.step * size»)"),
    narrow("matrices of a map", HOPPER, "static_cast<uint64_t>(«l.batch * size»)"),
    narrow("matrices that are copied", PACK, "+ «matrix * s.batch» + line0"),
    narrow("tiles of lines that are copied", PACK, "+ «line0 * s.line» + k0"),
    narrow("tiles of k that are copied", PACK, "+ «k0 * s.unit»;"),
    narrow("lines that are copied", PACK, "(from + «line * s.line» + k"),
    narrow("k that are copied", PACK, "+ «k * s.unit», step"),
    narrow("elements that are copied", PACK, "from[«e * step»]"),
]

C_OFFSET = "from, l, {} + {} + {}, packets"
SCALE_OFFSET = "from += {} + {} + {};"
D_OFFSET = "offset = {} + {} + {};\n  if constexpr"
D_SCALED = "offset = {} + {} + {};\n  switch"


def marked(pattern: str, layout: str, which: int) -> str:
    parts = [f"batch * {layout}.batch", f"row * {layout}.row", f"column * {layout}.column"]
    parts[which] = f"«{parts[which]}»"
    return pattern.format(*parts)


DIMENSIONS = ("matrices", "rows", "columns")
D_FAR = [narrow(f"D's {name}", EMIT, marked(D_OFFSET, "p.d", i)) for i, name in enumerate(DIMENSIONS)]
D_FAR += [narrow("D's neighbours", NEIGHBOURS, "to[«i * step»]")]
D_SCALED_FAR = [narrow(f"a scaled D's {name}", EMIT, marked(D_SCALED, "p.d", i)) for i, name in enumerate(DIMENSIONS)]
D_SCALED_FAR = D_SCALED_FAR[1:]  # of one matrix
ENDS_FAR = [narrow(f"{name} of C, S, residual", EMIT, marked(C_OFFSET, "l", i)) for i, name in enumerate(DIMENSIONS)]
ENDS_FAR += [narrow("neighbours of C, S, residual", NEIGHBOURS, "widen(from[«i * step»])")]
ENDS_FAR += [narrow(f"{name} of scales", EMIT, marked(SCALE_OFFSET, "l", i)) for i, name in enumerate(DIMENSIONS)]

# ---- what is broadcast and walked ------------------------------------------------------------------------------------

EXTENTS = ("p.m * p.n", "p.n", "1")
SCALE_EXTENTS = {0: ("p.m", "1", "1"), 1: ("p.n", "1", "1")}
WALKED = [
    Fault(
        f"{operand} that is one for all {name} is walked",
        EMIT,
        marked(C_OFFSET, "l", i),
        f"{place} * (step == {step} && l.{stride} == 0 ? {extent} : l.{stride})",
    )
    for operand, step in (("an addend", 0), ("an S", 2), ("a residual", 3))
    for i, (name, place, stride, extent) in enumerate(
        zip(DIMENSIONS, ("batch", "row", "column"), ("batch", "row", "column"), EXTENTS)
    )
]
WALKED += [
    Fault(
        f"scales of {lines} that are one for all {name} are walked",
        EMIT,
        marked(SCALE_OFFSET, "l", i),
        f"{stride} * (side == {side} && l.{stride} == 0 ? {SCALE_EXTENTS[side][i]} : l.{stride})",
    )
    for side, lines in ((0, "rows"), (1, "columns"))
    for i, (name, stride) in enumerate(zip(DIMENSIONS, ("batch", "row", "column")))
]
WALKED += [
    Fault("what is one for all columns comes in packets", EMIT, "«(e.down ? l.row : l.column) == 1» &&",
          "(e.down ? l.row : l.column) <= 1"),
    Fault("what is one for all columns is fetched one by one", NEIGHBOURS,
          "const int64_t step = «down ? l.row : l.column»;\n#pragma unroll\n    for (int i = 0; i < P; ++i) v[i]",
          "(down ? l.row : l.column) ? (down ? l.row : l.column) : 1"),
]  # fmt: skip


def one_for_all(folder: str, file: str, right: str) -> list[Fault]:
    """Of A's and B's matrices, where a batch has one."""
    return [
        Fault(
            f"the one {x.upper()} of a batch is walked, {folder}", file, right.format(x=x),
            f"{right.format(x=x).split('«')[1].split(' *')[0]} * (p.{x}.batch ? p.{x}.batch : {extent} * p.k)",
        )
        for x, extent in (("a", "p.m"), ("b", "p.n"))
    ]  # fmt: skip


ONE_BY_ROWS = [
    *one_for_all("skinny by rows", SKINNY, "«place.batch * p.a.batch» + inside")[:1],
    *one_for_all("skinny by rows", SKINNY, "«place.batch * p.b.batch» + place")[1:],
]
ONE_BY_COLUMNS = [
    *one_for_all("skinny by columns", SKINNY, "«place.batch * p.a.batch» + row0")[:1],
    *one_for_all("skinny by columns", SKINNY, "«place.batch * p.b.batch» + k")[1:],
]
ONE_SIMT = [
    *one_for_all("simt", SIMT, "«batch * p.a.batch» + row0")[:1],
    *one_for_all("simt", SIMT, "«batch * p.b.batch» + column0")[1:],
]
ONE_RING = [
    *one_for_all("the ring", LOOP, "«block.batch * p.a.batch» + block.row")[:1],
    *one_for_all("the ring", LOOP, "«block.batch * p.b.batch» + block.column")[1:],
]
ONE_TMA = [
    Fault("the one matrix of a map is walked", HOPPER, "o.batched = «batch > 1 && l.batch != 0»;", "batch > 1"),
]

# ---- the order of sums -----------------------------------------------------------------------------------------------

LAST_FIRST = [
    Fault("ranges are added last to first", SPLIT, "line * p.n + «column»;\n#pragma unroll 4",
          "column + (w.splits - 1) * slice", (("++range, «from += slice»)", "from -= slice"),)),
]  # fmt: skip
OTHER_ENDS = [
    Fault("the columns' scales come before the rows'", EMIT, "(«side == 0» ? e.row_scale", "side == 1",
          (("= «side == 0» ? p.row_scale", "side == 1"), ("(«side == 0» ? data.row_scale", "side == 1"))),
]  # fmt: skip
CLUSTER = [Fault("a cluster's ranges are added last to first", RANGES, "static_cast<uint32_t>(«range»)",
                 "w.ranges - 1 - range")]  # fmt: skip
BACKWARDS = [
    Fault(
        "k is added backwards, simt", SIMT, "(line_a + «kk» *", "BK - 1 - kk", (("(line_b + «kk» *", "BK - 1 - kk"),)
    ),
]
BACKWARDS_F32 = [
    Fault("four k are added backwards, f32", F32, "a[i / 2][«k»],", "kDeep - 1 - k",
          (("b[i % 2][«k»])", "kDeep - 1 - k"),)),
]  # fmt: skip
GROUPS = [Fault("groups of lanes are added last to first", SKINNY, "(quad * groups + «g») * sums",
                "groups - g")]  # fmt: skip
WARPS = [Fault("warps are added last to first", SKINNY, "partial[«g» * side", "warps - g")]
SUMS = [
    Fault("lines of parts are added last to first", SPLIT, "shared[«other» * kLine", "kLines - other"),
    Fault("parts are added last to first", SPLIT, "[«part» * w.length + column]",
          "line + (w.count - 1 - line) / kLines * kLines + line - part"),
    Fault("neighbouring parts are one line's", SPLIT, "[«part» * w.length + column]",
          "part < kLines * 4 && w.count > kLines * 4 ? part % kLines * 4 + part / kLines : part"),
]  # fmt: skip
