"""Data of common.cu, from the formulas of the CUDA and HIP programming guides; nothing here calls the model.

Run as `python tests/platform/conformance/make_common.py`; a test checks that the file is what this makes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from data import Case, case, write
from numpy.typing import NDArray

THREADS = np.arange(64)
STEPS = range(1, 32, 5)


def shuffled(values: NDArray, warp: int, width: int, source: Callable[[NDArray, NDArray, int], NDArray]) -> NDArray:
    """`source(lane in its group, thread, width)` is the lane of the group to read, or outside it: one's own value.

    "If width is less than warpSize then each subsection of the warp behaves as a separate entity with a starting
    logical lane ID of 0."
    """
    width = width or warp
    logical = THREADS % width
    wanted = source(logical, THREADS, width)
    inside = (wanted >= 0) & (wanted < width)
    return values[np.where(inside, THREADS - logical + wanted, THREADS)]


def shuffles(warp: int) -> list[Case]:
    rng = np.random.default_rng(warp)
    values = rng.integers(0, 2**32, 64, dtype=np.uint32)
    index = rng.integers(0, 200, 64, dtype=np.uint32)
    name = f"wave of {warp}: "
    more = {"wave": warp}

    def both(source: Callable[[int], Callable[[NDArray, NDArray, int], NDArray]]) -> NDArray:
        return np.stack([shuffled(values, warp, width, source(n)) for n in STEPS for width in (0, 8)])

    # "__shfl_sync(): if srcLane is outside the range [0:width-1], the value returned corresponds to the value of var
    # held by srcLane modulo width."
    by_index = np.stack([shuffled(values, warp, w, lambda _, t, width: index[t] % width) for w in (0, 2, 4, 8, 16, 32)])
    # "__shfl_up_sync(): subtracting delta from the caller's lane ID; the lower delta lanes are unchanged"
    up = both(lambda n: lambda logical, _, width: logical - n)
    # "__shfl_down_sync(): adding delta; the upper delta lanes remain unchanged"
    down = both(lambda n: lambda logical, _, width: logical + n)
    # "__shfl_xor_sync(): a bitwise XOR of the caller's lane ID with laneMask.  If width is less than warpSize then each
    # group of width consecutive threads are able to access elements from earlier groups of threads, however if they
    # attempt to access elements from later groups of threads their own value of var will be returned."
    xor = []
    for n in STEPS:
        lane = THREADS % warp
        xor.append(values[THREADS - lane + (lane ^ n)])
        later = (lane ^ n) // 8 > lane // 8
        xor.append(values[np.where(later, THREADS, THREADS - lane + (lane ^ n))])

    wide = rng.integers(0, 2**64, 64, dtype=np.uint64)
    flipped = shuffled(wide, warp, warp, lambda logical, _, width: logical ^ 3)
    moved = shuffled(flipped, warp, warp, lambda logical, _, width: logical + 2)
    return [
        case("shfl", "__shfl_sync", np.concatenate([values, index]), by_index, name=name + "shfl", **more),
        case("shfl_up", "__shfl_up_sync", values, up, name=name + "shfl_up", **more),
        case("shfl_down", "__shfl_down_sync", values, down, name=name + "shfl_down", **more),
        case("shfl_xor", "__shfl_xor_sync", values, np.stack(xor), name=name + "shfl_xor", **more),
        case("shfl_wide", "__shfl_*_sync of 8 bytes", wide, moved, name=name + "shfl of 8 bytes", **more),
    ]


def votes(warp: int) -> list[Case]:
    """Bits that none, one, some, all but one and all of the lanes have."""
    rng = np.random.default_rng(100 + warp)
    values = rng.integers(0, 4, 64, dtype=np.uint32)  # bits 0 and 1: some
    values |= np.where(THREADS == 37, 4, 0).astype(np.uint32)  # one lane
    values |= np.where(THREADS != 5, 8, 0).astype(np.uint32)  # all but one
    values |= 16  # all lanes have bit 4, and none has bit 5
    values |= np.where(THREADS < 32, 64, 0).astype(np.uint32) | np.where(THREADS % 32 == 31, 128, 0).astype(np.uint32)
    expected = np.zeros((8, 3, 64), np.uint32)
    for bit in range(8):
        for t in THREADS:
            mine = [int(values[u] >> bit & 1) for u in range(t // warp * warp, t // warp * warp + warp)]
            mask = sum(yes << lane for lane, yes in enumerate(mine))
            expected[bit, :, t] = mask % 2**32, mask >> 32, any(mine) + 2 * all(mine)
    return [case("votes", "__ballot_sync, __any_sync, __all_sync", values, expected, name=f"wave of {warp}: votes",
                 wave=warp)]  # fmt: skip


def barriers() -> list[Case]:
    rng = np.random.default_rng(7)
    values = rng.integers(0, 2**32, 64, dtype=np.uint32)
    flipped = values.reshape(2, 32)[:, ::-1].reshape(-1)
    blocks = rng.integers(0, 2**32, (2, 96), dtype=np.uint32)
    square = rng.integers(0, 1000, (8, 8), dtype=np.uint32)
    static = np.concatenate([square.T.reshape(-1) + 3 * square.reshape(-1)[::-1], np.full(64, square.sum())])
    both = {w: {"wave": w, "name": f"wave of {w}: syncwarp"} for w in (32, 64)}
    return [
        *(case("syncwarp", "__syncwarp", values, np.concatenate([flipped, flipped + np.uint32(1)]), **both[w])
          for w in both),
        *(case("syncthreads", "__syncthreads", blocks, blocks[:, ::-1], wave=w, name=f"wave of {w}: syncthreads")
          for w in both),
        case("static_shared", "__shared__", square, static.astype(np.uint32)),
    ]  # fmt: skip


def atomics() -> list[Case]:
    """2 blocks of 64 values; the output: the global result, then the shared one of each block."""
    rng = np.random.default_rng(8)

    def over(kernel: str, values: NDArray, start: object, fold: Callable[[NDArray], object]) -> Case:
        kind = values.dtype
        with np.errstate(over="ignore"):
            expected = np.array([fold(values), fold(values[:64]), fold(values[64:])], kind)
        before = np.array([start, 0, 0], kind)
        return case(kernel, "atomic functions", values, expected, before=before)

    signed = rng.integers(-(2**31), 2**31, 128).astype(np.int32)
    unsigned = rng.integers(0, 2**32, 128, dtype=np.uint32)
    wide = rng.integers(0, 2**64, 128, dtype=np.uint64)
    small = rng.integers(-1000, 1000, 128)  # whole numbers: their sums are exact in any order
    bits = np.uint64(1) << rng.integers(0, 64, 128).astype(np.uint64)
    total = np.uint32((int(unsigned[:64].sum(dtype=np.uint64)) + 12345) % 2**32)
    low = np.uint32(1) << rng.integers(0, 20, 128).astype(np.uint32)
    tickets = rng.integers(0, 2**32, 64, dtype=np.uint32)
    return [
        over("atomic_add_int", signed, 0, lambda v: np.int64(v.sum(dtype=np.int64)).astype(np.int32)),
        over("atomic_add_unsigned", unsigned, 0, lambda v: v.sum(dtype=np.uint64).astype(np.uint32)),
        over("atomic_add_wide", wide, 0, lambda v: v.sum(dtype=np.uint64)),
        over("atomic_add_float", small.astype(np.float32), 0, lambda v: v.sum()),
        over("atomic_add_double", small.astype(np.float64) / 8, 0, lambda v: v.sum()),
        over("atomic_max_int", signed, -(2**31), max),
        over("atomic_max_unsigned", unsigned, 0, max),
        over("atomic_max_wide", wide, 0, max),
        over("atomic_min_int", signed, 2**31 - 1, min),
        over("atomic_cas_int", low.astype(np.int32), 0, np.bitwise_or.reduce),
        over("atomic_cas_unsigned", low << np.uint32(12), 0, np.bitwise_or.reduce),
        over("atomic_cas_wide", bits, 0, np.bitwise_or.reduce),
        case("atomic_exchange_unsigned", "atomicExch", np.append(unsigned[:64], np.uint32(12345)),
             np.array([total]), before=np.zeros(1, np.uint32)),
        case("atomic_returns_old", "atomicAdd returns old", tickets, np.append(tickets, np.uint32(64)),
             before=np.zeros(65, np.uint32)),
    ]  # fmt: skip


def packets() -> list[Case]:
    rng = np.random.default_rng(9)
    cases = []
    for kernel, kind in (("packets_16", np.uint32), ("packets_8", np.uint16), ("packets_4", np.uint8)):
        values = rng.integers(0, np.iinfo(kind).max, (32, 4)).astype(kind)
        cases.append(case(kernel, "vector loads, ld.global.nc.L1::no_allocate", values, values[:, [3, 1, 2, 0]]))
    return cases


def conversions() -> list[Case]:
    """IEEE 754: binary16, and binary32 with 8 bits of fraction less; to nearest, ties to even.  NaN has no one."""
    rng = np.random.default_rng(10)
    edges = [0, 1, 2, 0x3FF, 0x400, 0x401, 0x7BFF, 0x7C00, 0x3C00, 0x3C01, 0x3F80, 0x7F80, 0x7F7F, 0x0080, 0x007F]
    bits = np.concatenate([edges, np.array(edges) | 0x8000, rng.integers(0, 2**16, 2000)]).astype(np.uint16)
    numbers = ((bits & 0x7C00) != 0x7C00) | ((bits & 0x3FF) == 0)  # of binary16
    numbers &= ((bits & 0x7F80) != 0x7F80) | ((bits & 0x7F) == 0)
    bits = bits[numbers][:512]

    def value(pattern: int, exponent: int, fraction: int) -> float:
        """By the formula, of a format with so many bits of each."""
        sign = -1.0 if pattern >> (exponent + fraction) else 1.0
        e, f = pattern >> fraction & (1 << exponent) - 1, pattern & (1 << fraction) - 1
        bias = (1 << exponent - 1) - 1
        if e == (1 << exponent) - 1:
            return sign * float("inf")
        return sign * (f + (1 << fraction if e else 0)) * 2.0 ** (max(e, 1) - bias - fraction)

    wide = np.array([[value(int(b), 5, 10), value(int(b), 8, 7)] for b in bits]).astype(np.float32)

    def nearest(x: float, exponent: int, fraction: int) -> int:
        """The pattern whose value is nearest; of two the one that is even."""
        if np.signbit(x):
            return nearest(-x, exponent, fraction) | 1 << (exponent + fraction)
        lowest = 2 - (1 << exponent - 1)
        e = max(int(np.floor(np.log2(x))) if x and np.isfinite(x) else lowest, lowest)
        if not np.isfinite(x) or e >= 1 << exponent - 1:
            return (1 << exponent) - 1 << fraction
        steps = x / 2.0 ** (e - fraction)  # exact: a power of two
        whole = int(np.floor(steps))
        whole += steps - whole > 0.5 or (steps - whole == 0.5 and whole % 2 == 1)
        return min(whole + ((e - lowest) << fraction), (1 << exponent) - 1 << fraction)

    special = [0.0, 65504.0, 65519.0, 65520.0, 65536.0, 2.0**-14, 2.0**-24, 2.0**-25, 3 * 2.0**-26, 2.0**-26,
               1 + 2.0**-11, 1 + 3 * 2.0**-11, 1 + 2.0**-8, 1 + 3 * 2.0**-8, 32768.0, 40000.0, 2.0**-15, 5 * 2.0**-25,
               7 * 2.0**-25, 3.4e38, np.inf, 1e-40, 2.0**-133, 2.0**-134, 3 * 2.0**-134]  # fmt: skip
    reals = rng.normal(size=512) * 10.0 ** rng.integers(-9, 7, 512)
    given = np.concatenate([special, -np.array(special), reals])[:512].astype(np.float32)
    narrow = np.array([[nearest(float(x), 5, 10), nearest(float(x), 8, 7)] for x in given], np.uint16)
    return [
        case("to_float", "conversions of half and bfloat16", bits.astype(np.uint32), wide),
        case("from_float", "conversions to half and bfloat16", given, narrow),
    ]


def cases() -> list[Case]:
    before = [*shuffles(32), *shuffles(64), *votes(32), *votes(64), *barriers(), *atomics(), *packets()]
    return [*before, *conversions()]


if __name__ == "__main__":
    write("common.json", cases())
