"""A chain of linear layers with an activation between them, which gpukern.nn has as `MLP`."""

from __future__ import annotations

from itertools import chain, pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as _modules

from . import ops
from .info import load_extension

ACTIVATIONS: tuple[str, ...] = tuple(load_extension().gemm_activations())  # "none" first


class Activation(nn.Module):
    """The elementwise op of a name that `gpukern.linear` takes, with the defaults of its arguments."""

    def __init__(self, name: str) -> None:
        super().__init__()
        if name not in ACTIVATIONS:
            raise ValueError(f"gpukern: unknown activation {name!r}; choose one of {', '.join(ACTIVATIONS)}")
        self.name = name

    def forward(self, input: Tensor) -> Tensor:
        if self.name == "none":
            return input
        if self.name == "gelu_tanh":
            return ops.gelu(input, approximate="tanh")
        result: Tensor = getattr(ops, self.name)(input)
        return result

    def extra_repr(self) -> str:
        return self.name


def alone(child: nn.Module) -> bool:
    """Whether a module has hooks or a forward of its own instance, which run only where it is called itself."""
    hooks = child._forward_hooks or child._forward_pre_hooks or child._backward_hooks or child._backward_pre_hooks
    return bool(hooks) or "forward" in vars(child)


def fused(children: list[nn.Module], linear: type[nn.Linear], input: Tensor) -> Tensor | None:
    """The chain as one op; None where it is no such chain any more, or a module of it must be called itself."""
    layers, between = children[::2], children[1::2]
    if len(children) % 2 == 0 or any(type(layer) is not linear for layer in layers):
        return None
    if any(type(one) is not Activation for one in between) or any(map(alone, children)):
        return None
    if _modules._has_any_global_hook():
        return None
    names = {one.name for one in between}
    biases = [layer.bias for layer in layers if layer.bias is not None]
    if len(names) > 1 or len(biases) not in (0, len(layers)) or any(layer.activation for layer in layers):
        return None
    weights: list[Any] = [layer.weight for layer in layers]
    result: Tensor = torch.ops.gpukern.mlp(input, weights, biases, next(iter(names), "none"))
    return result


def modules(linear: Any, features: tuple[int, ...], activation: str, bias: bool, device: Any, dtype: Any) -> Any:
    """Linear, activation, linear, .., linear."""
    if len(features) < 2:
        raise ValueError(f"gpukern.nn.MLP needs the widths of its input and of its output, got {features}")
    layers = [linear(a, b, bias, device, dtype) for a, b in pairwise(features)]
    return list(chain(*zip(layers, (Activation(activation) for _ in layers))))[:-1]
