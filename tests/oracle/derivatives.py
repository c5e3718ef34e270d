"""First and second derivatives from the mathematical definitions, in mpmath and, for millions of numbers, in float64.

Written by other hands than the kernels: hyperbolic functions where those have exponentials of -abs(x), and a test holds
them to mpmath's numerical differentiation of the functions themselves.  What has no value at an argument has its limit:
an infinity stands for a number beyond all others, a pole for its neighbour on the argument's side.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .ops import Case
from .precise import mp

FAR = mp.mpf(10) ** 1000  # an infinity; 1 / FAR, a zero: no root of it is a float64
HELD = 10**6  # where functions with an exponential in them have long been their own limits
Derivative = Callable[..., Any]


def _sigma(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def _sigma1(x: Any) -> Any:
    return mp.sech(x / 2) ** 2 / 4


def _sigma2(x: Any) -> Any:
    return -_sigma1(x) * mp.tanh(x / 2)


def _phi(x: Any) -> Any:
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def _elu(x: Any, alpha: float = 1.0) -> Any:
    return 1 if x > 0 else mp.mpf(alpha) * mp.exp(x)


def _elu2(x: Any, alpha: float = 1.0) -> Any:
    return 0 if x >= 0 else mp.mpf(alpha) * mp.exp(x)  # at 0 torch's


def _softplus(x: Any, beta: float = 1, threshold: float = 20) -> Any:
    return 1 if x * beta > threshold else _sigma(x * beta)


def _softplus2(x: Any, beta: float = 1, threshold: float = 20) -> Any:
    return 0 if x * beta > threshold else beta * _sigma1(x * beta)


def _gelu_tanh(x: Any) -> tuple[Any, Any]:
    k, c = 2 * mp.sqrt(2 / mp.pi), mp.mpf("0.044715")
    u, u1, u2 = k * (x + c * x**3), k * (1 + 3 * c * x**2), 6 * k * c * x
    s, s1, s2 = _sigma(u), _sigma1(u), _sigma2(u)
    return s + x * s1 * u1, 2 * s1 * u1 + x * (s2 * u1**2 + s1 * u2)


def _mish(x: Any) -> tuple[Any, Any]:
    plus = mp.log1p(mp.exp(x))
    t, t1, s, s1 = mp.tanh(plus), mp.sech(plus) ** 2, _sigma(x), _sigma1(x)
    return t + x * t1 * s, 2 * t1 * s + x * (t1 * s1 - 2 * t * t1 * s**2)


def _hardswish(x: Any) -> tuple[Any, Any]:
    if abs(x) >= 3:
        return (1 if x > 0 else 0), 0
    return (2 * x + 3) / 6, mp.mpf(1) / 3


# Derivatives of functions of one number; the arguments of the function follow x.
FIRST: dict[str, Derivative] = {
    "square": lambda x: 2 * x,
    "sqrt": lambda x: 1 / (2 * mp.sqrt(x)),
    "rsqrt": lambda x: -1 / (2 * x * mp.sqrt(x)),
    "reciprocal": lambda x: -1 / x**2,
    "exp": mp.exp,
    "exp2": lambda x: mp.log(2) * mp.mpf(2) ** x,
    "expm1": mp.exp,
    "log": lambda x: 1 / x,
    "log2": lambda x: 1 / (x * mp.log(2)),
    "log1p": lambda x: 1 / (1 + x),
    "sin": mp.cos,
    "cos": lambda x: -mp.sin(x),
    "tanh": lambda x: mp.sech(x) ** 2,
    "sigmoid": _sigma1,
    "erf": lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-(x**2)),
    "erfc": lambda x: -2 / mp.sqrt(mp.pi) * mp.exp(-(x**2)),
    "tan": lambda x: mp.sec(x) ** 2,
    "asin": lambda x: 1 / mp.sqrt((1 - x) * (1 + x)),
    "acos": lambda x: -1 / mp.sqrt((1 - x) * (1 + x)),
    "atan": lambda x: 1 / (1 + x**2),
    "sinh": mp.cosh,
    "cosh": mp.sinh,
    "asinh": lambda x: 1 / mp.sqrt(1 + x**2),
    "acosh": lambda x: 1 / mp.sqrt((x - 1) * (x + 1)),
    "atanh": lambda x: 1 / ((1 - x) * (1 + x)),
    "log10": lambda x: 1 / (x * mp.log(10)),
    "gelu-none": lambda x: mp.erfc(-x / mp.sqrt(2)) / 2 + x * _phi(x),
    "gelu-tanh": lambda x: _gelu_tanh(x)[0],
    "silu": lambda x: _sigma(x) + x * _sigma1(x),
    "mish": lambda x: _mish(x)[0],
    "softplus": _softplus,
    "logsigmoid": lambda x: _sigma(-x),
    "elu": _elu,
    "hardswish": lambda x: _hardswish(x)[0],
}
SECOND: dict[str, Derivative] = {
    "square": lambda x: mp.mpf(2),
    "sqrt": lambda x: -1 / (4 * x * mp.sqrt(x)),
    "rsqrt": lambda x: 3 / (4 * x**2 * mp.sqrt(x)),
    "reciprocal": lambda x: 2 / x**3,
    "exp": mp.exp,
    "exp2": lambda x: mp.log(2) ** 2 * mp.mpf(2) ** x,
    "expm1": mp.exp,
    "log": lambda x: -1 / x**2,
    "log2": lambda x: -1 / (x**2 * mp.log(2)),
    "log1p": lambda x: -1 / (1 + x) ** 2,
    "sin": lambda x: -mp.sin(x),
    "cos": lambda x: -mp.cos(x),
    "tanh": lambda x: -2 * mp.tanh(x) * mp.sech(x) ** 2,
    "sigmoid": _sigma2,
    "erf": lambda x: -4 * x / mp.sqrt(mp.pi) * mp.exp(-(x**2)),
    "erfc": lambda x: 4 * x / mp.sqrt(mp.pi) * mp.exp(-(x**2)),
    "tan": lambda x: 2 * mp.sec(x) ** 2 * mp.tan(x),
    "asin": lambda x: x / mp.sqrt((1 - x) * (1 + x)) ** 3,
    "acos": lambda x: -x / mp.sqrt((1 - x) * (1 + x)) ** 3,
    "atan": lambda x: -2 * x / (1 + x**2) ** 2,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "asinh": lambda x: -x / mp.sqrt(1 + x**2) ** 3,
    "acosh": lambda x: -x / mp.sqrt((x - 1) * (x + 1)) ** 3,
    "atanh": lambda x: 2 * x / ((1 - x) * (1 + x)) ** 2,
    "log10": lambda x: -1 / (x**2 * mp.log(10)),
    "gelu-none": lambda x: (2 - x**2) * _phi(x),
    "gelu-tanh": lambda x: _gelu_tanh(x)[1],
    "silu": lambda x: 2 * _sigma1(x) + x * _sigma2(x),
    "mish": lambda x: _mish(x)[1],
    "softplus": _softplus2,
    "logsigmoid": lambda x: -_sigma1(x),
    "elu": _elu2,
    "hardswish": lambda x: _hardswish(x)[1],
}
POLES = {"sqrt", "rsqrt", "reciprocal", "log", "log2", "log10"}  # at 0
POSITIVE = {"sqrt", "rsqrt", "log", "log2", "log10", "log1p"}  # nothing left of the pole
ALGEBRAIC = POSITIVE | {"square", "reciprocal", "atan", "asinh", "acosh"}  # not their own limits at HELD
PERIODIC = {"sin", "cos", "tan"}
DOMAIN = {"asin": (-1, 1), "acos": (-1, 1), "atanh": (-1, 1), "acosh": (1, math.inf)}  # with poles at the ends


def key(case: Case) -> str:
    return case.name + (f"-{case.choice}" if case.name == "gelu" else "")


def limit(name: str, function: Derivative, x: float, **kwargs: Any) -> float:
    """The derivative at x, or its limit, as a float64; NaN where there is none."""
    if math.isnan(x) or (name in PERIODIC and math.isinf(x)):
        return math.nan
    if name in DOMAIN:
        low, high = DOMAIN[name]
        if not low <= x <= high:
            return math.nan
        if x in (low, high) and math.isfinite(x):
            with mp.workdps(1050):
                return float(function(x + (1 if x == low else -1) / FAR))
    at = mp.mpf(x) if math.isfinite(x) else math.copysign(1, x) * FAR
    if name in POLES and x == 0:
        at = math.copysign(1, x) / FAR
    if name == "log1p" and x == -1:
        with mp.workdps(1050):
            return float(function(-1 + 1 / FAR))
    if name in POSITIVE and at < (-1 if name == "log1p" else 0):
        return math.nan
    if name not in ALGEBRAIC:
        at = mp.mpf(max(-HELD, min(HELD, at))) if name not in PERIODIC else at
    return float(function(at, **_numbers(kwargs)))


def _numbers(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in kwargs.items() if not isinstance(v, str)}


# --- float64 ---------------------------------------------------------------------------------------------------------


def _cosh(x: Tensor) -> Tensor:
    return torch.cosh(x.clamp(-700, 700))


def _wide_sigma1(x: Tensor) -> Tensor:
    return (0.5 / _cosh(x / 2)) ** 2


def _wide_gelu_tanh(x: Tensor) -> Tensor:
    x = x.clamp(-30, 30)
    k: float = 2 * (2 / math.pi) ** 0.5
    u = k * (x + 0.044715 * x**3)
    return torch.sigmoid(u) + x * _wide_sigma1(u) * k * (1 + 3 * 0.044715 * x**2)


def _wide_gelu(x: Tensor) -> Tensor:
    x = x.clamp(-40, 40)
    area: float = (2 * math.pi) ** 0.5
    tail: Tensor = torch.special.erfc(-x * 0.5**0.5)
    return tail / 2 + x * torch.exp(-x * x / 2) / area


def _wide_silu(x: Tensor) -> Tensor:
    x = x.clamp(-800, 800)
    return torch.exp(torch.nn.functional.logsigmoid(x)) + x * _wide_sigma1(x)


def _wide_mish(x: Tensor) -> Tensor:
    x = x.clamp(-700, 300)
    plus = torch.log1p(torch.exp(x))
    return torch.tanh(plus) + x / torch.cosh(plus) ** 2 * torch.exp(torch.nn.functional.logsigmoid(x))


def _wide_softplus(x: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    z = x * beta
    return torch.where(z > threshold, torch.ones_like(x), torch.exp(torch.nn.functional.logsigmoid(z)))


# For x in float64, g = 1; outside of a function's domain (log, log1p) and at sqrt's -0 what torch has. The other ops of
# one number are linear in pieces, and torch's gradient is exact.
WIDE: dict[str, Callable[..., Tensor]] = {
    "square": lambda x: 2 * x,
    "sqrt": lambda x: 0.5 / x.sqrt(),
    "rsqrt": lambda x: -0.5 / (x.abs() * x.sqrt()),
    "reciprocal": lambda x: -1 / (x * x),
    "exp": torch.exp,
    "exp2": lambda x: math.log(2) * torch.exp2(x),
    "expm1": torch.exp,
    "log": lambda x: 1 / x,
    "log2": lambda x: 1 / (x * math.log(2)),
    "log1p": lambda x: 1 / (1 + x),
    "sin": torch.cos,
    "cos": lambda x: -torch.sin(x),
    "tanh": lambda x: (1 / _cosh(x)) ** 2,
    "sigmoid": _wide_sigma1,
    "erf": lambda x: 2 / math.pi**0.5 * torch.exp(-x * x),
    "erfc": lambda x: -2 / math.pi**0.5 * torch.exp(-x * x),
    "tan": lambda x: 1 / torch.cos(x) ** 2,
    "asin": lambda x: 1 / torch.sqrt((1 - x) * (1 + x)),
    "acos": lambda x: -1 / torch.sqrt((1 - x) * (1 + x)),
    "atan": lambda x: 1 / (1 + x * x),
    "sinh": torch.cosh,
    "cosh": torch.sinh,
    "asinh": lambda x: 1 / torch.sqrt(1 + x * x),
    "acosh": lambda x: 1 / (torch.sqrt(x.abs() - 1) * torch.sqrt(x.abs() + 1)),
    "atanh": lambda x: 1 / ((1 - x) * (1 + x)),
    "log10": lambda x: 1 / (x * math.log(10)),
    "gelu-none": _wide_gelu,
    "gelu-tanh": _wide_gelu_tanh,
    "silu": _wide_silu,
    "mish": _wide_mish,
    "softplus": _wide_softplus,
    "logsigmoid": lambda x: torch.exp(torch.nn.functional.logsigmoid(-x)),
    "elu": lambda x, alpha=1.0: torch.where(x > 0, torch.ones_like(x), alpha * torch.exp(x)),
    "hardswish": lambda x: torch.where(x.abs() >= 3, (x > 0).double(), (2 * x + 3) / 6),
}


def wide(case: Case, x: Tensor) -> Tensor:
    """The derivative of an op of one number at x, in float64."""
    at = x.detach().double()
    if key(case) in WIDE:
        return torch.where(at.isnan(), at, WIDE[key(case)](at, **_numbers(case.kwargs)))
    at.requires_grad_()
    return torch.autograd.grad(case.eager(at).sum(), at)[0]
