"""Faults planted in the kernels of csrc/gemm/arch/skinny: the model or the result shows each within ten PCT schedules.

The kernels' own text is compiled once for each fault, with a piece of it replaced; the piece must occur exactly once.
"""

from __future__ import annotations

import ctypes
import math
import re
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.platform.library import FOLDER, ROOT, model_library
from tests.platform.toolchains import rules

CSRC = ROOT / "csrc"
SOURCES = [
    "primitives/reduce.h",
    *(f"gemm/arch/skinny/{name}" for name in ("tiles.h", "kernel.cuh", "configurations.h")),
]
HEADER = FOLDER / "skinny_faults.h"
MARGIN = 1 << 15  # bytes around every buffer that belong to no tensor
CONFIGURATIONS = {"r1": (0, "rows", 1), "r8": (1, "rows", 8), "c1": (2, "columns", 1), "c8": (3, "columns", 8)}


@dataclass(frozen=True)
class Fault:
    """`old` becomes `new` in the text; it shows in `configuration`."""

    name: str
    configuration: str
    old: str
    new: str


STORE = "if (i < total.kept) partial[thread / lanes * sums + total.first + i] = sum[i];\n  syncthreads();"
FAULTS = [
    Fault("no barrier between the groups' partial sums", "r8", STORE, STORE.replace("syncthreads();", "")),
    Fault("syncwarp where syncthreads is needed", "r1", STORE, STORE.replace("syncthreads", "syncwarp")),
    Fault("a shuffle's width is half a warp", "r8", "shfl_xor(theirs, mask)", "shfl_xor(theirs, mask, 16)"),
    Fault(
        "the halves that are exchanged are the same",
        "r8",
        "theirs = upper ? sum[i] : sum[i + Half]",
        "theirs = upper ? sum[i + Half] : sum[i]",
    ),
    Fault(
        "the last lanes are left out", "r1", "for (; mask > 0; mask /= 2) sum[0]", "for (; mask > 1; mask /= 2) sum[0]"
    ),
    Fault("all lanes with one total store it", "r1", "if (lane % same != 0) kept = 0;", ""),
    Fault(
        "rows of one warp are added together",
        "r1",
        "share < warp_size() ? share : warp_size(), groups",
        "share < warp_size() ? 2 * share : warp_size(), groups",
    ),
    Fault(
        "one partial sum is added twice", "r1", "for (int g = 1; g < groups; ++g)", "for (int g = 0; g < groups; ++g)"
    ),
    Fault(
        "the last partial sum is left out",
        "r8",
        "for (int g = 1; g < groups; ++g)",
        "for (int g = 1; g + 1 < groups; ++g)",
    ),
    Fault("a packet behind the last one", "r1", "if (at + share < packets) load(next", "if (at < packets) load(next"),
    Fault("packets in hand are never replaced", "r8", "held[r] = next[r];", ";"),
    Fault("the tail of k is not guarded", "r8", "while (k < depth) elements", "while (k < depth + share) elements"),
    Fault("the tail of k is left out", "r1", "k += packets * width;", "k += (packets + 1) * width;"),
    Fault("elements of k are taken twice", "r8", "    k += n * share;", "    k += share;"),
    Fault("the loads of the last rows are not guarded", "r1", "row0 + r < p.m ? row0 + r : p.m - 1", "row0 + r"),
    Fault("x of the first vector for all", "r8", "x + v * p.b.column) + at", "x) + at"),
    Fault("packets from addresses that are no multiples of 16", "r1", "l.align >= packet_bytes(t)", "l.align >= 4"),
    Fault("packets of an x that has none", "r8", "in_packets(p.type, p.b, p.b.row)", "true"),
    Fault("x's batch stride for W", "r1", "place.batch * p.a.batch + inside", "place.batch * p.b.batch + inside"),
    Fault("W's batch stride for x", "c8", "place.batch * p.b.batch + k", "place.batch * p.a.batch + k"),
    Fault(
        "the operands of a transposed product are not exchanged",
        "r8",
        "? transposed(given_data) : given_data",
        "? given_data : given_data",
    ),
    Fault("row and column of D exchanged", "c1", "slice, row, column, one)", "slice, column, row, one)"),
    Fault(
        "columns: no barrier between the warps' partial sums",
        "c1",
        "    syncthreads();\n    if (thread < side",
        "    if (thread < side",
    ),
    Fault("columns: one buffer for all vectors", "c8", "v % 2 * (kThreads * width)", "0 * (kThreads * width)"),
    Fault("columns: half of the lanes of a column", "c8", "add_lanes(sum[0], side, ", "add_lanes(sum[0], 2 * side, "),
    Fault("columns: a warp writes over another's sums", "c1", "(warp * side + lane) * width", "lane * width"),
    Fault("columns: every lane stores", "c8", "if (lane < side) {", "{"),
    Fault("columns: the last warp is left out", "c1", "g < warps; ++g", "g + 1 < warps; ++g"),
    Fault("columns: sums of the first vector for all", "c8", "rotate(sum);", ""),
    Fault("columns: the last columns are not guarded", "c1", "row0 < p.m ? left_of(p.m - row0, width) : 0", "width"),
    Fault("columns: a packet where less is left", "c8", "w.packets && left == width", "w.packets"),
    Fault(
        "columns: a last round that is not whole",
        "c1",
        "while (k + (rounds - 1) * slices < place.k.end)",
        "while (k < place.k.end)",
    ),
    Fault(
        "columns: the last rounds are left out",
        "c8",
        "  while (k < place.k.end) multiply",
        "  while (k + slices < place.k.end) multiply",
    ),
    Fault(
        "columns: x walks as if it lay by columns",
        "c8",
        "w.x_step = kThreads / w.share * p.b.row",
        "w.x_step = kThreads / w.share",
    ),
]


