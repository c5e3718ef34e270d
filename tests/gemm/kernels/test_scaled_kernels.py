"""What every configuration of 8-bit numbers is asked, under the machine model: patterns, scales, shapes, layouts.

What only wgmma and TMA are asked: test_hopper_scaled_kernels.py.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from gpukern.selection import Configuration
from tests.gemm.kernels.asked import oriented, place
from tests.gemm.kernels.asked_scaled import (
    BY_THREADS,
    CONFIGURATIONS,
    EXACT,
    FAST,
    PROMOTING,
    TENSOR_CORES,
    by_kind,
    formats,
    of_each,
    run,
)
from tests.oracle import products
from tests.oracle.float8 import (
    FORMATS,
    OUT,
    SCALES,
    blocks,
    cut_in_128,
    exact,
    paired,
    patterns,
    powers,
    scales,
    spread,
    value,
    values,
    whole,
)
from tests.platform import machine
from tests.platform.machine import SCHEDULES, Schedule
from tests.sampling import sampled

ONE = torch.tensor(1.0)
WITH_RESULTS = list(itertools.product(CONFIGURATIONS, OUT))


def test_every_kind_of_configurations_is_here() -> None:
    ordinary = [c for c in CONFIGURATIONS if not c.tensor_cores]
    ada = [c for c in PROMOTING if not c.tma]
    assert len(ada) == len(ordinary) == 2 and len(PROMOTING) == 6 and len(FAST) == 5


# ---- formats ---------------------------------------------------------------------------------------------------------


@of_each(CONFIGURATIONS)
def test_every_pattern_is_multiplied_right(configuration: Configuration) -> None:
    """All of A's against the number 1, and all of B's."""
    for dtype, scale in itertools.product(formats(configuration), (1.0, 4.0)):
        numbers, one = patterns(dtype), torch.ones(1, 1).to(paired(configuration.name, dtype, dtype)[1])
        expected = torch.tensor([value(p, dtype) for p in range(256)], dtype=torch.float64) * scale
        for out, a, b in (
            (torch.empty(256, 1), numbers[:, None], one), (torch.empty(1, 256), one, numbers[None]),
        ):  # fmt: skip
            got = run(configuration, out, a, b, torch.tensor(scale), ONE).flatten().double()
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
    got = machine.scaled(*place(BY_THREADS[-1]), torch.empty(2, len(wanted), dtype=dtype), a, b, ONE, ONE, bias=wanted)
    expected = wanted.to(dtype).expand(2, -1)
    same = got.view(torch.uint8) == expected.contiguous().view(torch.uint8)
    zero = (got.float() == 0) & (expected.float() == 0)  # 0 + -0 is 0
    assert bool((same | zero).all()), wanted[~(same | zero)[0]]


# ---- shapes and scales -----------------------------------------------------------------------------------------------


def ragged(configuration: Configuration) -> Iterator[tuple[int, int, int]]:
    bm, bn, bk = configuration.tile
    if configuration.tma:
        for number, (m, n, k) in enumerate(((bm + 9, bn + 7, 261), (5, 3, 64), (bm, bn, 128), (bm // 2 + 1, bn, 384))):
            m, n = oriented(configuration, m, n)  # a thin one turns the product where the few are rows
            yield (n, m, k) if bn <= 32 and number % 2 == 0 else (m, n, k)
        return
    yield from (
        (bm, bn, bk), (bm + 1, bn - 1, 2 * bk + 1), (1, bn + 3, bk - 1), (bm - 1, 1, 1), (5, 7, 0), (3, 130, 129),
        (130, 5, 255), (2 * bm + 3, bn + 1, 128), (9, 33, 300),
    )  # fmt: skip


@by_kind("ragged", CONFIGURATIONS)
def test_ragged_shapes_and_scales(configuration: Configuration, kind: str) -> None:
    """Clusters of one block and of two, or several schedules; ranges of k; warps of 64 lanes."""
    first = list(SCALES).index(kind)
    for number, (m, n, k) in enumerate(ragged(configuration), first):
        formats_of = paired(configuration.name, FORMATS[number % 2], FORMATS[number // 2 % 2])
        a, b = whole(formats_of[0], m, k), whole(formats_of[1], k, n)
        if k == 0 and kind not in ("tensor", "row", "row, tensor"):
            continue
        one, two = scales(kind, m, n, k)
        for order, seed in SCHEDULES[::3] if not configuration.tma else [("pct", number + 1)]:
            got = run(
                configuration, torch.empty(m, n), a, b, one, two, schedule=Schedule(order, seed),
                aligned=bool(seed % 2), cluster=number // 2 % 2 + 1 if configuration.tma else 0,
            )  # fmt: skip
            products.exactly_equal(got, exact(a, b, one, two))
    one, two = scales(kind, 20, 19, 300)
    a, b = whole(FORMATS[0], 20, 300), whole(FORMATS[1], 300, 19)
    for splits, lanes in (
        ((3, 32),) if configuration.tma else ((2, 32), (3, 32), (7, 32), (1, configuration.lanes or 64))
    ):
        schedule = Schedule("pct" if splits == 1 else "fifo", 9, wave=lanes)
        got = run(configuration, torch.empty(20, 19), a, b, one, two, splits=splits, schedule=schedule)
        products.exactly_equal(got, exact(a, b, one, two))


@of_each(CONFIGURATIONS)
def test_one_scale_for_128_rows_and_all_of_k(configuration: Configuration) -> None:
    """A block's scale spread over k has no stride there, and is no row's: its group counts all the same."""
    m, n = (150, 20) if configuration.tile[1] <= 32 else (150, 140)
    a, b = whole(FORMATS[0], m, 300), whole(FORMATS[1], 300, n)
    wide = (powers(blocks(m), 1).expand(blocks(m), 3), powers(1, blocks(n)).expand(3, blocks(n)))
    products.exactly_equal(run(configuration, torch.empty(m, n), a, b, *wide), exact(a, b, *wide))


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


@of_each(BY_THREADS)
@pytest.mark.parametrize("aligned", [False, True])
def test_layouts(configuration: Configuration, aligned: bool) -> None:
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


@pytest.mark.parametrize(
    ("configuration", "out"),
    sampled(
        "results", WITH_RESULTS, lambda case: (case[0].tma, case[1]), [f"{c.name}-{out}" for c, out in WITH_RESULTS]
    ),
)
def test_results_bias_and_their_scale(configuration: Configuration, out: torch.dtype) -> None:
    """Both orders of D, ranges of k, scales of rows and columns; a thin row multiplies the transposed product too."""
    k, by, eight = 40 * 8, torch.tensor(0.25), out in FORMATS
    sides = (False, True) if configuration.tma else (False,)
    for number, (turned, splits, flat) in enumerate(itertools.product((False, True), (1, 2), sides)):
        m, n = oriented(configuration, configuration.tile[0] + 1, configuration.tile[1] + 5)
        m, n = (n, m) if flat else (m, n)
        a, b = whole(FORMATS[0], m, k), whole(FORMATS[1], k, n)
        one, two = scales("row" if number % 3 else "row, tensor", m, n, k)
        bias = None if number % 4 == 3 else torch.randint(-3, 4, (n,)).float()
        target = torch.empty(n, m, dtype=out).t() if turned else torch.empty(m, n, dtype=out)
        expected = exact(a, b, one, two) + (0 if bias is None else bias.double())
        expected = (expected * 0.25 if eight else expected).float().to(out)
        for cluster in (0, -1) if splits > 1 and configuration.tma else (0,):  # ranges added in memory, by a cluster
            got = run(
                configuration, target, a, b, one, two,
                bias=bias, scale_result=by if eight else None, splits=splits, cluster=cluster,
            )  # fmt: skip
            torch.testing.assert_close(got.float(), expected.float(), rtol=0, atol=0, equal_nan=True)


@of_each(CONFIGURATIONS)
def test_nan_and_infinity_stay_in_their_row_and_column(configuration: Configuration) -> None:
    m, n = oriented(configuration, 24, 20)
    a, b = torch.randn(m, 130).to(FORMATS[0]), torch.randn(130, n).to(FORMATS[1])
    a[:, 5] = 1
    a[3, 129], b[5, 11] = math.nan, math.inf
    got = run(configuration, torch.empty(m, n), a, b, ONE, ONE)
    assert bool(got[3].isnan().all())
    rest, others = [i for i in range(m) if i != 3], [j for j in range(n) if j != 11]
    assert bool(got[rest, 11].isinf().all()) and bool(got[rest][:, others].isfinite().all())


# ---- sums ------------------------------------------------------------------------------------------------------------


@by_kind("rounding", EXACT)
def test_rounding_is_within_the_bound(configuration: Configuration, kind: str) -> None:
    """float32's; and where tensor cores may cut to 14 bits, what they lose of 128 of k (docs/numerics.md)."""
    (m, n), k = oriented(configuration, 33, 27), 700
    a, b = torch.randn(m, k).to(FORMATS[0]), torch.randn(k, n).to(FORMATS[0])
    one, two = (t * (1 + torch.rand_like(t)) for t in scales(kind, m, n, k))
    got = run(configuration, torch.empty(m, n), a, b, one, two)
    x, y = values(a) * spread(one, m, k), values(b) * spread(two.t(), n, k).t()
    if not configuration.tensor_cores:
        verdict = products.judge(got, x @ y, x.abs() @ y.abs(), k)
        assert verdict, verdict.text
    else:
        error, bound = (got.double() - x @ y).abs(), cut_in_128(x, y)
        assert not bool((~(error <= bound)).any())


