"""How the model's tensor cores add: by whole numbers here, and how the error grows with k."""

from __future__ import annotations

import ctypes
import math
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.gemm.kernels.rho import rho
from tests.oracle.products import slack
from tests.platform.library import model_library

# Bits below the leading one of the largest term, and k of a step: as cut_sums.h has them.
CUTS = {"hopper 16 bits": (25, 16), "hopper tf32": (25, 8), "16 bits": (24, 8), "tf32": (24, 4), "float8": (13, 32)}
DEPTH, COLUMNS = 32, 8


def exponent(x: Fraction) -> int:
    """Of the leading bit."""
    e = x.numerator.bit_length() - x.denominator.bit_length()
    return e if abs(x) >= Fraction(2) ** e else e - 1


def cut(x: Fraction, unit: Fraction) -> Fraction:
    return math.trunc(x / unit) * unit


def expected(left: NDArray, right: NDArray, before: float, bits: int, block: int) -> float:
    total = Fraction(before)
    for k in range(0, len(left), block):
        terms = [total, *(Fraction(float(x)) * Fraction(float(y)) for x, y in zip(left[k:][:block], right[k:][:block]))]
        largest = max(map(abs, terms))
        if not largest:
            continue
        unit = Fraction(2) ** (exponent(largest) - bits)
        total = sum((cut(t, unit) for t in terms), Fraction(0))
        if total:  # a float32 has 24 bits, and none below 2^-149
            total = cut(total, Fraction(2) ** max(exponent(abs(total)) - 23, -149))
    return float(total)


def added(which: int, left: NDArray, right: NDArray, before: NDArray, way: int = 0) -> NDArray:
    """Of one row, or of rows."""
    library = model_library("sums", ("tests/platform/sums.cpp",))
    arrays = [np.array(x, np.float32, order="C") for x in (left, right, before)]
    rows = 1 if left.ndim == 1 else len(left)
    library.add_sums(which, way, rows, len(right), *(ctypes.c_void_p(x.ctypes.data) for x in arrays))
    return arrays[2]


def numbers(rng: np.random.Generator, spread: int, *shape: int) -> NDArray:
    """Of 11 bits, as tf32's and float16's are, over so many powers of 2; some are 0."""
    whole = rng.integers(-2047, 2048, shape) * (rng.random(shape) < 0.9)
    return (whole * 2.0 ** rng.integers(-spread, spread + 1, shape)).astype(np.float32)


@pytest.mark.parametrize("which", range(len(CUTS)), ids=CUTS)
def test_sums_are_cut_as_was_measured(which: int) -> None:
    """Near 1, far apart, cancelling, so small that float32 runs out of exponents, nothing at all."""
    rng, (bits, block) = np.random.default_rng(which), list(CUTS.values())[which]
    for case in range(40):
        left = numbers(rng, (0, 4, 12, 1)[case % 4], DEPTH)
        right = numbers(rng, (0, 4, 12, 1)[case % 4], DEPTH, COLUMNS)
        before = (rng.standard_normal(COLUMNS) * (0, 1, 1e6, 1e-3)[case // 4 % 4]).astype(np.float32)
        if case % 5 == 4:
            left[1::2], right[1::2] = -left[::2], right[::2]
        if case % 7 == 6:
            left, right, before = (
                left * np.float32(2.0**-70),
                right * np.float32(2.0**-60),
                before * np.float32(2.0**-126),
            )
        found = added(which, left, right, before)
        for column in range(COLUMNS):
            wanted = expected(left, right[:, column], float(before[column]), bits, block)
            assert found[column] == wanted, (case, column, float(found[column]).hex(), wanted.hex())


@pytest.mark.parametrize("which", range(len(CUTS)), ids=CUTS)
def test_sums_are_the_same_however_many_are_added_at_once(which: int) -> None:
    """Four by four, eight by eight, by what this CPU has, and rows of a matrix one by one."""
    rng = np.random.default_rng(which)
    for spread in (0, 4, 12, 80):  # at the last some overflow and some vanish
        left, right = numbers(rng, spread, 5, DEPTH), numbers(rng, spread, DEPTH, COLUMNS)
        before = rng.standard_normal((5, COLUMNS)).astype(np.float32)
        rows = np.stack([added(which, *row, way=4) for row in zip(left, [right] * 5, before)])
        for way in (0, 4, 8):
            assert np.array_equal(added(which, left, right, before, way), rows, equal_nan=True), (spread, way)


def test_sums_of_infinities_and_nan() -> None:
    left, right = np.ones(DEPTH, np.float32), np.ones((DEPTH, COLUMNS), np.float32)
    right[3, 1], right[4, 2], right[5, 2], right[9, 3] = math.inf, math.inf, -math.inf, math.nan
    before = np.array([0, 0, 0, 0, math.nan, -math.inf, 3e38, 0], np.float32)
    left[7], right[7, 6] = 2.0**100, 2.0**100
    right[7, 7] = 0
    for which in range(len(CUTS)):
        found = added(which, left, right, before)
        assert found[1] == math.inf and math.isnan(found[2]) and math.isnan(found[3]) and math.isnan(found[4]), found
        assert found[5] == -math.inf and found[6] == math.inf and found[7] == DEPTH - 1, found


@pytest.mark.parametrize("folder", ["mma_sync", "wgmma"])
def test_the_error_of_sums_of_one_sign_grows_with_k(folder: str) -> None:
    """As on tensor cores, and within the gate of tensor cores; to nearest it would be 2 to 5 at these k."""
    for dtype, least in (("bfloat16", 0.03), ("float16", 0.06)):
        found = {k: rho(f"model, {folder}, {dtype} to float32", "uniform", k) for k in (256, 1024)}
        assert found[1024] > 3 * found[256] and found[1024] > least * 1024, found
        assert all(value <= slack(k, "truncating") for k, value in found.items()), found
