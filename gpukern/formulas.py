"""Activations and their derivatives as numpy formulas in float64, from the textbook and independent of the kernels.

Users call gpukern.reference.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy
from numpy.typing import NDArray

Array = NDArray[numpy.float64]

erf = numpy.vectorize(math.erf, otypes=[numpy.float64])
erfc = numpy.vectorize(math.erfc, otypes=[numpy.float64])


def sigmoid(x: Array) -> Array:
    # exp of a negative number only, so that neither end overflows.
    e = numpy.exp(-numpy.abs(x))
    return numpy.where(x >= 0, 1 / (1 + e), e / (1 + e))


def softplus(x: Array, beta: float = 1, threshold: float = 20) -> Array:
    scaled = numpy.asarray(x * beta)
    soft = (numpy.maximum(scaled, 0) + numpy.log1p(numpy.exp(-numpy.abs(scaled)))) / beta
    return numpy.where(scaled > threshold, x, soft)


def gelu(x: Array, approximate: str = "none") -> Array:
    """Hendrycks and Gimpel 2016 (arXiv 1606.08415)."""
    if approximate == "tanh":
        # (1 + tanh(t)) / 2 is sigmoid(2 t), which keeps its digits where tanh is near -1.
        return numpy.asarray(x * sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    # (1 + erf(t)) / 2 is erfc(-t) / 2, for the same reason.
    return numpy.asarray(x * erfc(-x / math.sqrt(2)) / 2)


def silu(x: Array) -> Array:
    return x * sigmoid(x)


def mish(x: Array) -> Array:
    """Misra 2019 (arXiv 1908.08681)."""
    return numpy.asarray(x * numpy.tanh(softplus(x, threshold=math.inf)))


def clip(x: Array, low: Any, high: Any) -> Array:
    return numpy.asarray(numpy.minimum(numpy.maximum(x, low), high))  # NaN stays NaN; high wins where low > high


def hardswish(x: Array) -> Array:
    return x * clip(x + 3, 0, 6) / 6


_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda x: numpy.maximum(x, 0),
    "gelu": gelu,
    "gelu_tanh": lambda x: gelu(x, "tanh"),
    "silu": silu,
    "sigmoid": sigmoid,
    "tanh": numpy.tanh,
    "mish": mish,
    "hardswish": hardswish,
    "relu6": lambda x: clip(x, 0, 6),
    "leaky_relu": lambda x: numpy.where(x > 0, x, x * 0.01),
    "elu": lambda x: numpy.where(x > 0, x, numpy.expm1(numpy.minimum(x, 0))),
    "softplus": softplus,
    "hardsigmoid": lambda x: clip(x + 3, 0, 6) / 6,
    "hardtanh": lambda x: clip(x, -1, 1),
    "logsigmoid": lambda x: -softplus(-x, threshold=math.inf),
    "abs": numpy.abs,
    "neg": lambda x: -x,
    "sign": lambda x: numpy.where(numpy.isnan(x), 0.0, numpy.sign(x)),
    "square": lambda x: x * x,
    "sqrt": numpy.sqrt,
    "rsqrt": lambda x: 1 / numpy.sqrt(x),
    "reciprocal": lambda x: 1 / x,
    "exp": numpy.exp,
    "exp2": numpy.exp2,
    "expm1": numpy.expm1,
    "log": numpy.log,
    "log2": numpy.log2,
    "log1p": numpy.log1p,
    "erf": erf,
}


# ---- derivatives ----------------------------------------------------------------------------------------------------


def _pdf(x: Array) -> Array:
    return numpy.asarray(numpy.exp(-x * x / 2) / math.sqrt(2 * math.pi))


def _gelu_tanh_slope(x: Array) -> Array:
    s = sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    return numpy.asarray(s + x * s * (1 - s) * 2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x))


def _mish_slope(x: Array) -> Array:
    t = numpy.tanh(softplus(x, threshold=math.inf))
    return numpy.asarray(t + x * sigmoid(x) * (1 - t * t))


# Derivatives from the textbook; at a corner the value that torch takes.
_DERIVATIVES: dict[str, Callable[[Array], Any]] = {
    "relu": lambda x: numpy.where(x <= 0, 0.0, 1.0),
    "gelu": lambda x: erfc(-x / math.sqrt(2)) / 2 + x * _pdf(x),
    "gelu_tanh": _gelu_tanh_slope,
    "silu": lambda x: sigmoid(x) * (1 + x * (1 - sigmoid(x))),
    "sigmoid": lambda x: sigmoid(x) * sigmoid(-x),
    "tanh": lambda x: 1 - numpy.tanh(x) ** 2,
    "mish": _mish_slope,
    "hardswish": lambda x: numpy.where(x <= -3, 0.0, numpy.where(x < 3, x / 3 + 0.5, 1.0)),
    "relu6": lambda x: numpy.where((x <= 0) | (x >= 6), 0.0, 1.0),
    "leaky_relu": lambda x: numpy.where(x > 0, 1.0, 0.01),
    "elu": lambda x: numpy.where(x > 0, 1.0, numpy.exp(numpy.minimum(x, 0))),
    "softplus": lambda x: numpy.where(x > 20, 1.0, sigmoid(x)),
    "hardsigmoid": lambda x: numpy.where((x > -3) & (x < 3), 1 / 6, 0.0),
    "hardtanh": lambda x: numpy.where((x <= -1) | (x >= 1), 0.0, 1.0),
    "logsigmoid": lambda x: sigmoid(-x),
    "abs": lambda x: numpy.where(x > 0, 1.0, numpy.where(x < 0, -1.0, 0.0)),
    "neg": lambda x: numpy.full_like(x, -1.0),
    "sign": numpy.zeros_like,
    "square": lambda x: 2 * x,
    "sqrt": lambda x: 0.5 / numpy.sqrt(x),
    "rsqrt": lambda x: -0.5 / (x * numpy.sqrt(x)),
    "reciprocal": lambda x: -1 / (x * x),
    "exp": numpy.exp,
    "exp2": lambda x: math.log(2) * numpy.exp2(x),
    "expm1": numpy.exp,
    "log": lambda x: 1 / x,
    "log2": lambda x: 1 / (x * math.log(2)),
    "log1p": lambda x: 1 / (1 + x),
    "erf": lambda x: 2 / math.sqrt(math.pi) * numpy.exp(-x * x),
}
# Their gradient formulas select and do not multiply: where the slope is 0, a NaN of the product becomes 0.
STEPS = ("relu", "relu6", "hardswish", "hardsigmoid", "hardtanh", "sign")


# ---- by name --------------------------------------------------------------------------------------------------------


def activate(x: Array, name: str | None) -> Array:
    """An activation by the name that `activation=` takes; None and "none" are the identity."""
    if name is None or name == "none":
        return x
    if name not in _ACTIVATIONS:
        raise ValueError(f"unknown activation {name!r}; choose one of none, {', '.join(_ACTIVATIONS)}")
    return _ACTIVATIONS[name](x)


def derivative(name: str, x: Array) -> Array:
    """f'(x) of an activation; where f has a corner, what torch takes: the left side's slope, or 0 for two bounds."""
    if name == "none":
        return numpy.ones_like(x)
    if name not in _DERIVATIVES:
        raise ValueError(f"unknown activation {name!r}; choose one of none, {', '.join(_DERIVATIVES)}")
    return numpy.asarray(_DERIVATIVES[name](x))
