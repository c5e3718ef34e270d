"""Faults planted in what multiplies bfloat16 terms (term_faults.py): each is seen; without, all is quiet."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

import gpukern.model.configurations
import gpukern.model.machine
from tests.gemm.mutants.mutants import MMA_SYNC, NONE_TERMS, TERM_MUTANTS, Mutant
from tests.gemm.mutants.search import Case, is_seen, loaded
from tests.gemm.mutants.test_mutants import columns, every_other, with_pitch

SMALL = "mma_sync/e64x64"  # what mutant.cu compiles
SEEDS = 10


def numbers(*shape: int, bits: int) -> Tensor:
    """Integers of `bits` bits, about four along a line of k."""
    values = torch.randint(-(2**bits) + 1, 2**bits, shape)
    return torch.where(torch.rand(shape) < 4 / max(shape), values, torch.zeros_like(values)).float()


def signs(*shape: int) -> Tensor:
    return torch.where(torch.rand(shape) < 0.5, -1.0, 1.0)


def cases() -> Iterator[Case]:
    """Small products whose exact value is known, between them on every line."""
    for precision, bits in (("bf16x3", 16), ("bf16x6", 20), ("bf16x9", 20)):
        a, b = numbers(1, 20, 300, bits=bits), signs(1, 300, 18)
        yield {"a": a, "b": b, "precision": precision}
        yield {"a": b.transpose(1, 2), "b": columns(a.transpose(1, 2)), "precision": precision}
        yield {"a": columns(a), "b": columns(b), "precision": precision, "splits": 2}
    a, b = numbers(1, 20, 300, bits=10), numbers(1, 300, 18, bits=10)
    yield {"a": a, "b": b, "precision": "bf16x6"}
    yield {"a": a, "b": columns(b), "precision": "bf16x9", "splits": 3}
    yield {"a": with_pitch(a, 302), "b": with_pitch(b, 19), "precision": "bf16x6"}
    yield {"a": every_other(a), "b": every_other(b), "precision": "bf16x6"}
    a = numbers(1, 5, 40, bits=16)
    yield {"a": a.expand(3, 5, 40), "b": signs(3, 40, 6), "precision": "bf16x3"}
    ends = torch.tensor([torch.finfo(torch.float32).max, 3.3961775e38, 2.0**127, 2.0**-149, 1.2345678e-39, -math.inf])
    ends = torch.cat([ends, -ends])[None, :, None]
    for precision in ("bf16x6", "bf16x9"):
        yield {"a": ends, "b": torch.tensor([[[1.0, -1.0, -2.0]]])[:, :, :2], "precision": precision}
    infinite = torch.tensor([[[math.inf, 1.0]]])
    yield {"a": infinite, "b": torch.tensor([[[1.0, -2.0, 1e-45, 1.2345678, -3.3], [0.5] * 5]]), "precision": "bf16x6"}


def wrong(case: Case, seed: int) -> str:
    """The model's fault, or that a result is wrong, or ""."""
    a, b = case["a"], case["b"]
    out = torch.empty(a.shape[0], a.shape[1], b.shape[2])
    schedule = gpukern.model.machine.Schedule("pct", seed)
    try:
        place = gpukern.model.configurations.place_of(SMALL)
        got = gpukern.model.machine.product(*place, out, schedule=schedule, **case)
    except (gpukern.model.machine.ModelError, gpukern.model.machine.Refused, AssertionError) as error:
        return str(error)
    return "" if torch.equal(got, (a.double() @ b.double()).float()) else "a wrong result"


@pytest.mark.parametrize("mutant", TERM_MUTANTS, ids=lambda m: m.name)
def test_planted_fault_is_seen(mutant: Mutant) -> None:
    assert is_seen(mutant, MMA_SYNC, cases, wrong, SEEDS), mutant.what


def test_no_false_alarm() -> None:
    with loaded(NONE_TERMS, MMA_SYNC):
        for seed in range(1, SEEDS + 1):
            for number, case in enumerate(cases()):
                message = wrong(case, seed)
                assert not message, (number, seed, message)