@of_each(PROMOTING)
def test_only_fast_sums_grow_coarser_with_k(configuration: Configuration) -> None:
    """The tensor cores' own sums (use_fast_accum) of 4096 of k lose what 128 of k never do; blocks of scales are never
    fast."""
    fast = configuration
    if configuration.tma:
        fast = next(c for c in FAST if c.tile[1] == configuration.tile[1])
    torch.manual_seed(1)
    m, n = oriented(configuration, 64, 16)
    a, b = torch.randn(m, 4096).to(FORMATS[0]), torch.randn(4096, n).to(FORMATS[0])
    x, y = values(a), values(b)
    promoted, coarse = (
        (run(c, torch.empty(m, n), a, b, ONE, ONE, fast=of).double() - x @ y).abs()
        for c, of in ((configuration, False), (fast, True))
    )
    assert not bool((~(promoted <= cut_in_128(x, y))).any())
    assert promoted.max() < 0.06 and coarse.max() > 3 * promoted.max(), (promoted.max(), coarse.max())
    if not configuration.tma:
        a, b = whole(FORMATS[0], 20, 300), whole(FORMATS[1], 300, 19)
        one, two = scales("1x128, 128x128", 20, 19, 300)
        got = run(configuration, torch.empty(20, 19), a, b, one, two, fast=True)
        products.exactly_equal(got, exact(a, b, one, two))


