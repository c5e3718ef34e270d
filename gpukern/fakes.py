"""Calls on tensors without data, where torch's own fakes do not tell the result: strides, refusals, numbers.

Also the fakes of the forms that write, `out=` and in place, made of the fake of the functional form.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .entries import functions
from .info import load_extension

_extension = load_extension()


def tensors_of(args: Sequence[Any], kwargs: dict[str, Any]) -> list[Tensor]:
    return [a for a in (*args, *kwargs.values()) if isinstance(a, Tensor)]


def strides_of(tensors: Sequence[Tensor], shape: torch.Size, numbers: bool) -> Sequence[int]:
    """TensorIterator's strides of the result: those of the operands if they are alike and dense, else dimensions are
    sorted by the operands' strides.

    numbers: whether a number, which TensorIterator sees as a 0-dim tensor, is among the operands.
    """
    from torch._prims_common import is_non_overlapping_and_dense_or_false, make_contiguous_strides_for

    ndim = len(shape)
    if all(t.shape == shape for t in tensors) and not (numbers and ndim):
        if all(t.is_contiguous() for t in tensors):
            return make_contiguous_strides_for(shape)
        formats = {4: torch.channels_last}
        if ndim in formats and all(t.is_contiguous(memory_format=formats[ndim]) for t in tensors):
            return torch.empty(shape, device="meta", memory_format=formats[ndim]).stride()
        if all(is_non_overlapping_and_dense_or_false(t) and t.stride() == tensors[0].stride() for t in tensors):
            return tensors[0].stride()
    walked = [
        [0] * (ndim - t.dim())
        + [0 if n == 1 and m != 1 else s for n, m, s in zip(t.shape, shape[ndim - t.dim() :], t.stride())]
        for t in tensors
    ]

    def order(a: int, b: int) -> int:
        for strides in walked:
            if strides[a] == 0 or strides[b] == 0:
                continue
            if strides[a] != strides[b]:
                return -1 if strides[a] < strides[b] else 1
            if shape[a] > shape[b]:
                return 1
        return 0

    dims = list(reversed(range(ndim)))
    for i in range(1, ndim):
        moved = i
        for k in range(i - 1, -1, -1):
            found = order(dims[k], dims[moved])
            if found > 0:
                dims[k], dims[moved] = dims[moved], dims[k]
                moved = k
            elif found < 0:
                break
    if dims == list(reversed(range(ndim))):
        return make_contiguous_strides_for(shape)
    strides, step = [0] * ndim, 1
    for d in dims:
        strides[d] = step
        step *= shape[d]
    return strides


def probe(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Calls the function on small CPU tensors in place of those without data: returns their result, or raises.

    torch's kernels refuse types and numbers, and fake tensors do not reach them. None if some tensor is not dense or
    not on a CPU, because other kernels would serve the call.
    """
    tensors = [t for t in tensors_of(args, kwargs) if t.dim() > 0] or tensors_of(args, kwargs)
    if not all(t.layout == torch.strided and t.device.type in ("cpu", "meta") for t in tensors):
        return None
    if any(isinstance(n, (torch.SymInt, torch.SymFloat)) for n in (*args, *kwargs.values())):
        return None

    small = iter(_extension.stand_ins(tuple(tensors_of(args, kwargs))))

    def one(a: Any) -> Any:
        return next(small) if isinstance(a, Tensor) else a

    from torch.utils._python_dispatch import _disable_current_modes

    function = functions.get(name) or getattr(torch.ops.gpukern, name)
    with _disable_current_modes(), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the actual call warns
        return function(*[one(a) for a in args], **{key: one(value) for key, value in kwargs.items()})


def refuse_overlap(written: Tensor) -> None:
    """Raises torch's error for a tensor that is written to and has one memory location for several elements."""
    sizes = written.shape
    if all(isinstance(n, int) for n in sizes) and 0 not in sizes and any(
        n > 1 and s == 0 for n, s in zip(sizes, written.stride())
    ):  # fmt: skip
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
            "Please clone() the tensor before performing the operation."
        )


def converted(number: Any, dtype: torch.dtype) -> Any:
    """The value of the number after conversion to dtype: integers wrap, floating types become infinite."""
    if isinstance(number, (bool, complex)) or dtype == torch.bool:
        return number
    if dtype.is_floating_point:
        most = torch.finfo(dtype).max
        return number if -most <= number <= most or number != number else math.copysign(math.inf, number)
    if dtype.is_complex:
        return number
    info = torch.iinfo(dtype)
    return number if info.min <= number <= info.max else (number - info.min) % (info.max - info.min + 1) + info.min


def fake_out(name: str, functional: Callable[..., Tensor]) -> Callable[..., None]:
    def fake(*args: Any, out: Tensor, **kwargs: Any) -> None:
        try:
            result = functional(*args, **kwargs)
        except Exception:
            probe(name, args, {**kwargs, "out": out})  # which may refuse the type of `out` first
            raise
        if result.device != out.device:
            raise RuntimeError(
                f"Attempting to copy from device {result.device} to device {out.device}, "
                "but cross-device copies are not allowed!"
            )
        if result.dtype != out.dtype:
            probe(name, args, {**kwargs, "out": out})
        if out.shape == result.shape:
            refuse_overlap(out)
        else:
            out.resize_(result.shape).as_strided_(result.shape, result.stride())

    return fake


def fake_in_place(name: str, functional: Callable[..., Tensor]) -> Callable[..., None]:
    def fake(target: Tensor, *args: Any, **kwargs: Any) -> None:
        try:
            result = functional(target, *args, **kwargs)
        except Exception:
            probe(name + "_", (target, *args), kwargs)
            raise
        if target.shape != result.shape:
            shapes = list(target.shape), list(result.shape)
            raise RuntimeError("output with shape {} doesn't match the broadcast shape {}".format(*shapes))
        if result.dtype != target.dtype:
            probe(name + "_", (target, *args), kwargs)
        refuse_overlap(target)

    return fake
