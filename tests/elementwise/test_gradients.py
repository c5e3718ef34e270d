"""Gradients: finite differences in float64, torch's own in float32 on awkward strides, saved tensors, leaves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad as fwd
from torch.autograd import gradcheck, gradgradcheck

from tests.oracle.ops import CASES, FIRST, Case, ids

SMOOTH = [c for c in CASES if c.differentiable]
DIFFERENTIABLE = [c for c in FIRST if c.differentiable]
WRITES_SELF = [c for c in DIFFERENTIABLE if c.writes_self]


def leaves(case: Case, shape: tuple[int, ...] = (3, 5), dtype: torch.dtype = torch.float64) -> list[Tensor]:
    return [t.requires_grad_() if t.is_floating_point() else t for t in case.smooth_inputs(shape, dtype)]


@pytest.mark.parametrize("case", SMOOTH, ids=ids(SMOOTH))
def test_gradcheck(case: Case) -> None:
    """Reverse, forward, and both under vmap."""
    assert gradcheck(
        case.ours, leaves(case), check_forward_ad=True, check_batched_grad=True, check_batched_forward_grad=True
    )


@pytest.mark.parametrize("case", SMOOTH, ids=ids(SMOOTH))
def test_gradgradcheck(case: Case) -> None:
    assert gradgradcheck(case.ours, leaves(case, (2, 3)), check_fwd_over_rev=True, check_rev_over_rev=True)


def transposed(g: Tensor) -> Tensor:
    return g.t().contiguous().t()


def sliced(g: Tensor) -> Tensor:
    return torch.stack([g, g], dim=-1)[..., 0]


def stride_zero(g: Tensor) -> Tensor:
    return g.flatten()[0].expand_as(g)


def half_expanded(g: Tensor) -> Tensor:
    return g[:, :1].expand_as(g)


GRADIENTS = [transposed, sliced, stride_zero, half_expanded]


def gradients(function: Callable[..., Tensor], tensors: list[Tensor], g: Callable[[Tensor], Tensor]) -> list[Tensor]:
    inputs = [t.detach().requires_grad_() if t.is_floating_point() else t for t in tensors]
    result = function(*inputs)
    weight = g(torch.linspace(-1.5, 2.0, result.numel(), dtype=result.dtype).reshape(result.shape))
    return list(torch.autograd.grad(result, [t for t in inputs if t.requires_grad], weight))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("case", SMOOTH, ids=ids(SMOOTH))
def test_as_torch_on_awkward_strides(case: Case, dtype: torch.dtype) -> None:
    """float64 gradients of torch's function, whatever the strides of the gradient and of the operands."""
    for g in GRADIENTS:
        dense = case.smooth_inputs((12, 21), dtype)
        awkward = [transposed(dense[0]), *[half_expanded(t) for t in dense[1:]]]
        ours = gradients(case.ours, awkward, g)
        exact = gradients(case.eager, [t.double() if t.is_floating_point() else t for t in awkward], g)
        for mine, theirs in zip(ours, exact):
            assert mine.shape == theirs.shape and mine.dtype == dtype
            # expanded operands: 20 terms are summed in the type
            eps = {torch.float32: 1e-5, torch.bfloat16: 0.08, torch.float16: 0.01}[dtype]
            torch.testing.assert_close(mine.double(), theirs, rtol=eps, atol=eps * (1 + float(theirs.abs().max())))


@pytest.mark.parametrize("case", SMOOTH, ids=ids(SMOOTH))
def test_sum_backward(case: Case) -> None:
    """`.sum().backward()` hands a stride-0 gradient down (a fault of several kernel libraries)."""
    inputs = leaves(case, (7, 33), torch.float32)
    case.ours(*inputs).sum().backward()
    exact = [t.detach().double().requires_grad_() if t.is_floating_point() else t for t in inputs]
    case.eager(*exact).sum().backward()
    for t, e in zip(inputs, exact):
        if t.requires_grad:
            assert t.grad is not None
            torch.testing.assert_close(t.grad.double(), e.grad, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", [c for c in SMOOTH if c.inputs > 1], ids=ids([c for c in SMOOTH if c.inputs > 1]))
def test_broadcast_operands_get_their_own_shape(case: Case) -> None:
    shapes: list[tuple[int, ...]] = [(4, 1, 5), (3, 1), (1,)]
    inputs = [case.smooth_inputs(s)[k] for k, s in zip(range(case.inputs), shapes)]

    def expanded(*tensors: Tensor) -> Tensor:  # torch.clamp's own backward refuses operands that broadcast
        return case.eager(*torch.broadcast_tensors(*tensors))

    ours, theirs = gradients(case.ours, inputs, lambda g: g), gradients(expanded, inputs, lambda g: g)
    for mine, other in zip(ours, theirs):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-9)