ALIKE: dict[str, list[Configuration]] = defaultdict(list)
for each in CONFIGURATIONS:
    ALIKE[f"{each.folder}, {each.multiplier}"].append(each)


@pytest.mark.parametrize("multiplier", ALIKE)
def test_configurations_of_one_multiplier_agree_to_the_last_bit(multiplier: str) -> None:
    """Whatever the tile, the cluster and the schedule."""
    a, b = torch.randn(70, 640).to(FORMATS[0]), torch.randn(640, 40).to(FORMATS[0])
    one, two = torch.rand(70, 1), torch.rand(1, 40)
    with machine.unchecked():  # thin configurations too
        results = [
            run(c, torch.empty(70, 40), a, b, one, two, cluster=cluster, schedule=Schedule("pct", seed))
            for seed, c in enumerate(ALIKE[multiplier])
            for cluster in ((1, 2) if c.tma else (0,))
        ]
    assert len(results) > 1 and all(torch.equal(got, results[0]) for got in results)


@of_each(TENSOR_CORES)
def test_tiles_keep_off_each_others_banks(configuration: Configuration) -> None:
    m, n = oriented(configuration, *configuration.tile[:2] if configuration.tma else (128, 128))
    a, b = whole(FORMATS[0], m, 256), whole(FORMATS[1], 256, n).t().contiguous().t()
    machine.counts()
    run(configuration, torch.empty(m, n), a, b, ONE, ONE, aligned=True, schedule=Schedule(count=True))
    shared = [c for c in machine.counts() if c.space == "shared"]
    assert shared and not [c for c in shared if c.passes != c.ideal]
