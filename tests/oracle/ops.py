"""The catalogue as test cases: for each op its arguments, torch's own function, and a float64 reference.

References are written by other hands than the kernels: torch's float64 function of the same name, or the textbook form
(erfc for gelu).  An op added to the catalogue whose torch function has its name is tested by every test of the
catalogue without a line here; a fused op needs one entry in REFERENCES.  Ops whose results are bool or whole numbers
are EXACT: tests/oracle/exact.py has their references.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy
import torch
import torch.nn.functional as F
from torch import Tensor

Function = Callable[..., Tensor]


def _sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def _silu(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-x))


def _gelu(x: Tensor, approximate: str = "none") -> Tensor:
    if approximate == "tanh":
        return x / (1 + torch.exp(-2 * (2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))
    tail: Tensor = torch.special.erfc(-x * 0.5**0.5)
    return 0.5 * x * tail


def _sqrt(x: Tensor) -> Tensor:
    with numpy.errstate(invalid="ignore"):
        return torch.from_numpy(numpy.sqrt(x.numpy()))  # correctly rounded, which torch's vectors are not


def _numpy(function: Callable[..., Any]) -> Function:
    def call(*tensors: Tensor) -> Tensor:
        with numpy.errstate(all="ignore"):
            return torch.from_numpy(numpy.asarray(function(*(t.numpy() for t in tensors))))

    return call


ACTIVATIONS: dict[str, Function] = {
    "none": lambda x: x,
    "relu": F.relu,
    "gelu": _gelu,
    "gelu_tanh": lambda x: _gelu(x, "tanh"),
    "silu": _silu,
    "sigmoid": _sigmoid,
    "tanh": torch.tanh,
    "mish": lambda x: x * torch.tanh(torch.logaddexp(x, torch.zeros_like(x))),
    "hardswish": lambda x: x * (torch.clamp(x + 3, 0, 6) / 6),  # torch's x * clamp overflows at a sixth of the range
}

# In float64, of tensors and the same keywords.  Everything else: torch's function of the same name.
REFERENCES: dict[str, Function] = {
    "sqrt": _sqrt,
    "sigmoid": _sigmoid,
    "silu": _silu,
    "gelu": _gelu,
    "mish": ACTIVATIONS["mish"],
    "logsigmoid": lambda x: -torch.logaddexp(torch.zeros_like(x), -x),
    "rsqrt": lambda x: 1 / torch.sqrt(x),
    "lerp": lambda x, y, w: x + w * (y - x),
    "addcdiv": lambda x, a, b, value=1: x + value * a / b,
    "addcmul": lambda x, a, b, value=1: x + value * a * b,
    "add_act": lambda x, y, activation="relu": ACTIVATIONS[activation](x + y),
    "scale_shift_act": lambda x, a, b, activation="relu": ACTIVATIONS[activation](x * a + b),
    "swiglu": lambda x, y: _silu(x) * y,
    "geglu": lambda x, y, approximate="none": _gelu(x, approximate) * y,
    "div": lambda x, y, rounding_mode=None: torch.div(x, y, rounding_mode=rounding_mode),
    "fmod": _numpy(numpy.fmod),  # torch's vectors have NaN for large quotients
    "remainder": _numpy(numpy.remainder),
    "logaddexp2": _numpy(numpy.logaddexp2),
}

# The same by torch's functions, for gradients, dtypes and times.
_TORCH_ACTIVATIONS: dict[str, Function] = {
    **ACTIVATIONS,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "sigmoid": torch.sigmoid,
    "mish": F.mish,
    "hardswish": F.hardswish,
}
EAGER: dict[str, Function] = {
    "add_act": lambda x, y, activation="relu": _TORCH_ACTIVATIONS[activation](x + y),
    "scale_shift_act": lambda x, a, b, activation="relu": _TORCH_ACTIVATIONS[activation](x * a + b),
    "swiglu": lambda x, y: F.silu(x) * y,
    "geglu": lambda x, y, approximate="none": F.gelu(x, approximate=approximate) * y,
    "clamp_tensor": lambda x, low, high: torch.clamp(x, min=low, max=high),
}

# More numbers than the defaults.
SETTINGS: dict[str, list[dict[str, Any]]] = {
    "add": [{}, {"alpha": 2}, {"alpha": -3}],
    "sub": [{}, {"alpha": 2}],
    "addcmul": [{}, {"value": 2}],
    "addcdiv": [{}, {"value": -2}],
    "leaky_relu": [{}, {"negative_slope": 0.25}],
    "elu": [{}, {"alpha": 0.75}],
    "softplus": [{}, {"beta": 2, "threshold": 4}],
    "hardtanh": [{}, {"min_val": -0.5, "max_val": 2.0}],
    "clamp": [{"min": -2, "max": 3}, {"min": -1}, {"max": 1}],
}

# Where an op is defined, or smooth, for finite differences.
_POSITIVE = {"sqrt", "rsqrt", "log", "log2", "log10", "log1p", "pow", "xlogy"}
_WITHIN = {"asin": 0.24, "acos": 0.24, "atanh": 0.24, "tan": 0.35}  # scales into the domain, or between the poles
_NONZERO = {"reciprocal", "div", "addcdiv", "fmod", "remainder", "copysign"}


def torch_function(name: str) -> Function | None:
    """torch's function of that name, the functional one where both exist with other arguments."""
    if name in EAGER:
        return EAGER[name]
    if name in ("relu6", "leaky_relu", "elu", "gelu", "silu", "mish", "softplus", "hardswish", "hardsigmoid"):
        return getattr(F, name)  # type: ignore[no-any-return]
    if name in ("hardtanh", "logsigmoid"):
        return getattr(F, name)  # type: ignore[no-any-return]
    return getattr(torch, name, None) or getattr(F, name, None)