SEVERAL = [c for c in DIFFERENTIABLE if c.inputs > 1]


@pytest.mark.parametrize("case", SEVERAL, ids=ids(SEVERAL))
def test_only_one_operand_requires_grad(case: Case) -> None:
    for k in range(case.inputs):
        inputs = case.smooth_inputs((5,))
        if not inputs[k].is_floating_point():
            continue
        results = []
        for function in (case.ours, case.eager):
            x = [t.clone() for t in inputs]
            x[k].requires_grad_()
            results.append(torch.autograd.grad(function(*x).sum(), x[k])[0])
        torch.testing.assert_close(results[0], results[1], rtol=1e-9, atol=1e-9)


def steps(case: Case) -> float:
    """Relative distance from torch's float64 gradient; torch multiplies hardsigmoid's by 1/6 rounded to float32."""
    return 2.0**-24 if case.name == "hardsigmoid" else 1e-9


def kinks(case: Case) -> list[Tensor]:
    points = torch.tensor([0.0, -0.0, 1.0, -1.0, 3.0, -3.0, 6.0, 0.5, -0.5, 2.0, -2.0, 20.0], dtype=torch.float64)
    if case.inputs == 1:
        return [points]
    grid = torch.cartesian_prod(*[points[:8]] * case.inputs)
    columns = [grid[:, k].contiguous() for k in range(case.inputs)]
    return [columns[0] > 0, *columns[1:]] if case.has_condition else columns


AT_KINKS = [
    c for c in SMOOTH if c.family != "fused" and c.name not in ("log", "log2", "rsqrt", "reciprocal", "div", "sqrt")
]


@pytest.mark.parametrize("case", AT_KINKS, ids=ids(AT_KINKS))
def test_gradient_at_kinks_and_ties_is_torchs(case: Case) -> None:
    inputs = kinks(case)
    ours, theirs = gradients(case.ours, inputs, lambda g: g), gradients(case.eager, inputs, lambda g: g)
    for mine, other in zip(ours, theirs):
        torch.testing.assert_close(mine, other, rtol=steps(case), atol=1e-9, equal_nan=True)


def overwritten(function: Callable[..., Tensor], tensors: list[Tensor], which: int | None) -> str | list[Tensor]:
    """The message of backward() after argument `which` (or, for -1, the result) was overwritten; or the gradients."""
    inputs = [t.clone().requires_grad_() if t.is_floating_point() else t.clone() for t in tensors]
    held = [t * 1 if t.is_floating_point() else t for t in inputs]
    result = function(*held)
    if which is not None:
        target = result if which < 0 else held[which]
        with torch.no_grad():
            target.mul_(0) if target.is_floating_point() else target.logical_not_()
    try:
        result.sum().backward()
    except RuntimeError as error:
        return str(error)
    return [t.grad for t in inputs if t.grad is not None]


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=ids(DIFFERENTIABLE))
def test_overwritten_saved_tensor_raises_as_in_torch(case: Case) -> None:
    """Torch's error, or the gradient at the old values; never a gradient that is silently wrong.

    We raise where torch does, except where our gradient does not need the tensor that torch saves: the result of pow
    and hypot, which we compute again; that of tanh and its like, which has no digits left in saturation; that of
    copysign, whose signs are in its operands; and the operands of a rounded division, whose gradient is zero.
    """
    inputs = case.smooth_inputs((4,))
    undisturbed = overwritten(case.ours, inputs, None)
    for which in range(-1, case.inputs):
        ours = overwritten(case.ours, inputs, which)
        assert not isinstance(undisturbed, str)
        if isinstance(ours, str):
            assert "has been modified by an inplace operation" in ours
            continue
        for mine, right in zip(ours, undisturbed, strict=True):
            assert torch.equal(mine, right), f"operand {which}"
        if case.family == "fused":
            assert which < 0 or case.choice == "none", f"operand {which}: the activation reads it"
        elif isinstance(overwritten(case.eager, inputs, which), str):
            from_input = which < 0 and case.name in (
                "pow",
                "tanh",
                "sigmoid",
                "expm1",
                "exp2",
                "tan",
                "hypot",
                "copysign",
            )
            assert from_input or case.choice in ("trunc", "floor"), f"operand {which}"


