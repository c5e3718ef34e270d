"""How far gradients are from the correctly rounded derivative (g = 1), in ulp.

Of ops of one number over all 65,536 patterns of a 16-bit type, or float32 by strata; of several over random numbers.
Within 1/2 of where a derivative crosses zero it is a difference: an ulp is that of 1/8 at least (times other factors).
"""

from __future__ import annotations

import torch
from torch import Tensor

from . import derivatives, partials
from .ops import FIRST, UNARY, Case
from .partials import WIDE_WORDS
from .ulps import UNIT, all_patterns, distance, stratified

EDGES = (3.0, -3.0, 20.0, -20.0, 88.7, -87.3, -103.9, 128.0, 16.0, -126.0, -0.75, -1.28, -1.19, -1.5, 5.5, -5.5, 0.625)
CROSSING = {"gelu": -0.752, "gelu_tanh": -0.752, "silu": -1.278, "mish": -1.192, "hardswish": -1.5}
SEVERAL = [c for c in FIRST if c.inputs > 1 and c.name in partials.PARTIALS and c.choice not in ("trunc", "floor")]
CASES = [c for c in UNARY if c.differentiable] + SEVERAL


def promise(case: Case, dtype: torch.dtype) -> int:
    return case.grad_ulp32 if dtype == torch.float32 else case.grad_ulp


def measured(case: Case, dtype: torch.dtype) -> bool:
    return case.inputs == 1 or dtype != torch.float32


def _activation(case: Case) -> str:
    tanh = "_tanh" if case.choice == "tanh" else ""
    return {"swiglu": "silu", "geglu": "gelu" + tanh, "gelu": "gelu" + tanh}.get(
        case.name, str(case.kwargs.get("activation", case.name))
    )


def _argument(case: Case, operands: list[Tensor]) -> Tensor:
    """What the activation is applied to."""
    if case.name == "add_act":
        return operands[0] + operands[1]
    return operands[0] * operands[1] + operands[2] if case.name == "scale_shift_act" else operands[0]


def _steps(case: Case, got: Tensor, want: Tensor, wide: list[Tensor]) -> Tensor:
    steps = distance(got, want.to(got.dtype)).double()
    name = _activation(case)
    if name in CROSSING:
        near = (_argument(case, wide) - CROSSING[name]).abs() < 0.5
        unit = UNIT[got.dtype] / 4 * torch.stack([torch.ones_like(got.double()), *[t.abs() for t in wide[1:]]]).amax(0)
        steps = torch.where(near, torch.minimum(steps, (got.double() - want).abs() / unit), steps)
    return steps


def _operands(case: Case, dtype: torch.dtype) -> list[Tensor]:
    if case.inputs == 1:
        return [all_patterns(dtype) if dtype.itemsize == 2 else stratified(dtype, 1 << 16, EDGES)]
    generator = torch.Generator().manual_seed(case.inputs)
    x = [(torch.randn(1 << 14, generator=generator, dtype=torch.float64) * 3).to(dtype) for _ in range(case.inputs)]
    return [x[0].abs(), *x[1:]] if case.name == "pow" else x


def measure(case: Case, dtype: torch.dtype) -> tuple[float, float, str]:
    """(worst, share of correctly rounded ones, where the worst is)."""
    operands = _operands(case, dtype)
    leaves, wide = [t.clone().requires_grad_() for t in operands], [t.double() for t in operands]
    got = torch.autograd.grad(case.ours(*leaves).sum(), leaves)
    want = (derivatives.wide(case, wide[0]),) if case.inputs == 1 else partials.partials(case, WIDE_WORDS, *wide)
    worst, exact, total, where = -1.0, 0, 0, ""
    for mine, right in zip(got, want, strict=True):
        steps = _steps(case, mine, right, wide)
        exact, total, at = exact + int((steps == 0).sum()), total + len(steps), int(steps.argmax())
        if float(steps[at]) > worst:
            worst = float(steps[at])
            where = f"{case.id}{tuple(float(t[at]) for t in operands)}: {worst:.1f} ulp off, "
            where += f"{float(mine[at])!r}, should be {float(right[at])!r}"
    return worst, exact / total, where
