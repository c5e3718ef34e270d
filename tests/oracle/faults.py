"""Planted faults: broken products and elementwise kernels that the gates must kill, and correct ones they must not.

Each takes what a kernel takes and gives a result with one fault.  A gate that lets one live is not a gate.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Product = Callable[[Tensor, Tensor], Tensor]
Unary = Callable[[Tensor], Tensor]


def _accumulated(a: Tensor, b: Tensor) -> Tensor:
    return a.float() @ b.float()


def correct(a: Tensor, b: Tensor) -> Tensor:
    """float32 sums, one rounding."""
    return _accumulated(a, b).to(a.dtype)


def correct_in_blocks(a: Tensor, b: Tensor) -> Tensor:
    """The same in another order of summation: k128 steps, last first."""
    total = torch.zeros(a.shape[0], b.shape[1])
    for k in reversed(range(0, a.shape[1], 128)):
        total = total + a[:, k : k + 128].float() @ b[k : k + 128].float()
    return total.to(a.dtype)


def correct_split(a: Tensor, b: Tensor) -> Tensor:
    """Split-k: four partial sums."""
    parts = [_accumulated(x, y) for x, y in zip(a.chunk(4, 1), b.chunk(4, 0))]
    none = torch.zeros(())
    return (sum(parts[::2], none) + sum(parts[1::2], none)).to(a.dtype)


def _with(change: Callable[[Tensor], None]) -> Product:
    def broken(a: Tensor, b: Tensor) -> Tensor:
        c = correct(a, b)
        change(c)
        return c

    return broken


def _set(rows: int | slice, columns: int | slice, value: float) -> Product:
    def change(c: Tensor) -> None:
        c[rows, columns] = value

    return _with(change)


def _last_k_dropped(a: Tensor, b: Tensor) -> Tensor:
    return correct(a[:, :-1], b[:-1])


def _k16_missing_in_a_tile(a: Tensor, b: Tensor) -> Tensor:
    c = _accumulated(a, b)
    c[16:32, 48:64] = a[16:32, :-16].float() @ b[:-16, 48:64].float()
    return c.to(a.dtype)


def _k64_twice_in_a_tile(a: Tensor, b: Tensor) -> Tensor:
    c = _accumulated(a, b)
    c[:64, :64] += a[:64, 64:128].float() @ b[64:128, :64].float()
    return c.to(a.dtype)


def _two_rows_swapped(c: Tensor) -> None:
    c[[8, 9]] = c[[9, 8]]


def _two_elements_swapped(c: Tensor) -> None:
    first = c[5, 6].clone()
    c[5, 6] = c[5, 7]
    c[5, 7] = first


def _half_accumulator(a: Tensor, b: Tensor) -> Tensor:
    total = torch.zeros(a.shape[0], b.shape[1], dtype=a.dtype)
    for k in range(0, a.shape[1], 16):
        total = (total.float() + a[:, k : k + 16].float() @ b[k : k + 16].float()).to(a.dtype)
    return total


def _truncating_store(a: Tensor, b: Tensor) -> Tensor:
    c = _accumulated(a, b)
    kept = 16 if a.dtype == torch.bfloat16 else 13
    return (c.view(torch.int32) >> kept << kept).view(torch.float32).to(a.dtype)


def _alpha(a: Tensor, b: Tensor) -> Tensor:
    return (_accumulated(a, b) * 1.001).to(a.dtype)


PRODUCT_FAULTS: dict[str, Product] = {
    "one element unwritten": _set(17, 33, 0.0),
    "one NaN": _set(17, 33, float("nan")),
    "last row": _set(-1, slice(None), 0.0),
    "last column": _set(slice(None), -1, 0.0),
    "last k dropped": _last_k_dropped,
    "last k16 missing in one tile": _k16_missing_in_a_tile,
    "one k64 twice in one tile": _k64_twice_in_a_tile,
    "two rows swapped": _with(_two_rows_swapped),
    "two elements swapped": _with(_two_elements_swapped),
    "accumulator in the half type": _half_accumulator,
    "truncating store": _truncating_store,
    "alpha times 1.001": _alpha,
}
CORRECT_PRODUCTS: dict[str, Product] = {
    "one sum": correct,
    "k128 steps backwards": correct_in_blocks,
    "split k": correct_split,
}


# --- elementwise: a copy of gelu, silu, abs or max with one fault each -----------------------------------------------


def _rounded(x: Tensor, wide: Tensor) -> Tensor:
    return wide.to(x.dtype)


def _no_tail(function: Unary) -> Unary:
    """The vector body only: the last length % 8 elements stay as they were."""

    def broken(x: Tensor) -> Tensor:
        out = torch.full_like(x, float("nan"))
        n = x.numel() // 8 * 8
        out.view(-1)[:n] = function(x.reshape(-1)[:n])
        return out

    return broken


def _off_by_one(function: Unary) -> Unary:
    def broken(x: Tensor) -> Tensor:
        out = function(x).reshape(-1).clone()
        out[1:-1] = out[:-2].clone()
        return out.view(x.shape)

    return broken


def _silu(x: Tensor) -> Tensor:
    w = x.double()
    return _rounded(x, w / (1 + torch.exp(-w)))


def _wrong_nan_branch(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, torch.zeros_like(x))


def _dropped_minus_zero(x: Tensor) -> Tensor:
    return torch.where(x == 0, torch.zeros_like(x), x)


def _flushed(x: Tensor) -> Tensor:
    return torch.where(x.abs() < torch.finfo(x.dtype).smallest_normal, torch.zeros_like(x), x)


UNARY_FAULTS: dict[str, tuple[Unary, Unary]] = {  # (broken, right) of the same function
    "no tail": (_no_tail(_silu), _silu),
    "index off by one": (_off_by_one(_silu), _silu),
    "relu loses NaN": (_wrong_nan_branch, torch.relu),
    "-0 dropped": (_dropped_minus_zero, lambda x: x.clone()),
    "subnormals flushed": (_flushed, lambda x: x.clone()),
    "1 + erf": (
        lambda x: (0.5 * x.float() * (1 + torch.erf(x.float() * 0.5**0.5))).to(x.dtype),
        lambda x: _rounded(x, 0.5 * x.double() * torch.special.erfc(-x.double() * 0.5**0.5)),
    ),
    "x / (1 + exp(-x)) overflows": (lambda x: (x.float() / (1 + torch.exp(-x.float()))).to(x.dtype), _silu),
    "arithmetic in the half type": (lambda x: x * torch.sigmoid(x), _silu),
    "truncating store": (
        lambda x: (_silu(x.float()).view(torch.int32) >> 16 << 16).view(torch.float32).to(x.dtype),
        _silu,
    ),
}
