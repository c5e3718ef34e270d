"""What torch's tracers need to know of the ops: results without data, batching rules, and how Dynamo sees a call.

The kernels need none of it; it runs while a model is traced, exported or mapped over a batch. Nothing here imports
torch._dynamo: its import costs more than gpukern's own, so the functions are made known to it when somebody else
imports it.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from functools import reduce
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from . import products
from .entries import functions
from .fakes import converted, probe, refuse_overlap, strides_of, tensors_of
from .info import load_extension

_extension = load_extension()


# --- fakes: shape, strides and dtype of a result ---------------------------------------------------------------------


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


def _promoted(tensors: Sequence[Tensor]) -> torch.dtype:
    """torch's promotion over tensors alone."""
    from torch._prims_common import ELEMENTWISE_TYPE_PROMOTION_KIND, elementwise_dtypes

    kind = ELEMENTWISE_TYPE_PROMOTION_KIND.DEFAULT
    dtype: torch.dtype = elementwise_dtypes(*tensors, type_promotion_kind=kind)[1]
    return dtype


def _on_one_device(tensors: Sequence[Tensor]) -> bool:
    """Whether torch would compute with them: numbers of a CPU may stand beside tensors of any device."""
    return len({t.device for t in tensors if t.dim() > 0 or t.device.type != "cpu"}) < 2


_FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


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
        call: Any = torch.where if numbers and name == "where" else theirs  # aten has overloads of numbers
        return reduce(call, operands) if fused else call(*args, **kwargs)  # type: ignore[no-any-return]

    return fake


def _fake_out(name: str, functional: Callable[..., Tensor]) -> Callable[..., None]:
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


def _fake_in_place(name: str, functional: Callable[..., Tensor]) -> Callable[..., None]:
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


def _fake_grad(grad: Tensor, a: Any, b: Any, c: Any, op: str, i: int, j: int, scalars: Sequence[Any]) -> Tensor:
    tensors = [t for t in (grad, a, b, c) if t is not None]
    dtype = grad.dtype
    for t in tensors[1:]:
        if t.dtype != torch.bool:
            dtype = torch.promote_types(dtype, t.dtype)
    return elementwise_result(tensors, dtype)


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


def _is_plain(args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """One floating type, and factors that it holds: what no kernel refuses by type or by number."""
    types = {t.dtype for t in tensors_of(args, kwargs)}
    if len(types) != 1 or (dtype := next(iter(types))) not in _FLOATING:
        return False
    numbers = [kwargs.get("alpha", 1), kwargs.get("beta", 1)]
    return all(isinstance(n, (int, float)) and not isinstance(n, bool) and converted(n, dtype) == n for n in numbers)


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
        seen = None if _is_plain(args, kwargs) and not tail else probe(name, args, kwargs)
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


def _fake_backward(grad: Tensor, weight: Tensor, saved: Tensor, activation: str, **how: Any) -> Tensor:
    if not _is_plain((grad, weight, saved), {}):
        probe("mm_activation_backward", (grad, weight, saved, activation), how)
    return torch.matmul(grad, weight)


def _fake_backward_bias(*args: Any, **how: Any) -> tuple[Tensor, Tensor]:
    result = _fake_backward(*args, **how)
    return result, result.new_empty(result.shape[-1:])


def _fake_row_scaled(input: Tensor, other: Tensor, *scales: Any, **end: Any) -> Tensor:
    if not _is_plain((input, other, *(s for s in scales if s is not None)), {}):
        probe("scaled_product", (input, other, *scales), end)
    return torch.matmul(input, other)


def _register_fakes(names: dict[str, dict[str, Any]]) -> None:
    for name, theirs in _PRODUCTS.items():
        product = _fake_product(name, theirs)
        torch.library.register_fake(f"gpukern::{name}", product)
        torch.library.register_fake(f"gpukern::{name}.out", _fake_out(name, product))
        if hasattr(torch.ops.gpukern, name + "_"):
            torch.library.register_fake(f"gpukern::{name}_", _fake_in_place(name, product))
    torch.library.register_fake("gpukern::mm_activation_backward", _fake_backward)
    torch.library.register_fake("gpukern::mm_activation_backward_bias_grad", _fake_backward_bias)
    torch.library.register_fake("gpukern::scaled_product", _fake_row_scaled)
    for name, entry in names.items():
        functional = _fake_elementwise(entry)
        torch.library.register_fake(f"gpukern::{name}", functional)
        torch.library.register_fake(f"gpukern::{name}.out", _fake_out(name, functional))
        if name != "where":
            torch.library.register_fake(f"gpukern::{name}_", _fake_in_place(name, functional))
    torch.library.register_fake("gpukern::elementwise_grad", _fake_grad)
    torch.library.register_fake("gpukern::scaled_mm", _fake_scaled)
    torch.library.register_fake("gpukern::scaled_mm.out", _fake_out("scaled_mm", _fake_scaled))


# --- vmap ------------------------------------------------------------------------------------------------------------


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
                physical[k] = value.to(_promoted(valued)) if settled else value
            result = op(*physical, **kwargs)
            return _add_batch_dim(result, 0, level) if batched and not in_place else result

    return rule


_library = torch.library.Library("gpukern", "IMPL")


def _register_batching(names: dict[str, dict[str, Any]]) -> None:
    def add(name: str, in_place: bool = False) -> None:
        op = getattr(torch.ops.gpukern, name).default
        _library.impl(name, _batched_elementwise(op, in_place), "FuncTorchBatched")

    for name in names:
        add(name)
        if name != "where":
            add(name + "_", in_place=True)
    add("elementwise_grad")


# --- Dynamo ----------------------------------------------------------------------------------------------------------


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
    """Called once by the package."""
    names: dict[str, dict[str, Any]] = {}
    for entry in _extension.elementwise_catalogue():
        names.setdefault(entry["name"], entry)
    _register_fakes(names)
    _register_batching(names)
    if "torch._dynamo" in sys.modules:
        _tell_dynamo()
    else:
        sys.meta_path.insert(0, _WhenDynamoComes())
