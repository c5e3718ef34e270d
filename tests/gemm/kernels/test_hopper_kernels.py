"""What only the kernels of wgmma and TMA are asked, under the model: layouts, clusters, further tiles, ends of D.

test_kernels.py asks of them what it asks of every configuration."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

import gpukern
import gpukern.reference
from gpukern import _C
from gpukern.selection import named
from tests.gemm.kernels.asked import (
    BY_TMA,
    GPU_CONFIGURATIONS,
    by_case,
    by_sampled,
    columns,
    depth,
    exact,
    factors,
    filled,
    laid,
    lines,
    oriented,
    place,
    precise,
    result,
)
from tests.oracle import fills, products
from tests.platform import machine
from tests.platform.machine import Schedule

# The configurations of float8 alone, and float8 in the others, have tests of their own (test_scaled_kernels.py).
CONFIGURATIONS = [c for c in GPU_CONFIGURATIONS if c.tma and "bfloat16" in c.types]
TYPES = (torch.float16, torch.bfloat16)
ALONG_K = (torch.float32, torch.int8, torch.uint8)  # float32 as tf32
TERMS = [c for c in GPU_CONFIGURATIONS if c.tma and c.adds_terms]
NAMES = [c.name for c in CONFIGURATIONS]
Configuration = gpukern.selection.Configuration


def layouts(configuration: Configuration, dtype: torch.dtype = torch.bfloat16) -> list[tuple[bool, bool]]:
    """Whether A and B lie along their rows.  Columns of B that are no multiple of 64 come along k only; what has not
    16 bits is copied where it does not (terms have)."""
    narrow = configuration.tile[1] % 64 and (dtype.itemsize == 2 or configuration in TERMS)
    return [(a, b) for a, b in itertools.product((True, False), repeat=2) if not (narrow and b)]


@by_case(BY_TMA)
def test_layouts_and_clusters(configuration: Configuration, dtype: torch.dtype) -> None:
    """Tiles that end before, at and beyond the edge of the matrix; k of half a stage, a stage, several."""
    bm, bn, bk = *configuration.tile[:2], depth(configuration, dtype)
    seeds = itertools.count(1)
    for (along_a, along_b), cluster in itertools.product(layouts(configuration, dtype), (1, 2)):
        for batch, m, n, k in ((1, bm + 9, bn + 7, 2 * bk + 5), (2, 5, 3, bk // 2), (1, bm, bn, bk)):
            m, n = oriented(configuration, m, n)
            a, b = factors(dtype, batch, m, n, k)
            out = lines(result(a, b), gap=m % 2)
            options = {"cluster": cluster, "schedule": Schedule("pct", next(seeds))}
            exact(configuration, laid(a, along_a, 1), laid(b, along_b, 2), out, **options)


SCHEDULES = [("fifo", 1), ("lifo", 1), ("random", 1), *(("pct", seed) for seed in range(1, 11))]
# Each order of threads, and three seeds of the one that has further seeds.
by_schedule = pytest.mark.parametrize(
    "schedules",
    [
        pytest.param(SCHEDULES[:6], id="first"),
        pytest.param(SCHEDULES[6:], id="further seeds", marks=pytest.mark.nightly),
    ],
)


@by_schedule
@pytest.mark.parametrize("cluster", [1, 2])
@pytest.mark.parametrize("configuration", [*CONFIGURATIONS, *TERMS], ids=lambda c: c.name)
def test_blocks_go_on_to_further_tiles_under_every_schedule(
    configuration: Configuration, cluster: int, schedules: list[tuple[str, int]]
) -> None:
    """Two blocks, tiles for each of them to come back to; the ring goes round more than once."""
    bm, bn, bk = configuration.tile
    stages = (configuration.shared_bytes - 8 * 4096) // ((bm + bn) * 128)
    m, n, k = 3 * bm if bm <= 128 else bm + 1, bn + 1, bk * (stages // 2) + 3
    along_a, along_b = layouts(configuration)[-1]
    dtype = torch.float32 if configuration in TERMS else torch.bfloat16
    a, b = factors(dtype, 1, *oriented(configuration, m, n), k)
    a, b = laid(a, along_a), laid(b, along_b)
    for order, seed in schedules:
        exact(configuration, a, b, lines(result(a, b)), processors=2, cluster=cluster, schedule=Schedule(order, seed))


@by_sampled("not by TMA", BY_TMA)
def test_results_that_tma_does_not_store(configuration: Configuration, dtype: torch.dtype) -> None:
    """Rows of D that are no multiple of 16 bytes, columns, no unit stride."""
    m, n = oriented(configuration, configuration.tile[0] + 3, configuration.tile[1] + 5)
    a, b = factors(dtype, 2, m, n, 70)
    a, b = laid(a, True), laid(b, False)
    exact(configuration, a, b)
    exact(configuration, a, b, torch.empty(2, n, m, dtype=dtype).transpose(1, 2))
    exact(configuration, a, b, columns(result(a, b)))
    exact(configuration, a, b, torch.empty(2, m, 2 * n, dtype=dtype)[:, :, ::2])


INSIDE = -1  # the blocks of a cluster add up the ranges
SMALL = [c for c in (*CONFIGURATIONS, *TERMS) if c.tile[0] * c.tile[1] <= 64 * 128]  # for others memory is faster
by_small_configuration = pytest.mark.parametrize("configuration", SMALL, ids=[c.name for c in SMALL])


@by_case([case for case in BY_TMA if case[0] in SMALL])
def test_ranges_that_a_cluster_adds_up(configuration: Configuration, dtype: torch.dtype) -> None:
    """Two to eight blocks; several tiles, batches, an addend, both orders of D, results wider."""
    bm, bn, bk = *configuration.tile[:2], depth(configuration, dtype)
    wide = torch.float32 if dtype.is_floating_point else torch.int32
    for splits, batch, (m, n), k in (
        (2, 1, (bm + 3, bn + 2), 4 * bk + 1), (3, 2, (21, 18), 5 * bk), (8, 1, (bm - 1, 7), 8 * bk - 1),
    ):  # fmt: skip
        m, n = oriented(configuration, m, n)
        a, b = factors(dtype, batch, m, n, k)
        a, b = laid(a, True), laid(b, False)
        exact(configuration, a, b, lines(result(a, b)), splits=splits, cluster=INSIDE, schedule=Schedule("pct", splits))
        c = filled(dtype, batch, m, n, k=9)
        down = columns(result(a, b))
        got = machine.product(*place(configuration), down, a, b, c=c, splits=splits, cluster=INSIDE, aligned=True)
        products.exactly_equal(got, (precise(a) @ precise(b) + precise(c)).to(dtype))
        if dtype != torch.uint8:
            exact(configuration, a, b, result(a, b, wide), splits=splits, cluster=INSIDE)


@by_small_configuration
def test_a_cluster_adds_up_ranges_under_every_schedule(configuration: Configuration) -> None:
    m, n = oriented(configuration, configuration.tile[0] + 1, configuration.tile[1])
    a, b = factors(torch.float32 if configuration in TERMS else torch.bfloat16, 1, m, n, 500)
    a, b = laid(a, True), laid(b, False)
    for order, seed in SCHEDULES:
        exact(configuration, a, b, splits=3, cluster=INSIDE, schedule=Schedule(order, seed))


@by_small_configuration
def test_ranges_give_the_same_bits_wherever_they_are_added(configuration: Configuration) -> None:
    """In a cluster's shared memory or in memory: the order of k, and float32."""
    m, n = oriented(configuration, 40, 24)
    a, b = (
        fills.normal(1, *s, dtype=torch.float32 if configuration in TERMS else torch.bfloat16)
        for s in ((m, 900), (900, n))
    )
    a, b = laid(a, True), laid(b, False)
    inside, outside = (
        machine.product(
            *place(configuration), result(a, b, torch.float32), a, b, splits=5, cluster=cluster, aligned=True
        )
        for cluster in (INSIDE, 1)
    )
    assert torch.equal(inside, outside)


