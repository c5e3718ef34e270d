"""Planted faults: each is seen, by the model or in the result, within ten PCT schedules; without them all is quiet.

faults/ has the kernels; a fault is a number there and a line here.
"""

from __future__ import annotations

import ctypes
import re
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.platform.library import model_library

KERNELS = ["product", "row_sum", "compact", "hand_over", "mma_product"]
FAULTS = {
    101: "product: no barrier behind the load of a tile",
    102: "product: no barrier before the next load",
    103: "product: the tail of k is not guarded",
    104: "product: the store of the last rows is not guarded",
    105: "product: the tile of B is read transposed",
    106: "product: a barrier in a divergent branch",
    107: "product: syncwarp where syncthreads is needed",
    108: "product: less shared memory than the tiles take",
    109: "product: the last column of a tile is not loaded",
    110: "product: two blocks add without an atomic",
    111: "row_sum: a shuffle in a divergent branch",
    112: "row_sum: half the lanes are left out",
    113: "row_sum: the shuffle's width is half a warp",
    114: "row_sum: up where down is meant",
    115: "row_sum: another lane's partial sum",
    116: "row_sum: no barrier between the warps' partial sums",
    117: "row_sum: a read of 8 bytes from an address that is no multiple of 8",
    118: "row_sum: a write behind a static array",
    121: "compact: a lane counts itself as before itself",
    122: "compact: the counter is added to without an atomic",
    123: "compact: the broadcast is from a lane that has no base",
    124: "compact: a ballot of some lanes only",
    125: "compact: no barrier behind the counter's start",
    126: "compact: the counter is never set to 0",
    127: "compact: the count is read before all have added",
    131: "hand_over: the producer counts 64 threads, the consumers 96",
    132: "hand_over: the producer waits at the wrong barrier",
    133: "hand_over: the consumers do not wait",
    134: "hand_over: the producer overwrites what may be in use",
    135: "hand_over: the producer never says it is full",
    136: "hand_over: the consumers say it is empty before they have read",
    137: "hand_over: syncwarp where the block's barrier is needed",
    138: "hand_over: there is no barrier 17",
    201: "mma: no barrier behind the wait",
    202: "mma: no barrier before a stage is overwritten",
    203: "mma: the copies are never committed",
    204: "mma: the wait lets one group too many be under way",
    205: "mma: the last wait lets one group be under way",
    206: "mma: ldmatrix with the wrong rows",
    207: "mma: rows that are not multiples of 16 bytes",
    208: "mma: the loads of the last rows are not guarded",
    209: "mma: B by ldmatrix.trans",
    210: "mma: registers 1 and 2 of A swapped",
    211: "mma: the store of the last rows is not guarded",
    212: "mma: the next tile goes into the stage in use",
    213: "mma: no zero fill behind k",
    214: "mma: a count of elements instead of bytes",
    216: "mma: A by ldmatrix.trans",
    217: "mma: the matrices of A in the wrong order",
    218: "mma: registers of B swapped",
    219: "mma: the product of the wrong type",
    220: "mma: the epilogue overwrites a stage in use",
    221: "mma: stmatrix with the wrong rows",
    222: "mma: stmatrix.trans",
    223: "mma: no syncwarp between stmatrix and the loads",
    224: "mma: stmatrix with the wrong columns",
    225: "mma: a tile too many is loaded, and no thread waits",
    226: "mma: the commit comes behind the wait",
    228: "mma: a plain store into a stage that is being filled",
    229: "mma: ldmatrix of the next rows of B",
    230: "mma: a source that is not a multiple of 16 bytes",
    231: "mma: every warp stores the first rows",
    232: "mma: syncwarp where syncthreads is needed",
}
PROTOTYPE = [101, 102, 103, 111, 112, *range(201, 212)]
MARGIN = 1 << 16


@cache
def library() -> ctypes.CDLL:
    found = model_library("faults", ("tests/platform/faults/faults.cu",))
    found.run_variant.restype = ctypes.c_char_p
    return found


