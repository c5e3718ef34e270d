"""Which kernel serves a call, and why: `explain`, `available`, `force`, and counts of what was served.

Selection is a pure function of the problem and the device, so it works for tensors on `meta` and for devices that are
not present; nothing is computed or launched.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cache
from types import TracebackType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._pytree import tree_leaves, tree_map

from . import _C, ops
from .contexts import FunctionContext
from .entries import functions
from .explanation import (
    NO_LAYOUT,
    Explanation,
    Recorder,
    cycles,
    layout,
    measured_notes,
    measurement,
    on_meta,
    pass_notes,
    range_notes,
    sum_notes,
)
from .scaled import explain_scaled

PRECISIONS = ("strict", "tf32", "bf16x3", "bf16x6", "bf16x9")  # of float32, in the order of problem.h

__all__ = ["Configuration", "Explanation", "Row", "available", "explain", "force", "reset_served", "served"]


# ---- matrix products -------------------------------------------------------------------------------------------------


@dataclass
class _Product:
    """One product as in gemm/problem.h: D = activation(alpha A B + beta C) * derivative'(S) + residual, for a batch."""

    a: Tensor  # (batch, m, k)
    b: Tensor  # (batch, k, n)
    c: Tensor | None = None  # broadcast to (batch, m, n)
    alpha: complex = 1.0
    beta: complex = 0.0
    activation: str = "none"
    residual: Tensor | None = None
    derivative: str = "none"  # an activation; the result is multiplied by its derivative at `saved`
    saved: Tensor | None = None
    row_scale: Tensor | None = None
    column_scale: Tensor | None = None
    summed: bool = False  # whether the sums of D's columns are returned too


def _cubed(t: Tensor) -> Tensor:
    return t.unsqueeze(0) if t.dim() == 2 else t


def _matmul(a: Tensor, b: Tensor) -> _Product:
    """torch.matmul's folding: vectors become matrices, a batch times one matrix becomes one product."""
    if a.dim() == 1:
        a = a.unsqueeze(0)
    if b.dim() == 1:
        b = b.unsqueeze(1)
    if a.dim() > 2 and b.dim() == 2:
        a = a.reshape(math.prod(a.shape[:-1]), a.shape[-1])
    batch = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    count = math.prod(batch)  # explicit: reshape cannot deduce an extent beside one of 0
    a, b = (t.expand(*batch, *t.shape[-2:]).reshape(count, *t.shape[-2:]) for t in (a, b))
    return _Product(a, b)


def _sum(c: Tensor, a: Tensor, b: Tensor, beta: complex = 1, alpha: complex = 1) -> _Product:
    product = _matmul(a, b)
    shape = (product.a.shape[0], product.a.shape[1], product.b.shape[2])
    if b.dim() == 1:
        c = c.unsqueeze(-1)  # a vector as a column
    return _Product(product.a, product.b, _cubed(c.expand(shape[-c.dim() :])).expand(shape), alpha, beta)


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> _Product:
    product = _matmul(input, weight.t() if weight.dim() == 2 else weight)
    if bias is None:
        return product
    shape = (1, product.a.shape[1], product.b.shape[2])
    return _Product(product.a, product.b, bias.expand(shape), 1.0, 1.0)


def _backward(grad: Tensor, weight: Tensor, saved: Tensor, activation: str, bias_grad: bool = False) -> _Product:
    product = _matmul(grad, weight)
    shape = (1, product.a.shape[1], product.b.shape[2])
    return _Product(product.a, product.b, derivative=activation, saved=saved.reshape(shape), summed=bias_grad)


def _scaled(
    a: Tensor,
    b: Tensor,
    row_scale: Tensor | None = None,
    column_scale: Tensor | None = None,
    bias: Tensor | None = None,
) -> _Product:
    product = _matmul(a, b)
    shape = (product.a.shape[0], product.a.shape[1], product.b.shape[2])
    if bias is not None:
        product.c, product.beta = _cubed(bias.expand(shape[-max(bias.dim(), 2) :])).expand(shape), 1.0
    product.row_scale = None if row_scale is None else row_scale.reshape(*shape[:2], 1).expand(shape)
    product.column_scale = None if column_scale is None else column_scale.reshape(shape[0], 1, shape[2]).expand(shape)
    return product


