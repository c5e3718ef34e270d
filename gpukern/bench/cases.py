"""From a Spec to a case: operands, our call, the baselines' calls, the work it takes, the check of its result."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .. import ops, reference, selection
from . import check
from .check import Verdict
from .operands import Want
from .suites import Entry, Spec, catalogue, torch_dtype

Function = Callable[..., Any]


@dataclass
class Case:
    """wants: the operands of one call.  flops, bytes: the least that the task needs.  extra: bytes that one call
    allocates besides the operands."""

    spec: Spec
    wants: list[Want]
    ours: Function
    rivals: dict[str, Function]
    judge: Callable[..., Verdict]
    flops: float = 0.0
    bytes: float = 0.0
    extra: float = 0.0
    graphs: bool = True  # whether a GPU's calls may be captured
    host_only: bool = False  # measure the host's time of a launch
    fixed: tuple[Any, ...] | None = None  # the operands, where they do not rotate
    configuration: Callable[[], str] = field(default=lambda: "")


# ---- products --------------------------------------------------------------------------------------------------------


def served() -> str:
    """The configuration that served the products since the last reset."""
    found = dict.fromkeys(name for call, name, _ in selection.served() if call == "matrix product")
    return ", ".join(found) or "torch"


def _placed(rows: int, columns: int, letter: str, pad: int, dtype: torch.dtype, batch: tuple[int, ...]) -> Want:
    """rows x columns; t: column-major; pad: elements by which the leading dimension is longer."""
    if letter == "n":
        line, strides = columns + pad, (columns + pad, 1)
        whole = rows * line
    else:
        line, strides = rows + pad, (1, rows + pad)
        whole = columns * line
    return Want((*batch, rows, columns), dtype, stride=(*([whole] if batch else []), *strides))


def _activated(name: str) -> Function:
    found: dict[str, Function] = {
        "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
        "none": lambda x: x,
    }
    return found.get(name) or _of_torch(name)


def _product(spec: Spec) -> Case:
    dtype = torch_dtype(spec.dtype)
    *front, m, n, k = spec.shape
    batch = tuple(front)
    a = _placed(m, k, spec.layout[0], spec.pad, dtype, batch)
    b = _placed(k, n, spec.layout[1], spec.pad, dtype, batch)
    wants = [a, b]
    ours: Function
    theirs: Function
    if spec.op == "linear":
        # operands are x and weight.T; the weight lies [out, in]
        act, more = spec.choice, spec.residual
        if act or more:
            wants += [Want((n,), dtype)] + ([Want((m, n), dtype)] if more else [])
            chosen = _activated(act or "none")

            def ours(x: Tensor, w: Tensor, bias: Tensor, *rest: Tensor) -> Tensor:
                return ops.linear(x, w.t(), bias, activation=act or None, residual=rest[0] if rest else None)

            def theirs(x: Tensor, w: Tensor, bias: Tensor, *rest: Tensor) -> Tensor:
                y = chosen(functional.linear(x, w.t(), bias))
                return y + rest[0] if rest else y  # type: ignore[no-any-return]
        else:
            ours = lambda x, w: ops.linear(x, w.t())  # type: ignore[attr-defined]  # noqa: E731
            theirs = lambda x, w: functional.linear(x, w.t())  # noqa: E731
    elif spec.op == "mv":
        ours = lambda x, y: ops.mv(x, y.reshape(-1))  # type: ignore[attr-defined]  # noqa: E731
        theirs = lambda x, y: torch.mv(x, y.reshape(-1))  # noqa: E731
    else:
        ours, theirs = getattr(ops, spec.op), getattr(torch, spec.op)

    def judge(got: Tensor, *operands: Tensor) -> Verdict:
        x, y, *rest = operands
        if not rest:
            whole = got.reshape(*x.shape[:-1], y.shape[-1])
            return check.product(whole, x, y, theirs=lambda: theirs(*operands))

        def finish(exact: Tensor, rows: slice) -> tuple[Tensor, Tensor]:
            before = exact + rest[0].double()
            value = reference.activate(before.cpu().numpy(), spec.choice or None)
            after = torch.as_tensor(value, device=got.device)
            stored = before.abs() + after.abs()
            return (after + rest[1][rows].double() if len(rest) > 1 else after), stored

        return check.product(got, x, y, finish, lambda: theirs(*operands))

    count = math.prod(batch)
    size = dtype.itemsize * count * (m * k + k * n + m * n * (2 if spec.residual else 1))
    return Case(
        spec, wants, ours, {"torch": theirs}, judge,
        flops=2.0 * count * m * n * k, bytes=size, configuration=served,
        extra=float(count * (16 * k * n + 8 * m * k + 24 * m * n)),  # float64 copies for the comparison
    )  # fmt: skip


# ---- elementwise -----------------------------------------------------------------------------------------------------


def _of_torch(name: str) -> Function:
    """torch's function of a name."""
    found: Function = getattr(torch, name, None) or getattr(functional, name)
    return found


