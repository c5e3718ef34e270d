"""Every configuration for GPUs under the machine model: each of its types, ragged shapes, layouts, epilogues."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

import gpukern
import gpukern.model
import gpukern.reference
from gpukern.model.configurations import place_of
from tests.gemm.kernels.thin import is_skinny, side
from tests.oracle import fills, products
from tests.platform import machine
from tests.platform.machine import SCHEDULES, Schedule
from tests.sampling import sampled

GPU_CONFIGURATIONS = [c for c in gpukern.available(built=False) if not c.on_cpu]
# Scaled products have tests of their own (test_scaled_kernels.py), and so have the configurations that load by TMA
# (test_hopper_kernels.py).
CASES = [
    (c, getattr(torch, t)) for c in GPU_CONFIGURATIONS for t in c.types if not t.startswith("float8") and not c.tma
]
IDS = [f"{c.name}-{str(t).removeprefix('torch.')}" for c, t in CASES]
FLOATING = [(c, t) for c, t in CASES if t.is_floating_point]
FLOATING_IDS = [f"{c.name}-{t}" for c, t in FLOATING]


def alike(case: tuple[Any, ...]) -> tuple[str, int, bool, bool]:
    """Kernels that differ by their tile, and types of one width: one text, in which a type is an argument."""
    configuration, dtype = case[:2]
    kind = configuration.name[: configuration.name.index("/") + 2]  # a folder and the letter of its kernel
    return kind, dtype.itemsize, dtype.is_floating_point, dtype.is_complex


def multiplied(configuration: gpukern.selection.Configuration, t: Tensor) -> Tensor:
    """What the configuration multiplies: float32 rounded to 11 bits where it runs on tensor cores."""
    return fills.tf32(t) if t.dtype == torch.float32 and "tf32" in configuration.precisions else t


def place(configuration: gpukern.selection.Configuration) -> tuple[int, int]:
    """Folder and place in its table."""
    return place_of(configuration.name)


def filled(dtype: torch.dtype, *shape: int, k: int) -> Tensor:
    """Values whose sums over k are exact."""
    if dtype.is_complex:
        part = torch.float32 if dtype == torch.complex64 else torch.float64
        return torch.complex(*(fills.integers(*shape, k=4 * k, dtype=part) for _ in range(2)))
    if dtype.is_floating_point:
        return fills.integers(*shape, k=k, dtype=dtype)
    return torch.randint(0 if dtype == torch.uint8 else -9, 10, shape).to(dtype)


def precise(t: Tensor) -> Tensor:
    """In the type that a reference is computed in."""
    return t.to(torch.complex128 if t.is_complex() else torch.float64 if t.is_floating_point() else torch.int64)


def ragged(configuration: gpukern.selection.Configuration) -> list[tuple[int, int, int, int]]:
    """(batch, m, n, k): one below, at and above a tile, narrow ones, k around a step."""
    bm, bn, bk = configuration.tile
    if is_skinny(configuration):
        return [
            (1, bm + 1, bn, 257), (1, bn, 9, 1030), (1, 1, 33, bk - 1), (1, bm - 1, 1, 1), (2, 35, (bn + 1) // 2, 32),
            (3, 1, 5, 520), (1, bn, 7, 4100),
        ]  # fmt: skip
    return [
        (1, bm, bn, bk), (1, bm + 1, bn - 1, 2 * bk + 1), (1, 1, bn + 3, bk - 1), (1, bm - 1, 1, 1),
        (2, 5, 7, 3 * bk), (1, 2 * bm + 3, bn + 1, bk),
    ]  # fmt: skip


def exact(
    configuration: gpukern.selection.Configuration, a: Tensor, b: Tensor, out: Tensor | None = None, **options: Any
) -> None:
    if out is None:
        out = torch.empty(a.shape[0], a.shape[1], b.shape[2], dtype=a.dtype)
    got = machine.product(*place(configuration), out, a, b, **options)
    products.exactly_equal(got, (precise(a) @ precise(b)).to(a.dtype))


@pytest.mark.parametrize(("configuration", "dtype"), CASES, ids=IDS)
def test_ragged_shapes_under_every_schedule(configuration: gpukern.selection.Configuration, dtype: torch.dtype) -> None:
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


def laid_out(t: Tensor, kind: str) -> Tensor:
    """The same matrices: row-major, column-major, with gaps, with no unit stride, or one matrix for the whole batch."""
    if kind == "columns":
        return t.transpose(1, 2).contiguous().transpose(1, 2)
    if kind == "gaps":
        wide = torch.zeros(t.shape[0], t.shape[1], t.shape[2] + 3, dtype=t.dtype)
        wide[:, :, : t.shape[2]] = t
        return wide[:, :, : t.shape[2]]
    if kind == "strided":
        wide = torch.zeros(t.shape[0], 2 * t.shape[1], 3 * t.shape[2], dtype=t.dtype)
        wide[:, ::2, ::3] = t
        return wide[:, ::2, ::3]
    return t.contiguous()


LAYOUTS = ["rows", "columns", "gaps", "strided"]


@pytest.mark.parametrize("aligned", [False, True], ids=["at the page's end", "aligned"])
@pytest.mark.parametrize(("configuration", "dtype"), sampled("layouts", CASES, alike, IDS))
def test_layouts(configuration: gpukern.selection.Configuration, dtype: torch.dtype, aligned: bool) -> None:
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


@pytest.mark.parametrize(("configuration", "dtype"), CASES, ids=IDS)
def test_lines_one_element_apart_are_not_read_as_packets(
    configuration: gpukern.selection.Configuration, dtype: torch.dtype
) -> None:
    """A signal seen through a window: both strides are 1, so only the first line of packets is aligned."""
    signal, k = filled(dtype, 80, k=40), 40
    a, n = signal.unfold(0, k, 1)[None, :37], side(configuration, 24)
    exact(configuration, a, filled(dtype, 1, k, n, k=k), aligned=True)
    if n == 24:
        exact(configuration, filled(dtype, 1, 37, k, k=k), signal.unfold(0, n, 1)[None, :k], aligned=True)


@pytest.mark.parametrize(("configuration", "dtype"), sampled("matrices apart", CASES, alike, IDS))
def test_matrices_one_element_apart_are_not_read_as_packets(
    configuration: gpukern.selection.Configuration, dtype: torch.dtype
) -> None:
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


@pytest.mark.parametrize("fill", fills.FILLS)
@pytest.mark.parametrize(("configuration", "dtype"), FLOATING, ids=FLOATING_IDS)
def test_rounding_is_within_the_bound(
    configuration: gpukern.selection.Configuration, dtype: torch.dtype, fill: str
) -> None:
    n = side(configuration, 35)
    a, b = fills.FILLS[fill](1, 33, 300, dtype=dtype), fills.FILLS[fill](1, 300, n, dtype=dtype)
    got = machine.product(*place(configuration), torch.empty(1, 33, n, dtype=dtype), a, b)
    accumulator = "truncating" if configuration.tensor_cores and dtype != torch.float64 else "fma"
    products.check_product(
        got[0], multiplied(configuration, a)[0], multiplied(configuration, b)[0], accumulator=accumulator
    )


# One text serves every kernel: each configuration with some of the activations, one configuration of each folder and
# type with all.
COMMON = ["none", "relu", "gelu", "gelu_tanh", "silu"]
FIRST = {(c.folder, t): c for c, t in reversed(FLOATING)}
EPILOGUES = [
    (c, t, activation)
    for c, t in FLOATING
    for activation in machine.ACTIVATIONS
    if activation in COMMON or FIRST[c.folder, t] is c
]


@pytest.mark.parametrize(
    ("configuration", "dtype", "activation"),
    EPILOGUES,
    ids=[f"{c.name}-{t}-{activation}" for c, t, activation in EPILOGUES],
)
def test_epilogues(configuration: gpukern.selection.Configuration, dtype: torch.dtype, activation: str) -> None:
    """alpha, beta, a bias, a column, a full addend, an activation, a residual."""
    m, n, k = 19, side(configuration, 23), 18
    a, b = (multiplied(configuration, fills.normal(1, *s, dtype=dtype)) for s in ((m, k), (k, n)))
    full, bias, column = (fills.normal(1, *s, dtype=dtype) for s in ((m, n), (1, n), (m, 1)))
    for c, residual in (
        (None, full),
        (bias.expand(1, m, n), None),
        (column.expand(1, m, n), full),
        (full, bias.expand(1, m, n)),
    ):
        alpha, beta = (1.0, 0.0) if c is None else (0.5, -2.0)
        got = machine.product(
            *place(configuration), torch.empty(1, m, n, dtype=dtype), a, b,
            c=c, alpha=alpha, beta=beta, activation=activation, residual=residual,
        )  # fmt: skip
        addend = torch.zeros(1, m, n, dtype=torch.float64) if c is None else beta * c.double()
        sums = addend + alpha * (a.double() @ b.double())
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


@pytest.mark.parametrize(("configuration", "dtype"), CASES, ids=IDS)
def test_integer_scales_and_what_is_not_read(
    configuration: gpukern.selection.Configuration, dtype: torch.dtype
) -> None:
    n = side(configuration, 7)
    a, b, c = filled(dtype, 1, 5, 6, k=6), filled(dtype, 1, 6, n, k=6), filled(dtype, 1, 5, n, k=6)
    got = machine.product(*place(configuration), torch.empty(1, 5, n, dtype=dtype), a, b, c=c, alpha=3, beta=2)
    assert torch.equal(got, (2 * precise(c) + 3 * (precise(a) @ precise(b))).to(dtype))
    if dtype.is_floating_point:  # beta = 0 reads nothing of C
        nothing = torch.full((1, 5, n), float("nan"), dtype=dtype)
        got = machine.product(*place(configuration), torch.empty(1, 5, n, dtype=dtype), a, b, c=nothing, beta=0)
        products.exactly_equal(got, a.double() @ b.double())
    empty = machine.product(
        *place(configuration),
        torch.empty(1, 5, n, dtype=dtype),
        torch.empty(1, 5, 0, dtype=dtype),
        torch.empty(1, 0, n, dtype=dtype),
    )
    assert not empty.any()


@pytest.mark.parametrize(("configuration", "dtype"), FLOATING, ids=FLOATING_IDS)
def test_nan_and_infinity_stay_in_their_row_and_column(
    configuration: gpukern.selection.Configuration, dtype: torch.dtype
) -> None:
    n = side(configuration, 18)
    at = min(11, n - 1)
    a, b = fills.normal(1, 20, 33, dtype=dtype), fills.normal(1, 33, n, dtype=dtype)
    a[0, 3, 32], b[0, 5, at] = float("nan"), float("inf")
    got = machine.product(*place(configuration), torch.empty(1, 20, n, dtype=dtype), a, b)[0]
    assert bool(got[3].isnan().all()) and int(got.isnan().sum()) == n
    rest = [i for i in range(20) if i != 3]
    assert bool(got[rest, at].isinf().all())
    assert bool(got[rest][:, [j for j in range(n) if j != at]].isfinite().all())


WIDE = {torch.float16: torch.float32, torch.bfloat16: torch.float32, torch.int8: torch.int32}
WIDENED = [(c, t) for c, t in CASES if t in WIDE]


@pytest.mark.parametrize(("configuration", "dtype"), WIDENED, ids=[f"{c.name}-{t}" for c, t in WIDENED])
def test_results_in_the_type_of_the_accumulator(
    configuration: gpukern.selection.Configuration, dtype: torch.dtype
) -> None:
    """D, C and the residual are float32 (int32): sums beyond the operands' range come out whole."""
    m, n, k = configuration.tile[0] + 3, side(configuration, configuration.tile[1] + 5), 2 * configuration.tile[2] + 9
    a, b = (
        (torch.randint(-128, 128, (1, *s)) if dtype == torch.int8 else torch.randint(-32, 33, (1, *s))).to(dtype)
        for s in ((m, k), (k, n))
    )
    c = torch.randint(-9, 10, (1, m, n)).to(WIDE[dtype])
    for aligned in (False, True):
        got = machine.product(
            *place(configuration), torch.empty(1, m, n, dtype=WIDE[dtype]), a, b, c=c, alpha=3, beta=2, aligned=aligned
        )
        products.exactly_equal(got, 3 * (a.double() @ b.double()) + 2 * c.double())


