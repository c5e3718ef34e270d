"""Products of complex numbers: the GPU configurations under the machine model."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

import gpukern
from tests.gemm.kernels.asked import CASES, by_case, filled, laid_out, place
from tests.oracle import products
from tests.platform import machine
from tests.platform.machine import SCHEDULES, Schedule

CONFIGURATIONS = [(c, t) for c, t in CASES if t.is_complex]
TYPES = [torch.complex64, torch.complex128]
PART = {torch.complex64: torch.float32, torch.complex128: torch.float64}


def random(dtype: torch.dtype, *shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.complex128).to(dtype)


def exactly(t: Tensor) -> Tensor:
    """In complex128, with the conjugate written out."""
    return t.resolve_conj().to(torch.complex128)


def within(got: Tensor, a: Tensor, b: Tensor, k: int) -> None:
    """Each part against real products of the parts, with the bound of twice as many terms."""
    (x, y), (u, v) = ((t.real.double(), t.imag.double()) for t in (exactly(a), exactly(b)))
    scale = x.abs() @ u.abs() + y.abs() @ v.abs(), x.abs() @ v.abs() + y.abs() @ u.abs()
    for part, expected, size in zip((got.real, got.imag), (x @ u - y @ v, x @ v + y @ u), scale):
        verdict = products.judge(part.contiguous(), expected, size, 2 * k)
        assert verdict, verdict.text


def test_both_types_have_configurations_for_large_and_small_results() -> None:
    tiles = {t: {c.tile[:2] for c, kind in CONFIGURATIONS if kind == t} for t in TYPES}
    assert tiles[torch.complex64] == tiles[torch.complex128] == {(64, 64), (32, 32)}


@by_case(CONFIGURATIONS)
def test_conjugates_are_read_from_the_same_memory(
    configuration: gpukern.selection.Configuration, dtype: torch.dtype
) -> None:
    bm, bn, bk = configuration.tile
    for (m, n, k), splits in (((bm + 3, bn + 1, 2 * bk + 3), 1), ((5, 7, bk - 1), 1), ((9, 20, 5 * bk), 3)):
        a, b = filled(dtype, 2, m, k, k=k), filled(dtype, 2, k, n, k=k)
        for conjugate_a, conjugate_b, left, right in itertools.product((0, 1), (0, 1), *(["rows", "columns"],) * 2):
            x, y = laid_out(a, left), laid_out(b, right)
            x, y = x.conj() if conjugate_a else x, y.conj() if conjugate_b else y
            out = torch.empty(2, m, n, dtype=dtype)
            got = machine.product(*place(configuration), out, x, y, splits=splits, aligned=left == right)
            products.exactly_equal(got, exactly(x) @ exactly(y))


@by_case(CONFIGURATIONS)
def test_scales_bias_and_residual_are_complex(
    configuration: gpukern.selection.Configuration, dtype: torch.dtype
) -> None:
    m, n, k = configuration.tile[0] + 1, configuration.tile[1] - 1, configuration.tile[2] + 2
    a, b = filled(dtype, 2, m, k, k=k), filled(dtype, 2, k, n, k=k)
    full, bias, column = (filled(dtype, 2, *s, k=1) for s in ((m, n), (1, n), (m, 1)))
    scales: list[tuple[complex, complex]] = [(1, 1), (2j, -1j), (1 - 2j, 3), (2, 1 + 3j), (0, 1j), (1j, 0)]
    for number, (alpha, beta) in enumerate(scales):
        c = (full, bias.expand(2, m, n), column.expand(2, m, n))[number % 3]
        residual = None if number % 2 else (full, bias.expand(2, m, n))[number // 2 % 2]
        out = torch.empty(2, m, n, dtype=dtype)
        if number % 3 == 2:
            out = torch.empty(2, n, m, dtype=dtype).transpose(1, 2)
        for splits in (1, 2):
            got = machine.product(
                *place(configuration), out, a, b, c=c, alpha=alpha, beta=beta, residual=residual, splits=splits
            )
            expected = alpha * (exactly(a) @ exactly(b)) + beta * exactly(c)
            products.exactly_equal(got, expected if residual is None else expected + exactly(residual))
    poisoned = torch.full((2, m, n), complex("nan+nanj"), dtype=dtype)
    got = machine.product(*place(configuration), torch.empty(2, m, n, dtype=dtype), a, b, c=poisoned, beta=0)
    products.exactly_equal(got, exactly(a) @ exactly(b))


@by_case(CONFIGURATIONS)
def test_rounding_is_within_the_bound(configuration: gpukern.selection.Configuration, dtype: torch.dtype) -> None:
    a, b = random(dtype, 1, 33, 300), random(dtype, 1, 300, 35)
    for order, seed in SCHEDULES[::3]:
        got = machine.product(
            *place(configuration), torch.empty(1, 33, 35, dtype=dtype), a, b.conj(), schedule=Schedule(order, seed)
        )
        within(got[0], a[0], b[0].conj(), 300)
    wave = machine.product(
        *place(configuration), torch.empty(1, 33, 35, dtype=dtype), a, b.conj(), schedule=Schedule("pct", 5, wave=64)
    )
    assert torch.equal(wave, got)  # the order of a sum is the problem's


@pytest.mark.parametrize("dtype", TYPES)
def test_numbers_that_begin_at_any_multiple_of_a_part(dtype: torch.dtype) -> None:
    """A complex view of real memory may begin 8 bytes (4 for complex64) off the alignment of a packet."""
    configuration = next(c for c, t in CONFIGURATIONS if t == dtype)
    reals = torch.randn(2, 2 * 20 * 20 + 8, dtype=PART[dtype])
    for start in (0, 2, 4):
        a, b = (torch.view_as_complex(r[start : start + 800].reshape(20, 20, 2))[None] for r in reals)
        got = machine.product(*place(configuration), torch.empty(1, 20, 20, dtype=dtype), a, b)
        within(got[0], a[0], b[0], 20)