_PRODUCTS: dict[str, tuple[Callable[..., _Product], Callable[..., Tensor], tuple[str, ...]]] = {
    "matmul": (_matmul, torch.matmul, ("input", "other")),
    "mm": (_matmul, torch.mm, ("input", "mat2")),
    "bmm": (_matmul, torch.bmm, ("input", "mat2")),
    "mv": (_matmul, torch.mv, ("input", "vec")),
    "addmm": (_sum, torch.addmm, ("input", "mat1", "mat2")),
    "baddbmm": (_sum, torch.baddbmm, ("input", "batch1", "batch2")),
    "addmv": (_sum, torch.addmv, ("input", "mat", "vec")),
    "linear": (_linear, functional.linear, ("input", "weight", "bias")),
    "scaled_product": (
        _scaled,
        functions["scaled_product"],
        ("input", "other", "row_scale", "column_scale", "bias"),
    ),
    "mm_activation_backward": (
        _backward,
        functions["mm_activation_backward"],
        ("grad", "weight", "saved", "activation"),
    ),
}


_EXTRAS = ("activation", "residual", "precision", "batch_invariant", "out")


def _explain_product(op: str, args: tuple[Any, ...], kwargs: dict[str, Any], device: str) -> Explanation:
    build, check, names = _PRODUCTS[op]
    extras: dict[str, Any] = {key: kwargs.pop(key) for key in _EXTRAS if key in kwargs}
    checked = check(*map(on_meta, args), **{key: on_meta(value) for key, value in kwargs.items()})  # torch's errors
    given = dict(zip(names, args)) | kwargs
    tensors = [given.pop(name) for name in names if name in given]
    product = build(*tensors, **given)
    dtype = str(product.a.dtype).removeprefix("torch.")
    shape = (product.a.shape[0], product.a.shape[1], product.b.shape[2])
    extents = (*shape, product.a.shape[2])
    if product.a.layout != torch.strided:
        return Explanation(
            op,
            f"{dtype} {tuple(shape)}",
            device,
            None,
            notes=(f"gpukern multiplies strided tensors only; torch serves the layout {product.a.layout}",),
        )
    result = torch.empty(shape, dtype=product.a.dtype, device="meta")
    precision = _precision(op, extras.get("precision"), product.a.dtype)
    residual = extras.get("residual")
    kept = _kept(extras, args, kwargs)
    layouts = [
        layout(product.a),
        layout(product.b),
        layout(product.c),
        layout(result),
        NO_LAYOUT if residual is None else layout(on_meta(residual).expand(checked.shape).reshape(shape)),
        *map(layout, (product.saved, product.row_scale, product.column_scale)),
    ]
    found = _C.gemm_explain(
        dtype, extents, layouts, product.alpha.real, product.beta.real, product.c is not None and product.beta != 0,
        extras.get("activation") or "none", residual is not None, device, precision=precision,
        batch_invariant=bool(extras.get("batch_invariant")), conjugated=(product.a.is_conj(), product.b.is_conj()),
        derivative=product.derivative, scaled=(product.row_scale is not None, product.column_scale is not None),
        summed=product.summed, aux=kept == "argument",
    )  # fmt: skip
    notes = pass_notes(found) + range_notes(found) + sum_notes(found, product.summed) + measured_notes(found)
    return Explanation(
        op, found["problem"], found["device"], found["configuration"] or None, tuple(map(tuple, found["refusals"])),
        found["would_run"] or None, notes + _kept_notes(kept, found) + _how_notes(found, extras), found["splits"],
        cycles(found), measurement(found),
    )  # fmt: skip


def _precision(op: str, asked: str | None, dtype: torch.dtype) -> str:
    """The precision of a product: the call's `precision=`, else the one of torch's switches."""
    if asked is None:
        allowed = dtype == torch.float32 and torch.backends.cuda.matmul.allow_tf32
        return "tf32" if allowed else "strict"
    if asked not in PRECISIONS:
        raise ValueError(f"gpukern: unknown precision {asked!r}; choose one of {', '.join(PRECISIONS)}")
    if dtype != torch.float32:
        raise TypeError(f"gpukern.{op}(): precision= applies to float32 products only, got {dtype}.")
    return asked


