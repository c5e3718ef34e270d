"""float8 on Hopper's tensor cores under the machine model: formats, scales, promotion, clusters, ranges, epilogues."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

import gpukern
from gpukern.selection import named
from tests.gemm.kernels.asked import GPU_CONFIGURATIONS, oriented, place
from tests.gemm.kernels.test_hopper_kernels import by_schedule
from tests.oracle import products
from tests.oracle.float8 import (
    FORMATS,
    OUT,
    SCALES,
    blocks,
    cut_in_128,
    exact,
    patterns,
    powers,
    scales,
    value,
    values,
    whole,
)
from tests.platform import machine
from tests.platform.machine import Schedule
from tests.sampling import sampled

Configuration = gpukern.selection.Configuration
CONFIGURATIONS = [c for c in GPU_CONFIGURATIONS if c.tma and "float8_e4m3fn" in c.types]
PROMOTING = [c for c in CONFIGURATIONS if "bfloat16" not in c.types]
PAIRS = list(itertools.product(FORMATS[:2], repeat=2))[:3]  # not e5m2 twice
ONE = torch.tensor(1.0)
by_configuration = pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=[c.name for c in CONFIGURATIONS])
WITH_RESULTS = list(itertools.product(CONFIGURATIONS, OUT))


def padded(t: Tensor) -> Tensor:
    """In lines of multiples of 16 bytes, 16 more than need be, of which nothing may be read."""
    wide = torch.full((t.shape[0], -(-t.shape[1] // 16) * 16 + 16), 99.0).to(t.dtype)
    wide[:, : t.shape[1]] = t
    return wide[:, : t.shape[1]]


def run(
    configuration: Configuration, out: Tensor, a: Tensor, b: Tensor, one: Tensor, two: Tensor, **options: Any
) -> Tensor:
    """Both operands along k, as TMA loads them."""
    fast = configuration not in PROMOTING
    return machine.scaled(
        *place(configuration), out, padded(a), padded(b.t()).t(), one, two, aligned=True, fast=fast, **options
    )


def kinds(configuration: Configuration) -> list[str]:
    """128 rows a warpgroup leave no registers for a scale of each column and block."""
    each = configuration.tile[0] < 256
    return [k for k in SCALES if (configuration in PROMOTING or "128" not in k) and (each or not k.endswith(", 1x128"))]


@by_configuration
def test_formats_scales_shapes_and_clusters(configuration: Configuration) -> None:
    bm, bn, _ = configuration.tile
    seeds = itertools.count(1)
    for kind, (first, second) in itertools.product(kinds(configuration), PAIRS):
        seed = next(seeds)
        shapes = ((bm + 9, bn + 7, 2 * 128 + 5), (5, 3, 64), (bm, bn, 128), (bm // 2 + 1, bn, 384))
        for number, (m, n, k) in enumerate(shapes[seed % 2 :: 2]):
            m, n = oriented(configuration, m, n)
            m, n = (
                (n, m) if configuration.tile[1] <= 32 and number % 2 == 0 else (m, n)
            )  # a skinny configuration then transposes the product
            a, b, (one, two) = whole(first, m, k), whole(second, k, n), scales(kind, m, n, k)
            schedule = Schedule("pct", seed)
            got = run(configuration, torch.empty(m, n), a, b, one, two, cluster=seed // 2 % 2 + 1, schedule=schedule)
            products.exactly_equal(got, exact(a, b, one, two))


@by_schedule
@pytest.mark.parametrize("cluster", [1, 2])
@by_configuration
def test_blocks_go_on_to_further_tiles_under_every_schedule(
    configuration: Configuration, cluster: int, schedules: list[tuple[str, int]]
) -> None:
    bm, bn, _ = configuration.tile
    m, n = oriented(configuration, 3 * bm if bm <= 128 else bm + 1, bn + 1)
    a, b = whole(FORMATS[0], m, 700), whole(FORMATS[1], 700, n)
    one, two = scales(kinds(configuration)[-1], m, n, 700)
    for order, seed in schedules:
        schedule = Schedule(order, seed)
        got = run(configuration, torch.empty(m, n), a, b, one, two, processors=2, cluster=cluster, schedule=schedule)
        products.exactly_equal(got, exact(a, b, one, two))


@by_configuration
def test_every_pattern_is_multiplied_right(configuration: Configuration) -> None:
    for dtype in FORMATS[:2]:
        numbers, one = patterns(dtype), torch.ones(1, 1).to(FORMATS[0])
        expected = torch.tensor([value(p, dtype) for p in range(256)], dtype=torch.float64) * 4
        for out, a, b in (
            (torch.empty(256, 1), numbers[:, None], one), (torch.empty(1, 256), one, numbers[None]),
        ):  # fmt: skip
            got = run(configuration, out, a, b, torch.tensor(4.0), ONE).flatten().double()
            assert torch.equal(got.isnan(), expected.isnan())
            assert torch.equal(got[~got.isnan()], expected[~expected.isnan()])


@by_configuration
def test_one_scale_for_128_rows_and_all_of_k(configuration: Configuration) -> None:
    """A block's scale spread over k has no stride there, and is no row's: its group counts all the same."""
    m, n = oriented(configuration, 150, 20) if configuration.tile[1] <= 32 else (150, 140)
    a, b = whole(FORMATS[0], m, 300), whole(FORMATS[1], 300, n)
    one, two = powers(blocks(m), 1), powers(1, blocks(n))
    wide = (one.expand(blocks(m), 3), two.expand(3, blocks(n)))
    got = machine.scaled(
        *place(configuration),
        torch.empty(m, n),
        padded(a),
        padded(b.t()).t(),
        *wide,
        aligned=True,
        fast=configuration not in PROMOTING,
    )
    products.exactly_equal(got, exact(a, b, *wide))


@pytest.mark.parametrize(
    ("configuration", "out"),
    sampled("results", WITH_RESULTS, lambda case: case[1], [f"{c.name}-{out}" for c, out in WITH_RESULTS]),
)
def test_results_bias_and_their_scale(configuration: Configuration, out: torch.dtype) -> None:
    """Both orders of D, ranges of k, scales of rows and columns; skinny configurations, transposed products too."""
    k = 40 * 8
    bias_of, by, eight = torch.arange(-3.0, 4.0), torch.tensor(0.25), out in FORMATS
    for number, (transposed, splits, flat) in enumerate(itertools.product((False, True), (1, 2), (False, True))):
        m, n = oriented(configuration, configuration.tile[0] + 1, configuration.tile[1] + 5)
        m, n = (n, m) if flat else (m, n)
        a, b = whole(FORMATS[0], m, k), whole(FORMATS[1], k, n)
        one, two = scales("row" if number % 3 else "row, tensor", m, n, k)
        bias = None if number % 4 == 3 else bias_of[torch.randint(7, (n,))]
        target = torch.empty(n, m, dtype=out).t() if transposed else torch.empty(m, n, dtype=out)
        expected = exact(a, b, one, two) + (0 if bias is None else bias.double())
        expected = (expected * 0.25 if eight else expected).float().to(out)
        for cluster in (0, -1) if splits > 1 else (0,):  # ranges added in memory, and by a cluster
            how = {"scale_result": by if eight else None, "splits": splits, "cluster": cluster}
            got = run(configuration, target, a, b, one, two, bias=bias, **how)
            torch.testing.assert_close(got.float(), expected.float(), rtol=0, atol=0, equal_nan=True)


def normal(m: int, n: int, k: int) -> tuple[Tensor, Tensor]:
    return torch.randn(m, k).to(FORMATS[0]), torch.randn(k, n).to(FORMATS[0])


def errors(configuration: Configuration, k: int) -> tuple[float, float]:
    """The largest error of float32 sums, and what cutting to 14 bits within 128 of k can amount to at most."""
    m, n = oriented(configuration, 64, 16)
    a, b = normal(m, n, k)
    got = run(configuration, torch.empty(m, n), a, b, ONE, ONE).double()
    x, y = values(a), values(b)
    bound = cut_in_128(x, y)
    error = (got - x @ y).abs()
    assert not bool((~(error <= bound)).any()) or configuration not in PROMOTING
    return float(error.max()), float(bound.max())


@pytest.mark.parametrize("configuration", PROMOTING, ids=lambda c: c.name)
def test_promoted_sums_do_not_grow_coarser_with_k(configuration: Configuration) -> None:
    """The tensor cores' own do: of 4096 of k they lose what 128 of k never do."""
    fast = next(c for c in CONFIGURATIONS if c not in PROMOTING and c.tile[1] == configuration.tile[1])
    torch.manual_seed(1)
    promoted, _ = errors(configuration, 4096)
    plain, _ = errors(fast, 4096)
    assert promoted < 0.06 and plain > 3 * promoted, (promoted, plain)


