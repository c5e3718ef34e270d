"""Faults planted in the kernels of wgmma and TMA; hopper_mutants.py plants, test_hopper_mutants.py looks."""

from __future__ import annotations

PARAMS, PRODUCER, CONSUMER, PROMOTION, EPILOGUE, KERNEL, CONFIGURATIONS = (
    f"gemm/arch/wgmma/{name}"
    for name in (
        "params.cuh", "producer.cuh", "consumer.cuh", "promotion.cuh", "epilogue.cuh", "kernel.cuh", "configurations.h",
    )
)  # fmt: skip
RING, TMA, MAINLOOP, STORE = (
    f"primitives/{name}" for name in ("ring.h", "tma_tile.h", "wgmma_mainloop.h", "warp_store.h")
)
EMIT, PROBLEM, TERMS = "gemm/emit.cuh", "gemm/problem.h", "gemm/arch/wgmma/terms.cuh"
RANGES = "gemm/arch/wgmma/ranges.cuh"
PACK, OPERANDS = "gemm/arch/wgmma/pack.cuh", "gemm/arch/wgmma/operands.h"

EXPECTS = "mbarrier_arrive_expect_tx(full, S::stage_bytes);"
MULTIPLY = "    multiply<S>(w, ring, at, tile, group, sum);\n"
WAITS = "  griddepcontrol_wait();  // until here nothing has touched what an earlier kernel may still write or read\n"
GIVES = "    if (S::ping_pong && index + clusters < w.tiles) give_turn(group ^ 1);\n"


def waits_if(condition: str) -> str:
    return WAITS.replace("griddep", f"if ({condition}) griddep", 1)