@dataclass(frozen=True)
class Shape:
    """A product of W and x, either of which may be the left one."""

    batch: int
    m: int
    n: int
    k: int
    w: str = "rows"  # how W lies: rows, columns, overlapping
    x: str = "columns"
    pad: int = 0  # elements between the lines of both


def shapes(configuration: str) -> list[Shape]:
    """k by packets with a tail, shared by many threads, not in packets at all; either side short; W in a batch."""
    _, w, vectors = CONFIGURATIONS[configuration]
    few = 5 if vectors == 8 else 1
    pad = 1 if w == "rows" else 3  # so that lines start at multiples of 16 bytes
    return [
        Shape(2, 21, few, 79, w, "columns", pad),
        Shape(2, 21, few, 79, w, "rows", pad),
        Shape(1, few, 18, 84, w),
        Shape(1, 9, few, 700, w),
        Shape(1, 9, few, 701, w, "rows"),
        Shape(1, 37, vectors, 43, w, "rows"),
        Shape(1, 20, vectors, 33, w, "columns", 2),
        Shape(1, 20, few, 40, "overlapping"),
    ]


def text() -> str:
    """The folder's text once a fault, and a line a variant; variant 0 .. 3 are the configurations as they are."""
    parts = [(CSRC / name).read_text() for name in SOURCES]
    whole = re.sub(r"^#(pragma once|include .*)$", "", "\n".join(parts), flags=re.M)
    variants = [Fault("", c, "", "") for c in CONFIGURATIONS] + FAULTS
    pieces, lines = [], []
    for number, fault in enumerate(variants):
        mine = whole
        if fault.old:
            assert whole.count(fault.old) == 1, (fault.name, whole.count(fault.old))
            mine = whole.replace(fault.old, fault.new)
        mine = re.sub(r"\bprimitives(?=::| {)", f"primitives_{number}", mine)
        pieces.append(mine.replace("gpukern::gemm::skinny", f"gpukern::gemm::skinny_{number}"))
        index, form, _ = CONFIGURATIONS[fault.configuration]
        lines.append(f"  DO({number}, skinny_{number}, {index}, {form}, {fault.configuration})")
    return "\n".join([*pieces, "#define GPUKERN_VARIANTS(DO) \\", " \\\n".join(lines), ""])


@cache
def library() -> ctypes.CDLL:
    rules.write_if_changed(ROOT / HEADER, text())
    flags = f"-DGPUKERN_FAULTS_HEADER='\"{(ROOT / HEADER).as_posix()}\"'"
    found = model_library("skinny_faults", ("tests/platform/faults/skinny.cu",), flags)
    found.run_variant.restype = ctypes.c_char_p
    return found


