"""Modules with torch's names, constructor arguments, initialisation and state_dict keys, on gpukern's kernels.

`Linear` and `Conv2d` are subclasses of torch's, so a checkpoint of either loads into the other, `isinstance` checks
hold and the same seed gives the same weights.  `replace_modules(model)` turns the modules of an existing model into
these in place, `restore_modules(model)` turns them back; parameters, buffers and hooks stay the very same objects.
"""

from __future__ import annotations

from typing import Any, TypeVar

from torch import Tensor, nn
from torch.nn import functional

from . import mlp, ops
from .convolution import conv2d

__all__ = [
    "ELU",
    "GELU",
    "MLP",
    "Conv2d",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "Linear",
    "LogSigmoid",
    "Mish",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Tanh",
    "conv2d",
    "replace_modules",
    "restore_modules",
]

_Model = TypeVar("_Model", bound=nn.Module)


class Linear(nn.Linear):
    """`torch.nn.Linear`, with the activation fused into the product, in training too.

    activation: a name that `gpukern.linear` takes ("relu", "gelu", "silu", ...), or None.  input (..., in_features)
    -> (..., out_features).
    """

    activation: str | None = None  # on the class too: a torch module turned into this one has no such attribute

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        activation: str | None = None,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)
        self.activation = activation

    def forward(self, input: Tensor) -> Tensor:
        return ops.linear(input, self.weight, self.bias, activation=self.activation)

    def extra_repr(self) -> str:
        base = super().extra_repr()
        return base if self.activation is None else f"{base}, activation={self.activation!r}"


