"""The matrix products as calls: names, shapes, and torch's function of the same name, which is the float64 reference.

Square shapes, so that every argument has a transposed view, and one set of each kind that is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tests.oracle import ops as catalogue

Function = Callable[..., Any]
Shape = tuple[int, ...]


def values(shape: Shape, dtype: torch.dtype, positive: bool = False) -> Tensor:
    """Small numbers away from 0 and from kinks; neighbours differ."""
    t = ((torch.randperm(max(prod(shape), 1)) % 37 - 18) * 0.11 + 0.043)[: prod(shape)].reshape(shape)
    t = t.abs() if positive else t
    if dtype.is_complex:
        return t.to(dtype) * (1 + 0.5j)
    return (t if dtype.is_floating_point else (t * 3).round()).to(dtype)


@dataclass(frozen=True)
class Product:
    """A function of gpukern, the shapes of its tensors and of its result, and torch's function."""

    name: str
    shapes: tuple[Shape, ...]
    result: Shape
    torch_function: Function
    kwargs: dict[str, Any] = field(default_factory=dict)
    tail: dict[str, Any] = field(default_factory=dict)
    as_list: bool = False
    in_place: bool = False  # the first tensor is written
    residual: bool = False  # the last tensor is one

    @property
    def id(self) -> str:
        suffix = "".join(f"-{key}={value}" for key, value in (self.kwargs | self.tail).items())
        shapes = "_".join("x".join(map(str, s)) for s in self.shapes)
        return f"{self.name}-{shapes}{'-residual' * self.residual}{suffix}"

    def call(self, function: Function, *tensors: Tensor, **more: Any) -> Any:
        """gpukern's function of these tensors."""
        if self.residual:
            *tensors, more["residual"] = tensors  # type: ignore[assignment]
        args = [tensors] if self.as_list else tensors
        return function(*args, **self.kwargs, **self.tail, **more)

    def reference(self, *tensors: Tensor) -> Tensor:
        """In the tensors' own type, by torch."""
        factors = tensors[:-1] if self.residual else tensors
        known = {key: value for key, value in self.kwargs.items() if key != "batch_invariant"}
        result: Tensor = self.torch_function(*([factors] if self.as_list else factors), **known)
        result = catalogue.ACTIVATIONS[self.tail.get("activation", "none")](result)
        return result + tensors[-1] if self.residual else result


SUM = {"beta": 0.5, "alpha": -1.5}
M, V, T = (5, 5), (5,), (2, 4, 4)
INVARIANT = {"batch_invariant": True}
PRODUCTS = [
    Product("mm", ((5, 4), (4, 6)), (5, 6), torch.mm),
    Product("mm", (M, M), M, torch.mm),
    Product("mm", ((5, 0), (0, 6)), (5, 6), torch.mm),
    Product("mm", (M, M), M, torch.mm, INVARIANT),
    Product("bmm", (T, T), T, torch.bmm),
    Product("bmm", (T, T), T, torch.bmm, INVARIANT),
    Product("mv", (M, V), V, torch.mv),
    Product("matmul", (M, M), M, torch.matmul),
    Product("matmul", (T, T), T, torch.matmul),
    Product("matmul", ((2, 3, 4), (4,)), (2, 3), torch.matmul),
    Product("matmul", (V, V), (), torch.matmul),
    Product("linear", (M, M, V), M, functional.linear),
    Product("linear", (M, M), M, functional.linear),
    Product("linear", (T, (4, 4), (4,)), T, functional.linear),
    Product("addmm", (M, M, M), M, torch.addmm, SUM),
    Product("addmm", (V, M, M), M, torch.addmm, SUM),
    Product("addmm", (M, M, M), M, torch.addmm, {"beta": 0}),
    Product("addmm", (M, M, M), M, torch.addmm, INVARIANT),
    Product("addmm", (M, (5, 0), (0, 5)), M, torch.addmm, SUM),
    Product("baddbmm", (T, T, T), T, torch.baddbmm, SUM),
    Product("baddbmm", ((4, 4), T, T), T, torch.baddbmm, SUM),
    Product("addmv", (V, M, V), V, torch.addmv, SUM),
    Product("addbmm", ((4, 4), T, T), (4, 4), torch.addbmm, SUM),
    Product("addmm", (M, M, M), M, torch.addmm, {"beta": 2, "alpha": 0}),
    Product("baddbmm", (T, T, T), T, torch.baddbmm, {"beta": 0, "alpha": 0}),
    Product("addr", (M, V, V), M, torch.addr, SUM),
    Product("addr", (M, V, V), M, torch.addr, {"beta": 0.5, "alpha": 0}),
    Product("dot", (V, V), (), torch.dot),
    Product("vdot", (V, V), (), torch.vdot),
    Product("inner", (M, M), M, torch.inner),
    Product("outer", (V, V), M, torch.outer),
    Product("ger", (V, V), M, torch.outer),
    Product("multi_dot", (M, M, M), M, torch.linalg.multi_dot, as_list=True),
    Product("chain_matmul", (M, M, M), M, lambda *all: torch.linalg.multi_dot(all)),
    Product("tensordot", ((2, 3, 4), (4, 5)), (2, 3, 5), torch.tensordot, {"dims": 1}),
]
IN_PLACE = [
    replace(p, name=p.name + "_", in_place=True)
    for p in PRODUCTS
    if p.name in ("addmm", "baddbmm", "addmv", "addbmm", "addr") and p.shapes[0] == p.result
]


def with_tails(p: Product) -> list[Product]:
    """The product with a residual, with an activation, and with both."""
    shapes = (*p.shapes, p.result)
    return [
        replace(p, shapes=shapes, residual=True),
        replace(p, tail={"activation": "silu"}),
        replace(p, shapes=shapes, residual=True, tail={"activation": "gelu"}),
    ]


TAILED = [
    tailed
    for p in PRODUCTS + IN_PLACE
    if p.name.rstrip("_") in ("mm", "bmm", "matmul", "linear", "addmm", "baddbmm")
    for tailed in with_tails(p)
]
