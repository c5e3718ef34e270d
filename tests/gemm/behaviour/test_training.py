"""Products with an activation under autograd: what they save, gradients of any order, what overwrites them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

import gpukern
import gpukern.reference
from gpukern.mlp import Activation
from tests.gemm.kernels.test_backward import ACTIVATIONS, EPS, close

OF_RESULT = ("relu", "sqrt", "rsqrt", "reciprocal", "exp")  # whose gradient is written in terms of the result
KINKED = ("relu", "relu6", "leaky_relu", "hardswish", "hardsigmoid", "hardtanh", "abs", "sign")
SHAPES = ((3, 4), (4, 2))


def positive(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Products of these are where every op is defined, and away from its kinks."""
    return (torch.rand(*shape, dtype=torch.float64) * 0.5 + 0.2).to(dtype)


def call(activation: str | None, case: str) -> tuple[Callable[..., Tensor], list[tuple[int, ...]]]:
    """A product with that epilogue, and the shapes of its operands."""
    end: dict[str, Any] = {"activation": activation}
    a, b = SHAPES
    if case == "mm":
        return lambda x, y: gpukern.mm(x, y, **end), [a, b]
    if case == "bias":
        return lambda x, y, c: gpukern.addmm(c, x, y, **end), [a, b, (2,)]
    if case == "addend":
        return lambda x, y, c: gpukern.addmm(c, x, y, beta=0.5, alpha=2, **end), [a, b, (3, 2)]
    if case == "column":
        return lambda x, y, c: gpukern.addmm(c, x, y, **end), [a, b, (3, 1)]
    if case == "residual":
        return lambda x, y, c, r: gpukern.addmm(c, x, y, residual=r, **end), [a, b, (1, 2), (3, 2)]
    if case == "row":
        return lambda x, y, r: gpukern.mm(x, y, residual=r, **end), [a, b, (2,)]
    if case == "batch":
        return (lambda x, y, c, r: gpukern.baddbmm(c, x, y, alpha=0.5, residual=r, **end),
                [(2, *a), (2, *b), (1, 2), (2, 3, 2)])  # fmt: skip
    if case == "linear":
        return lambda x, w, c: gpukern.linear(x, w, c, **end), [(2, *a), (2, 4), (2,)]
    return (lambda c, x, y: gpukern.addmm_(c * 1, x, y, **end)), [(3, 2), a, b]  # in place


CASES = ("mm", "bias", "addend", "column", "residual", "row", "batch", "linear", "in place")
EVERY = [(activation, case) for activation in ACTIVATIONS for case in ("bias", "residual")]
EVERY += [(activation, case) for activation in ("relu", "gelu", "exp") for case in CASES]
EVERY = list(dict.fromkeys(EVERY))
by_case = pytest.mark.parametrize(("activation", "case"), EVERY)


