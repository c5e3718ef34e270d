"""What tracers and modes see of the ops: opcheck, compile, export, make_fx, vmap, subclasses, modes, autocast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import gpukern
from tests.oracle import ops as catalogue

FIRST = catalogue.FIRST
Function = Callable[..., Any]


def call_of(case: catalogue.Case) -> tuple[Any, list[Any], dict[str, Any]]:
    """The dispatcher's op of a case, and its arguments: positional ones in order, the rest by keyword."""
    op = getattr(torch.ops.gpukern, case.name)
    args: list[Any] = [
        t.requires_grad_() if t.is_floating_point() else t for t in case.smooth_inputs((3, 5), torch.float32)
    ]
    kwargs = {}
    for parameter in op.default._schema.arguments[len(args) :]:
        value = case.kwargs.get(parameter.name, parameter.default_value)
        if parameter.kwarg_only:
            kwargs[parameter.name] = value
        else:
            args.append(value)
    return op, args, kwargs


def detached(args: Sequence[Any]) -> list[Any]:
    return [a.detach().clone() if isinstance(a, Tensor) else a for a in args]


@pytest.mark.slow
@pytest.mark.parametrize("case", FIRST, ids=catalogue.ids(FIRST))
def test_opcheck(case: catalogue.Case) -> None:
    """Schema, fake tensors, autograd registration and AOT dispatch of the three forms."""
    op, args, kwargs = call_of(case)
    plain = detached(args)
    torch.library.opcheck(op.default, tuple(args if case.differentiable else plain), kwargs)
    torch.library.opcheck(op.out, tuple(plain), {**kwargs, "out": torch.empty_like(op(*plain, **kwargs))})
    if case.writes_self:
        torch.library.opcheck(getattr(torch.ops.gpukern, case.name + "_").default, tuple(plain), kwargs)


@pytest.mark.parametrize("case", FIRST, ids=catalogue.ids(FIRST))
@pytest.mark.parametrize("layout", ["dense", "transposed", "sliced", "broadcast", "empty", "permuted"])
def test_a_fake_has_the_shape_strides_and_dtype_of_the_result(case: catalogue.Case, layout: str) -> None:
    shape = (4, 0, 3) if layout == "empty" else (4, 6, 3)
    tensors = case.smooth_inputs(shape, torch.float32)
    if layout == "transposed":
        tensors = [t.transpose(0, 2) for t in tensors]
    elif layout == "permuted":
        tensors = [t.permute(1, 2, 0) for t in tensors]
    elif layout == "sliced":
        tensors = [t[:, ::2] for t in tensors]
    elif layout == "broadcast":
        tensors = [tensors[0], *[t[0] for t in tensors[1:]]]
    expected = case.ours(*tensors)
    with torch._subclasses.FakeTensorMode() as mode:
        got = case.ours(*[mode.from_tensor(t) for t in tensors])
    assert (got.shape, got.stride(), got.dtype) == (expected.shape, expected.stride(), expected.dtype)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.bool])
def test_a_fake_refuses_and_promotes_as_the_op(dtype: torch.dtype) -> None:
    for case in FIRST:
        tensors = [t.to(dtype) for t in case.smooth_inputs((3, 4))]
        if case.has_condition:
            tensors[0] = tensors[0].bool()
        outcomes = []
        for device in ("cpu", "meta"):
            try:
                result = case.ours(*[t.to(device) for t in tensors])
                outcomes.append(str(result.dtype))
            except (RuntimeError, TypeError, ValueError) as refusal:
                outcomes.append(type(refusal).__name__)
        assert outcomes[0] == outcomes[1] or "Error" in outcomes[0], (case.id, outcomes)


# ---- torch.compile ---------------------------------------------------------------------------------------------------

X, Y, Z = (torch.linspace(-2 + k, 3 + k, 12).reshape(3, 4) for k in range(3))
A, B, C = torch.randn(3, 4), torch.randn(4, 5), torch.randn(5)

