"""Faults planted in Hopper's rows of float64, what they have beside sm_80's: each is seen; without, all is quiet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from gpukern import _C
from tests.gemm.mutants import Mutant, Plant
from tests.gemm.test_mutants import SEEDS, Case, cases, loaded, wrong

ROWS = [r["name"] for r in _C.gemm_rows()]
FOLDER = list(dict.fromkeys(name.split("/")[0] for name in ROWS)).index("f64")
SMALL = [name for name in ROWS if name.startswith("f64/")].index("f64/m32x32")

ROOM, FRAGMENTS = "gemm/arch/f64/rows.h", "gemm/arch/sm_80/fragments.cuh"
FAULTS = [
    ("every second product of A's rows is of the first", FRAGMENTS, "x + lane / 4 + i % 2 * 8", "x + lane / 4"),
    ("A's k is in another order", FRAGMENTS, "lane % 4 + i / 2 * 4)", "lane % 4 + i % 2 * 4)"),
    ("B's k is in another order", FRAGMENTS, "lane % 4 + i * 4)", "lane % 4 + (i ^ 1) * 4)"),
    ("B's second columns are the first", FRAGMENTS, "x + part * 8 + lane / 4", "x + lane / 4"),
    ("B's other columns are A's other rows", FRAGMENTS, "mma_m16n8k16_f64(d, a, b)", "mma_m16n8k16_f64(d, a, {b[0]})"),
    ("the layouts of A and B are exchanged", ROOM, "true, false>, true, false}", "false, false>, true, false}"),
    ("the transposed product is not turned back", ROOM, "turned(given), apart(p)", "false, apart(p)"),
    ("ends of gradients are left to the kernel", ROOM, "turned(given), apart(p)", "turned(given), false"),
]
NONE = Mutant("nothing, double", ROOM, "", "")
MUTANTS = [Mutant(*fault) for fault in FAULTS]
PLANT = Plant("double_mutants", "tests/gemm/mutant_double.cu", (NONE, *MUTANTS))


def every_case() -> Iterator[Case]:
    for case in cases(torch.float64):
        wide = {name: case[name].double() for name in ("row_scale", "column_scale") if case.get(name) is not None}
        yield {**case, **wide}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_planted_fault_is_seen(mutant: Mutant) -> None:
    with loaded(mutant, PLANT):
        found = (wrong(case, seed, FOLDER, SMALL) for seed in range(1, SEEDS + 1) for case in every_case())
        assert any(found), mutant.what


def test_no_false_alarm() -> None:
    with loaded(NONE, PLANT):
        for seed in (1, 2):  # test_kernels.py has more
            for number, case in enumerate(every_case()):
                said = wrong(case, seed, FOLDER, SMALL)
                assert not said, (number, seed, said)
