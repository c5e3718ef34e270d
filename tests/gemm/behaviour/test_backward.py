"""Products multiplied by the derivative of an activation: mm_activation_backward."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import gpukern
import gpukern.reference
from tests.gemm.kernels.test_backward import ACTIVATIONS, EPS, close, inside


def operands(dtype: torch.dtype, *batch: int) -> list[Tensor]:
    return [torch.randn(*s, dtype=dtype) for s in ((*batch, 3, 5), (5, 7), (*batch, 3, 7))]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_it_is_the_gradient_that_autograd_finds(activation: str) -> None:
    for dtype in EPS:
        grad, weight, saved = operands(dtype, 2)
        saved = inside(activation, saved)
        got = gpukern.mm_activation_backward(grad, weight, saved, activation)
        if dtype == torch.float64:
            leaf = saved.clone().requires_grad_()
            gpukern.linear(leaf, torch.eye(7, dtype=dtype), activation=activation).backward(grad @ weight)
            torch.testing.assert_close(got, leaf.grad)
        close(got, gpukern.reference.mm_activation_backward(grad, weight, saved, activation), dtype)
        assert got.dtype == dtype and got.shape == saved.shape


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_it_is_differentiable(activation: str) -> None:
    grad, weight, saved = operands(torch.float64)
    inputs = [t.requires_grad_() for t in (grad, weight, inside(activation, saved))]
    forward = activation in ("gelu", "silu", "tanh", "relu")
    assert torch.autograd.gradcheck(
        lambda g, w, s: gpukern.mm_activation_backward(g, w, s, activation), inputs, check_forward_ad=forward
    )


def test_vmap_and_compile() -> None:
    grad, weight, saved = operands(torch.float32, 4)
    call: Any = gpukern.mm_activation_backward
    each = torch.stack([call(g, weight, s, "gelu") for g, s in zip(grad, saved)])
    torch.testing.assert_close(torch.func.vmap(lambda g, s: call(g, weight, s, "gelu"))(grad, saved), each)
    torch.testing.assert_close(call(grad, weight, saved, "gelu"), each)
    compiled = torch.compile(lambda g, w, s: call(g, w, s, "gelu"), backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(grad, weight, saved), each)
    for differentiable in (False, True):
        arguments = [t.clone().requires_grad_(differentiable) for t in (grad, weight, saved)]
        torch.library.opcheck(torch.ops.gpukern.mm_activation_backward.default, (*arguments, "silu"))


def test_autocast_lowers_all_three() -> None:
    grad, weight, saved = operands(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        assert gpukern.mm_activation_backward(grad, weight, saved, "gelu").dtype == torch.bfloat16


def test_empty_extents() -> None:
    for m, n, k in ((0, 7, 5), (3, 0, 5), (3, 7, 0)):
        got = gpukern.mm_activation_backward(torch.ones(m, k), torch.ones(k, n), torch.ones(m, n), "gelu")
        assert got.shape == (m, n) and not got.any()


def test_what_does_not_fit_is_refused() -> None:
    grad, weight, saved = operands(torch.float32)
    call: Any = gpukern.mm_activation_backward
    with pytest.raises(ValueError, match="unknown activation 'swish'; choose one of none, relu, gelu"):
        call(grad, weight, saved, "swish")
    with pytest.raises(RuntimeError, match=r"saved of shape \[3, 6\] is not of the product's shape \[3, 7\]"):
        call(grad, weight, saved[:, :6], "relu")
    with pytest.raises(TypeError, match="saved has type Double, but grad has Float; convert one of them"):
        call(grad, weight, saved.double(), "relu")
    with pytest.raises(TypeError, match="a derivative needs a floating type, got Int"):
        call(grad.int(), weight.int(), saved.int(), "relu")
    with pytest.raises(RuntimeError, match="weight must be a matrix, got 3 dimensions"):
        call(grad, weight[None], saved, "relu")
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        call(grad[:, :4], weight, saved, "relu")
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        call(grad, weight, saved)


def test_explain_says_what_follows_the_product() -> None:
    shapes = ((64, 512), (512, 256), (64, 256))
    meta = [torch.empty(*s, device="meta", dtype=torch.bfloat16) for s in shapes]
    found = gpukern.explain("mm_activation_backward", *meta, "gelu", device="sm_80")
    assert found.problem == "(64, 512) @ (512, 256), bfloat16, A row-major, B row-major, gelu'(saved)"
    assert found.would_run == "mma_sync/h64x64"
