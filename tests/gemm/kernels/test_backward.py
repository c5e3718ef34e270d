"""Products multiplied by the derivative of an activation: the kernels under the model."""

from __future__ import annotations

import torch
from torch import Tensor

import gpukern
import gpukern.reference
from tests.gemm.kernels.asked import (
    FLOATING,
    by_activation,
    by_case,
    by_sampled,
    laid_out,
    multiplied,
    multiply,
    oriented,
    ragged,
    taken,
)
from tests.oracle import fills
from tests.platform import machine
from tests.platform.machine import Schedule

ACTIVATIONS = machine.ACTIVATIONS[1:]
EPS = {torch.float16: 2e-3, torch.bfloat16: 2e-2, torch.float32: 2e-5, torch.float64: 1e-12}


def inside(activation: str, saved: Tensor) -> Tensor:
    """Where the op is defined and its slope is no last digit of its argument."""
    return saved.abs() + 0.25 if activation in ("sqrt", "rsqrt", "log", "log2", "log1p", "reciprocal") else saved


def close(got: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    torch.testing.assert_close(got.double(), expected, rtol=EPS[dtype], atol=EPS[dtype] * 4, equal_nan=True)


@by_activation("derivatives", FLOATING, ACTIVATIONS)
def test_every_derivative(configuration: gpukern.selection.Configuration, dtype: torch.dtype, activation: str) -> None:
    (m, n), k = oriented(configuration, 19, 23), 18
    a, b = (multiplied(configuration, fills.normal(1, *s, dtype=dtype)) for s in ((m, k), (k, n)))
    saved = inside(activation, fills.normal(1, m, n, dtype=dtype))
    bias = fills.normal(1, 1, n, dtype=dtype).expand(1, m, n)
    got = multiply(
        configuration, *taken(configuration, a, b), derivative=activation, saved=saved, c=bias,
        alpha=0.5, beta=-2.0, residual=bias,
    )  # fmt: skip
    sums = 0.5 * (a.double() @ b.double()) - 2 * bias.double()
    expected = gpukern.reference.mm_activation_backward(sums, torch.eye(n)[None], saved, activation)
    close(got, expected + bias.double(), dtype)


@by_sampled("backward", FLOATING)
def test_ragged_shapes_strides_and_ranges_of_k(
    configuration: gpukern.selection.Configuration, dtype: torch.dtype
) -> None:
    for number, (batch, m, n, k) in enumerate(ragged(configuration)):
        a, b = (fills.integers(batch, *s, k=k, dtype=dtype) for s in ((m, k), (k, n)))
        saved = torch.randint(-1, 2, (batch, m, n)).to(dtype)
        out = torch.empty(batch, m, n, dtype=dtype)
        if number % 2:
            out = torch.empty(batch, n, m, dtype=dtype).transpose(1, 2)
        for kind, splits in (("rows", 1), ("columns", 2), ("gaps", 1), ("strided", 3)):
            got = multiply(
                configuration, *taken(configuration, a, b), out, derivative="relu", saved=laid_out(saved, kind),
                splits=splits, aligned=bool(number % 3), schedule=Schedule("pct", number + 1),
            )  # fmt: skip
            assert torch.equal(got.double(), (a.double() @ b.double() * (saved > 0)).to(dtype).double()), (kind, m, n)


@by_case(FLOATING)
def test_nan_of_s_stays_in_its_place(configuration: gpukern.selection.Configuration, dtype: torch.dtype) -> None:
    m, n = oriented(configuration, 20, 18)
    a, b, saved = (fills.normal(1, *s, dtype=dtype) for s in ((m, 33), (33, n), (m, n)))
    saved[0, 7, n - 1] = float("nan")
    for splits in (1, 2):
        got = multiply(configuration, *taken(configuration, a, b), derivative="gelu", saved=saved, splits=splits)[0]
        assert bool(got[7, n - 1].isnan()) and int(got.isnan().sum()) == 1
    saved[0, 7, n - 1] = -1.0
    a[0, 7] = float("nan")  # relu's gradient chooses: what it leaves out may be anything
    got = multiply(configuration, *taken(configuration, a, b), derivative="relu", saved=saved)[0]
    assert bool((got[7][saved[0, 7] <= 0] == 0).all()) and bool(got[7][saved[0, 7] > 0].isnan().all())
