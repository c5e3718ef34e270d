"""Products with a scale a row and a scale a column: the kernels under the model."""

from __future__ import annotations

import torch
from torch import Tensor

import gpukern
import gpukern.reference
from tests.gemm.kernels.asked import FLOATING, by_case, by_sampled, multiply, oriented, ragged, taken
from tests.oracle import fills
from tests.platform.machine import Schedule


def wide(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def powers(*shape: int) -> Tensor:
    return 2.0 ** torch.randint(-2, 3, shape)


@by_sampled("row scales", FLOATING)
def test_every_configuration_scales(configuration: gpukern.selection.Configuration, dtype: torch.dtype) -> None:
    for number, (batch, m, n, k) in enumerate(ragged(configuration)):
        a, b = (fills.integers(batch, *s, k=4 * k, dtype=dtype) for s in ((m, k), (k, n)))
        rows, columns = powers(batch, m).to(wide(dtype)), powers(batch, n).to(wide(dtype))
        bias = fills.integers(1, 1, n, k=9, dtype=dtype).expand(batch, m, n)
        out = torch.empty(batch, m, n, dtype=dtype)
        if number % 2:
            out = torch.empty(batch, n, m, dtype=dtype).transpose(1, 2)
        apart = torch.stack((columns, columns), 2)[:, :, 0]  # with a stride of 2
        for r, c, splits, activation in (
            (rows, columns, 1, "none"), (rows, None, 2, "relu"), (None, apart, 1, "relu"),
            (rows[:1].expand(batch, m), columns, 3, "none"),
        ):  # fmt: skip
            got = multiply(
                configuration, *taken(configuration, a, b), out, c=bias, alpha=2, beta=1, row_scale=r, column_scale=c,
                splits=splits, activation=activation, aligned=bool(number % 3), schedule=Schedule("pct", number + 1),
            )  # fmt: skip
            scaled = 2 * (a.double() @ b.double())
            scaled = scaled if r is None else scaled * r.double().unsqueeze(2)
            scaled = (scaled if c is None else scaled * c.double().unsqueeze(1)) + bias.double()
            expected = scaled.relu() if activation == "relu" else scaled
            assert torch.equal(got.double(), expected.to(dtype).double()), (m, n, k, splits)


@by_case(FLOATING)
def test_sums_beyond_the_range_of_16_bits_are_scaled_first(
    configuration: gpukern.selection.Configuration, dtype: torch.dtype
) -> None:
    m, n = oriented(configuration, 5, 9)
    a, b = torch.full((1, m, 64), 64.0, dtype=dtype), torch.full((1, 64, n), 64.0, dtype=dtype)
    scale = torch.full((1, m), 2.0**-10, dtype=wide(dtype))
    got = multiply(configuration, *taken(configuration, a, b), row_scale=scale)
    assert bool((got == 256).all())