def test_a_cluster_needs_no_room_for_ranges() -> None:
    """Where the configuration's own rule has the cluster add them up, what a launch gets has no room in memory."""
    configuration = next(c for c in SMALL if c.name == "wgmma/d128x16")
    a, b = factors(torch.bfloat16, 1, 512, 16, 640)
    exact(configuration, lines(a), columns(b), lines(result(a, b)), splits=4, processors=132)


def test_where_ranges_are_added() -> None:
    """By the model in a cluster where a tile is small, and never where columns are summed or blocks are too many."""

    def notes(m: int, n: int, k: int, **how: Any) -> str:
        a, b = (
            torch.empty(m, k, dtype=torch.bfloat16, device="meta"),
            torch.empty(k, n, dtype=torch.bfloat16, device="meta"),
        )
        return " ".join(gpukern.selection.explain_quietly("mm", a, b, device="sm_90a", **how).notes)

    where = "through distributed shared memory"
    with gpukern.force("wgmma/d128x16*4"):
        assert where in notes(16, 2048, 4096)
    with gpukern.force("wgmma/d128x16*9"):
        assert "9 ranges" in notes(16, 512, 8192) and where not in notes(16, 512, 8192)
    with gpukern.force("wgmma/d128x16*8"):
        assert where in notes(16, 1792, 8192) and where not in notes(16, 2048, 8192)  # 14 clusters run together
    with gpukern.force("wgmma/w128x256*2"):
        assert where not in notes(1024, 2048, 8192)


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=NAMES)
def test_batches(configuration: Configuration) -> None:
    """One matrix for the whole batch; matrices that lie closer than their lines; a batch of results inside lines."""
    m, n = oriented(configuration, 40, 24)
    a, b = factors(torch.bfloat16, 3, m, n, 72)

    def inside(t: Tensor) -> Tensor:
        """(batch, rows, columns) of which the matrices' first lines lie side by side."""
        return lines(t).transpose(0, 1).contiguous().transpose(0, 1)

    exact(configuration, inside(a), inside(b.transpose(1, 2)).transpose(1, 2), inside(result(a, b)), cluster=2)
    exact(configuration, a[:1].expand(3, m, 72), columns(b), lines(result(a, b)))
    exact(configuration, lines(a), columns(b[:1]).expand(3, 72, n), lines(result(a, b)), processors=1)