class Placed:
    """(batch, rows, columns) of float32 by rows or columns, surrounded by memory that belongs to no tensor."""

    def __init__(self, values: NDArray, by: str, pad: int = 0) -> None:
        batch, rows, columns = values.shape
        lines, length = (columns, rows) if by == "columns" else (rows, columns)
        self.step = 1 if by == "overlapping" else length + pad
        count = (batch * lines - 1) * self.step + length
        self.room = np.full(2 * MARGIN + 4 * count + 16, 0xFF, np.uint8)
        self.start = MARGIN + -(self.room.ctypes.data + MARGIN) % 16
        self.flat = self.room[self.start : self.start + 4 * count].view(np.float32)
        between = (batch > 1) * lines * self.step
        self.strides = (1, self.step, between) if by == "columns" else (self.step, 1, between)
        row, column, each = self.strides
        self.view = np.lib.stride_tricks.as_strided(self.flat, values.shape, (4 * each, 4 * row, 4 * column))
        self.view[...] = values

    def layout(self) -> list[int]:
        extents = (self.view.shape[1], self.view.shape[2], self.view.shape[0])
        steps = [4 * stride for stride, extent in zip(self.strides, extents) if extent > 1]
        if 4 in steps:
            steps.remove(4)  # one unit stride: packets lie along it
        return [*self.strides, math.gcd(16, self.flat.ctypes.data, *steps)]


def run(variant: int, shape: Shape, order: int, seed: int, wave: int = 32) -> str:
    """What is wrong, or ""."""
    rng = np.random.default_rng(1)
    s = shape
    transposed = s.m < s.n
    long, short = max(s.m, s.n), min(s.m, s.n)
    if s.w == "overlapping":
        signal = rng.integers(-4, 5, long + s.k - 1).astype(np.float32)
        w = np.lib.stride_tricks.sliding_window_view(signal, s.k)[None]
    else:
        w = rng.integers(-4, 5, (s.batch, long, s.k)).astype(np.float32)
    x = rng.integers(-4, 5, (s.batch, s.k, short)).astype(np.float32)
    by = {"rows": "columns", "columns": "rows"}
    if transposed:  # D = x' W', each the other's transpose
        a, b = Placed(x.transpose(0, 2, 1), by[s.x], s.pad), Placed(w.transpose(0, 2, 1), by[s.w], s.pad)
    else:
        a, b = Placed(w, s.w, s.pad), Placed(x, s.x, s.pad)
    nan = np.full((s.batch, s.m, s.n), np.nan, np.float32)
    c, d = Placed(nan, "rows"), Placed(nan, "rows")
    placed = (a, b, c, d)
    before = d.room.copy()
    message = library().run_variant(
        variant,
        (ctypes.c_void_p * 4)(*(t.flat.ctypes.data for t in placed)),
        (ctypes.c_int64 * 4)(*(t.flat.nbytes for t in placed)),
        (ctypes.c_int64 * 16)(*(v for t in placed for v in t.layout())),
        (ctypes.c_int64 * 4)(s.batch, s.m, s.n, s.k),
        (ctypes.c_int * 3)(order, seed, wave),
        ctypes.c_int64(MARGIN // 2),
    )
    if message:
        return str(message.decode())
    if not np.array_equal(d.view, a.view @ b.view):
        return "a wrong result"
    d.view[...] = np.nan
    return "" if np.array_equal(d.room, before) else "bytes around the result were overwritten"


@pytest.mark.parametrize("fault", range(len(FAULTS)), ids=[f"{f.configuration} {f.name}" for f in FAULTS])
def test_fault_is_seen(fault: int) -> None:
    found = ((s, seed) for seed in range(1, 11) for s in shapes(FAULTS[fault].configuration))
    assert any(run(len(CONFIGURATIONS) + fault, s, 3, seed) for s, seed in found)


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_no_false_alarm(configuration: str) -> None:
    schedules = [(0, 1, 32), (1, 1, 32), (1, 1, 64), *((3, s, 64 if s % 5 == 0 else 32) for s in range(1, 11))]
    for shape in shapes(configuration):
        for order, seed, wave in schedules:
            message = run(list(CONFIGURATIONS).index(configuration), shape, order, seed, wave)
            assert not message, (shape, order, seed, wave)


WORDS = {
    "no barrier between the groups' partial sums": r"shared memory|race",
    "a packet behind the last one": r"behind 'a'",
    "packets from addresses that are no multiples of 16": r"an access of 16 bytes at 0x[0-9a-f]+, which is not",
    "columns: one buffer for all vectors": r"race: shared memory at offset",
}


@pytest.mark.parametrize("name", WORDS)
def test_message_names_the_fault(name: str) -> None:
    fault = [f.name for f in FAULTS].index(name)
    message = [run(len(CONFIGURATIONS) + fault, s, 3, 1) for s in shapes(FAULTS[fault].configuration)]
    assert any(re.search(WORDS[name], text) for text in message), message
