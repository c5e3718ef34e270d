"""Faults planted in products of complex and of 8-bit numbers: each is seen; without them all is quiet."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

import gpukern.model.machine
from gpukern.model.configurations import place_of
from tests.gemm.kernels.asked import filled
from tests.gemm.mutants.search import Case, index_for, is_seen, loaded
from tests.gemm.mutants.type_mutants import COMPLEX, FLOAT8, NONE, PLANT, Mutant
from tests.oracle.float8 import FORMATS, OUT, exact, patterns, powers, scales, values, whole

SIMT, _ = place_of("simt/q32x32")


def complex_cases() -> Iterator[Case]:
    for dtype in (torch.complex64, torch.complex128):
        a, b = filled(dtype, 2, 37, 21, k=21), filled(dtype, 2, 21, 35, k=21)
        c = filled(dtype, 2, 37, 35, k=1)
        yield {"a": a, "b": b}
        yield {"a": a.conj(), "b": b}
        yield {"a": a, "b": b.mT.contiguous().mH}
        for alpha, beta in ((1 + 2j, 0), (1, 2 - 1j), (2j, 1j)):
            yield {"a": a, "b": b.conj(), "c": c, "alpha": alpha, "beta": beta}
        yield {"a": a, "b": b, "residual": c, "splits": 2}


def wrong_complex(case: Case, seed: int) -> str:
    """The model's fault, or that a result is wrong, or ""."""

    def exactly(t: Tensor) -> Tensor:
        return t.resolve_conj().to(torch.complex128)

    a, b, c, residual = case["a"], case["b"], case.get("c"), case.get("residual")
    options = {key: value for key, value in case.items() if key not in ("a", "b")}
    try:
        got = gpukern.model.machine.product(
            SIMT, index_for(SIMT, a.dtype), torch.empty(a.shape[0], a.shape[1], b.shape[2], dtype=a.dtype), a, b,
            **options, schedule=gpukern.model.machine.Schedule("pct", seed),
        )  # fmt: skip
    except (gpukern.model.machine.ModelError, gpukern.model.machine.Refused, AssertionError) as error:
        return str(error)
    expected = case.get("alpha", 1) * (exactly(a) @ exactly(b))
    for term, scale in ((c, case.get("beta", 1)), (residual, 1)):
        if term is not None:
            expected = expected + scale * exactly(term)
    return "" if torch.equal(got, expected.to(got.dtype)) else "a wrong result"


def scaled_cases() -> Iterator[Case]:
    one = torch.tensor(1.0)
    for dtype in FORMATS:
        yield {"a": patterns(dtype)[:, None], "b": torch.ones(1, 1).to(torch.float8_e4m3fn), "scales": (one, one)}
    for kind in ("row", "1x128, 128x128", "128x128, 1x128"):
        for m, n, k in ((150, 35, 300), (35, 150, 160)):
            yield {"a": whole(FORMATS[0], m, k), "b": whole(FORMATS[1], k, n), "scales": scales(kind, m, n, k)}
    yield {"a": whole(FORMATS[0], 150, 300), "b": whole(FORMATS[1], 300, 3), "scales": (powers(2, 3), one)}
    a, b, bias = whole(FORMATS[0], 35, 40), whole(FORMATS[0], 40, 37), torch.randint(-3, 4, (37,)).float()
    for out in OUT:
        by = torch.tensor(0.25) if out in FORMATS else None
        yield {"a": a, "b": b, "scales": (one, one), "bias": bias, "out": out, "scale_result": by, "splits": 2}
    for dtype in FORMATS:
        numbers = torch.randn(400) * 2.0 ** torch.randint(-20, 12, (400,))
        numbers[:64] = torch.arange(64) / 16 + 4
        zeros = torch.zeros(1, 1).to(dtype)
        yield {"a": zeros, "b": zeros.expand(1, 400), "scales": (one, one), "bias": numbers, "out": dtype}


def wrong_scaled(case: Case, seed: int, folder: int = SIMT, index: int | None = None) -> str:
    """The model's fault, or that a result is wrong, or ""."""
    a, b, (one, two) = case["a"], case["b"], case["scales"]
    out, bias, by = case.get("out", torch.float32), case.get("bias"), case.get("scale_result")
    try:
        got = gpukern.model.machine.scaled(
            folder, index_for(folder, a.dtype) if index is None else index,
            torch.empty(a.shape[0], b.shape[1], dtype=out), a, b, one, two, bias=bias, scale_result=by,
            splits=case.get("splits", 1), fast=case.get("fast", False),
            schedule=gpukern.model.machine.Schedule("pct", seed),
        )  # fmt: skip
    except (gpukern.model.machine.ModelError, gpukern.model.machine.Refused, AssertionError) as error:
        return str(error)
    if a.shape[1] == 1 and bias is None:  # every pattern
        expected = values(a)
    else:
        expected = exact(a, b, one, two)
    if bias is not None:
        expected = expected + bias.double()
    expected = (expected if by is None else expected * by.double()).float().to(out).float()
    return "" if torch.equal(got.float().nan_to_num(math.pi), expected.nan_to_num(math.pi)) else "a wrong result"


@pytest.mark.parametrize("mutant", FLOAT8, ids=lambda m: m.name)
def test_planted_fault_in_8_bits_is_seen(mutant: Mutant) -> None:
    assert is_seen(mutant, PLANT, scaled_cases, wrong_scaled, 1), mutant.what


@pytest.mark.parametrize("mutant", COMPLEX, ids=lambda m: m.name)
def test_planted_fault_is_seen(mutant: Mutant) -> None:
    assert is_seen(mutant, PLANT, complex_cases, wrong_complex, 1), mutant.what


def test_no_false_alarm() -> None:
    with loaded(NONE, PLANT):
        for seed in (1, 2, 3):
            for number, case in enumerate(complex_cases()):
                assert not wrong_complex(case, seed), (number, seed)
            for number, case in enumerate(scaled_cases()):
                assert not wrong_scaled(case, seed), (number, seed, wrong_scaled(case, seed))
