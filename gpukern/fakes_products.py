"""Fakes of the matrix products, which torch's own fakes answer where they agree with its kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from . import fakes_fused
from .fakes import fake_in_place, fake_out, probe
from .fakes_fused import is_plain

# Below autograd, where matmul and linear have become these.
_PRODUCTS: dict[str, Callable[..., Tensor]] = {
    "mm": torch.mm,
    "bmm": torch.bmm,
    "mv": torch.mv,
    "addmm": torch.addmm,
    "baddbmm": torch.baddbmm,
    "addmv": torch.addmv,
}
_TAIL = ("activation", "residual", "precision", "batch_invariant")  # change neither the shape nor the dtype


def _refuse_addend(addend: Tensor, a: Tensor, b: Tensor) -> None:
    """torch's words for one that does not broadcast to the product; its fakes broadcast both to what fits."""
    if not 2 <= a.dim() <= 3 or b.dim() not in (1, a.dim()):
        return
    result = (*a.shape[:-1], *b.shape[a.dim() - 1 :])
    if not all(isinstance(n, int) for n in (*result, *addend.shape)):
        return  # torch's fakes ask symbols with care
    if b.dim() > 1:
        addend.expand(result)
    elif addend.dim() == 1 and addend.shape[0] not in (1, *result):
        shapes = addend.shape[0], "x".join(map(str, a.shape)), b.shape[0]
        raise RuntimeError("size mismatch, got input ({}), mat ({}), vec ({})".format(*shapes))


def _fake_product(name: str, theirs: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def fake(*args: Any, **kwargs: Any) -> Tensor:
        if len(args) > 2:
            _refuse_addend(*args[:3])
        factors = {key: value for key, value in kwargs.items() if key not in _TAIL}
        tail = any(kwargs.get(key) is not None for key in _TAIL[:3])
        seen = None if is_plain(args, kwargs) and not tail else probe(name, args, kwargs)
        if seen is None or seen.is_complex():
            return theirs(*args, **factors)
        # a type or a number that torch's own fake has no words for: shape and strides are those of float32
        plain = [torch.empty_strided(t.shape, t.stride(), dtype=torch.float32, device=t.device) for t in args]
        like = theirs(*plain)
        return torch.empty_strided(like.shape, like.stride(), dtype=seen.dtype, device=like.device)

    return fake


def _fake_scaled(
    input: Tensor, mat2: Tensor, scale_a: Tensor, scale_b: Tensor, bias: Tensor | None = None,
    scale_result: Tensor | None = None, out_dtype: torch.dtype | None = None, use_fast_accum: bool = False,
) -> Tensor:  # fmt: skip
    if input.dim() != 2 or mat2.dim() != 2:
        raise RuntimeError(f"mat{1 if input.dim() != 2 else 2} must be a matrix")
    if input.shape[1] != mat2.shape[0]:
        shapes = "x".join(map(str, input.shape)), "x".join(map(str, mat2.shape))
        raise RuntimeError("mat_a and mat_b shapes cannot be multiplied ({} and {})".format(*shapes))
    if (
        input.element_size() > 1
        or mat2.element_size() > 1
        or not (input.is_floating_point() and mat2.is_floating_point())
    ):
        probe("scaled_mm", (input, mat2, scale_a, scale_b), {"out_dtype": out_dtype})
    return input.new_empty(input.shape[0], mat2.shape[1], dtype=out_dtype or input.dtype)


def register() -> None:
    """Makes the fakes known to torch."""
    fakes = {name: _fake_product(name, theirs) for name, theirs in _PRODUCTS.items()}
    for name, product in fakes.items():
        torch.library.register_fake(f"gpukern::{name}", product)
        torch.library.register_fake(f"gpukern::{name}.out", fake_out(name, product))
        if hasattr(torch.ops.gpukern, name + "_"):
            torch.library.register_fake(f"gpukern::{name}_", fake_in_place(name, product))
    fakes_fused.register(fakes)
    torch.library.register_fake("gpukern::scaled_mm", _fake_scaled)
    torch.library.register_fake("gpukern::scaled_mm.out", fake_out("scaled_mm", _fake_scaled))