def _how_notes(found: dict[str, Any], extras: dict[str, Any]) -> tuple[str, ...]:
    """Notes where the configuration may surprise a caller of `precision=` or `batch_invariant=`."""
    notes = []
    runs, precision = found["configuration"] or found["would_run"], extras.get("precision")
    if runs and precision not in (None, "strict") and "strict" in named(runs).precisions:
        notes.append(f"computed in strict float32 here, which is more exact than {precision}")
    if extras.get("batch_invariant") and found["on_cpu"]:
        notes.append("batch_invariant=True: each element is summed in the order of k, which is slower than the BLAS")
    return tuple(notes)


def _kept(extras: dict[str, Any], args: tuple[Any, ...], named: dict[str, Any]) -> str:
    """What the gradient of the activation reads: its "result", its "argument", or "" where there is no gradient."""
    activation = extras.get("activation") or "none"
    tensors = [value for value in (*args, *named.values()) if isinstance(value, Tensor)]
    if activation == "none" or not torch.is_grad_enabled() or not any(t.requires_grad for t in tensors):
        return ""
    if extras.get("residual") is not None:
        return "argument"
    entry = next((e for e in _C.elementwise_catalogue() if e["name"] == activation), None)  # none: a choice of gelu's
    return "result" if entry and entry["saves_result"] else "argument"


def _kept_notes(kept: str, found: dict[str, Any]) -> tuple[str, ...]:
    if not kept or not (found["configuration"] or found["would_run"]):
        return ()
    if kept == "result":
        return ("the gradient reads the result: nothing else is stored for it",)
    if found["on_cpu"]:
        return ("the activation is an elementwise op, so that the pre-activation stays for the gradient",)
    where = "in a separate epilogue kernel" if found["apart"] else "by the product's own kernel"
    return (f"the pre-activation is stored {where}, for the gradient",)


# ---- functions made of products --------------------------------------------------------------------------------------

_COMPOSED = ("addbmm", "addr", "bilinear", "chain_matmul", "dot", "einsum", "ger", "inner", "multi_dot", "outer",
             "tensordot", "vdot")  # fmt: skip


def _multiplications(call: tuple[str, tuple[Any, ...], dict[str, Any]]) -> int:
    _, args, kwargs = call
    product = _PRODUCTS[call[0]][0](*args, **kwargs)
    return product.a.numel() * product.b.shape[-1]


def _explain_composed(op: str, args: tuple[Any, ...], kwargs: dict[str, Any], device: str) -> Explanation:
    """Explains the largest of the products that a call is made of; the others are notes."""
    with Recorder() as recorder:
        result = getattr(ops, op)(*tree_map(on_meta, args), **tree_map(on_meta, kwargs))
    products = [call for call in recorder.calls if call[0] in _PRODUCTS]
    if products:
        largest = max(products, key=_multiplications)
        found = _explain_product(largest[0], largest[1], dict(largest[2]), device)
        others = [_explain_product(call[0], call[1], dict(call[2]), device) for call in products if call is not largest]
        notes = tuple(f"and {other.problem}: {other.configuration or other.would_run or 'torch'}" for other in others)
        return replace(found, op=op, notes=found.notes + notes)
    if recorder.calls:
        name, operands, options = recorder.calls[-1]
        return replace(_explain_elementwise(name, operands, options, device), op=op)
    problem = f"{tuple(result.shape)}, {str(result.dtype).removeprefix('torch.')}"
    return Explanation(op, problem, device, None, notes=("torch's own op serves this call",))


# ---- elementwise ops -------------------------------------------------------------------------------------------------


def _elementwise_names() -> set[str]:
    return {entry["name"] for entry in _C.elementwise_catalogue()} & set(ops.__all__) | {"bias_act"}


def _explain_elementwise(op: str, args: tuple[Any, ...], kwargs: dict[str, Any], device: str) -> Explanation:
    result = getattr(ops, op)(*map(on_meta, args), **{key: on_meta(value) for key, value in kwargs.items()})
    tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
    problem = f"{tuple(result.shape)}, {str(result.dtype).removeprefix('torch.')}"
    kind = _access(result, tensors)
    if device == "cpu":
        capability = _C.cpu_capability()
        types = {str(t.dtype).removeprefix("torch.") for t in (*tensors, result)}
        converted = sorted(types - {"float32", "float64", "int64"})
        how = "dense memory is read and written directly" if kind == "dense" else "rows are copied into blocks first"
        notes = (how,)
        if converted:
            notes = (f"{', '.join(converted)} is converted in blocks of 512 elements",)
        return Explanation(op, f"{problem}, {kind} access", f"cpu, {capability}", f"host/{capability}", notes=notes)
    _C.describe_device(device)
    built = any(targets for folder, targets in _targets().items() if folder.startswith("elementwise"))
    name = "elementwise/gpu"
    return Explanation(op, f"{problem}, {kind} access", device, name if built else None, would_run=name)