@pytest.mark.parametrize("configuration", [c for c in CONFIGURATIONS if "float32" in c.types], ids=lambda c: c.name)
def test_float32_is_rounded_to_nearest(configuration: Configuration) -> None:
    """TMA rounds to 11 bits (tensor cores would truncate more).  How it rounds ties is not known for Hopper, so no
    operand here is a tie."""
    numbers = torch.tensor([1.0, 1 + 2.0**-11, 1 + 3 * 2.0**-11, 1 + 2.0**-11 + 2.0**-20, -1 - 2.0**-12, 3e38, 1e-30])
    a, b = torch.eye(7)[None].contiguous(), numbers[None, :, None].expand(1, 7, 7).contiguous()
    got = machine.product(*place(configuration), result(a, b), lines(a), columns(b), aligned=True)[0, :, 0].double()
    step = 2.0 ** (torch.frexp(numbers.double()).exponent.double() - 11)
    assert torch.equal(got / step, (got / step).round()) and bool(((got - numbers.double()).abs() <= step / 2).all())
    assert float(got[3]) == 1 + 2.0**-10 and float(got[4]) == -1


@pytest.mark.parametrize("configuration", [c for c in CONFIGURATIONS if "int8" in c.types], ids=lambda c: c.name)
def test_integers_wrap(configuration: Configuration) -> None:
    """Sums beyond 8 bits modulo 256, beyond 32 modulo 2^32; activations are of floating types."""
    m, n = oriented(configuration, 40, 24)
    a, b = torch.full((1, m, 300), -128, dtype=torch.int8), torch.full((1, 300, n), -128, dtype=torch.int8)
    exact(configuration, lines(a), columns(b), result(a, b))
    exact(configuration, lines(a), columns(b), result(a, b, torch.int32))
    c = torch.full((1, m, n), 2**31 - 7, dtype=torch.int32)
    out = result(a, b, torch.int32)
    got = machine.product(*place(configuration), out, lines(a), columns(b), c=c, alpha=3, beta=-2, aligned=True)
    products.exactly_equal(got, (3 * (precise(a) @ precise(b)) - 2 * precise(c)).to(torch.int32))


def explain(
    m: int, n: int, k: int, device: str = "sm_90a", batch: int = 1, dtype: str = "bfloat16", **layouts: Any
) -> dict[str, Any]:  # fmt: skip
    rows = {
        "a": (k, 1, m * k, 16), "b": (n, 1, k * n, 16), "c": (0, 0, 0, 1), "d": (n, 1, m * n, 16),
        "residual": (0, 0, 0, 1),
    } | layouts  # fmt: skip
    found: dict[str, Any] = _C.gemm_explain(
        dtype, (batch, m, n, k), list(rows.values()), 1.0, 0.0, False, "none", False, device
    )
    return found


def test_what_is_no_product_of_these_goes_to_another_folder() -> None:
    """Each is one difference from a product that they take; what TMA cannot load: test_packing.py."""
    assert named(explain(512, 512, 512)["would_run"]).tma
    for why, found in (
        ("it needs wgmma, which only Hopper GPUs have (sm_90a)", explain(512, 512, 512, "sm_100")),
        ("k is 0, so there is nothing to load", explain(512, 512, 0)),
        ("an extent is too large for TMA, whose coordinates have 31 bits", explain(2**31, 16, 512)),
    ):
        assert dict(found["refusals"])[CONFIGURATIONS[0].folder] in (why, "no code was built for this device"), found
        assert not named(found["would_run"]).tma, found


def test_choices_on_hopper() -> None:
    """Large tiles for large results, short and narrow ones for small; ranges of k if tiles are few."""
    assert explain(8192, 8192, 8192)["would_run"] in ("wgmma/w256x128", "wgmma/w128x256")
    assert explain(1024, 1024, 1024)["would_run"] == "wgmma/p64x128"
    decode = explain(16, 8192, 4096, b=(1, 4096, 0, 16))
    assert decode["would_run"] == "wgmma/d128x16" and decode["splits"] > 1
    assert explain(48, 8192, 4096, b=(1, 4096, 0, 16))["would_run"] == "wgmma/d128x32"
    assert explain(100, 8192, 4096, b=(1, 4096, 0, 16))["would_run"] in (
        "wgmma/p64x64",
        "wgmma/p64x128",
        "wgmma/p64x256",
    )
    # What 256 columns would leave a wave half empty: Llama's qkv and DeepSeek's o of 512 tokens.
    assert explain(512, 10240, 8192, b=(1, 8192, 0, 16))["would_run"] == "wgmma/w128x160"
    assert explain(512, 7168, 16384, b=(1, 16384, 0, 16))["would_run"] == "wgmma/w128x224"
    assert explain(512, 512, 512)["would_run"] == "wgmma/p64x64"
