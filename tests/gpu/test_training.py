"""Training's products on the device: the pre-activation beside the result, and gradients of activations
with those of biases; exact values."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import gpukern
import gpukern.nn
from tests.gemm.kernels.test_backward import EPS, close
from tests.gpu import device
from tests.gpu.test_fused import by_case, by_columns, sides
from tests.oracle import fills

with_aux = torch.ops.gpukern.product_with_aux
backward = torch.ops.gpukern.activation_backward_bias_grad


@by_case
def test_the_pre_activation_beside_the_result(configuration: Any, dtype: torch.dtype) -> None:
    for m, n, k in sides(configuration):
        a, b, c = (fills.integers(*s, k=4 * k, dtype=dtype).cuda() for s in ((m, k), (k, n), (m, n)))
        before = (a.double() @ b.double() + c.double()).to(dtype)
        for left, right in ((a, b), (a, by_columns(b)), (by_columns(a), by_columns(b))):
            if not device.serves(configuration, "mm", left, right):
                continue
            for ranges in ("", "*3"):
                with gpukern.force(configuration.name + ranges):
                    result, aux = with_aux(
                        c, left, right, activation="relu", residual=c, **device.how(configuration, dtype)
                    )
                assert torch.equal(aux, before), (m, n, k, ranges)
                assert torch.equal(result, (before.double().relu() + c.double()).to(dtype)), (m, n, k, ranges)


@pytest.mark.parametrize("dtype", EPS)
def test_gradients_alone_are_exact_where_relus_are(dtype: torch.dtype) -> None:
    for m, n in ((1, 1), (70, 5), (1000, 264), (3, 4096)):
        grad, saved = (fills.integers(m, n, k=4 * m, dtype=dtype).cuda() for _ in range(2))
        for given in (grad, grad[:1].expand(m, n), grad[:1, :1].expand(m, n)):
            expected = given.double() * (saved > 0)
            d, sums = backward(given, saved, "relu")
            assert torch.equal(d, expected.to(dtype)) and torch.equal(sums, expected.sum(0).to(dtype)), (m, n)
            assert all(torch.equal(sums, backward(given, saved, "relu")[1]) for _ in range(5))


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("activation", ["relu", "gelu", "silu"])
def test_a_layer_and_a_chain_train_as_on_the_cpu(activation: str, dtype: torch.dtype) -> None:
    for model in (
        gpukern.nn.Linear(40, 24, activation=activation, dtype=torch.float64),
        gpukern.nn.MLP(40, 72, 64, 24, activation=activation, dtype=torch.float64),
    ):
        x = torch.randn(33, 40, dtype=torch.float64)

        def gradients(x: Tensor, model: torch.nn.Module = model) -> list[Tensor]:
            x = x.requires_grad_()
            return list(torch.autograd.grad(model(x).sum() / 8, [x, *model.parameters()]))

        there = gradients(x.to("cuda", dtype), model.to("cuda", dtype))
        expected = gradients(x.to(dtype).double(), model.to("cpu", torch.float64))
        for one, two in zip(there, expected):
            close(one.cpu() / 4, two / 4, dtype)
