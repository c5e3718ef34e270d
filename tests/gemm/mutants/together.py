"""The mutants of a plant in one library, as choices at run time: one compilation where a tree each took two seconds."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

from tests.gemm.mutants.choices import chosen
from tests.gemm.mutants.mutants import Mutant, Plant
from tests.gemm.mutants.switched import compiled
from tests.platform.library import FOLDER, sources_read

PLAIN = (
    "csrc/platform/model/harness_product.cpp",
    "tests/gemm/mutants/no_configurations.cpp",
    "tests/gemm/mutants/switch.cpp",
)


def numbers(plant: Plant) -> dict[str, int]:
    """By what is wrong; 0 is the sound library."""
    return {m.what: i for i, m in enumerate(plant.mutants) if not plant.is_apart(m)}


@cache
def _library(plant: Plant, tf32: bool, terms: bool) -> ctypes.CDLL:
    """Of the mutants that are compiled with these."""
    alike = [m for m in plant.mutants if m.right and (m.tf32, m.terms) == (tf32, terms)]
    mine = [(number, m) for m in alike if (number := numbers(plant).get(m.what))]
    name = f"{plant.name}-together-{int(tf32)}{int(terms)}"

    def planting(file: str, text: str) -> str:
        here = [(number, m) for number, m in mine if m.file == file]
        for _, m in here:
            assert text.count(m.right) == 1, (m.what, text.count(m.right))
        return chosen(text, [(number, m.right, m.wrong) for number, m in here])

    files = {m.file for _, m in mine}
    sources = (plant.source, *plant.common)
    more = f"-DGPUKERN_MUTANT_TF32={int(tf32)} -DGPUKERN_MUTANT_TERMS={int(terms)}"
    found = compiled(name, files, planting, sources, PLAIN, more)
    tree = FOLDER.parent / name
    objects = [(tree / source.rpartition("/")[2]).with_suffix(".o") for source in sources]
    read = {file for out in objects for file in sources_read(name, out.as_posix())}
    unread = sorted(file for file in files if (tree / file).as_posix() not in read)
    assert not unread, f"{plant.source} does not read {', '.join(unread)}"
    return found


class Switched:
    """The library of all with one of them on, until `off`."""

    def __init__(self, mutant: Mutant, plant: Plant) -> None:
        self._product = _library(plant, mutant.tf32, mutant.terms)
        self._product.gpukern_set_fault(numbers(plant)[mutant.what])

    def off(self) -> None:
        self._product.gpukern_set_fault(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._product, name)
