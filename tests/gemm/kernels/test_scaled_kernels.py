"""The kernels of 8-bit numbers under the machine model: every pattern, every scale, ragged shapes, layouts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

import gpukern
from tests.gemm.kernels.asked import GPU_CONFIGURATIONS, place
from tests.oracle import products
from tests.oracle.float8 import (
    FORMATS,
    OUT,
    SCALES,
    cut_in_128,
    exact,
    paired,
    patterns,
    scales,
    spread,
    value,
    values,
    whole,
)
from tests.platform import machine
from tests.platform.machine import SCHEDULES, Schedule

# Ordinary cores and Ada's tensor cores; those that load by TMA have tests of their own
# (test_hopper_scaled_kernels.py).
EIGHT = [c for c in GPU_CONFIGURATIONS if "float8_e4m3fn" in c.types]
ORDINARY = [c for c in EIGHT if not c.tensor_cores]
ADA = [c for c in EIGHT if c.tensor_cores and not c.tma]
CONFIGURATIONS = ADA + ORDINARY
by_configuration = pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda c: c.name)


def test_both_kinds_of_configurations_are_here() -> None:
    assert len(ADA) == len(ORDINARY) == 2


# ---- formats ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FORMATS)
def test_every_pattern_is_widened_right(dtype: torch.dtype) -> None:
    """All of A's against the number 1, and all of B's; both tiles, so both ways to shared memory."""
    for configuration, scale in itertools.product(CONFIGURATIONS if dtype in FORMATS[:2] else ORDINARY, (1.0, 4.0)):
        numbers, one = patterns(dtype), torch.ones(1, 1).to(dtype if configuration in ORDINARY else FORMATS[0])
        expected = torch.tensor([value(p, dtype) for p in range(256)], dtype=torch.float64) * scale
        by = torch.tensor(scale)
        for out, a, b in (
            (torch.empty(256, 1), numbers[:, None], one), (torch.empty(1, 256), one, numbers[None]),
        ):  # fmt: skip
            got = machine.scaled(*place(configuration), out, a, b, by, torch.tensor(1.0)).flatten().double()
            assert torch.equal(got.isnan(), expected.isnan())
            assert torch.equal(got[~got.isnan()], expected[~expected.isnan()])


@pytest.mark.parametrize("dtype", FORMATS)
def test_results_of_8_bits_are_rounded_as_torch_rounds(dtype: torch.dtype) -> None:
    """Every number, the middle between neighbours and what lies beside it, beyond the largest, subnormal, infinite."""
    numbers = torch.tensor([value(p, dtype) for p in range(256)]).float()
    numbers = numbers[numbers.isfinite()].sort().values
    middles = (numbers[1:] + numbers[:-1]) / 2
    inf = torch.tensor([math.inf, -math.inf, 1e-30, 3e38])
    top = numbers[-1] * torch.tensor([1 + 2.0**-5, 1 + 2.0**-4, 1 + 2.0**-3, 1.125, 1.25, 2])
    beside = [torch.nextafter(middles, sign * inf[:1]) for sign in (1, -1)]
    wanted = torch.cat([numbers, middles, *beside, inf, top, -top])
    # the sums are 0, and the bias is what is rounded
    a, b = torch.zeros(2, 1).to(dtype), torch.zeros(1, len(wanted)).to(dtype)
    one = torch.tensor(1.0)
    got = machine.scaled(*place(ORDINARY[0]), torch.empty(2, len(wanted), dtype=dtype), a, b, one, one, bias=wanted)
    expected = wanted.to(dtype).expand(2, -1)
    same = got.view(torch.uint8) == expected.contiguous().view(torch.uint8)
    zero = (got.float() == 0) & (expected.float() == 0)  # 0 + -0 is 0
    assert bool((same | zero).all()), wanted[~(same | zero)[0]]


# ---- shapes and scales -----------------------------------------------------------------------------------------------


def ragged(configuration: gpukern.selection.Configuration) -> Iterator[tuple[int, int, int]]:
    bm, bn, bk = configuration.tile
    yield from (
        (bm, bn, bk), (bm + 1, bn - 1, 2 * bk + 1), (1, bn + 3, bk - 1), (bm - 1, 1, 1), (5, 7, 0), (3, 130, 129),
        (130, 5, 255), (2 * bm + 3, bn + 1, 128), (9, 33, 300),
    )  # fmt: skip


@by_configuration
@pytest.mark.parametrize("kind", SCALES)
def test_ragged_shapes_and_scales(configuration: gpukern.selection.Configuration, kind: str) -> None:
    for number, (m, n, k) in enumerate(ragged(configuration)):
        first, second = paired(configuration.name, FORMATS[number % 2], FORMATS[number // 2 % 2])
        a, b = whole(first, m, k), whole(second, k, n)
        if k == 0 and kind not in ("tensor", "row", "row, tensor"):
            continue
        one, two = scales(kind, m, n, k)
        for order, seed in SCHEDULES[::3]:
            got = machine.scaled(
                *place(configuration),
                torch.empty(m, n),
                a,
                b,
                one,
                two,
                schedule=Schedule(order, seed),
                aligned=bool(seed % 2),
            )
            products.exactly_equal(got, exact(a, b, one, two))
    one, two = scales(kind, 20, 19, 300)
    a, b = whole(FORMATS[0], 20, 300), whole(FORMATS[1], 300, 19)
    for splits in (2, 3, 7):
        got = machine.scaled(*place(configuration), torch.empty(20, 19), a, b, one, two, splits=splits)
        products.exactly_equal(got, exact(a, b, one, two))
    if configuration in ORDINARY:  # others are NVIDIA's, whose warps have 32 lanes
        got = machine.scaled(
            *place(configuration), torch.empty(20, 19), a, b, one, two, schedule=Schedule("pct", 9, wave=64)
        )
        products.exactly_equal(got, exact(a, b, one, two))


def strided(t: Tensor, kind: str) -> Tensor:
    if kind == "columns":
        return t.t().contiguous().t()
    if kind == "gaps":
        wide = torch.zeros(t.shape[0], t.shape[1] + 3).to(t.dtype)
        wide[:, : t.shape[1]] = t
        return wide[:, : t.shape[1]]
    if kind == "strided":
        wide = torch.zeros(2 * t.shape[0], 3 * t.shape[1]).to(t.dtype)
        wide[::2, ::3] = t
        return wide[::2, ::3]
    return t


@by_configuration
@pytest.mark.parametrize("aligned", [False, True])
def test_layouts(configuration: gpukern.selection.Configuration, aligned: bool) -> None:
    bm, bn, bk = configuration.tile
    kinds = ["rows", "columns", "gaps", "strided"]
    for left, right in itertools.product(kinds, kinds):
        for m, n, k in ((bm + 2, bn + 1, bk + 5), (16, 32, 160)):
            a, b = whole(FORMATS[0], m, k), whole(FORMATS[0], k, n)
            one, two = scales("1x128, 128x128", m, n, k)
            one = strided(one, "columns" if left == "columns" else "rows")  # torch's scales of A lie by columns
            got = machine.scaled(
                *place(configuration), torch.empty(m, n), strided(a, left), strided(b, right), one, two, aligned=aligned
            )
            products.exactly_equal(got, exact(a, b, one, two))


@by_configuration
@pytest.mark.parametrize("out", OUT)
def test_results_bias_and_their_scale(configuration: gpukern.selection.Configuration, out: torch.dtype) -> None:
    m, n, k = configuration.tile[0] + 1, configuration.tile[1] + 5, 40
    a, b = whole(FORMATS[0], m, k), whole(FORMATS[1], k, n)
    one, two = torch.tensor(0.5), torch.tensor(2.0)
    bias, by = torch.randint(-3, 4, (n,)).float(), torch.tensor(0.25)
    eight = out in FORMATS
    for given, splits, transposed in ((None, 1, False), (bias, 1, True), (bias, 2, False)):
        target = torch.empty(n, m, dtype=out).t() if transposed else torch.empty(m, n, dtype=out)
        got = machine.scaled(
            *place(configuration), target, a, b, one, two, bias=given, scale_result=by if eight else None, splits=splits
        )
        expected = exact(a, b, one, two) + (0 if given is None else given.double())
        expected = (expected * 0.25 if eight else expected).float().to(out)
        assert torch.equal(got.float(), expected.float())


@by_configuration
def test_nan_and_infinity_stay_in_their_row_and_column(configuration: gpukern.selection.Configuration) -> None:
    a, b = whole(FORMATS[0], 20, 33).float(), torch.ones(33, 18)
    a[3, 32], b[5, 11] = math.nan, math.inf
    a[:, 5] = 1
    one = torch.tensor(1.0)
    got = machine.scaled(*place(configuration), torch.empty(20, 18), a.to(FORMATS[0]), b.to(FORMATS[1]), one, one)
    assert bool(got[3].isnan().all()) and int(got.isnan().sum()) == 18
    rest = [i for i in range(20) if i != 3]
    assert bool(got[rest, 11].isinf().all()) and int(got.isinf().sum()) == 19


@by_configuration
@pytest.mark.parametrize("kind", SCALES)
def test_rounding_is_within_the_bound(configuration: gpukern.selection.Configuration, kind: str) -> None:
    """float32's; and where tensor cores may cut to 14 bits, what they lose of 128 of k (docs/numerics.md)."""
    m, n, k = 33, 35, 700
    a, b = torch.randn(m, k).to(FORMATS[0]), torch.randn(k, n).to(FORMATS[0])
    one, two = (t * (1 + torch.rand_like(t)) for t in scales(kind, m, n, k))
    got = machine.scaled(*place(configuration), torch.empty(m, n), a, b, one, two)
    x, y = values(a) * spread(one, m, k), values(b) * spread(two.t(), n, k).t()
    if configuration in ORDINARY:
        verdict = products.judge(got, x @ y, x.abs() @ y.abs(), k)
        assert verdict, verdict.text
    else:
        error, bound = (got.double() - x @ y).abs(), cut_in_128(x, y)
        assert not bool((~(error <= bound)).any())


