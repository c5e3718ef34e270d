"""Faults planted in the sums of columns (sum_faults.py), one at a time: each is seen; without them all is quiet."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
import torch

import gpukern.model.configurations
import gpukern.model.machine
from tests.gemm.mutants.mutants import NONE, NONE_TERMS, NONE_TF32, SUM_MUTANTS, SUMS, Mutant
from tests.gemm.mutants.search import Case, is_seen, loaded
from tests.gemm.mutants.test_mutants import SMALL, dtype_of
from tests.gemm.mutants.test_term_mutants import SMALL as TERMS
from tests.oracle import fills

SEEDS = 5


def cases(dtype: torch.dtype) -> Iterator[Case]:
    """Products whose sums are exact, between them on every line that sums."""
    # more parts than lines; more columns than a tile has; one column, down which D lies side by side
    for m, n, k in ((67, 37, 40), (1070, 9, 8), (33, 136, 70), (40, 1, 16)):
        a, b = fills.integers(m, k, k=4 * k, dtype=dtype), fills.integers(k, n, k=4 * k, dtype=dtype)
        saved = torch.randint(-1, 2, (m, n)).to(dtype)
        for left, right in ((a, b), (a.t().contiguous().t(), b), (a.t().contiguous().t(), b.t().contiguous().t())):
            yield {"a": left, "b": right}
            yield {"a": left, "b": right, "derivative": "relu", "saved": saved, "splits": 2}
    poisoned = fills.integers(24, 33, k=96, dtype=dtype)
    poisoned[5, 7] = float("nan")  # what the derivative leaves out of D is not in its sums
    a, saved = fills.integers(67, 24, k=96, dtype=dtype), -torch.ones(67, 33, dtype=dtype)
    yield {"a": a, "b": poisoned, "derivative": "relu", "saved": saved}
    ones = torch.ones(257, 2, dtype=dtype)
    yield {"a": ones, "b": torch.tensor([[1.0] * 8, [2.0**-9] * 8], dtype=dtype)}  # rounded first: 257, stored as 256


def compiled(mutant: Mutant) -> tuple[int, int]:
    """The configuration of mutant.cu."""
    return gpukern.model.configurations.place_of(TERMS if mutant.terms else SMALL[dtype_of(mutant)])


def wrong(place: tuple[int, int], case: Case, seed: int) -> str:
    """The model's fault, or that a result is wrong, or ""."""
    a, b = case["a"], case["b"]
    expected = a.double() @ b.double()
    if "saved" in case:
        expected = torch.where(case["saved"] > 0, expected, 0.0)
    out = torch.empty(expected.shape, dtype=a.dtype)
    try:
        schedule = gpukern.model.machine.Schedule("pct", seed)
        got, sums = gpukern.model.machine.product_with_sums(*place, out, **case, schedule=schedule)
    except (gpukern.model.machine.ModelError, gpukern.model.machine.Refused, AssertionError) as error:
        return str(error)
    right = torch.equal(got, expected.to(a.dtype)) and torch.equal(sums, expected.sum(0).to(a.dtype))
    return "" if right else "a wrong result"


@pytest.mark.parametrize("mutant", SUM_MUTANTS, ids=lambda m: m.name)
def test_planted_fault_is_seen(mutant: Mutant) -> None:
    wrong_of_mutant = partial(wrong, compiled(mutant))
    assert is_seen(mutant, SUMS, partial(cases, dtype_of(mutant)), wrong_of_mutant, SEEDS), mutant.what


@pytest.mark.parametrize("mutant", [NONE, NONE_TF32, NONE_TERMS], ids=lambda m: m.name)
def test_no_false_alarm(mutant: Mutant) -> None:
    with loaded(mutant, SUMS):
        for seed in (1, 2):  # test_column_sums.py has more
            dtype = torch.bfloat16 if mutant is NONE else torch.float32
            for number, case in enumerate(cases(dtype)):
                message = wrong(compiled(mutant), case, seed)
                assert not message, (number, seed, message)