@by_case
def test_gradients_of_both_orders(activation: str, case: str) -> None:
    function, shapes = call(activation, case)
    inputs = [positive(*s).requires_grad_() for s in shapes]
    assert torch.autograd.gradcheck(function, inputs, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(function, inputs)


def one_by_one(activation: str, a: Tensor, b: Tensor, c: Tensor | None, r: Tensor | None) -> Tensor:
    product = gpukern.mm(a, b) if c is None else gpukern.addmm(c, a, b)
    result: Tensor = Activation(activation)(product)
    return result if r is None else result + r


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_bits_are_those_of_the_ops_one_by_one(activation: str, dtype: torch.dtype) -> None:
    for bias, residual in itertools.product((False, True), repeat=2):
        shapes = [(37, 19), (19, 23)] + [(23,)] * bias + [(37, 23)] * residual
        values = [positive(*s, dtype=dtype) for s in shapes]
        found = []
        for whole in (True, False):
            leaves = [v.clone().requires_grad_() for v in values]
            a, b, *rest = leaves
            c, r = rest[0] if bias else None, rest[-1] if residual else None
            end: dict[str, Any] = {"activation": activation, "residual": r}
            if whole:
                result = gpukern.mm(a, b, **end) if c is None else gpukern.addmm(c, a, b, **end)
            else:
                result = one_by_one(activation, a, b, c, r)
            torch.manual_seed(3)
            result.backward(torch.randn(37, 23).to(dtype))
            found.append([result.detach(), *(t.grad for t in leaves)])
        for mine, theirs in zip(*found):
            assert mine is not None and theirs is not None and torch.equal(mine, theirs), (bias, residual)


@pytest.mark.parametrize("activation", ["gelu", "silu", "relu", "softplus"])
def test_gradients_are_those_of_float64(activation: str) -> None:
    for dtype in EPS:
        x, w, b, g = (torch.randn(*s).to(dtype) for s in ((33, 40), (20, 40), (20,), (33, 20)))
        leaves = [t.clone().requires_grad_() for t in (x, w, b)]
        gpukern.linear(*leaves, activation=activation).backward(g)
        before = (x.double() @ w.double().t() + b.double()).to(dtype)
        d = gpukern.reference.mm_activation_backward(g, torch.eye(20, dtype=dtype), before, activation)
        steps = d.to(dtype).double()
        for leaf, expected in zip(leaves, (steps @ w.double(), steps.t() @ x.double(), steps.sum(0))):
            assert leaf.grad is not None
            close(leaf.grad / 16, expected / 16, dtype)


# ---- what is kept ----------------------------------------------------------------------------------------------------


def kept(function: Callable[..., Tensor], *args: Any, **options: Any) -> list[Tensor]:
    """What autograd saves of a call, each tensor once."""
    seen: dict[int, Tensor] = {}

    def pack(t: Tensor) -> Tensor:
        seen.setdefault(t.untyped_storage().data_ptr(), t)
        return t

    with saved_tensors_hooks(pack, lambda t: t):
        function(*args, **options)
    return list(seen.values())


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_one_tensor_is_saved_beside_the_factors(activation: str) -> None:
    x, w, b = (positive(*s).requires_grad_() for s in ((6, 5), (7, 5), (7,)))
    for residual in (None, positive(6, 7)):
        results: list[Tensor] = []

        def call(residual: Tensor | None = residual, results: list[Tensor] = results) -> Tensor:
            results.append(gpukern.linear(x, w, b, activation=activation, residual=residual))
            return results[0]

        saved = kept(call)
        assert len(saved) == 3 and sum(t.numel() for t in saved) == x.numel() + w.numel() + 6 * 7
        of_result = any(t.data_ptr() == results[0].data_ptr() for t in saved)
        assert of_result == (activation in OF_RESULT and residual is None)


def test_as_many_bytes_are_saved_as_by_torchs_two_ops() -> None:
    x, w, b = (torch.randn(*s, requires_grad=True) for s in ((64, 32), (48, 32), (48,)))
    for activation in ("relu", "gelu", "silu", "tanh"):
        mine = kept(gpukern.linear, x, w, b, activation=activation)
        theirs = kept(one_by_one, activation, x, w.t(), b, None)
        torchs = kept(lambda f: f(functional.linear(x, w, b)), getattr(functional, activation))
        assert sum(t.nbytes for t in mine) == sum(t.nbytes for t in theirs) == sum(t.nbytes for t in torchs)


def test_nothing_is_saved_that_no_gradient_reads() -> None:
    x, w, b, r = (torch.randn(*s) for s in ((6, 5), (7, 5), (7,), (6, 7)))

    def saved(*requiring: Tensor, activation: str | None = "gelu") -> int:
        for t in (x, w, b, r):
            t.requires_grad_(any(t is one for one in requiring))
        return len(kept(gpukern.linear, x, w, b, activation=activation, residual=r))

    assert saved(r) == 0  # whose gradient is the upstream one
    assert saved(b) == 1
    assert saved(x) == saved(w) == 2
    assert saved(x, w, b, r) == 3
    assert saved(x, w, activation=None) == 2 and saved(b, r, activation="none") == 0


def test_the_node_has_a_name_of_its_own() -> None:
    a = torch.randn(3, 3, requires_grad=True)
    for result, name in (
        (gpukern.mm(a, a, activation="relu"), "GpukernMmActivationBackward"),
        (gpukern.addmm(a, a, a, residual=a), "GpukernAddmmActivationBackward"),
    ):
        assert result.grad_fn is not None and result.grad_fn.name() == name


# ---- what was saved is overwritten -----------------------------------------------------------------------------------


def test_a_saved_result_that_is_overwritten_raises() -> None:
    x, w = torch.randn(3, 4, requires_grad=True), torch.randn(5, 4)
    out = gpukern.linear(x, w, activation="relu")
    out.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


def test_a_result_whose_gradient_reads_the_argument_may_be_overwritten() -> None:
    x, w = torch.randn(3, 4, requires_grad=True), torch.randn(5, 4)
    for residual in (None, torch.zeros(3, 5)):
        (expected,) = torch.autograd.grad(gpukern.linear(x, w, activation="gelu", residual=residual).sum() * 2, x)
        out = gpukern.linear(x, w, activation="gelu", residual=residual)
        out.mul_(2)
        torch.testing.assert_close(torch.autograd.grad(out.sum(), x)[0], expected)
    out = gpukern.linear(x, w, activation="relu", residual=torch.ones(3, 5))  # what is saved is not the result
    out.zero_()
    assert not torch.autograd.grad(out.sum(), x)[0].any()


def test_a_saved_factor_that_is_overwritten_raises() -> None:
    x, w = torch.randn(3, 4, requires_grad=True), torch.randn(5, 4, requires_grad=True)
    doubled = w * 2
    out = gpukern.linear(x, doubled, activation="gelu")
    doubled.detach().add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


def test_a_second_backward_raises_and_a_retained_one_is_the_same() -> None:
    x, w = torch.randn(3, 4, requires_grad=True), torch.randn(5, 4)
    for activation in ("relu", "gelu"):
        out = gpukern.linear(x, w, activation=activation).sum()
        (first,) = torch.autograd.grad(out, x, retain_graph=True)
        assert torch.equal(first, torch.autograd.grad(out, x)[0])
        with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
            out.backward()


def test_an_in_place_product_of_a_leaf_is_refused_in_torchs_words() -> None:
    a = torch.randn(3, 3, requires_grad=True)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used in an in-place operation"):
        gpukern.addmm_(a, a, a, activation="relu")
    with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
        gpukern.mm(a, a, activation="relu", out=torch.empty(3, 3))


# ---- bug: a relu of a saved product was computed again ---------------------------------------------------------------


def test_relus_gradient_reads_its_argument_as_it_is() -> None:
    saved = torch.tensor([[-1.0, 0.0, -0.0, 2.0, float("nan"), float("inf"), -float("inf"), 1e-40]])
    grad = torch.ones(1, 8)
    gpukern.reset_served()
    got = gpukern.mm_activation_backward(grad, torch.eye(8), saved, "relu")
    leaf = saved.clone().requires_grad_()
    torch.relu(leaf).backward(grad @ torch.eye(8))
    assert leaf.grad is not None and torch.equal(got, leaf.grad)
    assert [count for op, _, count in gpukern.served() if op == "relu"] == [1]  # the gradient's


# ---- transforms ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["relu", "gelu", "exp"])
def test_function_transforms(activation: str) -> None:
    x, w, b = positive(4, 3), positive(2, 3), positive(2)

    def mine(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        return (gpukern.linear(x, w, b, activation=activation, residual=b) ** 2).sum()

    def theirs(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        return ((getattr(torch, activation, None) or torch.nn.functional.gelu)(x @ w.t() + b) + b).square().sum()

    f = torch.func
    for transform in (
        lambda g: f.grad(g, (0, 1, 2)),
        lambda g: f.hessian(g, (0, 1, 2)),
        lambda g: f.vmap(f.grad(g, (0, 2)), (0, None, None)),
        lambda g: f.jacfwd(f.jacrev(g, 1), 2),
        lambda g: lambda *t: f.jvp(f.grad(g), t, t),
        lambda g: lambda *t: f.vjp(g, *t)[1](torch.ones((), dtype=torch.float64)),
    ):  # fmt: skip
        torch.testing.assert_close(transform(mine)(x, w, b), transform(theirs)(x, w, b))


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_compiled_whole(activation: str) -> None:
    graphs: list[str] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        graphs.append(str(graph.code))
        return make_boxed_func(graph.forward)

    from functorch.compile import make_boxed_func  # type: ignore[import-untyped]
    from torch._dynamo.backends.common import aot_autograd

    def step(x: Tensor, w: Tensor, b: Tensor, r: Tensor) -> Tensor:
        hidden = gpukern.linear(x, w, b, activation=activation)
        return gpukern.linear(hidden, w, b, activation=activation, residual=r)

    torch._dynamo.reset()
    values = [torch.randn(*s) for s in ((4, 5), (5, 5), (5,), (4, 5))]
    found = []
    for function in (step, torch.compile(step, backend=aot_autograd(fw_compiler=backend), fullgraph=True)):
        leaves = [v.clone().requires_grad_() for v in values]
        result = function(*leaves)
        result.sum().backward()
        found.append([result, *(leaf.grad for leaf in leaves)])
    for eager, compiled in zip(*found):
        torch.testing.assert_close(compiled, eager)
    assert "product_with_aux" in graphs[0]  # with a residual the result of relu is not the product's own
    assert "activation_backward_bias_grad" in graphs[1]


def test_checkpoint() -> None:
    x, w, b = (torch.randn(*s) for s in ((4, 5), (6, 5), (6,)))
    for activation, reentrant in itertools.product(("relu", "gelu"), (False, True)):
        found = []
        for through in (False, True):
            leaves = [t.clone().requires_grad_() for t in (x, w, b)]

            def layer(*t: Tensor, activation: str = activation) -> Tensor:
                return gpukern.linear(*t, activation=activation)

            result = checkpoint(layer, *leaves, use_reentrant=reentrant) if through else layer(*leaves)
            result.square().sum().backward()
            found.append([leaf.grad for leaf in leaves])
        assert all(torch.equal(one, two) for one, two in zip(*found))


def test_autocast_and_no_grad() -> None:
    x, w, b = (torch.randn(*s, requires_grad=True) for s in ((4, 5), (6, 5), (6,)))
    with torch.autocast("cpu", torch.bfloat16):
        out = gpukern.linear(x, w, b, activation="gelu")
        assert out.dtype == torch.bfloat16
        out.float().sum().backward()
    assert all(t.grad is not None and t.grad.dtype == torch.float32 for t in (x, w, b))
    with torch.no_grad():
        assert gpukern.linear(x, w, b, activation="gelu").grad_fn is None
    with torch.inference_mode():
        torch.testing.assert_close(
            gpukern.linear(x, w, b, activation="relu"), torch.relu(torch.nn.functional.linear(x, w, b))
        )


def test_empty_extents() -> None:
    for m, n, k in ((0, 3, 4), (2, 0, 4), (2, 3, 0)):
        x, w, b = (torch.ones(*s, requires_grad=True) for s in ((m, k), (n, k), (n,)))
        gpukern.linear(x, w, b, activation="gelu").sum().backward()
        assert x.grad is not None and x.grad.shape == (m, k) and b.grad is not None and b.grad.shape == (n,)


# ---- the ops themselves ----------------------------------------------------------------------------------------------

with_aux = torch.ops.gpukern.product_with_aux
backward = torch.ops.gpukern.activation_backward_bias_grad


@pytest.mark.parametrize("differentiable", [False, True])
def test_opcheck(differentiable: bool) -> None:
    for a, b, c, r in (
        (torch.randn(3, 4), torch.randn(4, 2), torch.randn(2), torch.randn(3, 2)),
        (torch.randn(2, 3, 4), torch.randn(2, 4, 2), None, None),
    ):
        a.requires_grad_(differentiable)
        end = {"activation": "gelu", "residual": r}
        torch.library.opcheck(with_aux.default, (c, a, b), end)
    g, s = torch.randn(3, 4).requires_grad_(differentiable), torch.randn(3, 4)
    torch.library.opcheck(backward.default, (g, s, "gelu"))


def test_the_aux_is_what_goes_into_the_activation() -> None:
    a, b, c, r = (torch.randn(*s) for s in ((3, 4), (4, 2), (3, 2), (2,)))
    for invariant in (False, True):
        how: dict[str, Any] = {"beta": 0.5, "alpha": 2, "batch_invariant": invariant}
        result, aux = with_aux(c, a, b, activation="silu", residual=r, **how)
        assert torch.equal(aux, gpukern.addmm(c, a, b, **how))
        assert torch.equal(result, gpukern.addmm(c, a, b, activation="silu", residual=r, **how))


def test_what_does_not_fit_is_refused() -> None:
    a = torch.randn(3, 3)
    with pytest.raises(ValueError, match="without an activation the result is what went into it; call mm instead"):
        with_aux(None, a, a, activation="none")
    leaf = a.clone().requires_grad_()
    with pytest.raises(ValueError, match="unknown activation 'swish'"):
        gpukern.mm(leaf, a, activation="swish")
    with pytest.raises(TypeError, match="residual has type"):
        gpukern.mm(leaf, a, activation="gelu", residual=a.double())
    with pytest.raises(RuntimeError, match="does not broadcast to the product's"):
        gpukern.mm(leaf, a, activation="gelu", residual=torch.randn(2, 3))
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        gpukern.mm(leaf, torch.randn(4, 3), activation="gelu")


def test_explain_says_what_is_stored_for_the_gradient() -> None:
    x, w, b = (torch.empty(*s, device="meta", dtype=torch.bfloat16) for s in ((64, 512), (256, 512), (256,)))
    w.requires_grad_()
    found = gpukern.explain("linear", x, w, b, activation="gelu", device="sm_80")
    assert found.problem.endswith("+ bias, pre-activation stored, gelu") and found.would_run == "mma_sync/h64x64"
    assert "the pre-activation is stored by the product's own kernel, for the gradient" in found.notes
    relu = gpukern.explain("linear", x, w, b, activation="relu", device="sm_80")
    assert "stored" not in relu.problem and "the gradient reads the result: nothing else is stored for it" in relu.notes
    exact = gpukern.explain("linear", x.float(), w.float(), b.float(), activation="gelu", device="sm_90")
    assert "the pre-activation is stored in a separate epilogue kernel, for the gradient" in exact.notes
    assert not any("gradient" in note for note in gpukern.explain("linear", x, w, b, device="sm_80").notes)