@dataclass(frozen=True)
class Case:
    """One op with one choice of its string argument and one set of numbers."""

    name: str
    choice: str
    family: str
    types: str
    inputs: int
    ulp: int
    grad_ulp: int
    grad_ulp32: int
    differentiable: bool
    predicate: bool
    writes_self: bool
    aten: str
    kwargs: dict[str, Any] = field(hash=False)

    @property
    def id(self) -> str:
        numbers = "".join(f"-{k}={v}" for k, v in self.kwargs.items() if v != self.choice)
        return self.name + (f"-{self.choice}" if self.choice else "") + numbers

    @property
    def public(self) -> str:
        return "clamp" if self.name == "clamp_tensor" else self.name

    @property
    def has_condition(self) -> bool:
        return self.name == "where"

    def ours(self, *tensors: Any, **more: Any) -> Tensor:
        """The public function with this case's arguments."""
        import gpukern

        function: Function = getattr(gpukern, self.public)
        return function(*tensors, **self.kwargs, **more)

    def in_place(self, *tensors: Any) -> Tensor:
        import gpukern

        function: Function = getattr(gpukern, self.public + "_")
        return function(*tensors, **self.kwargs)

    def eager(self, *tensors: Any, **more: Any) -> Tensor:
        """torch's own, composed where torch has no name for it."""
        function = torch_function(self.name)
        assert function is not None, f"{self.name} needs an entry in EAGER"
        return function(*tensors, **self.kwargs, **more)

    def divisible(self, operands: list[Tensor]) -> list[Tensor]:
        """Integers that torch's rounded division takes too: 0 is an error, -1 of the smallest number a signal."""
        divides = self.kwargs.get("rounding_mode") or self.name in ("fmod", "remainder")
        if not divides or operands[1].is_floating_point():
            return operands
        y = operands[1]
        return [operands[0], torch.where((y == 0) | (y == -1), torch.full_like(y, 3), y)]

    def out_form(self) -> Function | None:
        """torch's function with `out=`, the one of aten where Python's has none; None where torch has neither."""
        name = self.aten.split(".")[0]
        if self.name == "relu":
            return torch.ops.aten.relu.out  # type: ignore[no-any-return]
        function = getattr(torch._C._nn, name, None) or getattr(torch, name, None)
        if function is None or self.name == "relu6":
            return None
        return lambda *tensors, out: function(*tensors, **self.kwargs, out=out)

    def reference(self, *tensors: Tensor) -> Tensor:
        """In float64."""
        wide = [
            t if t.dtype == torch.bool and k == 0 and self.has_condition else t.detach().to(torch.float64)
            for k, t in enumerate(tensors)
        ]
        function = REFERENCES.get(self.name) or torch_function(self.name)
        assert function is not None, f"{self.name} needs an entry in REFERENCES"
        return function(*wide, **self.kwargs)

    def smooth_inputs(
        self, shape: tuple[int, ...], dtype: torch.dtype = torch.float64, shift: float = 0.0
    ) -> list[Tensor]:
        """Values away from kinks and poles."""
        result = []
        for k in range(self.inputs):
            if k == 0 and self.has_condition:
                result.append(torch.rand(shape) > 0.5)
                continue
            count = max(1, torch.Size(shape).numel())
            # steps of 0.17 around 0 never come near a kink at a multiple of 0.5 in both operands alike
            x = (torch.randperm(count).to(torch.float64) % 41 - 20) * 0.17 + 0.031 + 0.057 * k + shift
            x = torch.where(((x * 2).round() / 2 - x).abs() < 0.02, x + 0.045, x)
            if self.name in _POSITIVE or (self.name in _NONZERO and k == self.inputs - 1):
                x = x.abs() + 0.4
            elif self.name in _WITHIN:
                x = x * _WITHIN[self.name]
            elif self.name == "acosh":
                x = x.abs() + 1.4
            elif self.name in _NONZERO:
                x = torch.where(x.abs() < 0.3, x + 0.7, x)
            result.append(x[: torch.Size(shape).numel()].reshape(shape).to(dtype))
        return result


def cases() -> list[Case]:
    """Every entry of the catalogue, with every set of numbers."""
    import gpukern

    result = []
    for e in gpukern._C.elementwise_catalogue():
        keyword = re.search(r"str\??\s+(\w+)", e["args"])
        choice = {keyword.group(1): e["choice"]} if keyword and e["choice"] else {}
        for numbers in SETTINGS.get(e["name"], [{}]):
            result.append(
                Case(
                    e["name"],
                    e["choice"],
                    e["family"],
                    e["types"],
                    e["inputs"],
                    e["ulp"],
                    e["grad_ulp"],
                    e["grad_ulp32"],
                    e["differentiable"],
                    e["predicate"],
                    e["in_place"],
                    e["aten"],
                    {**choice, **numbers},
                )
            )
    return result


ALL = cases()
EXACT = [c for c in ALL if c.predicate or c.types == "whole"]
CASES = [c for c in ALL if c not in EXACT]
UNARY = [c for c in CASES if c.inputs == 1]
SEVERAL = [c for c in CASES if c.inputs > 1]
FIRST = list({(c.name, c.choice): c for c in reversed(CASES)}.values())[::-1]  # one set of numbers each


def ids(some: list[Case]) -> list[str]:
    return [c.id for c in some]