COMPILED: dict[str, tuple[Function, tuple[Tensor, ...]]] = {
    "unary": (lambda x: gpukern.silu(gpukern.exp(x)), (X,)),
    "numbers": (lambda x: gpukern.div(gpukern.add(x, 2, alpha=3), 4, rounding_mode="floor"), (X,)),
    "number first": (lambda x: gpukern.pow(2, gpukern.mul(3.0, x)), (X,)),
    "numbers beside 16 bits": (lambda x: gpukern.sub(2, gpukern.mul(0.1, x.bfloat16())).float(), (X,)),
    "keywords": (lambda x: gpukern.clamp(gpukern.gelu(x, approximate="tanh"), max=1.5), (X,)),
    "bounds": (lambda x, y: gpukern.clamp(x, gpukern.neg(y), y.abs()), (X, Y)),
    "broadcast": (lambda x, y: gpukern.where(x > 0, x, y), (X, Y[0])),
    "promotion": (lambda x, y: gpukern.add(x, y), (X, Y.to(torch.float64))),
    "fused": (lambda x, y: gpukern.swiglu(gpukern.bias_act(x, y[0], "gelu"), y), (X, Y)),
    "inplace argument": (lambda x: gpukern.relu(x.clone(), inplace=True), (X,)),
    "out": (lambda x, y: gpukern.mul(x, y, out=torch.empty_like(x)), (X, Y)),
    "out of a number": (lambda x: gpukern.add(x, 2.5, out=torch.empty_like(x)), (X,)),
    "in place": (lambda x, y: gpukern.add_(gpukern.mul_(x.clone(), y), y, alpha=2), (X, Y)),
    "in place on a view": (lambda x, y: (z := x.clone(), gpukern.mul_(z[:, 1:3], y[:, :2]), z)[-1], (X, Y)),
    "in place on an input": (lambda x: gpukern.tanh_(x.mul(1)), (X,)),
    "product": (lambda a, b, c: gpukern.linear(gpukern.mm(a, b), torch.eye(5), c, activation="gelu"), (A, B, C)),
    "product out": (lambda a, b: gpukern.mm(a, b, out=a.new_empty(3, 5)), (A, B)),
    "product in place": (lambda a, b, c: gpukern.addmm_(c.repeat(3, 1), a, b, beta=2), (A, B, C)),
    "matmul": (lambda a, b: gpukern.matmul(a.expand(2, 3, 4), b), (A, B)),
}


@pytest.mark.slow
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("name", COMPILED)
def test_compiled_in_one_graph(name: str, dynamic: bool) -> None:
    """Value and gradients of the eager call, in every form; with symbolic shapes too."""
    function, tensors = COMPILED[name]
    torch._dynamo.reset()
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    differentiable = "out" not in name
    results = []
    for f in (function, compiled):
        leaves = [t.clone().requires_grad_(differentiable) for t in tensors]
        result = f(*leaves)
        grads = torch.autograd.grad(result.sum(), leaves, allow_unused=True) if differentiable else ()
        results.append((result.detach(), grads))
    torch.testing.assert_close(results[1], results[0])


@pytest.mark.slow
def test_mutated_input_under_compile() -> None:
    def step(x: Tensor, y: Tensor, out: Tensor) -> Tensor:
        gpukern.mul_(x, y)
        gpukern.exp(x, out=out)
        return gpukern.mm(out, y.t())

    torch._dynamo.reset()
    states = []
    for f in (step, torch.compile(step, fullgraph=True, backend="aot_eager")):
        x, out = X.clone(), torch.zeros(3, 4)
        states.append((f(x, Y, out), x, out))
    torch.testing.assert_close(states[1], states[0])


@pytest.mark.slow
def test_inductor_takes_the_ops() -> None:
    torch._dynamo.reset()

    def step(x: Tensor, w: Tensor) -> Tensor:
        return gpukern.silu(gpukern.linear(x, w, activation="gelu")).sum()

    compiled = torch.compile(step, fullgraph=True, backend="inductor", options={"cpp_wrapper": False})
    x, w = torch.randn(3, 4), torch.randn(5, 4, requires_grad=True)
    (expected,) = torch.autograd.grad(step(x, w), w)
    (got,) = torch.autograd.grad(compiled(x, w), w)
    torch.testing.assert_close(got, expected)


class Block(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(5, 4))

    def forward(self, x: Tensor) -> Tensor:
        return gpukern.add(gpukern.gelu(gpukern.linear(x, self.weight)), 1.0)