def _access(result: Tensor, tensors: list[Tensor]) -> str:
    """The access pattern: dense (all operands alike), broadcast (a stride of 0), or strided."""
    if result.numel() and all(t.shape == result.shape and t.stride() == result.stride() for t in tensors):
        return "dense"
    small = [t for t in tensors if t.numel() < result.numel()]
    rest = [t for t in tensors if t.numel() == result.numel()]
    if small and all(t.stride() == result.stride() for t in rest):
        return "broadcast"
    return "strided"


def _targets() -> dict[str, list[str]]:
    from .info import built

    targets: dict[str, list[str]] = built().get("targets", {})
    return targets


# ---- what people call ------------------------------------------------------------------------------------------------


def _name(op: str | Callable[..., Any]) -> str:
    name = op if isinstance(op, str) else getattr(op, "__name__", repr(op))
    return name.removeprefix("gpukern.")


def _device(tensors: list[Tensor], asked: str | torch.device | None) -> str:
    if asked is not None:
        text = str(asked)
        return f"cuda:{torch.cuda.current_device()}" if text == "cuda" else text
    kinds = [t.device for t in tensors if t.device.type != "meta"]
    place = next((d for d in kinds if d.type != "cpu"), kinds[0] if kinds else torch.device(default_device()))
    if place.type == "cuda":
        return f"cuda:{torch.cuda.current_device() if place.index is None else place.index}"
    return place.type


def default_device() -> str:
    """ "cuda" where torch sees a GPU and gpukern was built for GPUs, else "cpu"."""
    return "cuda" if any(_targets().values()) and torch.cuda.is_available() else "cpu"


def explain(op: str | Callable[..., Any], *args: Any, device: str | None = None, **kwargs: Any) -> Explanation:
    """Prints and returns which kernel would serve a call, and why each kernel preferred to it would not.

    op: the name of a gpukern function ("matmul", "silu") or the function; then its arguments.  Tensors may be on
    `meta`.  device: "cpu", "cuda", "cuda:1", or a target that need not be there ("sm_90a", "gfx942"); None is the
    tensors' device.  Nothing is computed.  ValueError for an unknown op or device; wrong shapes raise torch's errors.

    >>> a = torch.empty(512, 512, device="meta")
    >>> gpukern.explain("matmul", a, a, device="sm_90a").configuration
    """
    explanation = explain_quietly(op, *args, device=device, **kwargs)
    print(explanation)
    return explanation


def explain_quietly(op: str | Callable[..., Any], *args: Any, device: str | None = None, **kwargs: Any) -> Explanation:
    """`explain` without printing."""
    name = _name(op)
    tensors = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
    where = _device(tensors, device)
    if name in _PRODUCTS:
        return _explain_product(name, args, dict(kwargs), where)
    if name == "scaled_mm":
        return explain_scaled(args, dict(kwargs), where)
    if name in _COMPOSED:
        return _explain_composed(name, args, dict(kwargs), where)
    if name in _elementwise_names():
        return _explain_elementwise(name, args, kwargs, where)
    known = ", ".join([*_PRODUCTS, "scaled_mm", *_COMPOSED, *sorted(_elementwise_names())])
    raise ValueError(f"there is no op {name!r} to explain; known are {known}")