@pytest.mark.parametrize(("configuration", "dtype"), sampled("ranges", CASES, alike, IDS))
def test_ranges_of_k_add_up(configuration: gpukern.selection.Configuration, dtype: torch.dtype) -> None:
    """k split over 2 .. 7 blocks, some of them empty; batches, both orders of D, an epilogue, another schedule."""
    bm, bn, bk = configuration.tile
    for splits, (batch, m, n, k) in (
        (2, (2, 20, 33, 4 * bk + 1)), (3, (1, bm + 1, bn + 4, 5 * bk)), (7, (1, 5, 6, bk + 1)),
    ):  # fmt: skip
        n = side(configuration, n)
        a, b = filled(dtype, batch, m, k, k=2 * k), filled(dtype, batch, k, n, k=2 * k)
        c = filled(dtype, batch, m, n, k=2 * k)
        for order, seed in SCHEDULES[::3]:
            exact(configuration, a, b, splits=splits, schedule=Schedule(order, seed))
        transposed = torch.empty(batch, n, m, dtype=dtype).transpose(1, 2)
        got = machine.product(*place(configuration), transposed, a, b, c=c, alpha=1, beta=1, splits=splits)
        assert torch.equal(got, (precise(a) @ precise(b) + precise(c)).to(dtype))


@pytest.mark.parametrize("name", ["simt/s128x128", "simt/s64x64", "simt/s32x32"])
@pytest.mark.parametrize(("a_transposed", "b_transposed"), itertools.product((False, True), repeat=2))
def test_float32_tiles_keep_off_each_others_banks(name: str, a_transposed: bool, b_transposed: bool) -> None:
    """Their transposing stores took two passes over the banks where one does."""
    a, b = torch.randn(128, 40), torch.randn(40, 128)
    a, b = a.t().contiguous().t() if a_transposed else a, b.t().contiguous().t() if b_transposed else b
    assert gpukern.model.run("mm", a, b, configuration=name)[1].bank_conflicts == 0


