"""The componentwise bound for matrix products.

    |c - r| <= u_out |r| + g u (|A| |B|)

r is the float64 product of the same (already rounded) inputs, u the unit roundoff of the accumulator, u_out of the
stored type.  rho = max |acc - r| / (u |A||B|) is the figure to publish; the gate on it is g:

    fused multiply-adds in float32, any order          g = 8 + 2 sqrt(K)
    tensor cores, which truncate (calibrate on device)  g = 8 + K / 4

Correct kernels gave rho 0.5..33 for K = 64..8192; TF32 gives 240 and more.  A comparison is written so that NaN fails:
`not (error <= tolerance)`, never `error > tolerance`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .ulps import TINY, UNIT


def slack(k: int, accumulator: str = "fma") -> float:
    """g for sums of k products."""
    return 8 + k / 4 if accumulator == "truncating" else 8 + 2 * math.sqrt(k)


@dataclass(frozen=True)
class Verdict:
    """The outcome of one comparison."""

    wrong: int  # elements outside the bound, NaN where a number was due included
    worst: float  # largest error / tolerance
    rho: float  # largest error beyond the store's rounding, in units of u |A||B|
    text: str

    def __bool__(self) -> bool:
        return self.wrong == 0


def judge(
    got: Tensor,
    reference: Tensor,
    magnitude: Tensor,
    k: int,
    *,
    accumulator: str = "fma",
    unit: float | None = None,
    store_ulps: float = 1.0,
) -> Verdict:
    """Compares with a float64 `reference`; `magnitude` is |A||B| (plus |C|, |bias|, ... where there are such).

    `unit` is the accumulator's roundoff (float32's, or float64's for float64); `store_ulps` multiplies u_out where an
    epilogue adds its own ulp promise.
    """
    assert got.shape == reference.shape == magnitude.shape, (got.shape, reference.shape, magnitude.shape)
    assert reference.dtype == magnitude.dtype == torch.float64
    u = unit if unit is not None else (UNIT[torch.float64] if got.dtype == torch.float64 else UNIT[torch.float32])
    u_out = UNIT[got.dtype] * store_ulps
    value = got.to(torch.float64)
    store = u_out * reference.abs() + 0.5 * TINY[got.dtype]
    tolerance = store + slack(k, accumulator) * u * magnitude
    if got.dtype == torch.float64:
        tolerance = 2 * tolerance  # the reference rounds as much as the kernel does
    largest = torch.finfo(got.dtype).max
    overflow = reference.abs() + tolerance >= largest * (1 + UNIT[got.dtype])
    fine = ((value - reference).abs() <= tolerance) & tolerance.isfinite()
    fine |= reference.isnan() & value.isnan()
    fine |= (reference.isinf() | overflow) & value.isinf() & (value.sign() == reference.sign())
    wrong = int((~fine).sum())
    error = torch.where(fine & ~torch.isfinite(value), torch.zeros_like(value), (value - reference).abs())
    error = torch.where(error.isnan(), torch.full_like(error, math.inf), error)
    ratio = error / torch.where(tolerance > 0, tolerance, torch.full_like(tolerance, TINY[torch.float64]))
    worst = float(ratio.max()) if ratio.numel() else 0.0
    beyond = ((error - store).clamp(min=0) / (u * magnitude)).nan_to_num(0.0, posinf=0.0)
    rho = float(beyond.max()) if beyond.numel() else 0.0
    text = f"{wrong} of {got.numel()} elements outside the bound, worst error / bound {worst:.3g}, rho {rho:.3g}"
    if wrong:
        at = tuple(int(i) for i in (~fine).nonzero()[0])
        text += (
            f"; first at {at}: {float(value[at])!r}, should be {float(reference[at])!r} +- {float(tolerance[at]):.3g}"
        )
    return Verdict(wrong, worst, rho, text)


def product(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """(A B, |A| |B|) in float64; batches broadcast."""
    a64, b64 = a.detach().to(torch.float64), b.detach().to(torch.float64)
    return a64 @ b64, a64.abs() @ b64.abs()


def judge_product(got: Tensor, a: Tensor, b: Tensor, **options: str) -> Verdict:
    """The bound for got = a @ b."""
    reference, magnitude = product(a, b)
    return judge(got, reference, magnitude, a.shape[-1], **options)  # type: ignore[arg-type]


def check_product(got: Tensor, a: Tensor, b: Tensor, **options: str) -> Verdict:
    """As `judge_product`, failing the test."""
    verdict = judge_product(got, a, b, **options)
    assert verdict, verdict.text
    return verdict


def exactly_equal(got: Tensor, expected: Tensor) -> None:
    """Bitwise for integer-valued fills: every sum is exact, so every difference is an indexing fault."""
    wrong = ~(got == expected.to(got.dtype))
    assert not bool(wrong.any()), (
        f"{int(wrong.sum())} of {got.numel()} elements differ, first at {wrong.nonzero()[0].tolist()}"
    )
