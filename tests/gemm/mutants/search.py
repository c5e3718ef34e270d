"""The search for a planted fault among cases and schedules, in the order of the cases or where it was seen before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import pytest
import torch

import gpukern.model.machine
import gpukern.model.memory
from gpukern.model.configurations import place_of
from gpukern.selection import available
from tests.gemm.mutants import seen
from tests.gemm.mutants.mutants import Library, Mutant, Plant
from tests.gemm.mutants.together import Switched

Case = dict[str, Any]
Cases = Callable[[], Iterator[Case]]
Wrong = Callable[[Case, int], str]  # what is wrong with a case under the schedule of a seed, or ""


def index_for(folder: int, dtype: torch.dtype) -> int:
    """The first configuration of a folder that is for a type: a library of mutants has one, whatever its number, and
    the model looks up in the table whether it is for a call."""
    mine = [c for c in available(built=False) if place_of(c.name)[0] == folder]
    return next(i for i, c in enumerate(mine) if str(dtype).removeprefix("torch.") in c.types)


@contextmanager
def loaded(mutant: Mutant, plant: Plant, parts: int | None = None) -> Iterator[Library | Switched]:
    """The machine model runs that mutant: all of it, or only these parts where it has a tree of its own."""
    library = Library(mutant, plant, parts) if plant.is_apart(mutant) else Switched(mutant, plant)
    with pytest.MonkeyPatch.context() as patch:
        for module in (gpukern.model.machine, gpukern.model.memory):
            patch.setattr(module, "library", lambda: library)
        try:
            yield library
        finally:
            if isinstance(library, Switched):
                library.off()


def is_seen(mutant: Mutant, plant: Plant, cases: Cases, wrong: Wrong, seeds: int) -> bool:
    """Whether some case is wrong under one of `seeds` schedules."""
    key, numbers = plant.key(mutant), torch.get_rng_state()
    if (place := seen.recorded().get(key)) and _is_seen_at(place, mutant, plant, cases, wrong):
        return True
    torch.set_rng_state(numbers)
    with loaded(mutant, plant) as library:
        for seed in range(1, seeds + 1):
            for number, case in enumerate(cases()):
                library.gpukern_mutant_parts()  # of the cases before
                if wrong(case, seed):
                    if seen.RECORDING:
                        seen.write_down(key, seen.Place(number, seed, library.gpukern_mutant_parts()))
                    return True
    return False


def _is_seen_at(place: seen.Place, mutant: Mutant, plant: Plant, cases: Cases, wrong: Wrong) -> bool:
    """The case has the numbers that the search gives it: all before it draw theirs."""
    for _ in range(place.seed - 1):
        for _ in cases():
            pass
    case = next(islice(cases(), place.case, None), None)
    if case is None:
        return False
    with loaded(mutant, plant, place.parts) as library:
        found = bool(wrong(case, place.seed))
        return found and not library.gpukern_mutant_parts() & ~place.parts  # else a part that is not there was "wrong"