def test_configurations_agree_to_the_last_bit() -> None:
    """Promoting configurations with each other, the others with each other: whatever the tile, the cluster and the
    schedule."""
    a, b = normal(70, 40, 640)
    one, two = torch.rand(70, 1), torch.rand(1, 40)
    for configurations in (PROMOTING, [c for c in CONFIGURATIONS if c not in PROMOTING]):
        with machine.unchecked():  # skinny configurations too
            results = [
                run(c, torch.empty(70, 40), a, b, one, two, cluster=cluster, schedule=Schedule("pct", seed))
                for seed, (c, cluster) in enumerate(itertools.product(configurations, (1, 2)))
            ]
        for got in results:
            assert torch.equal(got, results[0])


@by_configuration
def test_nan_and_infinity_stay_in_their_row_and_column(configuration: Configuration) -> None:
    m, n = oriented(configuration, 24, 20)
    a, b = torch.randn(m, 130).to(FORMATS[0]), torch.randn(130, n).to(FORMATS[1])
    a[3, 129], b[5, 11] = float("nan"), float("inf")
    got = run(configuration, torch.empty(m, n), a, b, ONE, ONE)
    assert bool(got[3].isnan().all()) and int(got.isnan().sum()) == n
    rest = [i for i in range(m) if i != 3]
    assert bool(got[rest, 11].isinf().all())
    assert bool(got[rest][:, [j for j in range(n) if j != 11]].isfinite().all())