def placed(values: NDArray) -> tuple[NDArray, NDArray]:
    """Memory with a margin of NaN on both sides, and the view of the values in it."""
    room = np.full(2 * MARGIN + values.nbytes + 16, 0xFF, np.uint8)
    start = MARGIN + -(room.ctypes.data + MARGIN) % 16
    view = room[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    view[...] = values
    return room, view


def bfloat16(values: NDArray) -> NDArray:
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def problem(kernel: str) -> tuple[tuple[int, int, int], list[NDArray], NDArray]:
    """Extents, (a, b, c before), what c should be; ragged, and whole numbers, so that sums are exact."""
    rng = np.random.default_rng(1)
    a: NDArray
    b: NDArray
    if kernel == "product":
        m, n, k = 21, 11, 40
        a, b = (rng.integers(-4, 5, shape).astype(np.float32) for shape in ((m, k), (k, n)))
        return (m, n, k), [a, b, np.zeros((m, n), np.float32)], a @ b
    if kernel == "row_sum":
        a = rng.integers(-9, 10, (3, 150)).astype(np.float32)
        return (3, 1, 150), [a, a[:1], np.full(3, np.nan, np.float32)], a.sum(1)
    if kernel == "compact":
        given = rng.permutation(np.arange(-100, 110)).astype(np.int32)
        kept = np.sort(given[given > 0])
        expected = np.concatenate([[len(kept)], kept, np.full(99, -1)]).astype(np.int32)
        return (1, 1, len(given)), [given, given[:1], np.full(len(expected), -1, np.int32)], expected
    if kernel == "hand_over":
        given = rng.integers(-1000, 1000, 256).astype(np.int32)
        return (1, 1, 256), [given, given[:1], np.zeros(256, np.int32)], 3 * given
    m, n, k = 72, 40, 72
    a, b = rng.integers(-1, 2, (m, k)), rng.integers(-1, 2, (n, k))
    return (m, n, k), [bfloat16(a), bfloat16(b), np.full((m, n), 0xFFFF, np.uint16)], bfloat16(a @ b.T)


def run(kernel: str, fault: int, order: int, seed: int) -> str:
    """What is wrong, or ""."""
    extents, given, expected = problem(kernel)
    rooms = [placed(values) for values in given]
    data = (ctypes.c_void_p * 3)(*(view.ctypes.data for _, view in rooms))
    sizes = (ctypes.c_uint64 * 3)(*(view.nbytes for _, view in rooms))
    place = KERNELS.index(kernel)
    message = library().run_variant(
        place, fault, data, sizes, (ctypes.c_int * 3)(*extents), order, ctypes.c_uint32(seed)
    )
    if message:
        return str(message.decode())
    got = rooms[2][1].copy()
    if kernel == "compact":  # in any order
        got[1 : 1 + max(0, got[0])].sort()
    return "" if np.array_equal(got, expected) else "a wrong result"


def kernel_of(fault: int) -> str:
    return FAULTS[fault].split(":")[0].replace("mma", "mma_product")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f"{f} {FAULTS[f]}")
def test_fault_is_seen(fault: int) -> None:
    assert any(run(kernel_of(fault), fault, 3, seed) for seed in range(1, 11))


WORDS = {
    101: r"read before anything was written there; a read at simt\.cuh:\d+",
    103: r"a read ends \d+ bytes behind 'a'; a read at simt\.cuh:\d+",
    110: r"race: byte \d+ of 'c' is read here, and thread \d+ of block 0 wrote it",
    111: r"deadlock in block \(0,0,0\): 32 threads \(0 \.\.\) wait in shfl_down at simt\.cuh:\d+; 32 threads",
    117: r"an access of 8 bytes at 0x[0-9a-f]+, which is not a multiple of that; a read at simt\.cuh:\d+",
    118: r"4 bytes at offset 8 of the 8 bytes of shared memory",
    122: r"race: .* thread 0 \(simt\.cuh:\d+\) wrote it with no barrier between",
    131: r"barrier 1 is for \d+ threads here and for \d+ at line \d+; barrier_sync at simt\.cuh:\d+",
    204: r"read while a copy into it, .*, is under way; ldmatrix at mma\.cuh:\d+",
    207: r"shared address 0x[0-9a-f]+ is not a multiple of 16; cp_async at mma\.cuh:\d+",
    212: r"written while a copy into it, .*, is under way; cp_async at mma\.cuh:\d+",
    223: r"race: .* \(mma\.cuh:\d+\) wrote it with no barrier between; a read at mma\.cuh:\d+",
}


@pytest.mark.parametrize("fault", WORDS)
def test_message_names_kernel_block_thread_and_line(fault: int) -> None:
    message = run(kernel_of(fault), fault, 3, 1)
    assert message.startswith(f"faults::{kernel_of(fault)}<{fault}>: "), message
    assert re.search(WORDS[fault], message), message
    assert "deadlock" in message or re.search(r"block \(\d,\d,\d\) thread \d+ \(warp \d+, lane \d+\): ", message), (
        message
    )


@pytest.mark.slow
@pytest.mark.parametrize("kernel", KERNELS)
def test_no_false_alarm(kernel: str) -> None:
    for order in (0, 1):
        assert not run(kernel, 0, order, 1)
    for seed in range(1, 301):
        message = run(kernel, 0, 2 + seed % 2, seed)
        assert not message, seed


def test_every_fault_of_the_kernels_is_in_the_table() -> None:
    assert set(PROTOTYPE) <= set(FAULTS) and len(FAULTS) >= len(PROTOTYPE) + 16
