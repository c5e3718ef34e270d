"""Derivatives of the products: reverse, forward, batched and second order; versions, transforms, compile, autocast."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

import gpukern

CASES: dict[str, tuple[Callable[..., Tensor], tuple[tuple[int, ...], ...]]] = {
    "mm": (gpukern.mm, ((3, 4), (4, 2))),
    "bmm": (gpukern.bmm, ((2, 3, 4), (2, 4, 2))),
    "mv": (gpukern.mv, ((3, 4), (4,))),
    "addmm": (lambda c, a, b: gpukern.addmm(c, a, b, beta=0.5, alpha=2), ((3, 2), (3, 4), (4, 2))),
    "addmm bias": (gpukern.addmm, ((2,), (3, 4), (4, 2))),
    "baddbmm": (lambda c, a, b: gpukern.baddbmm(c, a, b, beta=3, alpha=-1), ((1, 2), (2, 3, 4), (2, 4, 2))),
    "addmv": (lambda c, a, b: gpukern.addmv(c, a, b, beta=2, alpha=3), ((3,), (3, 4), (4,))),
    "matmul folded": (gpukern.matmul, ((2, 3, 4), (4, 2))),
    "matmul broadcast": (gpukern.matmul, ((2, 1, 3, 4), (2, 4, 2))),
    "matmul vector": (gpukern.matmul, ((4,), (2, 4, 3))),
    "linear": (gpukern.linear, ((2, 3, 4), (5, 4), (5,))),
    "linear gelu": (lambda x, w, b, r: gpukern.linear(x, w, b, activation="gelu", residual=r),
                    ((3, 4), (5, 4), (5,), (3, 5))),
    "mm column-major": (lambda a, b: gpukern.mm(a.t(), b.t()), ((4, 3), (2, 4))),
    "in place": (lambda c, a, b: gpukern.addmm_(c * 2, a, b, beta=0.5, alpha=2), ((3, 2), (3, 4), (4, 2))),
}  # fmt: skip


def inputs(shapes: tuple[tuple[int, ...], ...]) -> list[Tensor]:
    return [torch.randn(*s, dtype=torch.float64, requires_grad=True) for s in shapes]


@pytest.mark.parametrize("case", CASES)
def test_gradcheck(case: str) -> None:
    function, shapes = CASES[case]
    args = inputs(shapes)
    assert torch.autograd.gradcheck(function, args, check_forward_ad=True, check_batched_grad=True)


@pytest.mark.parametrize("case", CASES)
def test_gradgradcheck(case: str) -> None:
    function, shapes = CASES[case]
    assert torch.autograd.gradgradcheck(function, inputs(shapes))


@pytest.mark.parametrize("case", CASES)
def test_expanded_gradients(case: str) -> None:
    """`.sum().backward()` hands in a gradient of stride 0."""
    function, shapes = CASES[case]
    args = inputs(shapes)
    function(*args).sum().backward()
    for x, g in zip(args, torch.autograd.grad((function(*args) * torch.ones(())).sum(), args)):
        torch.testing.assert_close(x.grad, g)


def test_only_what_is_asked_for_is_computed_and_saved() -> None:
    a, b = torch.randn(3, 4), torch.randn(4, 5, requires_grad=True)
    out = gpukern.mm(a, b)
    assert out.grad_fn is not None and out.grad_fn.name() == "GpukernMmBackward"
    b.data.add_(1)
    a_before = a.clone()
    out.sum().backward()
    torch.testing.assert_close(b.grad, a_before.t() @ torch.ones(3, 5))


def test_a_saved_operand_overwritten_in_place_raises() -> None:
    a, b = torch.randn(3, 3, requires_grad=True), torch.randn(3, 3, requires_grad=True)
    c = b * 2
    out = gpukern.mm(a, c)
    gpukern.addmm_(c.detach(), torch.ones(3, 3), torch.ones(3, 3))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


def test_in_place_on_a_leaf_and_out_with_gradients_are_refused_in_torchs_words() -> None:
    a = torch.randn(3, 3, requires_grad=True)
    for mine, theirs in [
        (lambda: gpukern.addmm_(a, a, a), lambda: a.addmm_(a, a)),
        (lambda: gpukern.mm(a, a, out=torch.empty(3, 3)), lambda: torch.mm(a, a, out=torch.empty(3, 3))),
        (lambda: gpukern.matmul(a, a, out=torch.empty(3, 3)), lambda: torch.mm(a, a, out=torch.empty(3, 3))),
    ]:
        with pytest.raises(RuntimeError) as expected:
            theirs()
        with pytest.raises(RuntimeError) as got:
            mine()
        assert str(got.value) == str(expected.value)


def test_versions() -> None:
    c = torch.zeros(3, 3)
    gpukern.addmm_(c, c.clone(), c.clone())
    assert c._version == 1
    gpukern.mm(torch.eye(3), torch.eye(3), out=c)
    assert c._version == 2


def test_weight_gradients_have_the_layout_of_the_weight() -> None:
    x, w = torch.randn(8, 4), torch.randn(5, 4, requires_grad=True)
    gpukern.linear(x, w).sum().backward()
    assert w.grad is not None and w.grad.is_contiguous()


def test_dual_tensors() -> None:
    a, b, t = (torch.randn(3, 3, dtype=torch.float64) for _ in range(3))
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(a, t)
        tangent = forward_ad.unpack_dual(gpukern.mm(dual, b)).tangent
    torch.testing.assert_close(tangent, t @ b)


def test_function_transforms() -> None:
    a, b = torch.randn(3, 3, dtype=torch.float64), torch.randn(3, 3, dtype=torch.float64)

    def mine(x: Tensor) -> Tensor:
        return (gpukern.mm(x, b) ** 3).sum()

    def theirs(x: Tensor) -> Tensor:
        return (torch.mm(x, b) ** 3).sum()

    for transform in (torch.func.grad, torch.func.hessian, torch.func.jacrev, torch.func.jacfwd):
        torch.testing.assert_close(transform(mine)(a), transform(theirs)(a))
    torch.testing.assert_close(
        torch.func.jvp(torch.func.grad(mine), (a,), (b,))[1], torch.func.jvp(torch.func.grad(theirs), (a,), (b,))[1]
    )


VMAP: list[tuple[Callable[..., Tensor], Callable[..., Tensor], tuple[tuple[int, ...], ...]]] = [
    (gpukern.mm, torch.mm, ((3, 4), (4, 2))),
    (gpukern.bmm, torch.bmm, ((2, 3, 4), (2, 4, 2))),
    (gpukern.mv, torch.mv, ((3, 4), (4,))),
    (gpukern.addmm, torch.addmm, ((2,), (3, 4), (4, 2))),
    (gpukern.baddbmm, torch.baddbmm, ((2, 3, 2), (2, 3, 4), (2, 4, 2))),
    (gpukern.addmv, torch.addmv, ((3,), (3, 4), (4,))),
    (gpukern.matmul, torch.matmul, ((2, 3, 4), (4, 2))),
    (gpukern.linear, torch.nn.functional.linear, ((3, 4), (2, 4), (2,))),
]


@pytest.mark.parametrize("case", range(len(VMAP)))
def test_vmap_over_any_of_the_arguments(case: int) -> None:
    mine, theirs, shapes = VMAP[case]
    for mask in range(1, 2 ** len(shapes)):
        dims = tuple((i % 2 if mask >> i & 1 else None) for i in range(len(shapes)))
        args = []
        for shape, dim in zip(shapes, dims):
            full = list(shape)
            if dim is not None:
                full.insert(min(dim, len(shape)), 6)
            args.append(torch.randn(*full, dtype=torch.float64))
        got, expected = torch.vmap(mine, in_dims=dims)(*args), torch.vmap(theirs, in_dims=dims)(*args)
        torch.testing.assert_close(got, expected)


def test_nested_vmap_and_vmap_of_a_gradient() -> None:
    a, b = torch.randn(5, 6, 3, 4), torch.randn(5, 4, 2)
    got = torch.vmap(lambda x, y: torch.vmap(lambda z: gpukern.mm(z, y))(x))(a, b)
    torch.testing.assert_close(got, a @ b.unsqueeze(1))
    per_sample = torch.vmap(torch.func.grad(lambda x, y: (gpukern.mm(x, y) ** 2).sum()))(a[:, 0], b)
    torch.testing.assert_close(per_sample, 2 * (a[:, 0] @ b) @ b.transpose(1, 2))


def test_vmap_cut_factors_of_integers_to_whole_ones_only_without_a_batch() -> None:
    """The batching rule multiplied by 2.5, where the product itself takes 2, and gave a floating result."""
    c, a, b = (torch.randint(-5, 5, (4, 3, 3)) for _ in range(3))
    mapped = torch.vmap(lambda *t: gpukern.addmm(*t, alpha=2.5, beta=1.5))(c, a, b)
    assert mapped.dtype == torch.int64
    assert torch.equal(mapped, torch.stack([gpukern.addmm(*t, alpha=2.5, beta=1.5) for t in zip(c, a, b)]))


def test_vmap_over_an_addend_that_is_not_read_had_a_batch_of_one() -> None:
    c, a, b = torch.full((5, 3, 2), float("nan")), torch.randn(3, 4), torch.randn(4, 2)
    got = torch.vmap(lambda t: gpukern.addmm(t, a, b, beta=0))(c)
    torch.testing.assert_close(got, (a @ b).expand(5, 3, 2))
    gpukern.relu_(got)  # and it is memory of its own


def test_vmap_of_an_addend_that_does_not_fit_has_torchs_words() -> None:
    a, b, c = torch.randn(4, 3, 3), torch.randn(4, 3, 3), torch.randn(4, 2, 3)
    messages = []
    for function in (gpukern.addmm, torch.addmm):
        with pytest.raises(RuntimeError) as caught:
            torch.vmap(function)(c, a, b)
        messages.append(str(caught.value).splitlines()[0])
    assert messages[0] == messages[1]


@pytest.mark.parametrize("name", ["addmm_", "baddbmm_", "addmv_"])
def test_complex_in_place_lost_its_history(name: str) -> None:
    """What is torch's went through its out= form, which refuses tensors that require grad."""
    shapes = {
        "addmm_": ((3, 2), (3, 4), (4, 2)), "baddbmm_": ((2, 3, 2), (2, 3, 4), (2, 4, 2)),
        "addmv_": ((3,), (3, 4), (4,)),
    }[name]  # fmt: skip
    args = [torch.randn(s, dtype=torch.complex128, requires_grad=True) for s in shapes]
    grads = []
    for function in (getattr(gpukern, name), lambda c, *t, **k: getattr(c, name)(*t, **k)):
        out = function(args[0] * 2, *args[1:], beta=0.5, alpha=2j)
        grads.append(torch.autograd.grad(out.abs().sum(), args))
    torch.testing.assert_close(grads[0], grads[1])