def eager(entry: Entry) -> Function:
    """The same in torch's own ops: several in sequence where torch has no single op."""
    if entry.aten:
        function, keywords = _of_torch(entry.name), entry.keywords
        return lambda *tensors: function(*tensors, **keywords)
    if entry.name in ("add_act", "bias_act"):
        act = _activated(entry.keywords["activation"])
        return lambda x, y: act(x + y)
    if entry.name == "scale_shift_act":
        act = _activated(entry.keywords["activation"])
        return lambda x, scale, shift: act(x * scale + shift)
    if entry.name == "swiglu":
        return lambda gate, up: functional.silu(gate) * up
    form = entry.keywords["approximate"]
    return lambda gate, up: functional.gelu(gate, approximate=form) * up


# Where a function is defined, or away from its poles.
_POSITIVE = {
    "sqrt": 0,
    "rsqrt": 0,
    "log": 0,
    "log2": 0,
    "log10": 0,
    "log1p": 0,
    "xlogy": 1,
    "pow": 0,
    "reciprocal": 0,
    "div": 1,
    "addcdiv": 2,
}


def _near_an_integer(x: Tensor, y: Tensor) -> Tensor:
    """Elements whose quotient is so near an integer that rounding decides the result."""
    quotient = x.double() / y.double()
    return (quotient - quotient.round()).abs() <= 2.0**-22 * quotient.abs()


def _elementwise(spec: Spec) -> Case:
    entry, dtype = catalogue()[spec.op], torch_dtype(spec.dtype)
    rows, columns = spec.shape
    positive = _POSITIVE.get(entry.name, -1)
    wants = []
    for place in range(entry.inputs):
        fill = "bool" if entry.name == "where" and place == 0 else "positive" if place == positive else "normal"
        kind = torch.bool if fill == "bool" else dtype
        row = spec.layout == "broadcast" and place == entry.inputs - 1
        if entry.name == "bias_act" and place == 1:
            wants.append(Want((columns,), kind, fill))
        elif row:
            wants.append(Want((1, columns), kind, fill))
        else:
            across = spec.layout == "transposed" and place == 0
            wants.append(Want((rows, columns), kind, fill, (1, rows) if across else ()))
    function = getattr(ops, entry.name)
    keywords = entry.keywords

    def ours(*tensors: Tensor) -> Tensor:
        return function(*tensors, **keywords)  # type: ignore[no-any-return]

    theirs = eager(entry)
    exact = getattr(reference, entry.name)
    jumps = _near_an_integer if "rounding_mode" in keywords else None
    promise = check.Promise(lambda *t: exact(*t, **keywords), theirs, entry.ulp, jumps)

    def judge(got: Tensor, *operands: Tensor) -> Verdict:
        return check.values(got, list(operands), promise)

    written = 1 if entry.predicate else dtype.itemsize
    moved = rows * columns * written + sum(math.prod(w.shape) * w.dtype.itemsize for w in wants)
    return Case(
        spec, wants, ours, {"torch": theirs}, judge, bytes=moved, extra=3.0 * rows * columns * dtype.itemsize + 2**28
    )


# ---- what a call costs -----------------------------------------------------------------------------------------------


def _overhead(spec: Spec, device: str) -> Case:
    """Operands do not rotate: sixteen elements stay in the first cache, and only the host's time is measured."""
    dtype = torch_dtype(spec.dtype)
    count = {"relu": 1, "silu": 1}.get(spec.op, 2)
    operands = tuple(torch.randn(spec.shape, dtype=dtype, device=device) for _ in range(count))
    base: Function = getattr(ops, spec.op)
    rival: Function = functional.linear if spec.op == "linear" else _of_torch(spec.op)
    ours, theirs = base, rival
    if spec.choice == "grad":
        operands = tuple(t.requires_grad_() for t in operands)
    elif spec.choice == "compiled":
        ours, theirs = torch.compile(base, dynamic=False), torch.compile(rival, dynamic=False)
    elif spec.choice == "graph":
        ours, theirs = _replayed(base, operands), _replayed(rival, operands)

    def judge(got: Tensor, *inputs: Tensor) -> Verdict:
        with torch.no_grad():
            return check.tensors([got.detach()], [rival(*(t.double() for t in inputs))], 2e-6)

    return Case(spec, [], ours, {"torch": theirs}, judge, host_only=True, fixed=operands)


def _replayed(function: Function, operands: Sequence[Tensor]) -> Function:
    """A CUDA graph of one call, to measure what its replay costs the host."""
    for _ in range(3):
        function(*operands)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = function(*operands)

    def replay(*_: Tensor) -> Tensor:
        graph.replay()
        return result  # type: ignore[no-any-return]

    return replay


def build(spec: Spec, device: str) -> Case:
    """The case of a Spec; RuntimeError with the reason if this device has none."""
    if spec.kind == "product":
        return _product(spec)
    if spec.kind == "elementwise":
        return _elementwise(spec)
    if spec.kind == "overhead":
        if spec.choice == "graph" and device == "cpu":
            raise RuntimeError("CUDA graphs need a GPU")
        return _overhead(spec, device)
    from . import networks

    found: Case = networks.case(spec, device)
    return found
