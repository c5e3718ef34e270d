"""float32 products as sums of bfloat16 terms: exactness, error, the ends of the range, layouts, under the model."""

from __future__ import annotations

import itertools
import math
import statistics
from typing import Any

import pytest
import torch
from torch import Tensor

import gpukern
from gpukern.selection import named
from tests.gemm.kernels.asked import GPU_CONFIGURATIONS, laid_out, place
from tests.oracle import fills, products
from tests.platform import machine
from tests.platform.machine import SCHEDULES, Schedule
from tests.sampling import sampled

CONFIGURATIONS = [c for c in GPU_CONFIGURATIONS if c.adds_terms]
FOLDERS = [[c for c in CONFIGURATIONS if c.tma is tma] for tma in (False, True)]
SMALL, HOPPER = (next(c for c in CONFIGURATIONS if c.name == name) for name in ("mma_sync/e64x64", "wgmma/t128x64"))
EITHER = pytest.mark.parametrize("configuration", [SMALL, HOPPER], ids=lambda c: c.name)
STRICT = next(c for c in GPU_CONFIGURATIONS if c.name == "simt/s64x64")
PRECISIONS = ("bf16x3", "bf16x6", "bf16x9")
NAMED = pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda c: c.name)
LARGEST = torch.finfo(torch.float32).max


def multiply(
    a: Tensor, b: Tensor, precision: str, configuration: gpukern.selection.Configuration = SMALL, **options: Any
) -> Tensor:
    out = torch.empty(a.shape[0], a.shape[1], b.shape[2])
    if configuration.tile[1] <= 32:  # its columns of B come along k; where B is the longer, the transposed A's do
        a, b = (a.contiguous(), b) if a.shape[1] < b.shape[2] else (a, b.mT.contiguous().mT)
    return machine.product(*place(configuration), out, a, b, precision=precision, **options)


def whole(*shape: int, bits: int, k: int) -> Tensor:
    """Integers of up to `bits` bits, each its own; few enough are there that a sum of k products stays below 2^24."""
    values = torch.randint(-(2**bits) + 1, 2**bits, shape)
    return torch.where(torch.rand(shape) < min(1.0, 4 / k), values, torch.zeros_like(values)).float()


def ones(*shape: int) -> Tensor:
    return torch.where(torch.rand(shape) < 0.5, -1.0, 1.0)


@NAMED
@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_term_arrives(configuration: gpukern.selection.Configuration, precision: str) -> None:
    """Integers of 16 and of 20 bits need two and three terms; beside +-1 their sums are exact, and so are products of
    two terms each where mid * mid is added."""
    bits = 16 if precision == "bf16x3" else 20
    m, n = configuration.tile[0] + 3, configuration.tile[1] + 5
    for k in (1 if configuration.tile[1] > 32 else 2, 7, 40, 256, 257, 300):  # with k = 1 nothing lies along k
        a, b = whole(1, m, k, bits=bits, k=k), ones(1, k, n)
        for left, right in ((a, b), (b.transpose(1, 2), a.transpose(1, 2))):
            products.exactly_equal(multiply(left, right, precision, configuration), left.double() @ right.double())
        if precision != "bf16x3":
            a, b = whole(1, m, k, bits=10, k=k), whole(1, k, n, bits=10, k=k)
            products.exactly_equal(multiply(a, b, precision, configuration), a.double() @ b.double())


@EITHER
@pytest.mark.parametrize("precision", PRECISIONS)
def test_layouts_strides_and_batches(configuration: gpukern.selection.Configuration, precision: str) -> None:
    bits = 16 if precision == "bf16x3" else 20
    for left in ("rows", "columns", "gaps", "strided"):
        for right in ("rows", "columns", "gaps", "strided"):
            for m, n, k in ((66, 65, 69), (16, 32, 32)):
                a, b = whole(2, m, k, bits=bits, k=k), ones(2, k, n)
                for aligned in (False, True):
                    got = multiply(laid_out(a, left), laid_out(b, right), precision, configuration, aligned=aligned)
                    products.exactly_equal(got, a.double() @ b.double())
    a, b = whole(1, 20, 24, bits=bits, k=24), ones(3, 24, 17)
    products.exactly_equal(multiply(a.expand(3, 20, 24), b, precision, configuration), a.double() @ b.double())
    signal = whole(80, bits=bits, k=40)
    products.exactly_equal(
        multiply(signal.unfold(0, 40, 1)[None, :37], ones(1, 40, 24).fill_(1), precision, configuration, aligned=True),
        signal.unfold(0, 40, 1)[None, :37].double().sum(2, keepdim=True).expand(1, 37, 24),
    )


