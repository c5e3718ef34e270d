"""A fault that is planted reaches the compiler, or is refused: one that does nothing would only seem to survive."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.gemm.mutants import mutants, seen
from tests.gemm.mutants.mutants import FIRST_LINES, MMA_SYNC, SUMS, Mutant, Plant
from tests.gemm.mutants.test_folder_mutants import KINDS
from tests.gemm.mutants.test_hopper_mutants import PLANT as HOPPER
from tests.gemm.mutants.test_type_mutants import PLANT as TYPES
from tests.platform.includes import CSRC, headers_of
from tests.platform.library import ROOT

PLANTS = [MMA_SYNC, SUMS, TYPES, *(plant for (_, _, plant), _, _ in KINDS.values()), HOPPER]
# Every file in which some fault is planted, with one of its faults and the plant; and headers compiled beforehand.
FILES = {mutant.file: (plant, mutant) for plant in PLANTS for mutant in plant.mutants if mutant.right}
BEFOREHAND = ("platform/gpu.h", "primitives/tma.h", "platform/model/words.h")
FILES |= {name: (HOPPER, Mutant("", "", "", "")) for name in BEFOREHAND}


def alone(plant: Plant, mutant: Mutant) -> Plant:
    return Plant("planting", plant.source, (mutant,))


@pytest.mark.parametrize("file", sorted(FILES))
def test_what_is_planted_reaches_the_compiler(file: str) -> None:
    """An #include that no compiler gets over, behind the file's first."""
    plant, like = FILES[file]
    line = re.search(r"^#.*\n", (CSRC / file).read_text(), re.M)
    assert line
    planted = replace(like, what=f"in {file}", file=file, right=line[0], wrong=f'{line[0]}#include "planted here"\n')
    mine = alone(plant, planted)
    with pytest.raises(AssertionError, match=f"{Path(file).name}:[0-9:]+ fatal error: planted here"):
        mutants._build(mine, mine.library(planted, None))


def test_a_header_that_a_mutant_does_not_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = Mutant("a comment", "platform/cuda.h", "#pragma once\n", "#pragma once\n// planted\n")
    plant = alone(KINDS["float"][0][2], mutant)
    monkeypatch.setattr(seen, "recorded", lambda: {plant.key(mutant): seen.Place(0, 1, 0)})  # no part is compiled
    mutants._build(plant, out := plant.library(mutant, 0))
    with pytest.raises(AssertionError, match=r"mutant_float.cu does not read platform/cuda\.h"):
        mutants.check_read(plant, mutant, out)


def test_headers_that_are_compiled_beforehand_are_known() -> None:
    """By their #include lines they are at least those in the compiler's list of dependencies."""
    mutants._build(MMA_SYNC, f"{mutants.FIRST.as_posix()}.gch")
    read = mutants.sources_read(MMA_SYNC.name, f"{mutants.FIRST.as_posix()}.gch")
    mine = {file.removeprefix("csrc/") for file in read if file.startswith("csrc/")}
    assert len(mine) > 10 and mine <= headers_of(FIRST_LINES)
    assert (ROOT / mutants.FIRST).read_text() == FIRST_LINES


@pytest.mark.parametrize("file", ["platform/model/tma.cpp", "platform/no_such.h"])
def test_a_file_that_no_mutant_is_compiled_from_is_refused(file: str) -> None:
    plant = alone(MMA_SYNC, Mutant("nowhere", file, "x", "y"))
    with pytest.raises(AssertionError, match=f"{file} is no header of the trees"):
        mutants._build(plant)
