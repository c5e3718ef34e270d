"""Whole networks, forward and backward, on torch's functions and on gpukern's: one code with a Kit of functions.

The demo's residual network has its code in gpukern/demo; the perceptron and the transformer block are here.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import ops
from ..demo import train
from . import check
from .check import Verdict
from .operands import Want
from .suites import Spec, torch_dtype

Linear = Callable[..., Tensor]


def _torch_linear(
    x: Tensor, weight: Tensor, bias: Tensor, activation: str | None = None, residual: Tensor | None = None
) -> Tensor:
    y = functional.linear(x, weight, bias)
    if activation == "relu":
        y = functional.relu(y)
    elif activation == "gelu_tanh":
        y = functional.gelu(y, approximate="tanh")
    return y if residual is None else y + residual


def _our_linear(x: Tensor, weight: Tensor, bias: Tensor, **options: Any) -> Tensor:
    result: Tensor = ops.linear(x, weight, bias, **options)  # type: ignore[attr-defined]
    return result


class Perceptron(nn.Module):
    """(N, 784) -> (N, 10), two hidden layers of 512."""

    def __init__(self, linear: Linear) -> None:
        super().__init__()
        self.linear = linear
        self.layers = nn.ModuleList([nn.Linear(784, 512), nn.Linear(512, 512), nn.Linear(512, 10)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = self.linear(x, layer.weight, layer.bias, activation="relu")
        last = self.layers[-1]
        return self.linear(x, last.weight, last.bias)


class Transformer(nn.Module):
    """One block of GPT-2's size (Radford et al. 2019): width 768, 12 heads, a hidden layer of 3072; (N, T, 768)."""

    def __init__(self, linear: Linear, width: int = 768, heads: int = 12) -> None:
        super().__init__()
        self.linear, self.heads = linear, heads
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        y = self.linear(self.first(x), self.qkv.weight, self.qkv.bias)
        q, k, v = (
            t.view(batch, length, self.heads, width // self.heads).transpose(1, 2) for t in y.split(width, dim=2)
        )
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        y = y.transpose(1, 2).reshape(batch, length, width)
        x = self.linear(y, self.out.weight, self.out.bias, residual=x)
        y = self.linear(self.second(x), self.up.weight, self.up.bias, activation="gelu_tanh")
        return self.linear(y, self.down.weight, self.down.bias, residual=x)


def _networks(name: str) -> tuple[nn.Module, nn.Module, tuple[int, ...]]:
    """torch's network, ours with the same weights, and the input's shape."""
    torch.manual_seed(0)
    if name == "digits":
        theirs: nn.Module = train.Network(train.TORCH)
        ours: nn.Module = train.Network(train.GPUKERN)
        shape: tuple[int, ...] = (64, 1, 8, 8)
    elif name == "mlp":
        theirs, ours, shape = Perceptron(_torch_linear), Perceptron(_our_linear), (128, 784)
    else:
        theirs, ours, shape = Transformer(_torch_linear), Transformer(_our_linear), (1, 256, 768)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours, shape


def _step(model: nn.Module) -> Callable[[Tensor], list[Tensor]]:
    """Runs forward and backward with the mean square as loss: the result and the gradient of every parameter."""
    parameters = list(model.parameters())

    def step(x: Tensor) -> list[Tensor]:
        with torch.enable_grad():
            y = model(x)
            return [y.detach(), *torch.autograd.grad(y.square().mean(), parameters)]

    return step


def case(spec: Spec, device: str) -> Any:
    """The case of a network."""
    from .cases import Case, served

    dtype = torch_dtype(spec.dtype)
    theirs, ours, shape = _networks(spec.op)
    exact = copy.deepcopy(theirs).double().to(device)
    theirs, ours = (model.to(device=device, dtype=dtype) for model in (theirs, ours))

    def judge(got: list[Tensor], x: Tensor) -> Verdict:
        return check.tensors(got, _step(exact)(x.double()), 2e-5)

    extra = 64.0 * 2**20
    return Case(
        spec,
        [Want(shape, dtype)],
        _step(ours),
        {"torch": _step(theirs)},
        judge,
        extra=extra,
        graphs=False,
        configuration=served,
    )