@dataclass(frozen=True)
class Configuration:
    """One configuration: a compiled matrix product kernel.

    name: what `force` takes.  types: its element types.  targets: the architectures it was built for (sm_80, gfx942),
    empty if it was not built.  tile: the (m, n, k) that a thread block computes at a time; threads and shared_bytes:
    per thread block.  lanes: of the warps that its code is for, 0 if it serves any.  precisions: how it multiplies
    float32 ("strict", "tf32", "bf16x3" ..), empty if it has no float32.  tensor_cores: whether they multiply, and so
    may cut what they add.  multiplier: a name for what multiplies ("mma", "wgmma", "multiply-add"); configurations of
    one folder that share it add the products of an element in one order.  clock: of the device that its modelled
    cycles are made for, in hertz; 0 if they only rank configurations.  vectors: the most rows or columns of a result,
    whichever are fewer; 0 if it serves any number.  tma: whether TMA brings its operands, and others are copied first.
    overlaps: whether it may start before the kernel ahead of it has ended.  part_rows: rows of a part of a column's sum
    that a warp of its kernel makes; 0 if a separate epilogue kernel makes the parts.
    """

    name: str
    types: tuple[str, ...]
    targets: tuple[str, ...]
    tile: tuple[int, int, int]
    threads: int
    shared_bytes: int
    lanes: int = 0
    precisions: tuple[str, ...] = ()
    tensor_cores: bool = False
    multiplier: str = ""
    clock: float = 0.0
    vectors: int = 0
    tma: bool = False
    overlaps: bool = False
    part_rows: int = 0

    @property
    def folder(self) -> str:
        """The kernel folder: what stands before the "/" of its name."""
        return self.name.partition("/")[0]

    @property
    def on_cpu(self) -> bool:
        """Whether it is the CPU's."""
        return self.targets == ("cpu",)

    @property
    def adds_terms(self) -> bool:
        """Whether it multiplies float32 as bfloat16 terms."""
        return any(precision.startswith("bf16x") for precision in self.precisions)

    def __str__(self) -> str:
        where = " ".join(self.targets) or "not built"
        if self.on_cpu:
            return f"{self.name}: {', '.join(self.types)}; {where}"
        tile = "x".join(map(str, self.tile))
        return f"{self.name}: tile {tile}, {self.threads} threads, {', '.join(self.types)}; {where}"


Row = Configuration
"""The name of `Configuration` until 0.2."""


def available(*, built: bool = True) -> list[Configuration]:
    """The configurations of this build, most preferred first; built=False adds those that a full build would have."""
    table = [Configuration(**_attributes(facts)) for facts in _C.gemm_configurations()]
    return [c for c in table if c.targets or not built]


def _attributes(facts: dict[str, Any]) -> dict[str, Any]:
    facts = {**facts, "targets": facts["targets"].split()}
    asked = {f.name: facts[f.name] for f in fields(Configuration)}
    return {name: tuple(fact) if isinstance(fact, list) else fact for name, fact in asked.items()}


def named(name: str) -> Configuration:
    """The configuration of that name, built or not; behind a "*" may stand ranges of k.  KeyError for any other."""
    return _by_name()[name.partition("*")[0]]


@cache
def _by_name() -> dict[str, Configuration]:
    return {c.name: c for c in available(built=False)}


class Forced(FunctionContext):
    """What `force` returns: a configuration or kernel folder, forced on this thread between entry and exit; it is
    reentrant."""

    maker = "force"

    def __init__(self, name: str) -> None:
        self.name = name
        self._before = threading.local()

    def __enter__(self) -> None:
        before = _C.gemm_forced()
        _C.gemm_force(self.name)
        self._entries().append(before)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        _C.gemm_force(self._entries().pop())

    def _entries(self) -> list[str]:
        entries: list[str] = self._before.__dict__.setdefault("entries", [])
        return entries


def force(name: str) -> Forced:
    """Makes this thread's products run on one kernel folder ("simt"), one configuration ("simt/s64x64") or one
    configuration with split-K ("simt/s64x64*4") for the length of a `with` block, or of each call of the function that
    it decorates.

    A product that it cannot serve raises a RuntimeError that says why, so that no other kernel is measured by mistake.
    Blocks nest.  GPUKERN_FORCE in the environment does the same for a whole process.  ValueError, on entry, for an
    unknown name; it lists the known ones.
    """
    return Forced(name)


def served() -> list[tuple[str, str, int]]:
    """(call, configuration, count) for every gpukern kernel that served a call since the start or `reset_served()`."""
    products = [("matrix product", name, count) for name, count in _C.gemm_counts()]
    passes = []
    for key, count in _C.elementwise_counts():
        op, _, path = key.partition(" ")
        passes.append((op, path or "elementwise", count))
    return products + passes


def reset_served() -> None:
    """Sets the counts of `served()` to zero."""
    _C.gemm_reset_counts()
    _C.elementwise_reset_counts()
