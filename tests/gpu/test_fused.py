"""Epilogues that torch has no op for, on the device: a derivative at S, sums of columns, scales of rows and columns;
exact values."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

import gpukern
import gpukern.reference
from tests.gemm.kernels.thin import side
from tests.gpu import device
from tests.oracle import fills

CASES = [(c, t) for c in device.configurations() for t in device.types(c) if t.is_floating_point]
by_case = pytest.mark.parametrize(
    ("configuration", "dtype"), CASES, ids=[f"{c.name}-{str(t).removeprefix('torch.')}" for c, t in CASES]
)


def by_columns(t: Tensor) -> Tensor:
    return t.transpose(-2, -1).contiguous().transpose(-2, -1)


def sides(configuration: Any) -> list[tuple[int, int, int]]:
    """m, n, k: one of each, ragged tiles, k in several ranges."""
    bm, bn, bk = configuration.tile
    found = [
        (1, side(configuration, 1), 1),
        (bm + 1, side(configuration, bn - 1), bk + 3),
        (2 * bm + 5, side(configuration, 2 * bn + 1), 517),
    ]
    return [device.lined(configuration, *s) for s in found]


@by_case
def test_a_product_times_a_derivative(configuration: Any, dtype: torch.dtype) -> None:
    """square's is 2 S and relu's a choice: both exact."""
    for m, n, k in sides(configuration):
        grad, weight, saved = (fills.integers(*s, k=4 * k, dtype=dtype).cuda() for s in ((m, k), (k, n), (m, n)))
        saved = saved.sign() * 2  # a power of two, so that the sum alone has to be exact
        product = grad.double() @ weight.double()
        for transposed, activation in itertools.product((False, True), ("square", "relu")):
            given = by_columns(saved) if transposed else saved
            weight = weight if device.serves(configuration, "mm", grad, weight) else by_columns(weight)
            slope = 2 * saved.double() if activation == "square" else (saved > 0).double()
            with gpukern.force(configuration.name):
                got = gpukern.mm_activation_backward(
                    grad, weight, given, activation, **device.how(configuration, dtype)
                )
            assert torch.equal(got, (product * slope).to(dtype)), (activation, transposed, m, n, k)


@by_case
def test_columns_are_summed_in_the_same_pass(configuration: Any, dtype: torch.dtype) -> None:
    """Sums of integers are exact in any order; those of normal numbers are the same bits on every run."""
    for m, n, k in sides(configuration):
        grad, weight, saved = (fills.integers(*s, k=4 * k, dtype=dtype).cuda() for s in ((m, k), (k, n), (m, n)))
        expected = grad.double() @ weight.double() * (saved > 0)
        for left, right in ((grad, weight), (by_columns(grad), by_columns(weight))):  # the second runs transposed
            if not device.serves(configuration, "mm", left, right):
                continue
            for ranges in ("", "*3"):
                with gpukern.force(configuration.name + ranges):
                    d, sums = gpukern.mm_activation_backward(
                        left, right, saved, "relu", bias_grad=True, **device.how(configuration, dtype)
                    )
                assert torch.equal(d, expected.to(dtype)), (m, n, k, ranges)
                assert torch.equal(sums, expected.sum(0).to(dtype)), (m, n, k, ranges)
    grad, weight, saved = (torch.randn(*s, device="cuda").to(dtype) for s in ((m, k), (k, n), (m, n)))
    weight = by_columns(weight)
    with gpukern.force(configuration.name):
        runs = [
            gpukern.mm_activation_backward(
                grad, weight, saved, "gelu", bias_grad=True, **device.how(configuration, dtype)
            )[1]
            for _ in range(20)
        ]
    assert all(torch.equal(run, runs[0]) for run in runs)


def test_sums_of_no_rows() -> None:
    grad, weight, saved = (torch.ones(*s, device="cuda") for s in ((0, 5), (5, 7), (0, 7)))
    d, sums = gpukern.mm_activation_backward(grad, weight, saved, "gelu", bias_grad=True)
    assert d.shape == (0, 7) and sums.shape == (7,) and not sums.any()


@by_case
def test_scales_of_rows_and_columns(configuration: Any, dtype: torch.dtype) -> None:
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    for m, n, k in sides(configuration):
        a, b, c = (fills.integers(*s, k=4 * k, dtype=dtype).cuda() for s in ((2, m, k), (2, k, n), (2, m, n)))
        rows, columns = (2.0 ** torch.randint(-2, 3, (2, x), dtype=wide).cuda() for x in (m, n))
        product = a.double() @ b.double()
        for one, two in ((rows, columns), (rows, None), (None, columns)):
            expected = product
            if one is not None:
                expected = expected * one[:, :, None].double()
            if two is not None:
                expected = expected * two[:, None].double()
            with gpukern.force(configuration.name):
                got = gpukern.scaled_product(a, by_columns(b), one, two, residual=c, **device.how(configuration, dtype))
            assert torch.equal(got, (expected + c.double()).to(dtype)), (one is None, two is None, m, n, k)


def test_what_selection_picks_is_what_explain_names() -> None:
    grad, weight, saved = (torch.randn(*s, device="cuda") for s in ((130, 70), (70, 90), (130, 90)))
    scales = torch.rand(130, device="cuda"), torch.rand(90, device="cuda")
    for op, args in (
        ("mm_activation_backward", (grad, weight, saved, "gelu")),
        ("scaled_product", (grad, weight, *scales)),
    ):
        gpukern.reset_served()
        got = getattr(gpukern, op)(*args)
        ran = [c for call, c, _ in gpukern.served() if call == "matrix product"]
        assert ran == [gpukern.explain(op, *args).configuration]
        expected = getattr(gpukern.reference, op)(*(t.cpu() if isinstance(t, Tensor) else t for t in args))
        torch.testing.assert_close(got.cpu().double(), torch.as_tensor(expected), rtol=1e-5, atol=1e-5)
