"""Results without data of the ops that torch has none for: products with an end of their own, and training's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .fakes import converted, probe, tensors_of

_FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def is_plain(args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """One floating type, and factors that it holds: what no kernel refuses by type or by number."""
    types = {t.dtype for t in tensors_of(args, kwargs)}
    if len(types) != 1 or (dtype := next(iter(types))) not in _FLOATING:
        return False
    numbers = [kwargs.get("alpha", 1), kwargs.get("beta", 1)]
    return all(isinstance(n, (int, float)) and not isinstance(n, bool) and converted(n, dtype) == n for n in numbers)


def _backward(grad: Tensor, weight: Tensor, saved: Tensor, activation: str, **how: Any) -> Tensor:
    if not is_plain((grad, weight, saved), {}):
        probe("mm_activation_backward", (grad, weight, saved, activation), how)
    return torch.matmul(grad, weight)


def _backward_bias(*args: Any, **how: Any) -> tuple[Tensor, Tensor]:
    result = _backward(*args, **how)
    return result, result.new_empty(result.shape[-1:])


def _row_scaled(input: Tensor, other: Tensor, *scales: Any, **end: Any) -> Tensor:
    if not is_plain((input, other, *(s for s in scales if s is not None)), {}):
        probe("scaled_product", (input, other, *scales), end)
    return torch.matmul(input, other)


def _with_aux(products: dict[str, Callable[..., Tensor]]) -> Callable[..., tuple[Tensor, Tensor]]:
    def fake(
        addend: Tensor | None, a: Tensor, b: Tensor, *, beta: Any = 1, alpha: Any = 1, **tail: Any
    ) -> tuple[Tensor, Tensor]:
        name = "bmm" if a.dim() == 3 else "mm"
        if addend is None:
            result = products[name](a, b, **tail)
        else:
            sum_of = "baddbmm" if name == "bmm" else "addmm"
            result = products[sum_of](addend, a, b, beta=beta, alpha=alpha, **tail)
        return result, torch.empty_like(result)

    return fake


def _activation_backward(grad: Tensor, saved: Tensor, activation: str) -> tuple[Tensor, Tensor]:
    result = torch.mul(grad, saved)  # whose result lies as that of any elementwise op
    return result, result.new_empty(result.shape[-1:])


def register(products: dict[str, Callable[..., Tensor]]) -> None:
    """products: the fakes of the products themselves, by name."""
    torch.library.register_fake("gpukern::mm_activation_backward", _backward)
    torch.library.register_fake("gpukern::mm_activation_backward_bias_grad", _backward_bias)
    torch.library.register_fake("gpukern::scaled_product", _row_scaled)
    torch.library.register_fake("gpukern::product_with_aux", _with_aux(products))
    torch.library.register_fake("gpukern::activation_backward_bias_grad", _activation_backward)
