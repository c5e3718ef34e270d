"""Correctness first: a result is compared with float64 before it is timed.

A product must satisfy the componentwise bound |c - r| <= u_out |r| + g u (|A| |B|), g = 8 + 2 sqrt(K) (Higham 2002,
chapter 3, with the square root that random rounding gives; K / 4 in its place for tensor cores, which truncate),
against torch's float64 product of the same inputs.  An elementwise result must keep its op's promise in units in the
last place against gpukern.reference, and 4 in float32.  That reference and the float64 product are slow on a CPU.  Of a
large result they check a sample that includes its first and its last part.  All of it is compared with torch's float64
function, or with torch's own product within the distance that two correct ones may have.  So every element is checked.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .results import RIGHT

UNIT = {torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8, torch.float32: 2.0**-24, torch.float64: 2.0**-53}
TINY = {torch.float16: 2.0**-24, torch.bfloat16: 2.0**-133, torch.float32: 2.0**-149, torch.float64: 2.0**-1074}
OPERATIONS = 2e10  # of float64 on a CPU, some seconds
SAMPLE = 2**15  # elements; numpy's erf takes 20 ms for these
CHUNK = 2**22  # elements that are converted to float64 at a time


@dataclass(frozen=True)
class Verdict:
    """error: the largest error as a share of what is allowed."""

    text: str = RIGHT
    error: float = 0.0

    def __bool__(self) -> bool:
        return self.text == RIGHT


def judged(got: Tensor, expected: Tensor, allowed: Tensor, what: str) -> Verdict:
    """Compares in float64; NaN on one side only fails."""
    error = (got.double() - expected).abs()
    both_nan = got.isnan() & expected.isnan()
    same = (got.double() == expected) | both_nan
    share = torch.where(same, torch.zeros_like(error), error / allowed)
    fine = share <= 1
    if bool(fine.all()):
        return Verdict(RIGHT, float(share.max()) if share.numel() else 0.0)
    at = int((~fine).flatten().to(torch.int8).argmax())
    value, due = float(got.flatten()[at]), float(expected.flatten()[at])
    return Verdict(
        f"WRONG: {int((~fine).sum())} of {fine.numel()} {what}, the first is {value:.6g} instead of {due:.6g}"
    )


Finish = Callable[[Tensor, slice], tuple[Tensor, Tensor]]


def product(
    got: Tensor, a: Tensor, b: Tensor, finish: Finish | None = None, theirs: Callable[[], Tensor] | None = None
) -> Verdict:
    """Checks got = finish(a @ b), of (.., M, K) and (.., K, N); theirs: torch's result, for the rows beyond the sample.

    finish takes float64 rows of the product and their indices.  It returns the result, and the absolute values of what
    a kernel may have stored before the epilogue.
    """
    m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
    batch = math.prod(a.shape[:-2])
    rows = m
    if a.device.type == "cpu" and 4.0 * batch * m * n * k > OPERATIONS:
        rows = max(1, int(OPERATIONS / (4.0 * batch * n * k)))
    if rows >= m:
        parts = [slice(0, m)]
    else:  # the first, the last and a middle part
        third = max(1, rows // 3)
        parts = [slice(0, third), slice((m - third) // 2, (m + third) // 2), slice(m - third, m)]
    worst = 0.0
    wide_b = b.double()
    u = UNIT[torch.float64] if got.dtype == torch.float64 else UNIT[torch.float32]
    truncating = got.is_cuda and got.dtype in (torch.float16, torch.bfloat16)
    g = 8 + (k / 4 if truncating else 2 * math.sqrt(k))
    for part in parts:
        for start in range(part.start, part.stop, max(1, 2**26 // max(1, batch * n))):
            piece = slice(start, min(part.stop, start + max(1, 2**26 // max(1, batch * n))))
            rows_of_a = a[..., piece, :].double()
            if not got.dtype.is_floating_point:  # exact, and wrapped to the type
                due = (rows_of_a @ wide_b).round().to(torch.int64).to(got.dtype)
                if not torch.equal(got[..., piece, :], due):
                    return Verdict(f"WRONG: integer results in rows {piece.start} to {piece.stop} are not exact")
                continue
            exact, magnitude = rows_of_a @ wide_b, rows_of_a.abs() @ wide_b.abs()
            sum_error = g * u * magnitude
            if finish is not None:  # activations have slopes of at most 1.13 (gelu), and their own error of an ulp
                exact, stored = finish(exact, piece)
                sum_error = 1.13 * sum_error + UNIT[got.dtype] * (1.13 * stored + exact.abs())
            allowed = UNIT[got.dtype] * exact.abs() + sum_error + TINY[got.dtype]
            if got.dtype == torch.float64:
                allowed = 2 * allowed  # the reference rounds as much
            verdict = judged(got[..., piece, :], exact, allowed, f"elements of rows {piece.start} to {piece.stop}")
            if not verdict:
                return verdict
            worst = max(worst, verdict.error)
    if rows < m and theirs is not None:
        other = theirs().reshape(got.shape)
        # |A||B| is at most the product of a row's and a column's length (Cauchy and Schwarz).
        lengths = a.float().norm(dim=-1, keepdim=True) * b.float().norm(dim=-2, keepdim=True)
        apart = 2 * g * u * lengths + UNIT[got.dtype] * (4 * other.abs() + (4 * lengths if finish is not None else 0))
        far = ~((got.float() - other.float()).abs() <= apart + TINY[got.dtype])
        if bool(far.any()):
            at = int(far.flatten().to(torch.int8).argmax())
            return Verdict(
                f"WRONG: element {at} is {float(got.flatten()[at]):.6g}, torch's is {float(other.flatten()[at]):.6g}"
            )
    return Verdict(RIGHT, worst)


def sample(count: int) -> Tensor:
    """The elements that are compared with float64: all of them, or the first, the last and some between."""
    if count <= SAMPLE:
        return torch.arange(count)
    edge = SAMPLE // 8
    between = torch.linspace(edge, count - edge - 1, SAMPLE - 2 * edge, dtype=torch.float64).long()
    return torch.cat([torch.arange(edge), between, torch.arange(count - edge, count)])


@dataclass(frozen=True)
class Promise:
    """The accuracy that an elementwise op promises.

    reference: an independent float64 function.  wide: torch's own function, called with float64 tensors.  ulp: of
    16-bit results.  jumps: for given inputs, the elements so near a step of the formula that rounding decides.
    """

    reference: Callable[..., Tensor]
    wide: Callable[..., Tensor]
    ulp: int = 1
    jumps: Callable[..., Tensor] | None = None

    def allowed(self, expected: Tensor, dtype: torch.dtype, inputs: list[Tensor]) -> Tensor:
        """Rounding to nearest is half a step of 2 u |r|; each further ulp is a step; cancellation in a sum is added.

        Of a bool or whole result nothing is allowed.
        """
        if not dtype.is_floating_point:
            return torch.zeros_like(expected)
        steps = {torch.float32: 4, torch.float64: 8}.get(dtype, self.ulp)
        terms = sum((t.double().abs() for t in inputs), torch.ones((), device=expected.device))
        lost = 4 * UNIT[torch.float64 if dtype == torch.float64 else torch.float32] * terms
        found = (1 + 2 * steps) * UNIT[dtype] * expected.abs() + (1 + steps) * TINY[dtype] + lost
        return found + self.jumps(*inputs) if self.jumps is not None else found


def values(got: Tensor, inputs: list[Tensor], promise: Promise) -> Verdict:
    """Checks an elementwise result: a sample against the reference, all of it against torch in float64."""
    places = sample(got.numel()).to(got.device)
    spread = [t.expand(got.shape) for t in inputs]

    def taken(t: Tensor) -> Tensor:
        return t.reshape(-1)[places].cpu() if t.is_contiguous() else t[torch.unravel_index(places, t.shape)].cpu()

    sampled = [taken(t) for t in spread]
    expected = promise.reference(*sampled)
    verdict = judged(taken(got), expected, promise.allowed(expected, got.dtype, sampled), "sampled elements")
    if not verdict or got.numel() <= SAMPLE:
        return verdict
    rows = max(1, CHUNK // max(1, got.numel() // max(1, got.shape[0])))
    worst = verdict.error
    for start in range(0, got.shape[0], rows):
        part = [t[start : start + rows] for t in spread]
        exact = promise.wide(*(t.double() if t.is_floating_point() else t for t in part)).double()
        here = got[start : start + rows]
        verdict = judged(here, exact, promise.allowed(exact, got.dtype, part), f"elements from row {start} on")
        if not verdict:
            return verdict
        worst = max(worst, verdict.error)
    return Verdict(RIGHT, worst)


def tensors(got: list[Tensor], exact: list[Tensor], tolerance: float) -> Verdict:
    """Checks whole tensors: |got - exact| <= tolerance |exact| in norm, and no element off by 30 times its share."""
    worst = 0.0
    for place, (g, e) in enumerate(zip(got, exact, strict=True)):
        away, size = g.double() - e, e.norm().clamp(min=1e-300)
        norm = float(away.norm() / (tolerance * size))
        largest = float(away.abs().max() / (30 * tolerance * size / e.numel() ** 0.5)) if e.numel() else 0.0
        error = max(norm, largest)
        if not (norm <= 1 and largest <= 1):
            return Verdict(
                f"WRONG: tensor {place} differs by {norm * tolerance:.3g} of its norm; {tolerance:.0e} is allowed"
            )
        worst = max(worst, error)
    return Verdict(RIGHT, worst)
