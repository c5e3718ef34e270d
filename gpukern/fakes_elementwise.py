"""Fakes of the elementwise ops: shape, strides and dtype of a result, of tensors without data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from .fakes import converted, fake_in_place, fake_out, probe, strides_of, tensors_of
from .info import load_extension

_extension = load_extension()
_WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def elementwise_result(tensors: Sequence[Tensor], dtype: torch.dtype, numbers: bool = False) -> Tensor:
    """An empty tensor shaped and strided as TensorIterator would make the result of these operands."""
    from torch._prims_common import compute_elementwise_output_strides

    expanded = torch.broadcast_tensors(*tensors)
    shape = expanded[0].shape
    device = next((t.device for t in tensors if t.device.type != "cpu"), tensors[0].device)
    if any(isinstance(n, torch.SymInt) for t in tensors for n in (*t.shape, *t.stride())):
        strides: Sequence[int] = compute_elementwise_output_strides(*expanded)  # which asks symbols with care
    else:
        strides = strides_of(tensors, shape, numbers)
    return torch.empty_strided(shape, strides, dtype=dtype, device=device)


def promoted(tensors: Sequence[Tensor]) -> torch.dtype:
    """torch's promotion over tensors alone."""
    from torch._prims_common import ELEMENTWISE_TYPE_PROMOTION_KIND, elementwise_dtypes

    kind = ELEMENTWISE_TYPE_PROMOTION_KIND.DEFAULT
    dtype: torch.dtype = elementwise_dtypes(*tensors, type_promotion_kind=kind)[1]
    return dtype


def _on_one_device(tensors: Sequence[Tensor]) -> bool:
    """Whether torch would compute with them: numbers of a CPU may stand beside tensors of any device."""
    return len({t.device for t in tensors if t.dim() > 0 or t.device.type != "cpu"}) < 2


def _fake_elementwise(entry: dict[str, Any]) -> Callable[..., Tensor]:
    """The dtype is that of the kernel's own rule, strides are TensorIterator's; torch's op says what it serves."""
    name, _, overload = (entry["aten"] or "add.Tensor").partition(".")
    theirs = getattr(torch.ops.aten, name)
    theirs = getattr(theirs, overload) if overload else theirs
    fused = not entry["aten"]  # its operands broadcast and promote as those of a sum
    parameters = getattr(torch.ops.gpukern, entry["name"]).default._schema.arguments
    tensors_at = [k for k, a in enumerate(parameters) if str(a.type) == "Tensor"]
    numbers_at = [k for k, a in enumerate(parameters) if "number" in str(a.type)]
    choice_at = [k for k, a in enumerate(parameters) if "str" in str(a.type)]

    def fake(*args: Any, **kwargs: Any) -> Tensor:
        given = [args[k] if k < len(args) else kwargs.get(a.name, a.default_value) for k, a in enumerate(parameters)]
        choice = next((given[k] for k in choice_at), None) or ""
        operands = tuple(given[k] for k in tensors_at)
        dtype = _extension.elementwise_dtype(entry["name"], choice, operands, tuple(given[k] for k in numbers_at))
        tensors = tensors_of(operands, {})
        numbers = len(tensors) < len(operands)
        if choice and dtype in _WHOLE and any(isinstance(n, int) and converted(n, dtype) == 0 for n in operands[1:]):
            probe(entry["name"], args, kwargs)  # a divisor of 0 once it is converted
        if dtype is None or len(numbers_at) == 2:  # two numbers may refuse each other
            seen = probe(entry["name"], args, kwargs)
            dtype = dtype or (None if seen is None or seen.is_complex() else seen.dtype)
        if dtype is not None and _on_one_device(tensors):
            try:
                return elementwise_result(tensors, dtype, numbers)
            except RuntimeError:
                pass  # shapes: torch's op has the words
        call: Any = getattr(torch, name, theirs) if numbers else theirs  # torch's function has all overloads of aten
        return reduce(call, operands) if fused else call(*args, **kwargs)  # type: ignore[no-any-return]

    return fake


def _fake_grad(grad: Tensor, a: Any, b: Any, c: Any, op: str, i: int, j: int, scalars: Sequence[Any]) -> Tensor:
    tensors = [t for t in (grad, a, b, c) if t is not None]
    dtype = grad.dtype
    for t in tensors[1:]:
        if t.dtype != torch.bool:
            dtype = torch.promote_types(dtype, t.dtype)
    return elementwise_result(tensors, dtype)


def register(catalogue: dict[str, dict[str, Any]]) -> None:
    """Makes the fakes known to torch: of every op of the catalogue, by name, and of the gradients' op."""
    for name, entry in catalogue.items():
        functional = _fake_elementwise(entry)
        torch.library.register_fake(f"gpukern::{name}", functional)
        torch.library.register_fake(f"gpukern::{name}.out", fake_out(name, functional))
        if entry["in_place"]:
            torch.library.register_fake(f"gpukern::{name}_", fake_in_place(name, functional))
    torch.library.register_fake("gpukern::elementwise_grad", _fake_grad)