def error_of_long_sums(configuration: gpukern.selection.Configuration, fast: bool) -> float:
    torch.manual_seed(1)
    a, b, one = torch.randn(32, 4096).to(FORMATS[0]), torch.randn(4096, 16).to(FORMATS[0]), torch.tensor(1.0)
    got = machine.scaled(*place(configuration), torch.empty(32, 16), a, b, one, one, fast=fast)
    return float((got.double() - values(a) @ values(b)).abs().max())


@pytest.mark.parametrize("configuration", ADA, ids=lambda c: c.name)
def test_only_fast_sums_grow_coarser_with_k(configuration: gpukern.selection.Configuration) -> None:
    """The tensor cores' own sums (use_fast_accum) lose what 128 of k never do; blocks of scales are never fast."""
    exactly, coarse = error_of_long_sums(configuration, fast=False), error_of_long_sums(configuration, fast=True)
    assert exactly < 0.06 and coarse > 3 * exactly, (exactly, coarse)
    a, b = whole(FORMATS[0], 20, 300), whole(FORMATS[1], 300, 19)
    one, two = scales("1x128, 128x128", 20, 19, 300)
    got = machine.scaled(*place(configuration), torch.empty(20, 19), a, b, one, two, fast=True)
    products.exactly_equal(got, exact(a, b, one, two))


@pytest.mark.parametrize("configuration", ADA, ids=lambda c: c.name)
def test_tiles_keep_off_each_others_banks(configuration: gpukern.selection.Configuration) -> None:
    a, b = whole(FORMATS[0], 128, 256), whole(FORMATS[1], 256, 128)
    one, count = torch.tensor(1.0), Schedule(count=True)
    machine.counts()
    machine.scaled(
        *place(configuration), torch.empty(128, 128), a, b.t().contiguous().t(), one, one, aligned=True, schedule=count
    )
    shared = [c for c in machine.counts() if c.space == "shared"]
    assert shared and not [c for c in shared if c.passes != c.ideal]
