"""Derivatives of the functions around the products, and what vmap, tracers, compilers and autocast see of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

import gpukern

Function = Callable[..., Tensor]
Shapes = tuple[tuple[int, ...], ...]


def pair(name: str, **kwargs: Any) -> tuple[Function, Function]:
    """gpukern's function and torch's."""
    theirs = functional.bilinear if name == "bilinear" else getattr(torch, name)
    mine = getattr(gpukern, name)
    return (lambda *t: mine(*t, **kwargs)), (lambda *t: theirs(*t, **kwargs))


def equation(text: str) -> tuple[Function, Function]:
    return (lambda *t: gpukern.einsum(text, *t)), (lambda *t: torch.einsum(text, *t))


CASES: dict[str, tuple[tuple[Function, Function], Shapes]] = {
    "dot": (pair("dot"), ((5,), (5,))),
    "vdot": (pair("vdot"), ((5,), (5,))),
    "inner": (pair("inner"), ((2, 3), (4, 3))),
    "outer": (pair("outer"), ((3,), (4,))),
    "ger": (pair("ger"), ((3,), (4,))),
    "addr": (pair("addr", beta=0.5, alpha=2), ((3, 4), (3,), (4,))),
    "addr row": (pair("addr"), ((4,), (3,), (4,))),
    "addbmm": (pair("addbmm", beta=0.5, alpha=2), ((3, 2), (2, 3, 4), (2, 4, 2))),
    "addbmm row": (pair("addbmm", beta=3), ((2,), (2, 3, 4), (2, 4, 2))),
    "addbmm beta 0": (pair("addbmm", beta=0), ((3, 2), (2, 3, 4), (2, 4, 2))),
    "bilinear": (pair("bilinear"), ((2, 3), (2, 4), (5, 3, 4), (5,))),
    "bilinear without bias": (pair("bilinear"), ((2, 2, 3), (2, 2, 2), (2, 3, 2))),
    "tensordot": (pair("tensordot", dims=2), ((2, 3, 4), (3, 4, 2))),
    "tensordot lists": (pair("tensordot", dims=([0, 2], [1, 0])), ((2, 3, 4), (4, 2, 3))),
    "chain_matmul": ((gpukern.chain_matmul, lambda *t: torch.linalg.multi_dot(t)), ((2, 3), (3, 4), (4, 2))),
    "multi_dot": ((lambda *t: gpukern.multi_dot(t), lambda *t: torch.linalg.multi_dot(t)),
                  ((3,), (3, 4), (4, 2), (2,))),
    "einsum product": (equation("bij,bjk->bki"), ((2, 3, 2), (2, 2, 4))),
    "einsum elementwise": (equation("ij,ij->ji"), ((2, 3), (2, 3))),
    "einsum diagonal": (equation("ii,ij->j"), ((3, 3), (3, 2))),
    "einsum lone sum": (equation("ij,k->ik"), ((2, 3), (4,))),
    "einsum ellipsis": (equation("...ij,jk->...ik"), ((2, 2, 3), (3, 2))),
    "einsum three": (equation("i,ij,jk->k"), ((2,), (2, 3), (3, 2))),
    "einsum broadcast": (equation("ij,jk->ik"), ((2, 1), (3, 2))),
    "addr_": ((lambda c, a, b: gpukern.addr_(c * 2, a, b, beta=0.5, alpha=3),
               lambda c, a, b: (c * 2).addr_(a, b, beta=0.5, alpha=3)), ((3, 4), (3,), (4,))),
    "addbmm_": ((lambda c, a, b: gpukern.addbmm_(c * 2, a, b, beta=0.5, alpha=3),
                 lambda c, a, b: (c * 2).addbmm_(a, b, beta=0.5, alpha=3)), ((3, 2), (2, 3, 4), (2, 4, 2))),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _deprecated() -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.(ger|chain_matmul) is deprecated")
        yield


def inputs(shapes: Shapes, dtype: torch.dtype = torch.float64, grad: bool = True) -> list[Tensor]:
    return [torch.randn(*s, dtype=dtype, requires_grad=grad) for s in shapes]


@pytest.mark.parametrize("case", CASES)
def test_gradcheck(case: str) -> None:
    (mine, _), shapes = CASES[case]
    assert torch.autograd.gradcheck(mine, inputs(shapes), check_forward_ad=True, check_batched_grad=True)


@pytest.mark.parametrize("case", CASES)
def test_gradgradcheck(case: str) -> None:
    (mine, _), shapes = CASES[case]
    assert torch.autograd.gradgradcheck(mine, inputs(shapes), check_fwd_over_rev=True)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_gradients_are_torchs_for_any_subset(case: str, dtype: torch.dtype) -> None:
    (mine, theirs), shapes = CASES[case]
    if case.startswith("bilinear") and dtype.is_complex:
        return  # torch has none
    for mask in range(1, 2 ** len(shapes)):
        values = inputs(shapes, dtype, grad=False)
        results = []
        for function in (mine, theirs):
            leaves = [t.clone().requires_grad_(bool(mask >> i & 1)) for i, t in enumerate(values)]
            out = function(*leaves)
            wanted = [t for t in leaves if t.requires_grad]
            loss = (out * torch.arange(1, out.numel() + 1).reshape(out.shape)).sum()
            results.append(torch.autograd.grad(loss, wanted, torch.ones_like(loss), allow_unused=True))
        torch.testing.assert_close(results[0], results[1])


@pytest.mark.parametrize("case", CASES)
def test_function_transforms(case: str) -> None:
    (mine, theirs), shapes = CASES[case]
    args, tangents = inputs(shapes, grad=False), inputs(shapes, grad=False)
    every = tuple(range(len(args)))
    jvps = [torch.func.jvp(f, tuple(args), tuple(tangents)) for f in (mine, theirs)]
    torch.testing.assert_close(jvps[0], jvps[1])
    for transform in (torch.func.jacrev, torch.func.jacfwd):
        torch.testing.assert_close(transform(mine, argnums=every)(*args), transform(theirs, argnums=every)(*args))
    hessians = [torch.func.hessian(lambda x, f=f: (f(x, *args[1:]) ** 2).sum())(args[0]) for f in (mine, theirs)]
    torch.testing.assert_close(hessians[0], hessians[1])


@pytest.mark.parametrize("case", CASES)
def test_vmap_over_any_of_the_arguments(case: str) -> None:
    (mine, theirs), shapes = CASES[case]
    for mask in range(1, 2 ** len(shapes)):
        if case.endswith("_") and not mask & 1:
            continue  # in place of a tensor without the batch dimension
        dims = tuple(
            (i % 2 if mask >> i & 1 and shapes[i] else 0) if mask >> i & 1 else None for i in range(len(shapes))
        )
        args = []
        for shape, dim in zip(shapes, dims):
            full = list(shape)
            if dim is not None:
                full.insert(dim, 6)
            args.append(torch.randn(*full, dtype=torch.float64))
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*performance drop.*")  # functorch's loop
            got = torch.vmap(mine, in_dims=dims)(*args)
        torch.testing.assert_close(got, torch.vmap(theirs, in_dims=dims)(*args))


def test_in_place_of_what_is_not_batched_is_refused() -> None:
    c, a, b = torch.zeros(3, 4), torch.randn(6, 3), torch.randn(4)
    with pytest.raises(RuntimeError, match=r"vmap: .*out-of-place"):
        torch.vmap(gpukern.addr_, in_dims=(None, 0, None))(c, a, b)


@pytest.mark.parametrize("name", ["addr_", "addbmm_"])
def test_complex_in_place_keeps_its_history(name: str) -> None:
    shapes = {
        "addr_": ((3, 4), (3,), (4,)), "addbmm_": ((3, 2), (2, 3, 4), (2, 4, 2)),
    }[name]  # fmt: skip
    args = inputs(shapes, torch.complex128)
    grads = []
    for function in (getattr(gpukern, name), lambda c, *t, **k: getattr(c, name)(*t, **k)):
        out = function(args[0] * 2, *args[1:], beta=0.5, alpha=2j)
        grads.append(torch.autograd.grad(out.abs().sum(), args))
    torch.testing.assert_close(grads[0], grads[1])


def test_out_and_leaves_are_refused_in_torchs_words() -> None:
    c, a, b = (torch.randn(s, requires_grad=True) for s in ((3, 3), (2, 3, 3), (2, 3, 3)))
    v = torch.randn(3, requires_grad=True)
    calls: list[tuple[Function, Function]] = [
        (lambda: gpukern.addbmm(c, a, b, out=torch.empty(3, 3)), lambda: torch.addbmm(c, a, b, out=torch.empty(3, 3))),
        (lambda: gpukern.addr(c, v, v, out=torch.empty(3, 3)), lambda: torch.addr(c, v, v, out=torch.empty(3, 3))),
        (lambda: gpukern.dot(v, v, out=torch.empty(())), lambda: torch.dot(v, v, out=torch.empty(()))),
        (lambda: gpukern.vdot(v, v, out=torch.empty(())), lambda: torch.vdot(v, v, out=torch.empty(()))),
        (lambda: gpukern.outer(v, v, out=torch.empty(3, 3)), lambda: torch.outer(v, v, out=torch.empty(3, 3))),
        (lambda: gpukern.multi_dot([c, c], out=torch.empty(3, 3)),
         lambda: torch.linalg.multi_dot([c, c], out=torch.empty(3, 3))),
        (lambda: gpukern.addbmm_(c, a, b), lambda: c.addbmm_(a, b)),
        (lambda: gpukern.addr_(c, v, v), lambda: c.addr_(v, v)),
    ]  # fmt: skip
    for mine, theirs in calls:
        messages = []
        for function in (mine, theirs):
            with pytest.raises(RuntimeError) as caught:
                function()
            messages.append(str(caught.value))
        assert messages[0] == messages[1]


# ---- tracers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dynamic", [False, True])
def test_compile_without_a_break(case: str, dynamic: bool) -> None:
    (mine, _), shapes = CASES[case]
    torch._dynamo.reset()
    compiled = torch.compile(lambda *t: mine(*t) * 2, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    grads = []
    args = inputs(shapes)
    for function in (compiled, lambda *t: mine(*t) * 2):
        out = function(*args)
        grads.append((out, *torch.autograd.grad(out.sum(), args, allow_unused=True)))
    torch.testing.assert_close(grads[0], grads[1])


def test_compile_of_out_and_in_place() -> None:
    def step(c: Tensor, a: Tensor, b: Tensor, v: Tensor) -> tuple[Tensor, ...]:
        d = gpukern.addbmm(c, a, b, out=torch.empty_like(c))
        gpukern.addr_(d, v, v)
        gpukern.addbmm_(d, a, b, beta=2)
        e = gpukern.multi_dot([d, c, d], out=torch.empty_like(c))
        return d, e, gpukern.dot(v, v, out=torch.empty(())), gpukern.tensordot(c, c, 1, out=torch.empty_like(c))

    args = (torch.randn(3, 3), torch.randn(2, 3, 3), torch.randn(2, 3, 3), torch.randn(3))
    torch._dynamo.reset()
    got = torch.compile(step, fullgraph=True, backend="aot_eager")(*args)
    torch.testing.assert_close(got, step(*args))


@pytest.mark.parametrize("case", CASES)
def test_fake_and_meta_tensors_have_the_results_shape_and_type(case: str) -> None:
    (mine, _), shapes = CASES[case]
    args = inputs(shapes, torch.float32, grad=False)
    expected = mine(*args)
    with FakeTensorMode() as mode:
        fake = mine(*[mode.from_tensor(t) for t in args])
    meta = mine(*[t.to("meta") for t in args])
    for got in (fake, meta):
        assert (got.shape, got.dtype, got.stride()) == (expected.shape, expected.dtype, expected.stride())


PRODUCTS = {"mm", "bmm", "mv", "addmm", "addmm_", "mul", "elementwise_grad"}


@pytest.mark.parametrize("case", CASES)
def test_made_of_products_of_ours_also_backward(case: str) -> None:
    """A tracer sees gpukern's products where torch's would be, in the derivative too."""
    (mine, _), shapes = CASES[case]
    args = inputs(shapes)

    def both(*t: Tensor) -> Any:
        out = mine(*t)
        return torch.autograd.grad(out, t, torch.ones_like(out), allow_unused=True)

    graph = make_fx(both)(*args)
    names = [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]
    ours = {name.split(".")[1] for name in names if name.startswith("gpukern.")}
    assert ours and ours <= PRODUCTS
    assert not [name for name in names if name.split(".")[1] in ("mm", "bmm", "mv", "addmm", "dot") and "aten" in name]


class Dtypes(TorchDispatchMode):
    """The element types of every product."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[torch.dtype] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.name.split("::")[1] in ("mm", "bmm", "mv", "addmm", "addmm_"):
            self.seen |= {a.dtype for a in args if isinstance(a, Tensor)}
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("case", CASES)
def test_autocast_on_a_cpu_is_torchs(case: str) -> None:
    (mine, theirs), shapes = CASES[case]
    args = inputs(shapes, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = theirs(*args)
        with Dtypes() as mode:
            got = mine(*args)
    assert got.dtype == expected.dtype
    assert len(mode.seen) <= 1  # no mixture
    torch.testing.assert_close(got, expected, rtol=2e-2, atol=2e-2)
    got.float().sum().backward()
    assert all(t.grad is None or t.grad.dtype == torch.float32 for t in args)


def test_autocast_lists_are_torchs() -> None:
    """Which ops have a rule, on a GPU and on the CPU; what is on no list and made of ops that are keeps its types."""
    plain = """mm bmm mv addmm baddbmm addmv addbmm addr matmul linear einsum chain_matmul dot vdot bilinear tensordot
        inner outer ger"""
    names = {name: name for name in plain.split()}
    names["multi_dot"] = "linalg_multi_dot"
    for key in ("AutocastCPU", "AutocastCUDA"):
        has = torch._C._dispatch_has_kernel_for_dispatch_key
        ours = {name for name in names if has(f"gpukern::{name}", key)}
        theirs = {name for name, aten in names.items() if has(f"aten::{aten}", key)}
        kept = {"addr", "bilinear"} if key == "AutocastCPU" else set()
        assert ours - kept == theirs and kept <= ours


def test_the_rules_of_a_gpus_autocast_take_lists_and_leave_other_devices_alone() -> None:
    """Called as the dispatcher would on a GPU; what is cast there are tensors of the GPU only."""
    keys = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)
    for key in (torch._C.DispatchKey.AutogradCPU, torch._C.DispatchKey.AutocastCUDA):
        keys = keys | torch._C.DispatchKeySet(key)
    a, w = torch.randn(3, 3), torch.randn(4, 3, 3)
    calls: dict[str, tuple[Any, ...]] = {
        "einsum": ("ij,jk", [a, a]), "multi_dot": ([a, a, a],), "chain_matmul": ([a, a],), "dot": (a[0], a[0]),
        "vdot": (a[0], a[0]), "bilinear": (a, a, w, None), "tensordot": (a, a, [0], [0]), "addr": (a, a[0], a[0]),
        "addbmm": (a, w[:3], w[:3]),
    }  # fmt: skip
    for name, args in calls.items():
        op = getattr(torch.ops.gpukern, name).default
        torch.testing.assert_close(op.redispatch(keys, *args), op(*args))