@NAMED
def test_schedules_ranges_and_epilogues(configuration: gpukern.selection.Configuration) -> None:
    m, n, k = configuration.tile[0] + 2, configuration.tile[1] + 1, 2 * 256 + configuration.tile[2] + 3
    a, b, c = whole(1, m, k, bits=16, k=k), ones(1, k, n), whole(1, m, n, bits=16, k=4)
    expected = a.double() @ b.double()
    for order, seed in SCHEDULES:
        products.exactly_equal(multiply(a, b, "bf16x3", configuration, schedule=Schedule(order, seed)), expected)
    for splits in (2, 3, 7):
        products.exactly_equal(multiply(a, b, "bf16x6", configuration, splits=splits), expected)
        got = multiply(
            a, b, "bf16x9", configuration, splits=splits, c=c, beta=2, alpha=-1, activation="relu", residual=c
        )
        products.exactly_equal(got, (2 * c.double() - expected).relu() + c.double())
    if configuration in FOLDERS[1]:
        return  # without k it is another folder's
    empty = multiply(torch.empty(1, 5, 0), torch.empty(1, 0, 7), "bf16x6", configuration)
    assert not empty.any()


def rho(got: Tensor, a: Tensor, b: Tensor) -> float:
    """The median over the batch: where exponents are far apart, one product's error differs much from the next's."""
    return statistics.median(products.judge_product(*of).rho for of in zip(got, a, b, strict=True))


ERRORS = [(fill, k, c) for fill in fills.FILLS for k in (64, 300, 1024) for c in (SMALL, HOPPER)]


@pytest.mark.parametrize(
    ("fill", "k", "configuration"),
    sampled("errors of terms", ERRORS, lambda case: case[0], [f"{f}-{k}-{c.name}" for f, k, c in ERRORS]),
)
def test_error(fill: str, k: int, configuration: gpukern.selection.Configuration) -> None:
    """Six and nine products keep strict float32's bound; three keep 16 bits of each operand.

    Hopper's cut each 128 of k so finely that the error is no more than strict float32's own.  Ampere's tensor cores cut
    by a bit more, and 256 of k: up to three times that, where exponents are far apart.
    """
    batch = 27 if fill == "wide" else 9  # of nine, two medians of one distribution are apart by 1 now and then
    a, b = fills.FILLS[fill](batch, 33, k), fills.FILLS[fill](batch, k, 35)
    strict = rho(machine.product(*place(STRICT), torch.empty(batch, 33, 35), a, b), a, b)
    got = {p: multiply(a, b, p, configuration) for p in PRECISIONS}
    found = {p: rho(d, a, b) for p, d in got.items()}
    for precision in ("bf16x6", "bf16x9"):  # x6 leaves out up to 2^-24 of |A||B|, one unit
        for of in zip(got[precision], a, b, strict=True):
            products.check_product(*of)
        coarser = 1 if configuration.tma else 3
        assert found[precision] <= coarser * max(strict, 1) + 1, (found, strict)
    assert found["bf16x3"] <= 512 + products.slack(k), found  # it leaves out up to 2^-15 of |A||B|
    assert found["bf16x3"] > found["bf16x6"], found


@NAMED
@pytest.mark.parametrize("precision", PRECISIONS)
def test_infinity_and_nan(configuration: gpukern.selection.Configuration, precision: str) -> None:
    """As in float32, element by element: inf * finite is inf, whatever the finite one's terms are."""
    k = 40
    a, b = fills.normal(1, 12, k), fills.normal(1, k, 11)
    a[0, 1, 3], a[0, 2, 5], a[0, 3, 7] = math.inf, -math.inf, math.nan
    a[0, 4, 0], a[0, 4, 1] = math.inf, -math.inf
    b[0, 9, 2] = -math.inf
    b[0, 3, :5] = torch.tensor([1.0, -2.0, 0.0, 1e-45, -1.2345678])
    expected = a.double() @ b.double()
    got = multiply(a, b, precision, configuration).double()
    assert torch.equal(got.isnan(), expected.isnan())
    infinite = expected.isinf()
    assert infinite.sum() > 20 and torch.equal(got[infinite], expected[infinite])
    assert bool(got[~infinite & ~expected.isnan()].isfinite().all())


