"""Faults planted in the rows of complex numbers, one at a time: each is seen; without them all is quiet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

import gpukern.model.machine
from gpukern import _C
from tests.gemm.test_kernels import filled
from tests.gemm.test_mutants import Case, loaded
from tests.gemm.type_mutants import COMPLEX, NONE, PLANT, Mutant

SIMT = list(dict.fromkeys(r["name"].split("/")[0] for r in _C.gemm_rows())).index("simt")


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
    """What the model says, or that a result is wrong, or ""."""

    def exactly(t: Tensor) -> Tensor:
        return t.resolve_conj().to(torch.complex128)

    a, b, c, residual = case["a"], case["b"], case.get("c"), case.get("residual")
    options = {key: value for key, value in case.items() if key not in ("a", "b")}
    try:
        got = gpukern.model.machine.product(
            SIMT, 0, torch.empty(a.shape[0], a.shape[1], b.shape[2], dtype=a.dtype), a, b, **options,
            schedule=gpukern.model.machine.Schedule("pct", seed),
        )  # fmt: skip
    except (gpukern.model.machine.ModelError, AssertionError) as said:
        return str(said)
    expected = case.get("alpha", 1) * (exactly(a) @ exactly(b))
    for term, scale in ((c, case.get("beta", 1)), (residual, 1)):
        if term is not None:
            expected = expected + scale * exactly(term)
    return "" if torch.equal(got, expected.to(got.dtype)) else "a wrong result"


@pytest.mark.parametrize("mutant", COMPLEX, ids=lambda m: m.name)
def test_planted_fault_is_seen(mutant: Mutant) -> None:
    with loaded(mutant, PLANT):
        assert any(wrong_complex(case, 1) for case in complex_cases()), mutant.what


def test_no_false_alarm() -> None:
    with loaded(NONE, PLANT):
        for seed in (1, 2, 3):
            for number, case in enumerate(complex_cases()):
                assert not wrong_complex(case, seed), (number, seed)
