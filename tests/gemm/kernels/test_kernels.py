"""What every configuration for GPUs is asked, under the machine model: each of its types, ragged shapes, epilogues.

Layouts and schedules of those that take what TMA brings: test_hopper_kernels.py."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import Any

import pytest
import torch
from torch import Tensor

import gpukern.reference
from gpukern.selection import Configuration
from tests.gemm.kernels.asked import (
    BY_THREADS,
    CASES,
    FLOATING,
    by_activation,
    by_case,
    by_sampled,
    columns,
    depth,
    exact,
    factors,
    filled,
    laid,
    laid_out,
    lines,
    multiplied,
    multiply,
    oriented,
    precise,
    ragged,
    result,
    taken,
)
from tests.gemm.kernels.thin import is_skinny, side
from tests.oracle import fills, products
from tests.platform import machine
from tests.platform.machine import SCHEDULES, Schedule


@by_case(BY_THREADS)
def test_ragged_shapes_under_every_schedule(configuration: Configuration, dtype: torch.dtype) -> None:
    for batch, m, n, k in ragged(configuration):
        a, b = filled(dtype, batch, m, k, k=k), filled(dtype, batch, k, n, k=k)
        for order, seed in (
            SCHEDULES
            if (m, n) != (configuration.tile[0], configuration.tile[1]) or k > configuration.tile[2]
            else SCHEDULES[:2]
        ):
            exact(configuration, a, b, schedule=Schedule(order, seed))
    if configuration.lanes == 0:
        a, b = filled(dtype, 1, 9, 20, k=20), filled(dtype, 1, 20, side(configuration, 11), k=20)
        exact(configuration, a, b, schedule=Schedule("pct", 9, wave=64))


LAYOUTS = ["rows", "columns", "gaps", "strided"]


@pytest.mark.parametrize("aligned", [False, True], ids=["at the page's end", "aligned"])
@by_sampled("layouts", BY_THREADS)
def test_layouts(configuration: Configuration, dtype: torch.dtype, aligned: bool) -> None:
    bm, bn, bk = configuration.tile
    for left, right in itertools.product(LAYOUTS, LAYOUTS):
        for m, n, k in (
            ((bm + 2, bn + 1, bk + 5), (16, 32, 32)) if not is_skinny(configuration) else ((37, bn, 43), (bn, 40, 64))
        ):
            a, b = filled(dtype, 2, m, k, k=k), filled(dtype, 2, k, n, k=k)
            exact(configuration, laid_out(a, left), laid_out(b, right), aligned=aligned)
    n = side(configuration, 17)
    a, b = filled(dtype, 1, 20, 24, k=24), filled(dtype, 3, 24, n, k=24)
    exact(configuration, a.expand(3, 20, 24), b)
    exact(configuration, a, b[:1], torch.empty(1, n, 20, dtype=dtype).transpose(1, 2))  # column-major result


@by_case(BY_THREADS)
def test_lines_one_element_apart_are_not_read_as_packets(configuration: Configuration, dtype: torch.dtype) -> None:
    """A signal seen through a window: both strides are 1, so only the first line of packets is aligned."""
    signal, k = filled(dtype, 80, k=40), 40
    a, n = signal.unfold(0, k, 1)[None, :37], side(configuration, 24)
    exact(configuration, a, filled(dtype, 1, k, n, k=k), aligned=True)
    if n == 24:
        exact(configuration, filled(dtype, 1, 37, k, k=k), signal.unfold(0, n, 1)[None, :k], aligned=True)


@by_sampled("matrices apart", BY_THREADS)
def test_matrices_one_element_apart_are_not_read_as_packets(configuration: Configuration, dtype: torch.dtype) -> None:
    """Batches that lie side by side, of matrices of one column or row: a stride of 1 that packets do not lie along."""
    n = side(configuration, 12)
    a, b = filled(dtype, 40, 9, 24, k=24), filled(dtype, 40, 24, n, k=24)
    apart = [t.permute(1, 2, 0).contiguous().permute(2, 0, 1) for t in (a, b)]
    exact(configuration, *apart, aligned=True)
    exact(
        configuration, apart[0], apart[1][:, :, :1], aligned=True
    )  # (24, 1): the stride of its one column is the batch's
    exact(configuration, a[:, :, :1], apart[1][:, :1], aligned=True)
    single = apart[1][:, :, :1].as_strided((40, 24, 1), (1, 40 * n, 1))  # its column claims a stride of 1
    exact(configuration, a, single.contiguous().clone().as_strided((40, 24, 1), (24, 1, 1)), aligned=True)


@by_case(FLOATING)
def test_rounding_is_within_the_bound(configuration: Configuration, dtype: torch.dtype) -> None:
    m, n = oriented(configuration, 33, 27)
    accumulator = "truncating" if configuration.tensor_cores and dtype != torch.float64 else "fma"
    for fill in fills.FILLS.values():
        a, b = fill(1, m, 300, dtype=dtype), fill(1, 300, n, dtype=dtype)
        got = multiply(configuration, *taken(configuration, a, b))
        a, b = multiplied(configuration, a), multiplied(configuration, b)
        products.check_product(got[0], a[0], b[0], accumulator=accumulator)


@by_activation("epilogues", FLOATING, machine.ACTIVATIONS)
def test_epilogues(configuration: Configuration, dtype: torch.dtype, activation: str) -> None:
    """alpha, beta, a bias, a column, a full addend, an activation, a residual; what TMA stores and what it does not."""
    (m, n), k = oriented(configuration, 19, 23), 18
    a, b = (multiplied(configuration, fills.normal(1, *s, dtype=dtype)) for s in ((m, k), (k, n)))
    full, bias, column = (fills.normal(1, *s, dtype=dtype) for s in ((m, n), (1, n), (m, 1)))
    for alpha, c, residual, out in (
        (0.5, None, None, lines(result(a, b))),
        (1.0, None, full, result(a, b)),
        (0.5, bias.expand(1, m, n), None, lines(result(a, b))),
        (0.5, column.expand(1, m, n), full, columns(result(a, b))),
        (0.5, lines(full), bias.expand(1, m, n), result(a, b)),
    ):
        got = multiply(
            configuration, *taken(configuration, a, b), out,
            c=c, alpha=alpha, beta=0.0 if c is None else -2.0, activation=activation, residual=residual,
        )  # fmt: skip
        sums = alpha * (a.double() @ b.double()) - (0 if c is None else 2 * c.double())
        expected = gpukern.reference.matmul(torch.eye(m)[None], sums, activation=activation)
        if residual is not None:
            expected = expected + residual.double()
        eps = {torch.float16: 2e-3, torch.bfloat16: 2e-2, torch.float32: 2e-5, torch.float64: 1e-12}[dtype]
        steep = {"rsqrt": 30, "reciprocal": 30, "log": 30, "log2": 30, "log1p": 30, "sqrt": 30, "exp": 1, "exp2": 1}
        near = sums.abs() > 0.05 if activation in steep else torch.ones_like(sums, dtype=torch.bool)
        near &= (activation != "log1p") | (
            (sums + 1).abs() > 0.05
        )  # elsewhere a last digit of the sum is a different result
        near &= expected.abs() <= torch.finfo(dtype).max
        tolerance = eps * steep.get(activation, 1)
        assert torch.equal(got.isnan() & near, expected.isnan() & near)
        torch.testing.assert_close(got.double()[near], expected[near], rtol=tolerance, atol=tolerance, equal_nan=True)


@by_case(CASES)
def test_integer_scales_and_what_is_not_read(configuration: Configuration, dtype: torch.dtype) -> None:
    m, n = oriented(configuration, 5, 7)
    a, b = factors(dtype, 1, m, n, 6)
    c = filled(dtype, 1, m, n, k=6)
    got = multiply(configuration, *taken(configuration, a, b), c=c, alpha=3, beta=2)
    assert torch.equal(got, (2 * precise(c) + 3 * (precise(a) @ precise(b))).to(dtype))
    if dtype.is_floating_point or dtype.is_complex:  # beta = 0 reads nothing of C
        exact(configuration, *taken(configuration, a, b), c=torch.full_like(c, torch.nan), beta=0)
    if not configuration.tma:  # which has nothing to load then: test_hopper_kernels.py
        assert not multiply(configuration, a[:, :, :0], b[:, :0]).any()


@by_case([case for case in CASES if case[1].is_floating_point or case[1].is_complex])
def test_nan_and_infinity_stay_in_their_row_and_column(configuration: Configuration, dtype: torch.dtype) -> None:
    m, n = oriented(configuration, 20, 18)
    at = min(11, n - 1)
    a, b = torch.randn(1, m, 33).to(dtype), torch.randn(1, 33, n).to(dtype)
    a[0, 3, 32], b[0, 5, at] = torch.nan, torch.inf
    got = multiply(configuration, *taken(configuration, a, b), taken(configuration, result(a, b), b)[0])[0]
    assert bool(got[3].isnan().all())
    rest, others = [i for i in range(m) if i != 3], [j for j in range(n) if j != at]
    assert not bool(got[rest, at].isfinite().any()) and bool(got[rest][:, others].isfinite().all())
    assert dtype.is_complex or bool(got[rest, at].isinf().all())  # a part of inf * (x + iy) may be inf - inf


WIDE = {torch.float16: torch.float32, torch.bfloat16: torch.float32, torch.int8: torch.int32}


@by_sampled("results wider", [case for case in CASES if case[1] in WIDE])
def test_results_in_the_type_of_the_accumulator(configuration: Configuration, dtype: torch.dtype) -> None:
    """D, C and the residual are float32 (int32): sums beyond the operands' range come out whole."""
    m, n = oriented(configuration, configuration.tile[0] + 3, configuration.tile[1] + 5)
    k = 2 * configuration.tile[2] + 9
    a, b = (
        (torch.randint(-128, 128, (1, *s)) if dtype == torch.int8 else torch.randint(-32, 33, (1, *s))).to(dtype)
        for s in ((m, k), (k, n))
    )
    c = torch.randint(-9, 10, (1, m, n)).to(WIDE[dtype])
    for aligned, lay in ((False, Tensor.contiguous), (True, lines)):
        out = lay(result(a, b, WIDE[dtype]))
        got = multiply(configuration, *taken(configuration, a, b), out, c=c, alpha=3, beta=2, aligned=aligned)
        products.exactly_equal(got, 3 * (a.double() @ b.double()) + 2 * c.double())


