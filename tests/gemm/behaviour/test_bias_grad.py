"""mm_activation_backward(bias_grad=True): the gradient and, beside it, the sums of its columns."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import gpukern
import gpukern.reference
from tests.gemm.behaviour.test_backward import operands
from tests.gemm.kernels.test_backward import ACTIVATIONS, EPS, close, inside

call: Any = gpukern.mm_activation_backward
op = torch.ops.gpukern.mm_activation_backward_bias_grad.default


def both(*args: Any, **options: Any) -> tuple[Tensor, Tensor]:
    found: tuple[Tensor, Tensor] = call(*args, bias_grad=True, **options)
    return found


@pytest.mark.parametrize("activation", ["none", *ACTIVATIONS])
def test_it_is_the_bias_gradient_that_autograd_finds(activation: str) -> None:
    grad, weight, saved = operands(torch.float64, 2)
    saved = inside(activation, saved)
    bias = torch.zeros(7, dtype=torch.float64, requires_grad=True)
    gpukern.linear(saved, torch.eye(7, dtype=torch.float64), bias, activation=activation).backward(grad @ weight)
    d, sums = both(grad, weight, saved, activation)
    torch.testing.assert_close(sums, bias.grad)
    assert torch.equal(d, call(grad, weight, saved, activation))


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_every_type_and_shape(dtype: torch.dtype, batch: tuple[int, ...]) -> None:
    grad, weight, saved = operands(dtype, *batch)
    d, sums = both(grad, weight, saved, "silu")
    expected, columns = gpukern.reference.mm_activation_backward(grad, weight, saved, "silu", bias_grad=True)
    assert d.dtype == sums.dtype == dtype and d.shape == saved.shape and sums.shape == (7,)
    close(d, expected, dtype)
    rows = expected.reshape(-1, 7)
    assert bool(((sums.double() - columns).abs() <= EPS[dtype] * (columns.abs() + 4 * rows.abs().sum(0) + 4)).all())


def test_a_vector_is_one_row_and_the_results_are_apart() -> None:
    grad, weight, saved = operands(torch.float32)
    d, sums = both(grad[0], weight, saved[0], "gelu")
    assert torch.equal(d, sums) and d.data_ptr() != sums.data_ptr()


def test_false_is_the_function_as_it_was() -> None:
    args = (*operands(torch.float32), "gelu")
    assert torch.equal(call(*args, bias_grad=False), call(*args))
    assert call.__text_signature__.endswith("precision=None, batch_invariant=False, bias_grad=False)")
    assert "bias_grad" not in str(torch.ops.gpukern.mm_activation_backward.default._schema)


@pytest.mark.parametrize("activation", ["none", "gelu", "silu", "tanh"])
def test_it_is_differentiable(activation: str) -> None:
    inputs = [t.requires_grad_() for t in operands(torch.float64)]
    assert torch.autograd.gradcheck(lambda *t: both(*t, activation), inputs, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(lambda *t: both(*t, activation), inputs)  # a third derivative
    (alone,) = torch.autograd.grad(both(*inputs, activation)[1].sum(), inputs[:1])
    (whole,) = torch.autograd.grad(call(*inputs, activation).sum(), inputs[:1])
    torch.testing.assert_close(alone, whole)


def test_vmap_compile_and_opcheck() -> None:
    grad, weight, saved = operands(torch.float32, 4)
    each = [both(g, weight, s, "gelu") for g, s in zip(grad, saved)]
    for result, expected in zip(
        torch.func.vmap(lambda g, s: both(g, weight, s, "gelu"))(grad, saved), map(torch.stack, zip(*each))
    ):
        torch.testing.assert_close(result, expected)
    compiled = torch.compile(lambda g, w, s: both(g, w, s, "gelu"), backend="aot_eager", fullgraph=True)
    for result, expected in zip(compiled(grad, weight, saved), both(grad, weight, saved, "gelu")):
        torch.testing.assert_close(result, expected)
    for differentiable in (False, True):
        arguments = [t.clone().requires_grad_(differentiable) for t in (grad, weight, saved)]
        torch.library.opcheck(op, (*arguments, "silu"))


def test_autocast_and_meta() -> None:
    grad, weight, saved = operands(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        assert [t.dtype for t in both(grad, weight, saved, "gelu")] == [torch.bfloat16] * 2
    d, sums = both(*(t.to("meta") for t in (grad, weight, saved)), "gelu")
    assert d.is_meta and d.shape == (3, 7) and sums.is_meta and sums.shape == (7,)


def test_empty_extents() -> None:
    for m, n, k in ((0, 7, 5), (3, 0, 5), (3, 7, 0), (0, 0, 0)):
        d, sums = both(torch.ones(m, k), torch.ones(k, n), torch.ones(m, n), "gelu")
        assert d.shape == (m, n) and sums.shape == (n,) and not d.any() and not sums.any()


def test_nan_stays_in_its_column() -> None:
    grad, weight, saved = operands(torch.float32)
    saved[1, 2] = float("nan")
    assert both(grad, weight, saved, "gelu")[1].isnan().tolist() == [i == 2 for i in range(7)]


def test_what_does_not_fit_is_refused() -> None:
    grad, weight, saved = operands(torch.float32)
    with pytest.raises(RuntimeError, match=r"saved of shape \[3, 6\] is not of the product's shape \[3, 7\]"):
        both(grad, weight, saved[:, :6], "relu")
    with pytest.raises(ValueError, match="unknown activation 'swish'"):
        both(grad, weight, saved, "swish")
    with pytest.raises(TypeError, match="argument 'bias_grad' must be bool, not str"):
        call(grad, weight, saved, "relu", bias_grad="yes")
    with pytest.raises(TypeError, match="takes 4 positional arguments but 5 were given"):
        call(grad, weight, saved, "relu", True)


def test_explain_says_in_which_pass_it_is_summed() -> None:
    def explain(
        m: int, n: int, k: int, device: str, dtype: torch.dtype = torch.bfloat16
    ) -> tuple[str, tuple[str, ...]]:
        meta = [torch.empty(*s, device="meta", dtype=dtype) for s in ((m, k), (k, n), (m, n))]
        found = gpukern.explain("mm_activation_backward", *meta, "gelu", device=device, bias_grad=True)
        return found.problem, found.notes

    problem, notes = explain(4096, 4096, 512, "sm_80")
    assert problem.endswith("gelu'(saved), columns summed")
    assert notes == (
        "the bias gradient is summed in the product's own kernel, in 64 partial sums, which are added in a fixed order",
    )
    assert "in the product's own kernel, in 256 partial sums" in explain(4096, 4096, 512, "sm_90a")[1][-1]
    assert "in a separate epilogue kernel, in" in explain(4096, 4096, 512, "gfx942")[1][-1]
    assert "in a separate epilogue kernel, in" in explain(64, 128, 65536, "sm_90a")[1][-1]
    assert explain(64, 64, 64, "cpu")[1] == ("the bias gradient is torch's sum over the rounded result",)
