"""Data of ampere.cu, from the formulas of the PTX ISA (the section is named beside each); nothing here calls the model.

Run as `python tests/platform/conformance/make_ampere.py`; a test checks that the file is what this makes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from data import Case, case, write
from numpy.typing import NDArray

Place = Callable[[int, int, int], tuple[int, int]]  # (groupID, threadID_in_group, i) -> (row, col)
LANES = range(32)
rng = np.random.default_rng(80)


def bfloat16(values: NDArray) -> NDArray:
    """Bits of values that bfloat16 has."""
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def float8(exponent: int) -> Callable[[NDArray], NDArray]:
    """Bits of values that a format with so many bits of exponent has: the pattern that is the value by the formula."""
    fraction = 7 - exponent
    bias = 2 ** (exponent - 1) - 1
    patterns: dict[float, int] = {}
    for bits in range(2**7 - 1):
        e, f = bits >> fraction, bits % 2**fraction
        number = (f + 2**fraction if e else f) * 2.0 ** (max(e, 1) - bias - fraction)
        patterns.setdefault(number, bits)
    return lambda values: np.vectorize(lambda v: patterns[abs(v)] | (0x80 if v < 0 else 0), otypes=[np.uint8])(values)


# ---- "Matrix fragments for mma.<shape>": row and col of ai, bi and ci, word by word --------------------------------


def a_16bit(group: int, thread: int, i: int) -> tuple[int, int]:
    row = group if 0 <= i < 2 or 4 <= i < 6 else group + 8
    col = thread * 2 + (i & 1) if i < 4 else thread * 2 + (i & 1) + 8
    return row, col


def b_16bit(group: int, thread: int, i: int) -> tuple[int, int]:
    row = thread * 2 + (i & 1) if i < 2 else thread * 2 + (i & 1) + 8
    return row, group


def c_m16n8(group: int, thread: int, i: int) -> tuple[int, int]:
    row = group if i < 2 else group + 8
    return row, thread * 2 + (i & 1)


def a_tf32(group: int, thread: int, i: int) -> tuple[int, int]:
    row = {0: group, 2: group, 1: group + 8, 3: group + 8}[i]
    col = {0: thread, 1: thread, 2: thread + 4, 3: thread + 4}[i]
    return row, col


def b_tf32(group: int, thread: int, i: int) -> tuple[int, int]:
    return {0: thread, 1: thread + 4}[i], group


def a_8bit(group: int, thread: int, i: int) -> tuple[int, int]:
    row = group if 0 <= i < 4 or 8 <= i < 12 else group + 8
    col = thread * 4 + (i & 3) if i < 8 else thread * 4 + (i & 3) + 16
    return row, col


def b_8bit(group: int, thread: int, i: int) -> tuple[int, int]:
    row = thread * 4 + (i & 3) if i < 4 else thread * 4 + (i & 3) + 16
    return row, group


def a_m8n8k4_f64(group: int, thread: int, i: int) -> tuple[int, int]:
    return group, thread


def b_m8n8k4_f64(group: int, thread: int, i: int) -> tuple[int, int]:
    return thread, group


def c_m8n8k4_f64(group: int, thread: int, i: int) -> tuple[int, int]:
    return group, thread * 2 + (i & 1)


def a_m16n8k16_f64(group: int, thread: int, i: int) -> tuple[int, int]:
    row = group if i % 2 == 0 else group + 8
    col = {0: thread, 1: thread + 4, 2: thread + 8, 3: thread + 12}[i // 2]
    return row, col


def b_m16n8k16_f64(group: int, thread: int, i: int) -> tuple[int, int]:
    return {0: thread, 1: thread + 4, 2: thread + 8, 3: thread + 12}[i], group


def fragments(matrix: NDArray, elements: int, place: Place) -> NDArray:
    """The elements of every lane, low to high; each element of the matrix lies in one place."""
    places = [[place(lane >> 2, lane % 4, i) for i in range(elements)] for lane in LANES]
    assert sorted(p for lane in places for p in lane) == [
        (r, c) for r in range(len(matrix)) for c in range(len(matrix[0]))
    ]
    return np.array([[matrix[p] for p in lane] for lane in places], matrix.dtype)


def product(kernel: str, section: str, encode: Callable[[NDArray], NDArray], sums: type, shape: tuple[int, int, int],
            elements: tuple[int, int, int], places: tuple[Place, Place, Place], *, top: tuple[int, int] = (9, 9),
            seen: Callable[[NDArray], NDArray] = lambda values: values, name: str = "",
            encode_b: Callable[[NDArray], NDArray] | None = None) -> Case:  # fmt: skip
    """D = A B + C of whole numbers, exact in every order of the sum.  seen: what the unit takes values for."""
    m, n, k = shape
    a, b = rng.integers(-top[0], top[0], (m, k)), rng.integers(-top[1], top[1], (k, n))
    c = rng.integers(-1000, 1000, (m, n))
    expected = (seen(a) @ seen(b) + c).astype(sums)
    registers = [
        fragments(encode(a), elements[0], places[0]).tobytes(),
        fragments((encode_b or encode)(b), elements[1], places[1]).tobytes(),
        fragments(c.astype(sums), elements[2], places[2]).tobytes(),
    ]
    given = np.frombuffer(b"".join(registers), np.uint32)
    return case(kernel, section, given, fragments(expected, elements[2], places[2]), name=name or kernel)


def products() -> list[Case]:
    tf32 = (a_tf32, b_tf32, c_m16n8)

    def float32(values: NDArray) -> NDArray:
        return values.astype(np.float32)

    def without_low_bits(values: NDArray) -> NDArray:
        """tf32 has 10 bits behind the leading one: of a whole number, its upper 11 bits."""
        bits: NDArray = values.astype(np.float32).view(np.uint32) & np.uint32(0xFFFFE000)
        return bits.view(np.float32).astype(np.int64)

    return [
        product("mma_m16n8k16_f16", "mma.m16n8k16 .f16", lambda v: v.astype(np.float16), np.float32, (16, 8, 16),
                (8, 4, 4), (a_16bit, b_16bit, c_m16n8)),
        product("mma_m16n8k16_bf16", "mma.m16n8k16 .bf16", bfloat16, np.float32, (16, 8, 16), (8, 4, 4),
                (a_16bit, b_16bit, c_m16n8)),
        product("mma_m16n8k8_tf32", "mma.m16n8k8 .tf32", float32, np.float32, (16, 8, 8), (4, 2, 4), tf32),
        *(product("mma_m16n8k8_tf32", "mma.m16n8k8 .tf32: the low 13 bits are ignored", float32, np.float32,
                  (16, 8, 8), (4, 2, 4), tf32, top=top, seen=without_low_bits, name=f"mma_m16n8k8_tf32 below {top}")
          for top in ((5000, 9), (9, 5000))),
        product("mma_m16n8k32_s8", "mma.m16n8k32 .s8", lambda v: v.astype(np.int8), np.int32, (16, 8, 32), (16, 8, 4),
                (a_8bit, b_8bit, c_m16n8), top=(128, 128)),
        product("mma_m8n8k4_f64", "mma.m8n8k4 .f64", lambda v: v.astype(np.float64), np.float64, (8, 8, 4), (1, 1, 2),
                (a_m8n8k4_f64, b_m8n8k4_f64, c_m8n8k4_f64), top=(10**6, 10**6)),
        product("mma_m16n8k16_f64", "mma.m16n8k16 .f64 (sm_90)", lambda v: v.astype(np.float64), np.float64,
                (16, 8, 16), (8, 4, 4), (a_m16n8k16_f64, b_m16n8k16_f64, c_m16n8), top=(10**6, 10**6)),
    ]  # fmt: skip


def products_of_8_bits() -> list[Case]:
    formats = {"e4m3": float8(4), "e5m2": float8(5)}
    return [
        product(f"mma_m16n8k32_{a}_{b}", f"mma.m16n8k32 .{a} .{b} (sm_89)", formats[a], np.float32, (16, 8, 32),
                (16, 8, 4), (a_8bit, b_8bit, c_m16n8), top=(8, 8), encode_b=formats[b])
        for a in formats for b in formats
    ]  # fmt: skip


def rounding() -> list[Case]:
    """cvt.rna.tf32.f32: to nearest, ties away from zero; by arithmetic on the value, not on its bits."""
    values = np.concatenate([
        rng.normal(size=20) * 10.0 ** rng.integers(-30, 30, 20),
        [1 + 2**-11, -(1 + 2**-11), 1 + 2**-11 - 2**-23, 1 + 2**-11 + 2**-23, 2 - 2**-12, 0.0, -0.0, 1.0, 2.0**-126,
         3.0**70 / 3.0**69, np.inf, -np.inf],
    ]).astype(np.float32)  # fmt: skip
    expected = values.copy()
    ordinary = np.isfinite(values) & (values != 0)
    fraction, exponent = np.frexp(values[ordinary].astype(np.float64))  # 0.5 <= |fraction| < 1
    steps = np.floor(np.abs(fraction) * 2**11 + 0.5)  # 11 bits, the leading one counted
    expected[ordinary] = np.ldexp(np.sign(fraction) * steps, exponent - 11)
    return [case("round_to_tf32", "cvt.rna.tf32.f32", values, expected)]


# ---- ldmatrix, stmatrix --------------------------------------------------------------------------------------------


def matrices() -> list[Case]:
    """Thread t has, of row t / 4, the elements 2 (t % 4) and the next; with .trans, of the matrix transposed.

    Threads 8j .. 8j+7 have the addresses of the rows of matrix j.
    """
    cases = []
    for count in (1, 2, 4):
        for transposed in (False, True):
            stored = rng.integers(0, 2**16, (count, 8, 8), dtype=np.uint16)
            seen = stored.transpose(0, 2, 1) if transposed else stored
            pairs = np.array(
                [[seen[j, t // 4, 2 * (t % 4) : 2 * (t % 4) + 2] for j in range(count)] for t in LANES], np.uint16
            )
            which = f"x{count}{'_trans' if transposed else ''}"
            cases.append(case(f"ldmatrix_{which}", "ldmatrix.m8n8.b16", stored, pairs))
            cases.append(case(f"stmatrix_{which}", "stmatrix.m8n8.b16 (sm_90)", pairs, stored))
    return cases


# ---- cp.async, barriers, warps -------------------------------------------------------------------------------------


def copies() -> list[Case]:
    """cp.async: "src-size bytes are copied, and the remaining bytes in the destination are filled with zeros"."""
    cases = []
    for size in (4, 8, 16):
        packets = rng.integers(1, 256, (96, 16), dtype=np.uint8)
        valid = rng.integers(0, size + 1, 96, dtype=np.uint32)
        valid[:2] = 0, size
        expected = packets[:, :size].copy()
        expected[np.arange(size) >= valid[:, None]] = 0
        given = np.concatenate([packets.view(np.uint32).reshape(-1), valid])
        cases.append(case(f"cp_async_{size}", "cp.async", given, expected))
    whole = rng.integers(0, 2**32, 128, dtype=np.uint32)
    return [*cases, case("cp_async_whole", "cp.async, cp.async.wait_group", whole, whole)]


def meetings() -> list[Case]:
    """bar.sync, bar.arrive; redux.sync; match.any.sync."""
    given = rng.integers(0, 2**32, 96, dtype=np.uint32)
    flipped = given[:32][::-1] + given[32:64][::-1]
    cases = [case("named_barriers", "bar.sync, bar.arrive", given, np.concatenate([flipped, given[:32], given[64:]]))]
    values = rng.integers(0, 2**32, 32, dtype=np.uint32)
    for kernel, kind in (("reduce_unsigned", np.uint32), ("reduce_signed", np.int32)):
        v = values.view(kind)
        total = np.uint32(int(values.sum(dtype=np.uint64)) % 2**32)
        expected = np.concatenate([np.full(32, x, kind).view(np.uint32) for x in (v.min(), v.max())])
        cases.append(case(kernel, "redux.sync", values, np.concatenate([np.full(32, total), expected])))
    third = np.arange(32) % 3 == 0
    sums = np.uint32(int(values[third].sum(dtype=np.uint64)) % 2**32)
    cases.append(case("reduce_masked", "redux.sync", values, np.where(third, sums, values[~third].max())))
    few = rng.integers(0, 6, 32, dtype=np.uint32)
    same = [sum(1 << u for u in LANES if few[u] == few[t]) for t in LANES]
    return [*cases, case("match_any", "match.any.sync", few, np.array(same, np.uint32))]


def arrivals() -> list[Case]:
    """bar.arrive "does not cause any waiting"."""
    given = np.random.default_rng(81).integers(0, 2**32, 32, dtype=np.uint32)
    return [case("barrier_arrive_goes_on", "bar.arrive", given, given[::-1])]


def cases() -> list[Case]:
    return [*meetings(), *copies(), *matrices(), *products(), *rounding(), *products_of_8_bits(), *arrivals()]


if __name__ == "__main__":
    write("ampere.json", cases())