@by_sampled("ranges", CASES)
def test_ranges_of_k_add_up(configuration: Configuration, dtype: torch.dtype) -> None:
    """k split over 2 .. 7 blocks, some of them empty; batches, both orders of D, an epilogue, other schedules where
    there are no clusters to try."""
    bm, bn, bk = *configuration.tile[:2], depth(configuration, dtype)
    for splits, cluster, (batch, m, n, k) in (
        (2, 1, (2, 20, 33, 4 * bk + 1)), (3, 2, (1, bm + 1, bn + 4, 5 * bk)), (7, 1, (1, 5, 6, bk + 1)),
    ):  # fmt: skip
        m, n = oriented(configuration, m, n)
        a, b = filled(dtype, batch, m, k, k=2 * k), filled(dtype, batch, k, n, k=2 * k)
        c = filled(dtype, batch, m, n, k=2 * k)
        x, y = taken(configuration, a, b)
        how: dict[str, Any] = {"splits": splits, "cluster": cluster if configuration.tma else 0}
        for order, seed in SCHEDULES[::3] if not configuration.tma else SCHEDULES[:1]:
            exact(configuration, x, y, schedule=Schedule(order, seed), processors=3 + cluster, **how)
        got = multiply(configuration, x, y, columns(result(a, b)), c=c, alpha=1, beta=1, **how)
        assert torch.equal(got, (precise(a) @ precise(b) + precise(c)).to(dtype))