class MLP(nn.Sequential):
    """Linear layers with an activation between them: `MLP(64, 256, 256, 10, activation="gelu")`.

    features: the widths of the input, the hidden layers and the output.  activation: a name that `gpukern.linear`
    takes.  It is a `Sequential` of Linear, activation, Linear, .., so its state_dict has the keys that one of torch's
    modules has ("0.weight", "0.bias", "2.weight", ..).  input (..., features[0]) -> (..., features[-1]).

    The whole chain is one op.  Its backward computes the gradient before each activation, and the bias's, at the end of
    the product that gives the gradient behind it (`mm_activation_backward`).  Where a layer has hooks, was
    parametrized or replaced, the modules are called one by one, as a `Sequential` calls them.
    """

    def __init__(
        self, *features: int, activation: str = "relu", bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(*mlp.modules(Linear, features, activation, bias, device, dtype))

    def forward(self, input: Tensor) -> Tensor:
        result = mlp.fused(list(self), Linear, input)
        return super().forward(input) if result is None else result

    def __getitem__(self, index: Any) -> Any:
        return nn.Sequential(*list(self)[index]) if isinstance(index, slice) else super().__getitem__(index)


class Conv2d(nn.Conv2d):
    """`torch.nn.Conv2d` as a gather of patches and a gpukern product; all of its arguments (padding "same" and
    "valid", padding_mode, dilation, groups)."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input = functional.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = 0
        return conv2d(input, weight, bias, self.stride, padding, self.dilation, self.groups)


class ReLU(nn.ReLU):
    """max(x, 0).  inplace: overwrite the input."""

    def forward(self, input: Tensor) -> Tensor:
        return ops.relu_(input) if self.inplace else ops.relu(input)


class ReLU6(nn.ReLU6):
    """min(max(x, 0), 6)."""

    def forward(self, input: Tensor) -> Tensor:
        return ops.relu6_(input) if self.inplace else ops.relu6(input)


class LeakyReLU(nn.LeakyReLU):
    """x where x > 0, else negative_slope * x."""

    def forward(self, input: Tensor) -> Tensor:
        call = ops.leaky_relu_ if self.inplace else ops.leaky_relu
        return call(input, self.negative_slope)


class ELU(nn.ELU):
    """x where x > 0, else alpha * (exp(x) - 1)."""

    def forward(self, input: Tensor) -> Tensor:
        return ops.elu_(input, self.alpha) if self.inplace else ops.elu(input, self.alpha)


class GELU(nn.GELU):
    """x times the normal distribution function of x; approximate: "none" or "tanh"."""

    def forward(self, input: Tensor) -> Tensor:
        return ops.gelu(input, approximate=self.approximate)


class SiLU(nn.SiLU):
    """x * sigmoid(x)."""

    def forward(self, input: Tensor) -> Tensor:
        return ops.silu_(input) if self.inplace else ops.silu(input)


class Mish(nn.Mish):
    """x * tanh(log(1 + exp(x)))."""

    def forward(self, input: Tensor) -> Tensor:
        return ops.mish_(input) if self.inplace else ops.mish(input)


class Softplus(nn.Softplus):
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x > threshold."""

    def forward(self, input: Tensor) -> Tensor:
        return ops.softplus(input, self.beta, self.threshold)


class Hardswish(nn.Hardswish):
    """x * min(max(x + 3, 0), 6) / 6."""

    def forward(self, input: Tensor) -> Tensor:
        return ops.hardswish_(input) if self.inplace else ops.hardswish(input)


class Hardsigmoid(nn.Hardsigmoid):
    """min(max(x + 3, 0), 6) / 6."""

    def forward(self, input: Tensor) -> Tensor:
        return ops.hardsigmoid_(input) if self.inplace else ops.hardsigmoid(input)


class Hardtanh(nn.Hardtanh):
    """x clipped to [min_val, max_val]."""

    def forward(self, input: Tensor) -> Tensor:
        call = ops.hardtanh_ if self.inplace else ops.hardtanh
        return call(input, self.min_val, self.max_val)


class LogSigmoid(nn.LogSigmoid):
    """log(sigmoid(x))."""

    def forward(self, input: Tensor) -> Tensor:
        return ops.logsigmoid(input)


class Sigmoid(nn.Sigmoid):
    """1 / (1 + exp(-x))."""

    def forward(self, input: Tensor) -> Tensor:
        return ops.sigmoid(input)


class Tanh(nn.Tanh):
    """The hyperbolic tangent."""

    def forward(self, input: Tensor) -> Tensor:
        return ops.tanh(input)


_OURS: dict[type[nn.Module], type[nn.Module]] = {
    kind.__mro__[1]: kind
    for kind in (
        Linear, Conv2d, ReLU, ReLU6, LeakyReLU, ELU, GELU, SiLU, Mish, Softplus, Hardswish, Hardsigmoid, Hardtanh,
        LogSigmoid, Sigmoid, Tanh,
    )
}  # fmt: skip
_TORCHS = {ours: theirs for theirs, ours in _OURS.items()}


def _retype(model: nn.Module, table: dict[type[nn.Module], type[nn.Module]]) -> None:
    for module in model.modules():
        # Exact types only: a subclass (a quantised or a lazy layer, a user's own) has a forward of its own.
        if type(module) in table:
            module.__class__ = table[type(module)]


def replace_modules(model: _Model) -> _Model:
    """Makes the modules of `model` that gpukern has gpukern's, in place, and returns it.

    Only the class of a module changes: parameters, buffers, hooks, state_dict and the optimizer's references stay.
    Modules of other types, subclasses included, are left alone.

    >>> model = gpukern.nn.replace_modules(torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.GELU()))
    >>> type(model[0]).__module__
    'gpukern.nn'
    """
    _retype(model, _OURS)
    return model


def restore_modules(model: _Model) -> _Model:
    """Undoes `replace_modules`: gpukern's modules become torch's again, in place.

    A `Linear` with an activation of its own has no torch twin: ValueError, and nothing is changed.
    """
    for name, module in model.named_modules():
        if isinstance(module, Linear) and module.activation is not None:
            raise ValueError(
                f"{name or 'the model'} is a gpukern.nn.Linear with activation={module.activation!r}, which "
                "torch.nn.Linear cannot express; set it to None, apply the activation as a module, then restore"
            )
    _retype(model, _TORCHS)
    return model