def chosen(
    a: Tensor, b: Tensor, kind: str = "tensor", device: str = "sm_90a", **options: Any
) -> tuple[Configuration, str, str]:
    """The configuration, the last note about it, and why those of this file were passed over."""
    one, two = scales(kind, a.shape[0], b.shape[1], a.shape[1])
    found = gpukern.explain("scaled_mm", a, b, one, two, out_dtype=torch.bfloat16, device=device, **options)
    runs = named(found.would_run or found.configuration or "")
    return runs, found.notes[0], dict(found.refused).get(CONFIGURATIONS[0].folder, "")


def test_choices() -> None:
    """Promotion unless use_fast_accum=True; always with blocks of scales; ordinary cores for what wgmma lacks."""
    a, b = whole(FORMATS[0], 512, 512), whole(FORMATS[0], 512, 512).t()
    configuration, note, _ = chosen(a, b)
    assert configuration in PROMOTING and note.endswith("partial sums over 128 of k are added in float32")
    configuration, note, _ = chosen(a, b, use_fast_accum=True)
    assert configuration.tma and configuration not in PROMOTING
    assert note.endswith("sums have 14 bits, as use_fast_accum allows")
    configuration, note, _ = chosen(a, b, "1x128, 128x128", use_fast_accum=True)
    assert configuration in PROMOTING and "added in float32" in note
    configuration, _, _ = chosen(a[:16], b)
    assert configuration.name == "wgmma/q128x16"
    large = torch.empty(2048, 2048, dtype=FORMATS[0])
    found = gpukern.explain("scaled_mm", large, large, ONE, ONE, out_dtype=torch.bfloat16, device="sm_90a")
    assert named(found.would_run or "") in PROMOTING
    assert "operands are copied into a layout that TMA can load before the product, 4.19 MB" in found.notes
    copies = "TMA cannot load the operands in their layout, and copying them first would take longer than it saves"
    for why, (configuration, note, refused) in (
        (
            "NVIDIA tensor cores take float8_e4m3fn and float8_e5m2, not the fnuz formats",
            chosen(a.float().to(FORMATS[2]), b.float().to(FORMATS[2])),
        ),
        (copies, chosen(a, b.contiguous())),
        (copies, chosen(a[:, :500].contiguous(), b[:500])),
        ("it needs wgmma, which only Hopper GPUs have (sm_90a)", chosen(a, b, device="sm_100")),
    ):
        assert not configuration.tensor_cores and note.startswith("emulated"), configuration
        assert refused in (why, "no code was built for this device"), refused
    for device in ("sm_89", "sm_120"):
        configuration, note, _ = chosen(a, b, device=device)
        assert configuration.tensor_cores and not configuration.tma, configuration
        assert note.endswith("partial sums over 128 of k are added in float32"), note