# float32's tiles took two passes over the banks once; warps of 32 lanes that multiply on ordinary cores; float64 made
# for Hopper's tensor cores; wgmma.
SPREAD = [
    (c, t) for c, t in CASES
    if c.tma or (c.name in ("simt/s128x128", "simt/s64x64", "simt/s32x32") and t == torch.float32)
    or (c.lanes and (not c.tensor_cores or (c.clock and c.types == ("float64",))))
]  # fmt: skip


@by_sampled("banks", SPREAD)
def test_no_access_to_shared_memory_meets_a_bank_twice(configuration: Configuration, dtype: torch.dtype) -> None:
    """Copies, transposing stores, fragments and the ways out: what TMA stores, and the slab, along rows and columns.
    D down its columns (A and B both turned) does meet some where threads copy for 32 lanes, as mma does."""
    a, b = factors(dtype, 1, *oriented(configuration, *configuration.tile[:2] if configuration.tma else (128, 128)), 64)
    wide = result(a, b, WIDE.get(dtype, dtype))
    turned = itertools.product((False, True), repeat=2) if not configuration.tma else [(False, True)]
    outs = [result(a, b)] if not configuration.tma else [lines(result(a, b)), lines(wide), columns(result(a, b))]
    for (turn_a, turn_b), out in itertools.product(turned, outs):
        if turn_a and turn_b and configuration.lanes:
            continue
        x, y = laid(a, not turn_a), laid(b, not turn_b)
        machine.counts()
        exact(configuration, x, y, out, aligned=True, schedule=Schedule("fifo", count=True))
        shared = [c for c in machine.counts() if c.space == "shared"]
        assert shared, "no access was counted"
        assert not [c for c in shared if c.passes != c.ideal], (turn_a, turn_b)


# Of those for vectors each has its own number of lanes; terms: test_terms.py.
ALIKE: dict[tuple[str, str, torch.dtype], list[Configuration]] = defaultdict(list)
for c, t in CASES:
    if not c.vectors and not c.adds_terms:
        ALIKE[c.folder, c.multiplier, t].append(c)


@pytest.mark.parametrize(("folder", "multiplier", "dtype"), ALIKE, ids=str)
def test_configurations_of_one_multiplier_agree_to_the_last_bit(
    folder: str, multiplier: str, dtype: torch.dtype
) -> None:
    """Each element is the sum of the same steps of k in the same order, whatever the tile, the cluster and the
    schedule: a row of the result does not depend on how many other rows there are."""
    if dtype.is_floating_point:
        a, b = fills.normal(1, 70, 200, dtype=dtype), fills.normal(1, 200, 90, dtype=dtype)
    else:
        a, b = factors(dtype, 1, 70, 90, 200)
    results = []
    with machine.unchecked():  # thin configurations too
        for seed, c in enumerate(ALIKE[folder, multiplier, dtype]):
            x, y = taken(c, a, b)
            for cluster in (1, 2) if c.tma else (0,):
                results.append(multiply(c, x, y, lines(result(a, b)), cluster=cluster, schedule=Schedule("pct", seed)))
                assert torch.equal(results[-1], results[0]), (c.name, cluster)
            for m in (1, 3, 17):
                few = multiply(c, *taken(c, a[:, :m].contiguous(), b))
                assert torch.equal(few, results[0][:, :m]), (c.name, m)
