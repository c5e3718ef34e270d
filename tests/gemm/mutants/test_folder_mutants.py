"""Faults of folder_faults.py: each is seen in a small configuration of its multiplier; without them all is quiet."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
import torch

from gpukern.model.configurations import place_of
from tests.gemm.mutants.folder_faults import DOUBLE, EIGHT, FLOAT, planted
from tests.gemm.mutants.mutants import Mutant
from tests.gemm.mutants.search import Case, is_seen, loaded
from tests.gemm.mutants.test_mutants import SEEDS, cases, wrong
from tests.gemm.mutants.test_type_mutants import scaled_cases, wrong_scaled
from tests.oracle.float8 import FORMATS, scales, whole


def double_cases() -> Iterator[Case]:
    for case in cases(torch.float64):
        wide = {name: case[name].double() for name in ("row_scale", "column_scale") if case.get(name) is not None}
        yield {**case, **wide}


def float_cases() -> Iterator[Case]:
    """Without the case that distinguishes tf32 from float32."""
    yield from (case for case in cases(torch.float32) if "rounded" not in case)


def eight_cases() -> Iterator[Case]:
    """Of formats that tensor cores have; and of blocks what fast sums and ranges of k might leave out."""
    for case in scaled_cases():
        pair = {case["a"].dtype, case["b"].dtype}
        if pair <= set(FORMATS[:2]) and pair != {FORMATS[1]}:
            yield case
    a, b = whole(FORMATS[0], 70, 700), whole(FORMATS[0], 700, 75)
    for kind, more in (("1x128, 128x128", {"splits": 3}), ("1x128, 128x128", {"fast": True}), ("row", {"fast": True})):
        yield {"a": a, "b": b, "scales": scales(kind, 70, 75, 700), **more}
    yield {"a": a, "b": b.float().to(FORMATS[1]), "scales": scales("row", 70, 75, 700)}
    yield {"a": a.float().to(FORMATS[1]), "b": b, "scales": scales("row", 70, 75, 700)}


def wrong_of(configuration: str, case: Case, seed: int) -> str:
    return wrong_scaled(case, seed, *place_of(configuration)) if "scales" in case else wrong(case, seed, configuration)


KINDS = {
    "double": (planted("double", "mutant_double.cu", DOUBLE), double_cases, partial(wrong_of, "mma_sync/m32x32")),
    "float": (planted("float", "mutant_float.cu", FLOAT), float_cases, partial(wrong_of, "mma_sync/f32x32")),
    "eight": (planted("eight", "mutant_eight.cu", EIGHT), eight_cases, partial(wrong_of, "mma_sync/o64x64")),
}
EVERY = [(kind, mutant) for kind, ((_, mutants, _), _, _) in KINDS.items() for mutant in mutants]


@pytest.mark.parametrize(("kind", "mutant"), EVERY, ids=[f"{kind}-{m.name}" for kind, m in EVERY])
def test_planted_fault_is_seen(kind: str, mutant: Mutant) -> None:
    (_, _, plant), every_case, judge = KINDS[kind]
    assert is_seen(mutant, plant, every_case, judge, SEEDS), mutant.what


@pytest.mark.parametrize("kind", KINDS)
def test_no_false_alarm(kind: str) -> None:
    (sound, _, plant), every_case, judge = KINDS[kind]
    with loaded(sound, plant):
        for seed in (1, 2):  # test_kernels.py and test_scaled_kernels.py have more
            for number, case in enumerate(every_case()):
                assert not judge(case, seed), (number, seed, judge(case, seed))
