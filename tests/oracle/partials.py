"""Partial derivatives of the ops of several tensors, from their definitions; in mpmath or float64, as `Words` chooses.

A composition needs the derivatives of its activation, which derivatives.py has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from . import derivatives
from .ops import ACTIVATIONS, Case
from .precise import PRECISE, mp


@dataclass(frozen=True)
class Words:
    log: Callable[[Any], Any]
    power: Callable[[Any, Any], Any]
    value: Callable[[str, Any], Any]  # an activation, and its first derivative
    slope: Callable[[str, Any], Any]


def _mp_value(name: str, x: Any) -> Any:
    held = max(-derivatives.HELD, min(derivatives.HELD, x))
    return PRECISE[{"gelu": "gelu-none", "gelu_tanh": "gelu-tanh"}.get(name, name)](mp.mpf(held)) * (
        x / held if x > derivatives.HELD else 1
    )


def _slope(table: dict[str, Any], name: str, x: Any) -> Any:
    if name == "none":
        return x * 0 + 1
    if name == "relu":
        return (x > 0) * 1.0
    return table[{"gelu": "gelu-none", "gelu_tanh": "gelu-tanh"}.get(name, name)](x)


def _mp_slope(name: str, x: Any) -> Any:
    return mp.mpf(_slope(derivatives.FIRST, name, max(-derivatives.HELD, min(derivatives.HELD, x))))


def _mp_power(x: Any, y: Any) -> Any:
    """Without numbers whose exponents have a thousand digits."""
    if x < 0:
        return (-1 if y % 2 else 1) * _mp_power(-x, y) if mp.isint(y) else mp.nan
    if x == 0:
        return x**y
    exponent = y * mp.log(x)
    return mp.exp(exponent) if abs(exponent) < 1e5 else derivatives.FAR ** (3 if exponent > 0 else -3)


def _mp_log(x: Any) -> Any:
    """Of an infinity a number that is beyond float64 too."""
    return mp.sqrt(x) if x == derivatives.FAR else mp.log(x)


PRECISE_WORDS = Words(_mp_log, _mp_power, _mp_value, _mp_slope)
WIDE_WORDS = Words(torch.log, torch.pow, lambda n, x: ACTIVATIONS[n](x), lambda n, x: _slope(derivatives.WIDE, n, x))


def _geglu(approximate: str) -> str:
    return "gelu_tanh" if approximate == "tanh" else "gelu"


def _scaled(w: Words, x: Any, a: Any, b: Any, activation: str) -> tuple[Any, Any, Any]:
    slope = w.slope(activation, x * a + b)
    return slope * a, slope * x, slope


PARTIALS: dict[str, Callable[..., tuple[Any, ...]]] = {
    "add": lambda w, x, y, alpha=1: (x * 0 + 1, x * 0 + alpha),
    "sub": lambda w, x, y, alpha=1: (x * 0 + 1, x * 0 - alpha),
    "mul": lambda w, x, y: (y, x),
    "div": lambda w, x, y: (1 / y, -x / y**2),
    "pow": lambda w, x, y: (y * w.power(x, y - 1), w.power(x, y) * w.log(x)),
    "lerp": lambda w, x, y, t: (1 - t, t, y - x),
    "addcmul": lambda w, x, a, b, value=1: (x * 0 + 1, b * value, a * value),
    "addcdiv": lambda w, x, a, b, value=1: (x * 0 + 1, value / b, -value * a / b**2),
    "atan2": lambda w, y, x: (x / (x * x + y * y), -y / (x * x + y * y)),
    "hypot": lambda w, x, y: (x / w.power(x * x + y * y, 0.5), y / w.power(x * x + y * y, 0.5)),
    "logaddexp": lambda w, x, y: (w.value("sigmoid", x - y), w.value("sigmoid", y - x)),
    "logaddexp2": lambda w, x, y: (
        w.value("sigmoid", (x - y) * w.log(x * 0 + 2)),
        w.value("sigmoid", (y - x) * w.log(x * 0 + 2)),
    ),
    "xlogy": lambda w, x, y: (w.log(y), x / y),
    "add_act": lambda w, x, y, activation: (w.slope(activation, x + y),) * 2,
    "scale_shift_act": _scaled,
    "swiglu": lambda w, x, y: (w.slope("silu", x) * y, w.value("silu", x)),
    "geglu": lambda w, x, y, approximate: (
        w.slope(_geglu(approximate), x) * y,
        w.value(_geglu(approximate), x),
    ),
}


def partials(case: Case, words: Words, *operands: Any) -> tuple[Any, ...]:
    return PARTIALS[case.name](words, *operands, **case.kwargs)