# Warps of 32 lanes that multiply on ordinary cores, and float64 made for Hopper's tensor cores.
OTHERS = [c for c in GPU_CONFIGURATIONS if c.lanes and (not c.tensor_cores or (c.clock and c.types == ("float64",)))]


@pytest.mark.parametrize("name", [c.name for c in OTHERS])
@pytest.mark.parametrize(("a_transposed", "b_transposed"), [(False, False), (False, True), (True, False)])
def test_tiles_of_other_products_keep_off_each_others_banks(name: str, a_transposed: bool, b_transposed: bool) -> None:
    """Copies, fragments and the epilogue; D down its columns (both transposed) has some conflicts, as with mma."""
    dtype = getattr(torch, gpukern.selection.named(name).types[0])
    a, b = torch.randn(128, 64, dtype=dtype), torch.randn(64, 128, dtype=dtype)
    a, b = a.t().contiguous().t() if a_transposed else a, b.t().contiguous().t() if b_transposed else b
    assert gpukern.model.run("mm", a, b, configuration=name)[1].bank_conflicts == 0


# Of those for vectors each has its own number of lanes; terms: test_terms.py.
ALIKE = [
    (folder, t)
    for folder in dict.fromkeys((c.folder, c.multiplier) for c, _ in CASES if not c.vectors and not c.adds_terms)
    for t in dict.fromkeys(t for c, t in CASES if folder == (c.folder, c.multiplier))
]


@pytest.mark.parametrize(("folder", "dtype"), ALIKE, ids=[f"{f[0]}-{f[1]}-{t}" for f, t in ALIKE])
def test_configurations_of_one_multiplier_agree_to_the_last_bit(folder: tuple[str, str], dtype: torch.dtype) -> None:
    """Each element is the sum of the same steps of k in the same order, whatever the tile: a row of the result does not
    depend on how many other rows there are."""
    k = 200
    a, b = (
        fills.normal(1, *s, dtype=dtype) if dtype.is_floating_point else filled(dtype, 1, *s, k=k)
        for s in ((70, k), (k, 90))
    )
    configurations = [c for c, t in CASES if t == dtype and (c.folder, c.multiplier) == folder]
    results = [machine.product(*place(c), torch.empty(1, 70, 90, dtype=dtype), a, b) for c in configurations]
    for configuration, got in zip(configurations, results):
        assert torch.equal(got, results[0]), configuration.name
        for m in (1, 3, 17):
            few = machine.product(*place(configuration), torch.empty(1, m, 90, dtype=dtype), a[:, :m].contiguous(), b)
            assert torch.equal(few, got[:, :m]), (configuration.name, m)
