"""References in 50 decimal digits, for float64: no double-precision library is good enough to judge another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy
import torch
from torch import Tensor

from .ops import ACTIVATIONS, Case

mp = mpmath.mp.clone()
mp.dps = 50
Precise = Callable[[Any], Any]


def _gelu_tanh(x: Any) -> Any:
    u = mp.sqrt(2 / mp.pi) * (x + mp.mpf(0.044715) * x**3)
    return x / (1 + mp.exp(-2 * u))


PRECISE: dict[str, Precise] = {
    "sqrt": mp.sqrt,
    "rsqrt": lambda x: 1 / mp.sqrt(x),
    "reciprocal": lambda x: 1 / x,
    "exp": mp.exp,
    "exp2": lambda x: mp.mpf(2) ** x,
    "expm1": mp.expm1,
    "log": mp.log,
    "log2": lambda x: mp.log(x) / mp.log(2),
    "log1p": mp.log1p,
    "sin": mp.sin,
    "cos": mp.cos,
    "tanh": mp.tanh,
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "erf": mp.erf,
    "erfc": mp.erfc,
    "tan": mp.tan,
    "asin": mp.asin,
    "acos": mp.acos,
    "atan": mp.atan,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "asinh": mp.asinh,
    "acosh": mp.acosh,
    "atanh": mp.atanh,
    "log10": lambda x: mp.log(x) / mp.log(10),
    "deg2rad": lambda x: x * mp.pi / 180,
    "rad2deg": lambda x: x * 180 / mp.pi,
    "gelu-none": lambda x: x * mp.erfc(-x / mp.sqrt(2)) / 2,
    "gelu-tanh": _gelu_tanh,
    "silu": lambda x: x / (1 + mp.exp(-x)),
    "mish": lambda x: x * mp.tanh(mp.log1p(mp.exp(x))),
    "softplus": lambda x: mp.log1p(mp.exp(x)) if x <= 20 else x,
    "logsigmoid": lambda x: -mp.log1p(mp.exp(-x)),
    "elu": lambda x: x if x > 0 else mp.expm1(x),
}

# Sums with a product in them, of numpy arrays.
SUMS: dict[str, Callable[..., Any]] = {
    "add": lambda x, y, alpha=1: x + alpha * y,
    "sub": lambda x, y, alpha=1: x - alpha * y,
    "lerp": lambda x, y, w: x + w * (y - x),
    "addcmul": lambda x, a, b, value=1: x + value * a * b,
    "addcdiv": lambda x, a, b, value=1: x + value * a / b,
    "scale_shift_act": lambda x, a, b, activation="relu": x * a + b,
}


def once_rounded(case: Case, operands: list[Tensor], compute: torch.dtype) -> Tensor:
    """The sum in long double (64 digits, exponents to 2^16383), rounded to the compute type; then the activation."""
    wide = [t.to(torch.float64).numpy().astype(numpy.longdouble) for t in operands]
    with numpy.errstate(all="ignore"):
        exact = SUMS[case.name](*wide, **case.kwargs).astype(numpy.float64)
    rounded = torch.from_numpy(exact).to(compute)
    return ACTIVATIONS[case.kwargs.get("activation", "none")](rounded.to(torch.float64))


POSITIVE = {"sqrt", "rsqrt", "log", "log2", "log10"}


def points(name: str, count: int = 160) -> Tensor:
    """float64 arguments where the result is finite: dense around 0 and 1, logarithmic outwards."""
    generator = torch.Generator().manual_seed(7)
    x = torch.cat(
        [
            torch.linspace(-18, 18, count // 2, dtype=torch.float64),
            torch.randn(count // 4, generator=generator, dtype=torch.float64),
            10.0 ** torch.linspace(-12, 2, count // 4, dtype=torch.float64),
            -(10.0 ** torch.linspace(-12, 1.5, count // 8, dtype=torch.float64)),
        ]
    )
    if name in POSITIVE:
        x = x.abs()
    if name == "log1p":
        x = torch.where(x <= -1, -1 / (1 + x.abs()), x)
    if name in ("asin", "acos", "atanh"):
        x = x / (1 + x.abs())
    if name == "acosh":
        x = 1 + x.abs()
    return x[x != 0]


def ulps_off(got: Tensor, x: Tensor, function: Precise) -> Tensor:
    """Errors in units in the last place of the exact values, as real numbers."""
    errors = []
    for value, argument in zip(got.tolist(), x.tolist()):
        exact = function(mp.mpf(argument))
        if exact == 0:
            errors.append(0.0 if value == 0 else float("inf"))
            continue
        _, exponent = mp.frexp(abs(exact))
        unit = mp.mpf(2) ** (max(int(exponent) - 53, -1074))
        errors.append(float("inf") if value != value else float(abs(mp.mpf(value) - exact) / unit))
    return torch.tensor(errors, dtype=torch.float64)
