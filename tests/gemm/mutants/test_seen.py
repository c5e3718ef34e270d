"""What is written down of where faults are seen saves time and decides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tests.gemm.mutants import search, seen
from tests.gemm.mutants.folder_faults import FLOAT, planted
from tests.gemm.mutants.mutants import MMA_SYNC, SUMS, Mutant
from tests.gemm.mutants.search import Case, is_seen
from tests.gemm.mutants.test_folder_mutants import KINDS, float_cases, wrong_of
from tests.gemm.mutants.test_hopper_mutants import PLANT as HOPPER
from tests.gemm.mutants.test_type_mutants import PLANT as TYPES


def every_key() -> set[str]:
    """Of every fault that is planted."""
    plants = [MMA_SYNC, SUMS, HOPPER, TYPES, *(plant for (_, _, plant), _, _ in KINDS.values())]
    return {plant.key(mutant) for plant in plants for mutant in plant.mutants}


def test_every_fault_that_is_written_down_is_planted() -> None:
    stale = sorted(set(seen.recorded()) - every_key())
    assert not stale, (
        f"seen.json has faults that no longer exist, {stale}; record again with `python -m tests.record seen`"
    )


SOUND, (FAULT,), TRIED = planted("seen", "mutant_float.cu", [f for f in FLOAT if f[0] == "one k of four is left out"])


@pytest.mark.parametrize("mutant", [SOUND, FAULT], ids=["sound", "fault"])
@pytest.mark.parametrize("case", [0, 10**6])
def test_a_fault_is_seen_whatever_is_written_down(mutant: Mutant, case: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A case that needs a part that is not compiled counts as no fault, and a missing part hides none."""
    record = {TRIED.key(m): seen.Place(case, 2, 0) for m in TRIED.mutants}
    monkeypatch.setattr(seen, "recorded", lambda: record)
    tried = []

    def cases() -> Iterator[Case]:
        yield {**next(float_cases()), "splits": 2}

    def wrong(case: Case, seed: int) -> str:
        tried.append((seed, wrong_of("mma_sync/f32x32", case, seed)))
        return tried[-1][1]

    assert is_seen(mutant, TRIED, cases, wrong, 1) == (mutant is FAULT)
    assert [seed for seed, _ in tried] == ([2, 1] if case == 0 else [1])
    assert case or tried[0][1]  # the missing part


def test_a_case_that_is_tried_first_has_the_numbers_of_its_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "loaded", lambda *_: nullcontext(SimpleNamespace(gpukern_mutant_parts=lambda: 0)))
    drawn: list[float] = []

    def cases() -> Iterator[Case]:
        for _ in range(3):
            yield {"x": float(torch.rand(()))}

    def wrong(case: Case, _: int) -> str:
        drawn.append(case["x"])
        return "wrong" if len(drawn) == 5 else ""

    start = torch.get_rng_state()
    assert is_seen(SOUND, TRIED, cases, wrong, 2)  # by the second case of the second pass
    torch.set_rng_state(start)
    monkeypatch.setattr(seen, "recorded", lambda: {TRIED.key(SOUND): seen.Place(1, 2, 0)})
    assert not is_seen(SOUND, TRIED, cases, wrong, 1)
    assert drawn[5] == drawn[4] and drawn[6:] == drawn[:3]


def test_places_are_kept_when_one_is_written(tmp_path: Path) -> None:
    file = tmp_path / "seen.json"
    for key, case in (("b/x", 1), ("a/y", 2), ("b/x", 3)):
        seen.write_down(key, seen.Place(case, 1, 0), file)
    assert file.read_text().splitlines()[1:3] == [
        '  "a/y": {"case": 2, "seed": 1, "parts": 0},',
        '  "b/x": {"case": 3, "seed": 1, "parts": 0}',
    ]
