"""Products whose columns are summed in the same pass: every floating configuration under the machine model.

The values are exact unless a test's docstring has a tolerance: integers, and derivatives that choose or double.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor

import gpukern
import gpukern.reference
from gpukern.selection import Configuration
from tests.gemm.kernels.asked import (
    FLOATING,
    FLOATING_BY_THREADS,
    by_case,
    by_sampled,
    laid_out,
    multiplied,
    multiply_and_sum,
    oriented,
    ragged,
)
from tests.gemm.kernels.thin import is_skinny
from tests.oracle import fills
from tests.platform.machine import Schedule

UNIT = {torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8, torch.float32: 2.0**-24, torch.float64: 2.0**-53}
SCHEDULES = [Schedule("fifo"), Schedule("lifo"), Schedule("random", 3), *(Schedule("pct", seed) for seed in (1, 2, 3))]


def lying(t: Tensor, kind: str) -> Tensor:
    return laid_out(t[None], kind)[0]


def exact(
    configuration: Configuration, a: Tensor, b: Tensor, saved: Tensor | None, out: Tensor | None = None, **options: Any
) -> None:
    """D and its sums are those of float64, rounded once each."""
    product = a.double() @ b.double()
    if saved is not None:
        product = product * (saved > 0)
        options |= {"derivative": "relu", "saved": saved}
    got, sums = multiply_and_sum(configuration, a, b, out, **options)
    assert torch.equal(got.double(), product.to(a.dtype).double())
    assert torch.equal(sums.double(), product.sum(0).to(a.dtype).double()), (a.shape, b.shape, options)


def integers(dtype: torch.dtype, m: int, n: int, k: int) -> tuple[Tensor, Tensor, Tensor]:
    a, b = fills.integers(m, k, k=4 * k, dtype=dtype), fills.integers(k, n, k=4 * k, dtype=dtype)
    return a, b, torch.randint(-1, 2, (m, n)).to(dtype)


@by_sampled("ragged column sums", FLOATING)
def test_ragged_shapes_and_ranges_of_k(configuration: Configuration, dtype: torch.dtype) -> None:
    for number, (_, m, n, k) in enumerate(ragged(configuration)):
        a, b, saved = integers(dtype, m, n, k)
        out = lying(torch.empty(m, n, dtype=dtype), "columns" if number % 3 else "rows")
        for splits, given in ((1, saved), (1, None), (2, saved), (3, None)):
            exact(
                configuration, a, b, given, out,
                splits=splits, aligned=bool(number % 2), schedule=SCHEDULES[number % len(SCHEDULES)],
            )  # fmt: skip


@by_sampled("layouts of column sums", FLOATING_BY_THREADS)
def test_layouts(configuration: Configuration, dtype: torch.dtype) -> None:
    """The transposed product runs where both factors lie by columns: what is summed there lies along its rows."""
    m, n, k = (
        (configuration.tile[0] + 3, configuration.tile[1] + 5, 41)
        if not is_skinny(configuration)
        else (37, configuration.tile[1], 41)
    )
    a, b, saved = integers(dtype, m, n, k)
    for number, (left, right) in enumerate(itertools.product(("rows", "columns", "gaps", "strided"), repeat=2)):
        for kind in ("rows", "columns") if number < 8 else ("rows",):
            out = lying(torch.empty(m, n, dtype=dtype), kind)
            exact(configuration, lying(a, left), lying(b, right), lying(saved, kind), out, aligned=number % 2 == 0)
    if is_skinny(configuration):  # the other side is short
        a, b, saved = integers(dtype, n, m, k)
        for left, right in itertools.product(("rows", "columns"), repeat=2):
            exact(configuration, lying(a, left), lying(b, right), saved)


@by_sampled("bits of column sums", FLOATING)
def test_every_schedule_gives_the_same_bits(configuration: Configuration, dtype: torch.dtype) -> None:
    m, n = oriented(
        configuration, configuration.tile[0] + 9 if not is_skinny(configuration) else 77, configuration.tile[1] + 7
    )
    k = 35
    a, b = (fills.normal(*s, dtype=dtype) for s in ((m, k), (k, n)))
    saved = fills.normal(m, n, dtype=dtype)
    for left, splits in (("rows", 1), ("columns", 2)):
        lays = [lying(t, left) for t in (a, b)]
        found = [
            multiply_and_sum(
                configuration, *lays, derivative="gelu", saved=saved, splits=splits, schedule=schedule
            )
            for schedule in SCHEDULES
        ]  # fmt: skip
        for d, sums in found[1:]:
            assert torch.equal(d, found[0][0]) and torch.equal(sums, found[0][1])


@by_case(FLOATING)
def test_the_error_is_that_of_a_sum_in_the_accumulator(configuration: Configuration, dtype: torch.dtype) -> None:
    (m, n), k = oriented(configuration, 203 if dtype != torch.float64 else 99, 23), 40
    a, b = (multiplied(configuration, fills.normal(*s, dtype=dtype)) for s in ((m, k), (k, n)))
    saved = fills.normal(m, n, dtype=dtype)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    for splits in (1, 2):
        _, sums = multiply_and_sum(configuration, a, b, derivative="silu", saved=saved, splits=splits)
        d, expected = gpukern.reference.mm_activation_backward(a, b, saved, "silu", bias_grad=True)
        largest = (a.double().abs() @ b.double().abs()).sum(0) * 1.1  # silu' is at most 1.1
        allowed = UNIT[dtype] * expected.abs() + UNIT[wide] * (
            min(m, 100 + m / 512) * d.abs().sum(0) + (8 + max(k / 4, 2 * math.sqrt(k)) + 8) * largest
        )
        assert bool(((sums.double() - expected).abs() <= allowed).all())


@by_case(FLOATING_BY_THREADS)
def test_nothing_to_multiply_sums_to_zero(configuration: Configuration, dtype: torch.dtype) -> None:
    exact(configuration, *integers(dtype, *oriented(configuration, 19, 21), 0))


@by_case(FLOATING)
def test_nan_stays_in_its_column(configuration: Configuration, dtype: torch.dtype) -> None:
    m, n = oriented(configuration, 20, 18)
    a, b, saved = integers(dtype, m, n, 9)
    saved = saved.abs() + 1
    saved[7, n - 1] = float("nan")
    for splits in (1, 2):
        _, sums = multiply_and_sum(configuration, a, b, derivative="gelu", saved=saved, splits=splits)
        assert bool(sums[n - 1].isnan()) and int(sums.isnan().sum()) == 1
    a[7] = float("nan")
    saved[7] = -1  # relu's gradient chooses: what it leaves out may be anything
    _, sums = multiply_and_sum(configuration, a, b, derivative="relu", saved=saved)
    assert not bool(sums.isnan().any())


def test_sums_of_what_is_not_rounded() -> None:
    """257 rows of 1 + 2^-9 in bfloat16: rounded first their sum is 257, which is stored as 256, and not 257.5."""
    (configuration,) = (r for r, t in FLOATING if r.name == "mma_sync/h64x64" and t == torch.bfloat16)
    a = torch.ones(257, 2, dtype=torch.bfloat16)
    b = torch.tensor([1.0, 2.0**-9], dtype=torch.bfloat16)[:, None].expand(2, 8).contiguous()
    d, sums = multiply_and_sum(configuration, a, b)
    assert bool((d == 1).all())
    assert bool((sums == 258).all())