@pytest.mark.slow
def test_export_keeps_the_ops_and_dynamic_extents() -> None:
    block, x = Block(), torch.randn(3, 4)
    rows = torch.export.Dim("rows", min=2, max=64)
    program = torch.export.export(block, (x,), dynamic_shapes=({0: rows},))
    targets = {str(node.target) for node in program.graph.nodes}
    assert {"gpukern.linear.default", "gpukern.gelu.default", "gpukern.add.default"} <= targets, targets
    for count in (3, 7):
        x = torch.randn(count, 4)
        torch.testing.assert_close(program.module()(x), block(x))


@pytest.mark.parametrize("tracing_mode", ["real", "fake", "symbolic"])
def test_make_fx(tracing_mode: Literal["real", "fake", "symbolic"]) -> None:
    def f(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return gpukern.mm(gpukern.mul(gpukern.exp(x), y), b) + gpukern.mm(a, b)

    graph = make_fx(f, tracing_mode=tracing_mode)(X, Y, A, B)
    targets = [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]
    assert [t for t in targets if t.startswith("gpukern")] == [
        "gpukern.exp.default", "gpukern.mul.default", "gpukern.mm.default", "gpukern.mm.default",
    ]  # fmt: skip
    torch.testing.assert_close(graph(X, Y, A, B), f(X, Y, A, B))


def test_numbers_were_recorded_bare_by_tracers() -> None:
    """make_fx and export wrote `gpukern.add(x, 2.0)`, which the op refuses."""

    def f(x: Tensor) -> Tensor:
        y = gpukern.sub(2, gpukern.mul(0.1, gpukern.add(x, 3)))
        gpukern.mul_(y, 0.5)
        return gpukern.where(x > 0, 1.5, gpukern.pow(gpukern.lerp(y, x, 0.25), 3))

    for x in (X, X.bfloat16(), X[0, 0], X.to(torch.float64)):
        graph = make_fx(f)(x)
        assert graph(x).dtype == f(x).dtype
        torch.testing.assert_close(graph(x), f(x))


# ---- vmap ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", FIRST, ids=catalogue.ids(FIRST))
def test_vmap_over_any_of_the_operands(case: catalogue.Case) -> None:
    for mask in range(1, 2**case.inputs):
        dims = tuple((k % 2 if mask >> k & 1 else None) for k in range(case.inputs))
        tensors = [
            t if d is not None else t.select(k % 2, 0)
            for k, (t, d) in enumerate(zip(case.smooth_inputs((4, 4, 3), torch.float64), dims))
        ]
        got = torch.vmap(case.ours, in_dims=dims)(*tensors)
        torch.testing.assert_close(got, torch.vmap(case.eager, in_dims=dims)(*tensors))


def test_vmap_in_place_and_out_of_reach() -> None:
    x, y = X.clone(), Y[:, :1].clone()
    got = torch.vmap(lambda s, o: gpukern.add_(s, o))(x, y)
    torch.testing.assert_close(got, X + Y[:, :1])
    with pytest.raises(RuntimeError, match="vmapped over but `self` not being vmapped over"):
        torch.vmap(lambda o: gpukern.add_(torch.zeros(4), o))(X)


# ---- subclasses and modes --------------------------------------------------------------------------------------------


class Counted(Tensor):
    """Records the functions that it was passed to."""

    seen: list[str] = []  # noqa: RUF012  (one list for the class is what is wanted)

    @classmethod
    def __torch_function__(cls, func: Function, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        cls.seen.append(getattr(func, "__name__", str(func)))
        return super().__torch_function__(func, types, args, kwargs or {})


@pytest.mark.parametrize("place", [0, 1])
def test_subclasses_are_asked_and_kept(place: int) -> None:
    Counted.seen.clear()
    args = [A.clone(), B.clone()]
    args[place] = args[place].as_subclass(Counted)
    result = gpukern.mm(*args)
    assert type(result) is Counted and "mm" in Counted.seen
    result = gpukern.silu(A.as_subclass(Counted))
    assert type(result) is Counted and "silu" in Counted.seen
    result = gpukern.add(A, A.as_subclass(Counted), alpha=2)
    assert type(result) is Counted and "add" in Counted.seen
    torch.testing.assert_close(result.as_subclass(Tensor), A + 2 * A)
    out = torch.empty(3, 4).as_subclass(Counted)
    Counted.seen.clear()
    assert gpukern.exp(A, out=out) is out and Counted.seen == ["exp"]


def test_foreign_classes_with_torch_function() -> None:
    class Wrapper:
        def __torch_function__(self, func: Function, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return func, args, kwargs or {}

    w: Any = Wrapper()
    assert gpukern.add(w, 2, alpha=3) == (gpukern.add, (w, 2), {"alpha": 3})
    assert gpukern.linear(A, w, activation="relu") == (gpukern.linear, (A, w), {"activation": "relu"})


def test_function_modes_see_the_call() -> None:
    class Record(TorchFunctionMode):
        def __init__(self) -> None:
            super().__init__()
            self.calls: list[Any] = []

        def __torch_function__(self, func: Function, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.calls.append(func)
            return func(*args, **(kwargs or {}))

    with Record() as mode:
        got = gpukern.mul(A, gpukern.exp(A))
        gpukern.mm(A, B, out=torch.empty(3, 5))
    assert [f for f in mode.calls if f in (gpukern.exp, gpukern.mul, gpukern.mm)] == [
        gpukern.exp, gpukern.mul, gpukern.mm,
    ]  # fmt: skip
    torch.testing.assert_close(got, A * A.exp())


def test_dispatch_modes_see_the_op() -> None:
    class Record(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()
            self.ops: list[str] = []

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.ops.append(str(func))
            return func(*args, **(kwargs or {}))

    with Record() as mode:
        gpukern.relu(gpukern.mm(A, B))
        gpukern.exp_(A.clone())
    assert [op for op in mode.ops if op.startswith("gpukern")] == [
        "gpukern.mm.default", "gpukern.relu.default", "gpukern.exp_.default",
    ]  # fmt: skip


# ---- autocast --------------------------------------------------------------------------------------------------------

_THEIRS = {"clamp_tensor": "clamp.Tensor", "logsigmoid": "log_sigmoid", "lerp": "lerp.Tensor", "where": "where.self"}
_OVERLOADS = dict.fromkeys(("add", "sub", "mul", "div", "clamp_min", "clamp_max"), "Tensor") | {"pow": "Tensor_Tensor"}


@pytest.mark.parametrize("key", ["AutocastCPU", "AutocastCUDA"])
def test_autocast_lists_are_torchs(key: str) -> None:
    """An op has an autocast kernel where torch's op of that name has one."""

    def listed(op: str) -> bool:
        return torch._C._dispatch_has_kernel_for_dispatch_key(op, key)

    for case in [*FIRST, *catalogue.EXACT]:
        if not case.aten:
            continue
        name = case.aten if "." in case.aten else _THEIRS.get(case.name, case.name)
        theirs = (
            f"aten::{name}" if "." in name or case.name not in _OVERLOADS else f"aten::{name}.{_OVERLOADS[case.name]}"
        )
        assert listed(f"gpukern::{case.name}") == listed(theirs), case.name
    for name in ("mm", "bmm", "mv", "addmm", "baddbmm", "addmv", "matmul", "linear"):
        assert listed(f"gpukern::{name}") == listed(f"aten::{name}"), name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kinds", [(torch.float32,), (torch.bfloat16, torch.float32), (torch.float16, torch.float32)])
def test_autocast_of_elementwise_ops_is_torchs(dtype: torch.dtype, kinds: tuple[torch.dtype, ...]) -> None:
    for case in FIRST:
        tensors = case.smooth_inputs((3, 4), torch.float32)
        for k, t in enumerate(tensors):
            if t.is_floating_point():
                tensors[k] = t.to(kinds[k % len(kinds)])
        outcomes = []
        with torch.autocast("cpu", dtype=dtype):
            for call in (case.ours, case.eager):
                try:
                    outcomes.append(str(call(*tensors).dtype))
                except RuntimeError as refusal:
                    outcomes.append(str(refusal).splitlines()[0])
        assert outcomes[0] == outcomes[1], case.id


def test_autocast_reaches_a_fused_epilogue() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = gpukern.linear(A, B.t(), C, activation="gelu")
        expected = functional.gelu(functional.linear(A, B.t(), C))
    assert got.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(got, expected, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("bounds", [("min",), ("max",), ("min", "max")])
def test_clamp_between_tensors_into_out_compiles(bounds: tuple[str, ...]) -> None:
    """The overload for numbers was named, whatever the bounds were."""
    x, keywords = torch.randn(3, 3), {name: torch.randn(3) for name in bounds}
    compiled = torch.compile(lambda x, o: gpukern.clamp(x, out=o, **keywords), fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x, torch.zeros(3, 3)), torch.clamp(x, **keywords))
