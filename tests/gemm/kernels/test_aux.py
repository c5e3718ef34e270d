"""Products that store what goes into their activation, and the gradient of an activation: under the machine model."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

import gpukern.reference
from gpukern.model.machine import Refused
from gpukern.selection import Configuration
from tests.gemm.kernels.asked import (
    FLOATING,
    GPU_CONFIGURATIONS,
    by_activation,
    by_sampled,
    laid_out,
    multiplied,
    multiply,
    oriented,
    place,
    ragged,
    taken,
)
from tests.gemm.kernels.test_backward import ACTIVATIONS, close, inside
from tests.oracle import fills
from tests.platform import machine
from tests.platform.machine import Schedule


@by_sampled("aux", FLOATING)
def test_ragged_shapes_strides_and_ranges_of_k(configuration: Configuration, dtype: torch.dtype) -> None:
    """relu is exact, so both results are."""
    for number, (batch, m, n, k) in enumerate(ragged(configuration)):
        a, b = (fills.integers(batch, *s, k=4 * k, dtype=dtype) for s in ((m, k), (k, n)))
        c = fills.integers(batch, m, n, k=9, dtype=dtype)
        before = (a.double() @ b.double() + c.double()).to(dtype)
        for kind, splits in (("rows", 1), ("columns", 2), ("gaps", 1), ("strided", 3)):
            aux = laid_out(torch.empty(batch, m, n, dtype=dtype), kind)
            out = torch.empty(batch, m, n, dtype=dtype)
            if number % 2:
                out = torch.empty(batch, n, m, dtype=dtype).transpose(1, 2)
            got = multiply(
                configuration, *taken(configuration, a, b), out, c=c, activation="relu", residual=c, aux=aux,
                splits=splits, aligned=bool(number % 3), schedule=Schedule("pct", number + 1),
            )  # fmt: skip
            assert torch.equal(aux, before), (kind, m, n, k)
            assert torch.equal(got, (before.double().relu() + c.double()).to(dtype)), (kind, m, n, k)


@by_activation("beside", FLOATING, ACTIVATIONS)
def test_beside_every_activation(configuration: Configuration, dtype: torch.dtype, activation: str) -> None:
    (m, n), k = oriented(configuration, 19, 23), 18
    a, b = (multiplied(configuration, fills.uniform(1, *s, dtype=dtype)) for s in ((m, k), (k, n)))
    bias = fills.uniform(1, 1, n, dtype=dtype).expand(1, m, n)
    aux = torch.empty(1, m, n, dtype=dtype)
    got = multiply(configuration, *taken(configuration, a, b), c=bias, alpha=0.5, activation=activation, aux=aux)
    before = 0.5 * (a.double() @ b.double()) + bias.double()
    close(aux, before, dtype)
    close(got, torch.from_numpy(gpukern.reference.activate(before.numpy(), activation)), dtype)


def test_every_schedule_gives_the_same_bits() -> None:
    (configuration,) = (r for r in GPU_CONFIGURATIONS if r.name == "mma_sync/h64x64")
    a, b = (fills.normal(1, *s, dtype=torch.bfloat16) for s in ((70, 130), (130, 72)))
    found = []
    for schedule in (Schedule("fifo"), Schedule("lifo"), Schedule("random", 3), Schedule("pct", 2)):
        aux = torch.empty(1, 70, 72, dtype=torch.bfloat16)
        out = torch.empty_like(aux)
        found.append(
            (machine.product(*place(configuration), out, a, b, activation="gelu", aux=aux, schedule=schedule), aux)
        )
    assert all(torch.equal(x, y) for one in found for x, y in zip(one, found[0]))


def test_an_aux_without_an_activation_is_refused() -> None:
    (configuration,) = (r for r in GPU_CONFIGURATIONS if r.name == "mma_sync/h64x64")
    a = torch.ones(1, 64, 64, dtype=torch.bfloat16)
    with pytest.raises(Refused, match="an auxiliary output needs an activation"):
        machine.product(*place(configuration), torch.empty_like(a), a, a, aux=torch.empty_like(a))


# ---- the gradient of an activation, with the bias's: the epilogue without the product ------------------------

ANYWHERE = next(c for c in GPU_CONFIGURATIONS if not c.lanes and not c.vectors)
TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def gradient(grad: Tensor, saved: Tensor, activation: str, **options: Any) -> tuple[Tensor, Tensor]:
    m, n = grad.shape
    a, b = grad.new_empty(m, 0), grad.new_empty(0, n)
    return machine.product_with_sums(
        *place(ANYWHERE), torch.empty(m, n, dtype=grad.dtype), a, b, c=grad, derivative=activation, saved=saved,
        splits=0, **options,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", TYPES)
def test_gradients_alone_are_exact_where_relus_are(dtype: torch.dtype) -> None:
    for m, n in itertools.product((1, 3, 70), (1, 5, 64)):
        grad, saved = fills.integers(m, n, k=64, dtype=dtype), torch.randint(-1, 2, (m, n)).to(dtype)
        wide = laid_out(grad[None], "gaps")[0]
        for aligned, given in ((False, grad), (True, grad), (True, grad[:1].expand(m, n)), (True, wide)):
            expected = given.double() * (saved > 0)
            d, sums = gradient(given, saved, "relu", aligned=aligned)
            assert torch.equal(d.double(), expected)
            assert torch.equal(sums.double(), expected.sum(0).to(dtype).double())


@pytest.mark.parametrize("activation", ["none", *ACTIVATIONS])
@pytest.mark.parametrize("dtype", TYPES)
def test_gradients_alone_of_every_activation(dtype: torch.dtype, activation: str) -> None:
    grad, saved = fills.normal(37, 24, dtype=dtype), inside(activation, fills.normal(37, 24, dtype=dtype))
    d, sums = gradient(grad, saved, activation)
    expected, columns_of = gpukern.reference.mm_activation_backward(
        grad, torch.eye(24, dtype=dtype), saved, activation, bias_grad=True
    )
    close(d, expected, dtype)
    close(sums / 37, columns_of / 37, dtype)