@pytest.mark.parametrize("case", WRITES_SELF, ids=ids(WRITES_SELF))
def test_in_place_gradient(case: Case) -> None:
    """The in-place form in the middle of a graph; a leaf that requires grad is refused with torch's error."""
    inputs = case.smooth_inputs((3, 4))
    results = []
    for in_place in (True, False):
        x = [t.clone().requires_grad_() for t in inputs]
        first = x[0] * 1
        result = case.in_place(first, *x[1:]) if in_place else case.ours(first, *x[1:])
        if in_place:
            assert result is first
        (result * torch.linspace(1, 2, result.numel(), dtype=result.dtype).view_as(result)).sum().backward()
        results.append([t.grad for t in x])
    for a, b in zip(*results):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    leaf = inputs[0].clone().requires_grad_()
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used in an in-place operation"):
        case.in_place(leaf, *inputs[1:])


def test_in_place_on_a_view() -> None:
    import gpukern

    base = torch.randn(4, 4, dtype=torch.float64, requires_grad=True)
    copy = base * 1
    gpukern.silu_(copy[1])
    copy.sum().backward()
    other = base.detach().clone().requires_grad_()
    expected = torch.ones(4, 4, dtype=torch.float64)
    torch.nn.functional.silu(other[1]).sum().backward()
    assert other.grad is not None and base.grad is not None
    expected[1] = other.grad[1]
    torch.testing.assert_close(base.grad, expected)


def test_in_place_bumps_the_version() -> None:
    """Without it an overwritten saved tensor gives +2 where -4 is right, in silence."""
    import gpukern

    x = torch.tensor([2.0], requires_grad=True)
    y = x * 1
    z = y * y
    before = y._version
    gpukern.neg_(y)
    assert y._version == before + 1
    with pytest.raises(RuntimeError, match="has been modified by an inplace operation"):
        z.backward()
    out = torch.empty(1)
    before = out._version
    gpukern.exp(torch.ones(1), out=out)
    assert out._version == before + 1


def test_out_refuses_arguments_that_require_grad() -> None:
    import gpukern

    x, out = torch.ones(3, requires_grad=True), torch.empty(3)
    for ours, theirs in ((gpukern.exp, torch.exp), (gpukern.sigmoid, torch.sigmoid)):
        with pytest.raises(RuntimeError) as torchs:
            theirs(x, out=out)
        with pytest.raises(RuntimeError) as mine:
            ours(x, out=out)
        assert str(mine.value).splitlines()[0] == str(torchs.value).splitlines()[0]


@pytest.mark.parametrize("case", SMOOTH, ids=ids(SMOOTH))
def test_forward_mode_alone(case: Case) -> None:
    """Dual tensors with every operand active, one active, and a tangent of stride 0."""
    inputs = case.smooth_inputs((3, 4))
    for active in range(case.inputs):
        if not inputs[active].is_floating_point():
            continue
        tangents = []
        for function in (case.ours, case.eager):
            with fwd.dual_level():
                tangent = torch.full((), 0.7, dtype=torch.float64).expand(3, 4)
                x = [fwd.make_dual(t, tangent) if k == active else t for k, t in enumerate(inputs)]
                tangents.append(fwd.unpack_dual(function(*x)).tangent)
        if tangents[1] is not None:
            assert tangents[0] is not None, "the tangent was dropped"
            torch.testing.assert_close(tangents[0], tangents[1], rtol=steps(case), atol=1e-9)


def test_backward_twice_needs_retain_graph() -> None:
    import gpukern

    x = torch.randn(3, requires_grad=True)
    y = gpukern.gelu(x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
        y.backward()


def test_saved_tensor_hooks_and_checkpoint_see_the_inputs() -> None:
    from torch.utils.checkpoint import checkpoint

    import gpukern

    seen: list[tuple[int, ...]] = []

    def pack(t: Tensor) -> Tensor:
        seen.append(tuple(t.shape))
        return t

    x = torch.randn(3, 4, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        y = gpukern.silu(x)
    assert seen == [(3, 4)]
    y.sum().backward()
    z = x.detach().clone().requires_grad_()
    checkpoint(gpukern.silu, z, use_reentrant=False).sum().backward()
    torch.testing.assert_close(x.grad, z.grad)
