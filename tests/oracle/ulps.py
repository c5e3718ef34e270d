"""Distance between floating-point numbers, in units in the last place."""

from __future__ import annotations

import torch
from torch import Tensor

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
HALVES = (torch.float16, torch.bfloat16)
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)

_BITS = {
    torch.float16: torch.int16,
    torch.bfloat16: torch.int16,
    torch.float32: torch.int32,
    torch.float64: torch.int64,
}
# Unit roundoff of a store to nearest, and the smallest subnormal.
UNIT = {torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8, torch.float32: 2.0**-24, torch.float64: 2.0**-53}
TINY = {torch.float16: 2.0**-24, torch.bfloat16: 2.0**-133, torch.float32: 2.0**-149, torch.float64: 2.0**-1074}


def ordinal(x: Tensor) -> Tensor:
    """An int64 per number such that neighbours differ by one, across zero too; -0 and +0 are both 0."""
    bits = x.contiguous().view(_BITS[x.dtype]).to(torch.int64)
    sign_bit = 1 << (8 * x.element_size() - 1)
    if x.dtype == torch.float64:
        return torch.where(bits < 0, -(bits & 0x7FFFFFFFFFFFFFFF), bits)
    return torch.where(bits < 0, -(bits & (sign_bit - 1)), bits)


def distance(a: Tensor, b: Tensor) -> Tensor:
    """Steps between equal-typed tensors.  NaN against NaN is 0, NaN against a number is 2^62.

    Infinity is one step above the largest finite number, so that overflow by rounding counts as the step it is.
    """
    assert a.dtype == b.dtype and a.shape == b.shape, (a.dtype, b.dtype, a.shape, b.shape)
    ia, ib = ordinal(a), ordinal(b)
    if a.dtype == torch.float64:  # the difference of opposite huge numbers does not fit
        far = (a > 0) & (b < 0) | (a < 0) & (b > 0)
        steps = torch.where(far, ia.abs().clamp(max=2**61) + ib.abs().clamp(max=2**61), (ia - ib).abs())
    else:
        steps = (ia - ib).abs()
    nan_a, nan_b = a.isnan(), b.isnan()
    steps = torch.where(nan_a & nan_b, torch.zeros_like(steps), steps)
    return torch.where(nan_a ^ nan_b, torch.full_like(steps, 2**62), steps)


# How far a kernel may be from the CPU's result of the same formula: another libm, another order of fused multiply-adds.
TIGHT = {torch.float64: 1e-13, torch.float32: 2e-6}


def agrees_with_cpu(got: Tensor, expected: Tensor, what: object = "") -> None:
    """Exact for integers, a place for 16-bit types, the last digits for the wide ones."""
    if expected.dtype in HALVES:
        near = (got.double() - expected.double()).abs() <= 4e-6  # a cancelled sum has lost its last places
        fine = (distance(got, expected) <= 1) | near
        assert bool(fine.all()), (what, got[~fine][:4], expected[~fine][:4])
    elif expected.dtype.is_floating_point:
        t = TIGHT[expected.dtype]
        torch.testing.assert_close(got, expected, rtol=t, atol=t, equal_nan=True, msg=lambda m: f"{what}: {m}")
    else:
        assert torch.equal(got, expected), what


def all_patterns(dtype: torch.dtype) -> Tensor:
    """Every one of the 65,536 numbers of a 16-bit type, NaNs included."""
    return torch.arange(65536, dtype=torch.int32).to(torch.int16).view(dtype)


def stratified(dtype: torch.dtype, count: int, around: tuple[float, ...] = ()) -> Tensor:
    """About `count` patterns, evenly over all exponents and both signs, and 64 neighbours of each given point."""
    bits = _BITS[dtype]
    width = 8 * torch.empty((), dtype=dtype).element_size()
    generator = torch.Generator().manual_seed(count)
    low, high = -(2 ** (width - 1)), 2 ** (width - 1) - 1
    random = torch.randint(low, high, (count,), generator=generator, dtype=torch.int64).to(bits)
    points = torch.tensor([*around, 0.0, 1.0, -1.0, 0.5, -0.5, 2.0], dtype=dtype)
    steps = torch.arange(-32, 32, dtype=torch.int64)
    near = (points.view(bits).to(torch.int64)[:, None] + steps).flatten().clamp(low, high).to(bits)
    dense = torch.linspace(-20, 20, count // 4, dtype=torch.float64).to(dtype)
    return torch.cat([random.view(dtype), near.view(dtype), dense])