# What is wrong, file, the right text and the wrong one.
HOPPER_FAULTS: list[tuple[str, str, str, str]] = [
    # ---- the ring
    ("the parity of a round is not turned", RING, "    slot = 0;\n    parity ^= 1;", "    slot = 0;"),
    ("a skipped round keeps its parity", RING, "parity ^= static_cast<uint32_t>(slot / Stages) & 1;", ""),
    ("the barriers of two kinds overlap", RING, "full(slot) + Stages * 8", "full(slot) + 8"),
    ("both blocks have the upper tile", PARAMS, "+ (S::shares_b ? rank : 0);", "+ 0;"),
    ("both blocks have the left tile", PARAMS, "+ (S::shares_b ? 0 : rank);", "+ 0;"),
    ("every range begins with the first k", PARAMS, "first * S::step,", "0,"),
    ("a range has the steps of all", PARAMS, "min_of(w.steps - first, w.range_steps)", "w.steps - first"),
    # ---- the producer
    (
        "a stage is filled before it is free",
        PRODUCER,
        "      ring.wait_empty(at);\n      //",
        "      //",
    ),
    ("the first round waits", RING, "at.parity ^ 1);", "at.parity);"),
    ("half of the bytes are expected", PRODUCER, EXPECTS, EXPECTS.replace("bytes)", "bytes / 2)")),
    (
        "the peer's half is not expected",
        PRODUCER,
        EXPECTS,
        EXPECTS.replace("bytes)", "bytes - (pair ? S::b_bytes / 2 : 0))"),
    ),
    (
        "a half goes to its own block only",
        TMA,
        "at, full, 3);",
        "at, full, static_cast<uint16_t>(1 << cluster_rank()));",
    ),
    ("both bring the first lines", TMA, "both ? rank * (X / 2) : 0", "0"),
    ("both bring the first k", TMA, "both ? rank * 32 : 0", "0"),
    ("the second half has the lines of the first", TMA, "k, x + first, from", "k, x, from"),
    ("the second half lies on the first", TMA, "to + first * kSpan", "to"),
    ("every box has the first columns", TMA, "x + i * 64", "x"),
    ("the one matrix of a batch is walked", TMA, "(o.batched ? from.batch : 0)", "from.batch"),
    (
        "matrices inside lines are taken for others",
        TMA,
        "o.matrices_inside ? matrix : line, o.matrices_inside ? line : matrix",
        "line, matrix",
    ),
    (
        "a block ends before its peer has arrived",
        PRODUCER,
        "  if (pair)\n    for (int slot",
        "  if (false)\n    for (int slot",
    ),
    # ---- the consumers
    ("a stage is read before it is full", MAINLOOP, "    ring.wait_full(at);\n", ""),
    (
        "one warp does not wait",
        MAINLOOP,
        "    ring.wait_full(at);",
        "    if (threadIdx.x / 32 % 4 != 3) ring.wait_full(at);",
    ),
    ("a stage is given back too early", MAINLOOP, "      wgmma_wait_group<1>();\n", "      wgmma_wait_group<2>();\n"),
    (
        "the stage under way is given back",
        MAINLOOP,
        "      ring.release(before);\n",
        "      ring.release(at.slot);\n",
    ),
    ("the peer is not told", RING, "if (lane >= cluster) return;", "if (lane >= 1) return;"),
    ("every lane arrives", RING, "if (lane >= cluster) return;", "if (cluster > 1 && lane >= 2) return;"),
    ("the address is not the peer's", RING, "mapa(empty(slot), lane)", "empty(slot)"),
    ("groups of lines are half as far", MAINLOOP, "64 * kSpan, 1024, Swizzle", "64 * kSpan, 512, Swizzle"),
    ("the next columns are half as far", MAINLOOP, "16 : 64 * kSpan, 1024", "16 : 32 * kSpan, 1024"),
    ("the tile is not read as it is turned", MAINLOOP, "1024, Swizzle::bytes128", "1024, Swizzle::bytes64"),
    ("a step along k is twice as long", MAINLOOP, "Major::k ? 32 : 16 * kSpan", "Major::k ? 64 : 16 * kSpan"),
    ("a step of lines is half as long", MAINLOOP, "? 32 : 16 * kSpan", "? 32 : 8 * kSpan"),
    ("both warpgroups have the upper rows", CONSUMER, "S::rows_of(group)", "S::rows_of(0)"),
    ("the lower 64 rows are the upper ones", MAINLOOP, "i * (64 * kSpan) + k *", "k *"),
    ("sums are not begun anew", MAINLOOP, "step > 0 || k > 0);", "true);"),
    ("sums are read before they are whole", MAINLOOP, "  wgmma_wait_group<0>();\n", ""),
    ("no fence before the products", MAINLOOP, "    wgmma_fence();\n", ""),
    ("products are not committed", MAINLOOP, "    wgmma_commit_group();\n", ""),
    ("the last stage is kept", MAINLOOP, "  ring.release(before);\n}", "}"),
    # ---- the epilogue
    ("a box is filled while it is stored", EPILOGUE, "if (leads) bulk_wait_group_read<1>();", ""),
    ("two stores may be under way", EPILOGUE, "bulk_wait_group_read<1>", "bulk_wait_group_read<2>"),
    ("one box serves all", EPILOGUE, "other ^= kBox;", ""),
    ("lanes do not wait for the one that waits", EPILOGUE, "      syncwarp();\n      primitives", "      primitives"),
    ("what is written is not shown to TMA", EPILOGUE, "      fence_proxy_async_shared();\n", ""),
    (
        "a box is stored before it is full",
        EPILOGUE,
        "      fence_proxy_async_shared();\n      syncwarp();\n",
        "      fence_proxy_async_shared();\n",
    ),
    ("stores are not committed", EPILOGUE, "        bulk_commit_group();\n", ""),
    (
        "a box is not turned",
        STORE,
        "swizzled(box + row * bytes + (2 * j + right) * 16, swizzle)",
        "box + row * bytes + (2 * j + right) * 16",
    ),
    ("the right columns lie on the left", STORE, "right = lane / 16;", "right = 0;"),
    ("the lower rows lie on the upper", EPILOGUE, "row = row0 + i * 64, matrix", "row = row0, matrix"),
    ("alpha is forgotten", STORE, "sum[e] * alpha, sum[e + 1] * alpha", "sum[e], sum[e + 1]"),
    ("the slab is read before it is written", EPILOGUE, "    syncwarp();\n#pragma unroll 1\n", "#pragma unroll 1\n"),
    ("the slab is written while it is read", EPILOGUE, "    syncwarp();\n    primitives", "    primitives"),
    ("columns down D are read along rows", EPILOGUE, "r = q % 4 * 4, x = q / 4;", "r = q % 4, x = q / 4;"),
    # ---- the kernel and its launch
    ("shared memory ends before TMA has read it", KERNEL, "  if (w.by_tma) bulk_wait_group<0>();", ""),
    ("nobody waits for his turn", KERNEL, "      wait_for_turn(group);\n", ""),
    ("the turn is given before the products", KERNEL, MULTIPLY + GIVES, GIVES + MULTIPLY),
    ("the turn is not given", KERNEL, GIVES, ""),
    ("both warpgroups have the same turns", KERNEL, "if (turn != group) {", "if (turn != 0) {"),
    ("the peer's warps are not counted", RING, "readers * cluster);", "readers);"),
    ("barriers are used before they are shown", RING, "    fence_mbarrier_init();\n", ""),
    ("the peer's barriers may not be there", KERNEL, "  if (w.cluster > 1) {  //", "  if (w.cluster > 2) {  //"),
    ("nobody waits for the barriers", KERNEL, "    syncthreads();\n", ""),
    ("warps share their staging", KERNEL, "(group * 4 + warp) * 4096", "warp * 4096"),
    ("a half has the lines of the whole", CONFIGURATIONS, "/ (half ? 2 : 1)", "/ 1"),
    (
        "ranges leave the last k out",
        CONFIGURATIONS,
        "range_steps = ceil_div(steps, data.splits)",
        "range_steps = steps / data.splits",
    ),
    (
        "ranges without k are added",
        CONFIGURATIONS,
        "  data.splits = static_cast<int>(ceil_div(steps, range_steps));\n",
        "",
    ),
    (
        "matrices never lie inside lines",
        CONFIGURATIONS,
        "o.matrices_inside = matrix < line;",
        "o.matrices_inside = false;",
    ),
    ("a residual is forgotten", CONFIGURATIONS, "!e.addend && !e.residual &&", "!e.addend &&"),
    (
        "A and B are exchanged, their addresses not",
        CONFIGURATIONS,
        "t ? transposed(given_data) : given_data",
        "given_data",
    ),
    # ---- other types
    ("float32 is cut, not rounded", CONFIGURATIONS, "f.to_tf32 = to_tf32;", ""),
    (
        "the second half of a warpgroup's rows is the first",
        PROMOTION,
        "S::rows_of(group, i)",
        "S::rows_of(group, 0 * i)",
    ),
    ("both warpgroups promote the upper rows", PROMOTION, "S::rows_of(group, i)", "S::rows_of(0, i)"),
    ("a stage's sums are not begun anew", PROMOTION, "advance(b, k * 32), k > 0);", "advance(b, k * 32), true);"),
    ("sums are promoted before they are whole", PROMOTION, "      wgmma_wait_group<0>();\n", ""),
    ("no fence before a stage's products", PROMOTION, "      wgmma_fence();\n", ""),
    ("the stage is given back with its first part", PROMOTION, "if (i == S::MI - 1) ring", "if (i == 0) ring"),
    ("the stage is kept", PROMOTION, "      if (i == S::MI - 1) ring.release(at.slot);\n", ""),
    (
        "a stage is promoted before it is full",
        PROMOTION,
        "    ring.wait_full(at);\n",
        "",
    ),
    ("the totals are not begun", PROMOTION, "sum[i][e] = 0;", "sum[i][e] += 0;"),
    (
        "only the last stage counts",
        PROMOTION,
        "total[i] += by[i / 2 % 2] * part[i];",
        "total[i] = by[i / 2 % 2] * part[i];",
    ),
    (
        "every stage has the first one's scales",
        PROMOTION,
        "tile.first_k / kScaleBlock + step;",
        "tile.first_k / kScaleBlock;",
    ),
    ("a range has the scales of the first", PROMOTION, "tile.first_k / kScaleBlock + step;", "step;"),
    ("the lower rows have the upper ones' scales", PROMOTION, "by[i / 2 % 2]", "by[0]"),
    (
        "a row has the scale of another",
        PROMOTION,
        "s.rows[h] = row + h * 8 < p.m ? data.scale_a[scale_at(a, row + h * 8",
        "s.rows[h] = row + h * 8 < p.m ? data.scale_a[scale_at(a, row + h * 4",
    ),
    ("scales are read beyond the rows", PROMOTION, "row + h * 8 < p.m ? data", "true ? data"),
    ("scales are read beyond the columns", PROMOTION, "column < p.n ? data", "true ? data"),
    ("a column has the scale of another", PROMOTION, "i * 2 % 32 + first + e", "i * 2 % 32 + first"),
    ("every row has a scale of its own", PARAMS, "s.group > 1 ? x / kScaleBlock : x", "x"),
    (
        "the first 64 rows' scales serve all",
        PROMOTION,
        "(w.epilogue, row + i * 64, tile.column, block)",
        "(w.epilogue, row, tile.column, block)",
    ),
    ("blocks are scaled once more", EPILOGUE, "  if (p.scaling.blocks()) return;\n", ""),
    (
        "scales of rows are those of columns",
        EPILOGUE,
        "scale_a[scale_at(p.scaling.a, r, 0)]",
        "scale_a[scale_at(p.scaling.a, c, 0)]",
    ),
    (
        "scales run along D's rows only",
        EPILOGUE,
        "r = row + (w.down ? e : 0), c = column + (w.down ? 0 : e)",
        "r = row, c = column + e",
    ),
    (
        "the bias lies along the transposed D",
        PROBLEM,
        "p.scaling.fast, !p.scaling.is_transposed}",
        "p.scaling.fast, p.scaling.is_transposed}",
    ),
    ("scales are not exchanged with A and B", PROBLEM, "  d.scale_b = scale;\n", "  d.scale_a = scale;\n"),
    ("each number has the first one's bias", EMIT, "bias[same ? 0 : i]", "bias[0]"),
    # ---- float32 as terms
    ("one stage of two is waited for", TERMS, "half < stages; ++half) ring.wait", "half < 1; ++half) ring.wait"),
    ("a product's sums are not begun anew", TERMS, "half > 0 || k > 0);", "true);"),
    ("the second stage's are", TERMS, "half > 0 || k > 0);", "k > 0);"),
    ("products are added before they are whole", TERMS, "        wgmma_wait_group<0>();\n", ""),
    ("no fence before products of terms", TERMS, "        wgmma_fence();\n", ""),
    ("stages are given back with the first part", TERMS, "if (i == S::MI - 1)\n", "if (i == 0)\n"),
    ("one stage of two is given back", TERMS, "half < stages; ++half) ring.rel", "half < 1; ++half) ring.rel"),
    ("both stages are the first", TERMS, "ring.stage(here[half].slot)", "ring.stage(here[0].slot)"),
    ("totals are not begun", TERMS, "sum[i][e] = 0;", "sum[i][e] += 0;"),
    ("only the last product counts", TERMS, "total[i] += by * part[i];", "total[i] = by * part[i];"),
    ("every product counts whole", TERMS, "(127u - terms::kShift * order) << 23", "127u << 23"),
    ("what is not finite is added", TERMS, "order == 0 || fabsf(part[i]) <= largest", "true"),
    ("infinity is dropped", TERMS, "if (order == 0 || fabsf", "if (fabsf"),
    ("the second 64 rows are the first", TERMS, "S::rows_of(group, i)", "S::rows_of(group, 0 * i)"),
    ("B's term is the one of A", PRODUCER, "b{tile.batch, terms.b}", "b{tile.batch, terms.a}"),
    ("A's second stage is the first of its step", PRODUCER, "load(k + part,", "load(k,"),
    ("the one matrix of B is walked", CONFIGURATIONS, "o.batched = from.term > 1;", "o.batched = true;"),
    (
        "the next term is the next matrix",
        CONFIGURATIONS,
        "terms * p.batches, static_cast<int>(p.batches)}",
        "terms * p.batches, 1}",
    ),
    # ---- ranges that a cluster adds up
    ("sums lie where the other warpgroup still multiplies", RANGES, "  barrier_sync(3, kReaders<S>);", "  "),
    (
        "the others' sums may not be there yet",
        RANGES,
        "  cluster_arrive();\n  cluster_wait();\n}\n\n// Whether",
        "}\n\n// Whether",
    ),
    ("a block ends before its sums are read", KERNEL, "    if (S::gathers && w.ranges > 1) everyone_has_read();\n", ""),
    (
        "the own sums are added twice",
        RANGES,
        "range ? sum[q * 4 + e] + more.v[e] : more.v[e]",
        "sum[q * 4 + e] + more.v[e]",
    ),
    ("every range is the own", RANGES, "c, q), static_cast<uint32_t>(range))", "c, q), static_cast<uint32_t>(rank))"),
    ("four sums of a part are those of the first", RANGES, "c % parts * each + q * 4 + e", "c % parts * each + e"),
    ("a cluster's blocks have the same k", PARAMS, "(w.ranges > 1 ? of_cluster :", "(w.ranges > 1 ? 0 :"),
    (
        "a cluster's blocks lie side by side",
        PARAMS,
        "const int rank = w.ranges > 1 ? 0 : of_cluster;",
        "const int rank = of_cluster;",
    ),
    (
        "the producer counts blocks as clusters",
        PRODUCER,
        "index = blockIdx.x / blocks_together(w)",
        "index = blockIdx.x / w.cluster",
    ),
    (
        "a range goes out by TMA alone",
        CONFIGURATIONS,
        "w.by_tma = !in_cluster && ends_by_tma",
        "w.by_tma = ends_by_tma",
    ),
    ("a cluster has as many tiles as ranges", CONFIGURATIONS, "(in_cluster ? 1 : data.splits)", "data.splits"),
    # ---- copies of operands
    ("a tile is read before it is whole", PACK, "  syncthreads();\n", ""),
    ("k behind the end of a line is read", PACK, "(line < lines ? ks - k : 0)", "(line < lines ? each : 0)"),
    ("lines behind the last are read", PACK, "(line < lines ? ks - k : 0)", "(ks - k)"),
    ("columns behind the last are read", PACK, "(k < ks ? lines - line : 0)", "(lines - line)"),
    ("lines behind the last are written", PACK, "if (line < lines && k < ks)", "if (k < ks)"),
    ("packets behind a line are written", PACK, "if (line < lines && k < ks)", "if (line < lines)"),
    ("every matrix is the first", PACK, "matrix * s.batch +", "0 * s.batch +"),
    ("the copies of matrices lie on each other", PACK, "(matrix * s.copy.lines + line0)", "line0"),
    ("B's copy lies on A's", PACK, "to + a.elements()", "to"),
    ("B's tiles begin behind as many as A has", PACK, "blockIdx.x - (second ? w.a.tiles : 0)", "blockIdx.x"),
    ("packets are loaded from anywhere", PACK, "== 1 && l.align >= 16", "== 1"),
    ("a packet is written along k", PACK, "(inner + e, outer)] =", "(outer, inner + e)] ="),
    ("every tile is the first of its line", PACK, "(tile - row * s.across) * side", "0 * side"),
    ("the tiles below are the first", PACK, "(row - matrix * s.down) * side", "0 * side"),
    ("A's copy is read as A lay", CONFIGURATIONS, "a{data.a, q.a, q.batch}", "a{data.a, p.a, q.batch}"),
    ("B is brought from where it was", PACK, "  if (b.matrices) data.b = w.b.to;\n", ""),
    ("lines of a copy are not padded", OPERANDS, "ceil_div(p.k, each) * each", "p.k"),
    ("one matrix is copied for all", OPERANDS, "l.batch == 0 ? 1 : p.batch", "1"),
    ("the matrices of a copy are all the first", OPERANDS, "matrices > 1 ? lines * pitch : 0", "0"),
    # ---- what an earlier kernel may still write or read
    ("nobody waits for the kernel before", KERNEL, WAITS, ""),
    ("the next kernel may start and nobody waits", KERNEL, WAITS, "  griddepcontrol_launch_dependents();\n"),
    (
        "the producer does not wait for the kernel before",
        KERNEL,
        WAITS,
        waits_if("threadIdx.x != 0"),
    ),
    ("the producer alone waits for the kernel before", KERNEL, WAITS, waits_if("threadIdx.x == 0")),
    ("the second block of a pair does not wait", KERNEL, WAITS, waits_if("rank == 0")),
    ("who stores by threads does not wait", KERNEL, WAITS, waits_if("w.by_tma")),
    (
        "a residual is read before the wait",
        KERNEL,
        WAITS,
        "  if (w.epilogue.data.residual)\n"
        "    static_cast<void>(*static_cast<const volatile char*>(w.epilogue.data.residual));\n" + WAITS,
    ),
    (
        "a pass that does not wait may overlap",
        "gemm/divide.cuh",
        "platform::launch(&divide_operands<Folder>, ",
        "platform::launch_clusters(&divide_operands<Folder>, 1, true, ",
    ),
    # ---- the cluster's barrier
    ("threads that have ended count as arrived", KERNEL, "      attend_without_sums();\n    }\n", "    }\n"),
    (
        "a warpgroup without a tile does not come to the barrier",
        KERNEL,
        "        if (S::gathers && w.ranges > 1) attend_without_sums();\n",
        "",
    ),
]