@pytest.mark.parametrize("name", ["mm", "bmm", "addmm", "baddbmm", "matmul", "linear", "mv", "addmv"])
def test_autocast_is_torchs(name: str) -> None:
    shapes = {
        "mm": ((3, 4), (4, 2)), "bmm": ((2, 3, 4), (2, 4, 2)), "addmm": ((3, 2), (3, 4), (4, 2)),
        "baddbmm": ((2, 3, 2), (2, 3, 4), (2, 4, 2)), "matmul": ((2, 3, 4), (4, 2)), "linear": ((3, 4), (2, 4), (2,)),
        "mv": ((3, 4), (4,)), "addmv": ((3,), (3, 4), (4,)),
    }[name]  # fmt: skip
    args = [torch.randn(*s, requires_grad=True) for s in shapes]
    theirs = torch.nn.functional.linear if name == "linear" else getattr(torch, name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected, got = theirs(*args), getattr(gpukern, name)(*args)
    assert got.dtype == expected.dtype
    torch.testing.assert_close(got, expected)
    got.float().sum().backward()
    assert all(x.grad is not None and x.grad.dtype == torch.float32 for x in args)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mm", "bmm", "mv", "addmm", "baddbmm", "addmv"])
def test_opcheck(name: str) -> None:
    _, shapes = CASES[name]
    args = tuple(torch.randn(*s, requires_grad=True) for s in shapes)
    torch.library.opcheck(getattr(torch.ops.gpukern, name).default, args)
    result = getattr(gpukern, name)(*args).detach()
    plain = tuple(x.detach() for x in args)
    torch.library.opcheck(getattr(torch.ops.gpukern, name).out, plain, {"out": torch.empty_like(result)})


@pytest.mark.slow
def test_training_under_compile() -> None:
    w = torch.randn(6, 4, requires_grad=True)
    x, b = torch.randn(3, 4), torch.randn(6)

    def step(x: Tensor, w: Tensor) -> Tensor:
        return gpukern.matmul(gpukern.linear(x, w, b, activation="gelu"), w).relu().sum()

    torch.compile(step, fullgraph=True, backend="aot_eager")(x, w).backward()
    assert w.grad is not None
    compiled, w.grad = w.grad, None
    step(x, w).backward()
    torch.testing.assert_close(compiled, w.grad)
