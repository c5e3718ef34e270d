"""Batching rules of the elementwise ops, for torch.vmap; the products have theirs in C++ (csrc/gemm)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .fakes import converted
from .fakes_elementwise import promoted

_BATCHED = torch._C.DispatchKeySet(torch._C.DispatchKey.FuncTorchBatched)


def _aligned(physical: Tensor, batch_dim: int, rank: int) -> Tensor:
    """Batch dimension first, then ones up to the logical rank of the widest operand: broadcasting does the rest."""
    moved = physical.movedim(batch_dim, 0)
    for _ in range(rank - (moved.dim() - 1)):
        moved = moved.unsqueeze(1)
    return moved


def _with_tensors(op: Any, args: tuple[Any, ...], batched: bool) -> tuple[Any, ...]:
    """A number that stands for a tensor reaches a Python kernel as a number again; here it is a 0-dim tensor.

    batched: the others have a dimension at least, so that it may keep its digits beside 16 bits and its value beside
    integers, and promotes as a number all the same.
    """
    tensors = [a for a in args if isinstance(a, Tensor)]
    beside = next((t for t in tensors if t.dtype != torch.bool), tensors[0])
    slots = [str(argument.type) in ("Tensor", "Optional[Tensor]") for argument in op._schema.arguments]
    return tuple(
        _as_tensor(a, torch.result_type(beside, a), batched) if slot and not isinstance(a, (Tensor, type(None))) else a
        for a, slot in zip(args, slots)
    )


def _as_tensor(number: Any, dtype: torch.dtype, batched: bool) -> Tensor:
    if isinstance(number, bool):
        return torch.tensor(number)  # which promotes alike, and is refused as one
    if batched and dtype in (torch.float16, torch.bfloat16):
        dtype = torch.float32
    elif batched and isinstance(number, int) and not (dtype.is_floating_point or dtype.is_complex):
        dtype = torch.int64
    return torch.tensor(converted(number, dtype), dtype=dtype)


def _batched_elementwise(op: Any, in_place: bool) -> Callable[..., Any]:
    def rule(*args: Any, **kwargs: Any) -> Any:
        from torch._C._functorch import _add_batch_dim, _unwrap_batched
        from torch._functorch.pyfunctorch import retrieve_current_functorch_interpreter

        level = retrieve_current_functorch_interpreter().level()
        numbers = [not isinstance(a, Tensor) for a in args]
        with torch._C._ExcludeDispatchKeyGuard(_BATCHED):
            here = any(_unwrap_batched(a, level)[1] is not None for a in args if isinstance(a, Tensor))
        if op is torch.ops.gpukern.div.default and not kwargs.get("rounding_mode"):
            beside_bool = all(t.dtype == torch.bool for t in args if isinstance(t, Tensor))
            args = tuple(
                float(a) if isinstance(a, int) and a >= 2**63 and not beside_bool else a for a in args
            )  # which torch does not promote beside bool
        args = _with_tensors(op, args, here)
        logical = [a for a in args if isinstance(a, Tensor)]
        rank = max((t.dim() for t in logical), default=0)
        # A batched 0-dim tensor is 1-dim underneath and would weigh more in promotion: mixed dtypes are settled first,
        # but not of integers whose quotient is of a floating type whatever they are.
        valued = [
            a for a, number in zip(args, numbers) if isinstance(a, Tensor) and not number and a.dtype != torch.bool
        ]
        whole = all(not (t.dtype.is_floating_point or t.dtype.is_complex) for t in valued)
        quotient = whole and op is torch.ops.gpukern.div.default and not kwargs.get("rounding_mode")
        mixed = len({t.dtype for t in valued}) > 1 and not in_place and not quotient
        with torch._C._ExcludeDispatchKeyGuard(_BATCHED):
            physical = list(args)
            batched = False
            for k, a in enumerate(args):
                if not isinstance(a, Tensor):
                    continue
                value, dim = _unwrap_batched(a, level)
                if dim is not None:
                    value = _aligned(value, dim, value.dim() - 1 if in_place and k == 0 else rank)
                    batched = True
                elif in_place and k == 0 and any(_unwrap_batched(t, level)[1] is not None for t in logical[1:]):
                    raise RuntimeError(
                        f"vmap: {op}(self, *extra_args) is not possible because there exists a Tensor `other` in "
                        "extra_args that has more elements than `self`. This happened due to `other` being vmapped "
                        "over but `self` not being vmapped over. Please try to use out-of-place operators instead."
                    )
                settled = mixed and not numbers[k] and a.dtype != torch.bool
                physical[k] = value.to(promoted(valued)) if settled else value
            result = op(*physical, **kwargs)
            return _add_batch_dim(result, 0, level) if batched and not in_place else result

    return rule


_library = torch.library.Library("gpukern", "IMPL")


def register(catalogue: dict[str, dict[str, Any]]) -> None:
    """Makes the rules known to torch: of every op of the catalogue, by name, and of the gradients' op."""

    def add(name: str, in_place: bool = False) -> None:
        op = getattr(torch.ops.gpukern, name).default
        _library.impl(name, _batched_elementwise(op, in_place), "FuncTorchBatched")

    for name, entry in catalogue.items():
        add(name)
        if entry["in_place"]:
            add(name + "_", in_place=True)
    add("elementwise_grad")
