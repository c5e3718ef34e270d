"""How Dynamo sees a call: what it traces in place of a C function.

Nothing here imports torch._dynamo: its import costs more than gpukern's own, so the functions are made known to it
when somebody else imports it.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from . import products
from .entries import functions
from .fakes import converted


def _number_beside(number: complex, tensor: Tensor, quotient: bool) -> Tensor:
    """A 0-dim tensor that promotes as the number would; a quotient of integers has its value in a floating type."""
    dtype = tensor.dtype  # torch.result_type would break the graph
    whole = not (dtype.is_floating_point or dtype.is_complex)
    if isinstance(number, bool):
        dtype = torch.bool
    elif isinstance(number, complex):
        dtype = (torch.get_default_dtype() if whole else dtype).to_complex()
    elif isinstance(number, int) and not -(2**63) <= number < 2**64:
        raise OverflowError("int too big to convert")
    elif isinstance(number, int) and number >= 2**63 and dtype == torch.bool:
        raise RuntimeError(
            "Promotion for uint16, uint32, uint64 types is not supported, attempted to promote UInt64 and Bool"
        )
    elif isinstance(number, int) and whole and quotient:
        dtype = torch.int64 if number < 2**63 else torch.get_default_dtype()
    elif isinstance(number, float) and not (dtype.is_floating_point or dtype.is_complex):
        dtype = torch.get_default_dtype()
    elif dtype == torch.bool:
        dtype = torch.int64
    elif tensor.dim() > 0 and dtype in (torch.float16, torch.bfloat16):
        dtype = torch.float32  # not rounded before it is used
    return torch.full((), converted(number, dtype), dtype=dtype, device=tensor.device)


def _castable(result: Tensor, out: Tensor) -> Tensor:
    """The result, where torch lets it be written into that tensor (Dynamo does not trace torch.can_cast)."""
    a, b = result.dtype, out.dtype
    loses = (a.is_complex and not b.is_complex) or (b == torch.bool and a != torch.bool)
    if loses or (a.is_floating_point and not (b.is_floating_point or b.is_complex)):
        types = str(result.dtype).removeprefix("torch."), str(out.dtype).removeprefix("torch.")
        raise RuntimeError("result type {} can't be cast to the desired output type {}".format(*types))
    return result


def _conjugated(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a tensor has the conjugate bit: what torch traces an op that writes into has no kernel for it."""
    return any(a.is_complex() and a.is_conj() for a in (*args, *kwargs.values()) if isinstance(a, Tensor))


def _traced(name: str) -> Callable[..., Any]:
    """What Dynamo traces in place of the C function: the same call on the dispatcher's op."""
    base = name[:-1] if name.endswith("_") else name
    functional = getattr(torch.ops.gpukern, base)
    has_out = "out" in functional.overloads()
    mutating = getattr(torch.ops.gpukern, base + "_") if hasattr(torch.ops.gpukern, base + "_") else None
    positional = sum(not a.kwarg_only for a in functional.default._schema.arguments)
    tensors = sum(str(a.type) == "Tensor" for a in functional.default._schema.arguments)

    required = {k: a.name for k, a in enumerate(functional.default._schema.arguments) if str(a.type) == "Tensor"}

    def refuse_none(args: tuple[Any, ...]) -> None:
        for k, argument in required.items():
            if k < len(args) and args[k] is None:
                raise TypeError(f"{name}(): argument '{argument}' (position {k + 1}) must be Tensor, not NoneType")

    def in_place(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        refuse_none(args)
        target = args[0] if args else kwargs["input"]
        if mutating is None or any(not isinstance(a, Tensor) for a in args[:tensors]) or _conjugated(args, kwargs):
            result = functional(*args, **kwargs)
            if result.shape != target.shape:
                shapes = list(target.shape), list(result.shape)
                raise RuntimeError("output with shape {} doesn't match the broadcast shape {}".format(*shapes))
            return target.copy_(_castable(result, target))
        mutating(*args, **kwargs)
        return target

    if name.endswith("_"):

        def traced_in_place(*args: Any, **kwargs: Any) -> Any:
            return in_place(args, kwargs)

        return traced_in_place

    def traced(*args: Any, out: Any = None, inplace: bool = False, bias_grad: bool = False, **kwargs: Any) -> Any:
        if bias_grad:
            return torch.ops.gpukern.mm_activation_backward_bias_grad(*args, **kwargs)
        refuse_none(args)
        number_first = tensors == 2 and len(args) > 1 and isinstance(args[0], (int, float, complex))
        if number_first and isinstance(args[1], Tensor):  # only the second operand may be a number
            quotient = base == "div" and kwargs.get("rounding_mode") is None
            args = (_number_beside(args[0], args[1], quotient), *args[1:])
        if len(args) > positional and isinstance(args[positional], bool):
            args, inplace = args[:positional], args[positional]
        if inplace:
            return in_place(args, kwargs)
        if out is None:
            return functional(*args, **kwargs)
        if base == "clamp" and any(isinstance(a, Tensor) for a in (*args[1:], kwargs.get("min"), kwargs.get("max"))):
            functional.Tensor_out(*args, out=out, **kwargs)
            return out
        if has_out and all(isinstance(a, Tensor) for a in args[:tensors]) and not _conjugated((*args, out), kwargs):
            functional.out(*args, out=out, **kwargs)
            return out
        result = functional(*args, **kwargs)
        return out.copy_(_castable(result, out))

    return traced


def _tell_dynamo() -> None:
    for name, function in functions.items():
        torch.compiler.substitute_in_graph(function, skip_signature_check=True)(_traced(name))
    torch.compiler.allow_in_graph(products.einsum)  # what finds a path for its operands is not for tracing


class _WhenDynamoComes(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Runs _tell_dynamo once torch._dynamo has been imported by whoever needs it."""

    target = "torch._dynamo"

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> Any:
        if fullname != self.target:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is None or spec.loader is None:
            return spec
        self.loader, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: Any) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        _tell_dynamo()


def register() -> None:
    """Makes the functions known to Dynamo, now if it is there, else when it comes."""
    if "torch._dynamo" in sys.modules:
        _tell_dynamo()
    else:
        sys.meta_path.insert(0, _WhenDynamoComes())