@EITHER
@pytest.mark.parametrize("precision", ["bf16x6", "bf16x9"])
def test_the_ends_of_the_range(precision: str, configuration: gpukern.selection.Configuration) -> None:
    """Every finite number is the sum of its terms: subnormal ones, the largest, and those around bfloat16's largest."""
    lowest = 2.0**-149
    edge = [LARGEST, LARGEST * (1 - 2**-23), 3.3895314e38, 3.39e38, 3.3961775e38, 2.0**127]
    tiny = [lowest, 3 * lowest, 255 * lowest, 0x7FFFFF * lowest, 2.0**-126, 1.1754945e-38, 1.2345678e-39, 2.0**-133]
    random = torch.randint(1, 2**31 - 2**23 - 1, (200,), dtype=torch.int64).to(torch.int32).view(torch.float32).tolist()
    values = torch.tensor([*edge, *tiny, *random, 0.0])
    values = torch.cat([values, -values])
    got = multiply(values[None, :, None], torch.tensor([[[1.0, -1.0, 2.0**-10]]]), precision, configuration)
    products.exactly_equal(got[0, :, :2], torch.stack([values, -values], 1))
    small = values.abs() < 2.0**-140
    scaled = (values.double() * 2.0**-10).float()
    assert bool(((got[0, :, 2] - scaled).abs() <= torch.where(small, lowest, scaled.abs() * 2**-23 + lowest)).all())
    large = multiply(values[None, :, None].clamp(-1e-30, 1e-30), torch.full((1, 1, 1), 1e30), precision, configuration)
    exact = values.clamp(-1e-30, 1e-30).double() * torch.tensor(1e30).double()
    # a subnormal number is as good as the smallest normal one
    size = values.abs().clamp(2.0**-126, 1e-30).double() * 1e30
    assert bool(((large[0, :, 0].double() - exact).abs() <= size * 2**-23).all())


@machine.unchecked()  # skinny configurations too
def test_configurations_agree_to_the_last_bit_and_do_not_depend_on_their_number() -> None:
    a, b = fills.normal(1, 70, 600), fills.normal(1, 600, 40)
    for precision, configurations in itertools.product(PRECISIONS, FOLDERS):
        results = [multiply(a, b, precision, c) for c in configurations]
        assert all(torch.equal(got, results[0]) for got in results)
        for m in (1, 3, 17):
            few = [multiply(a[:, :m].contiguous(), b, precision, c) for c in configurations]
            assert all(torch.equal(got, results[0][:, :m]) for got in few)


def test_the_transposed_product_agrees_to_the_last_bit() -> None:
    """A and B by columns are multiplied as the transposed product; one row of that A has no order, and is not."""
    a, b = fills.normal(1, 70, 600), fills.normal(1, 600, 40)
    down = laid_out(a, "columns"), laid_out(b, "columns")
    for precision, configurations in itertools.product(PRECISIONS, FOLDERS):
        for configuration in configurations:
            if configuration.tile[1] <= 32:
                continue  # takes columns of B along k alone
            whole = multiply(*down, precision, configuration)
            assert torch.equal(whole, multiply(a, b, precision, configuration))
            assert torch.equal(multiply(down[0][:, :1], down[1], precision, configuration), whole[:, :1])


def test_who_serves_them() -> None:
    a = torch.empty(512, 512, device="meta")
    for device, terms, tma in (
        ("sm_80", True, False),
        ("sm_90", True, True),
        ("sm_120", True, False),
        ("sm_75", False, False),
        ("gfx942", False, False),
    ):
        for precision in PRECISIONS:
            found = gpukern.selection.explain_quietly("mm", a, a, precision=precision, device=device)
            runs = named(found.would_run or "")
            assert (runs.adds_terms, runs.tma) == (terms, tma), (device, found)
            assert ("more exact" in str(found)) == ("strict" in runs.precisions) == (not terms)
    for asked, precision in (("strict", "strict"), ("tf32", "tf32"), (None, "strict")):
        found = gpukern.selection.explain_quietly("mm", a, a, precision=asked, device="sm_90")
        runs = named(found.would_run or "")
        assert runs.precisions == (precision,) and runs.lanes == 32 and not runs.tma
    assert "strict float32" in str(gpukern.selection.explain_quietly("mm", a, a, precision="bf16x6", device="cpu"))
    skinny = gpukern.selection.explain_quietly("mm", a[:3], a, precision="bf16x6", batch_invariant=True, device="sm_90")
    assert skinny.would_run and skinny.would_run == "wgmma/t128x16"
