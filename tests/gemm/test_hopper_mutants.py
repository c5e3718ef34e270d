"""Faults planted in the rows of wgmma and TMA (hopper_faults.py): each is seen; without them all is quiet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

import gpukern.model.machine
from gpukern import _C
from tests.gemm.hopper_faults import HOPPER_FAULTS, KERNEL
from tests.gemm.mutants import Mutant, Plant
from tests.gemm.test_hopper_kernels import columns, factors, lines, result
from tests.gemm.test_mutants import Case, loaded
from tests.oracle import fills

ROWS = [r["name"] for r in _C.gemm_rows() if r["name"].startswith("sm_90a/")]
FOLDER = list(dict.fromkeys(r["name"].split("/")[0] for r in _C.gemm_rows())).index("sm_90a")
TURNS, SHARES_A, NARROW, THIN = (ROWS.index(f"sm_90a/{name}") for name in ("p64x64", "w256x128", "w128x192", "d128x16"))
SEEDS = 10

NONE = Mutant("nothing, hopper", KERNEL, "", "")
MUTANTS = [Mutant(*fault) for fault in HOPPER_FAULTS]
PLANT = Plant("hopper_mutants", "tests/gemm/mutant_hopper.cu", (NONE, *MUTANTS), ("csrc/gemm/split/split.cu",))


def cases() -> Iterator[Case]:
    """Small products that between them come to every line of the kernel."""

    def made(m: int, n: int, k: int, batch: int = 1) -> tuple[Tensor, Tensor]:
        return factors(torch.bfloat16, batch, m, n, k)

    # Batches, ranges, ends, other results.
    a, b = made(70, 20, 72, batch=3)
    inside = [lines(t).transpose(0, 1).contiguous().transpose(0, 1) for t in (a, result(a, b))]
    yield {"a": inside[0], "b": columns(b), "row": TURNS, "cluster": 2, "out": inside[1]}
    yield {"a": lines(a), "b": columns(b[:1]).expand(3, 72, 20), "row": TURNS, "out": lines(result(a, b))}
    yield {"a": lines(a), "b": columns(b), "row": THIN, "out": lines(result(a, b))}
    yield {"a": columns(b).transpose(1, 2), "b": lines(a).transpose(1, 2), "row": THIN, "out": result(b.mT, a.mT)}
    residual = fills.integers(3, 70, 20, k=9, dtype=torch.bfloat16)
    end = {"row": TURNS, "out": lines(result(a, b)), "residual": residual, "activation": "relu"}
    yield {"a": lines(a), "b": columns(b), **end}
    yield {"a": lines(a), "b": columns(b), **end, "residual": None}
    yield {"a": lines(a), "b": columns(b), **end, "activation": "none"}
    a, b = made(66, 40, 64 * 4 + 1, batch=2)
    for splits in (2, 3, 7):
        yield {"a": lines(a), "b": columns(b), "row": TURNS, "splits": splits, "out": result(a, b)}
    # Fewer blocks than tiles, a ring that goes round, a tile beyond the edge.
    a, b = made(150, 70, 64 * 11 + 9)
    for cluster in (1, 2):
        few = {"row": TURNS, "processors": 2, "cluster": cluster, "out": lines(result(a, b))}
        yield {"a": lines(a), "b": columns(b), **few}
        yield {"a": columns(a), "b": columns(b), "alpha": 0.5, **few}
    a, b = made(200, 150, 64 * 5)
    wide = {"row": SHARES_A, "processors": 2, "cluster": 2, "out": lines(result(a, b))}
    yield {"a": columns(a), "b": columns(b), **wide}
    yield {"a": lines(a), "b": lines(b), **wide, "processors": 1, "cluster": 1}
    a, b = made(130, 198, 64 * 6)
    yield {"a": lines(a), "b": columns(b), "row": NARROW, "processors": 2, "cluster": 2, "out": lines(result(a, b))}
    a, b = made(130, 130, 64)
    yield {"a": lines(a), "b": lines(b), "row": SHARES_A, "out": result(a, b)}


def wrong(case: Case, seed: int) -> str:
    """What the model says, or that a result is wrong, or ""."""
    case = dict(case)
    row, a, b = case.pop("row"), case["a"], case["b"]
    schedule = gpukern.model.machine.Schedule("pct", seed)
    try:
        got = gpukern.model.machine.product(
            FOLDER, row, case.pop("out"), case.pop("a"), case.pop("b"), **case, schedule=schedule, aligned=True
        )
    except (gpukern.model.machine.ModelError, AssertionError) as said:
        return str(said)
    expected = case.get("alpha", 1) * (a.double() @ b.double())
    if case.get("activation") == "relu":
        expected = expected.relu()
    if case.get("residual") is not None:
        expected = expected + case["residual"].double()
    return "" if torch.equal(got, expected.to(got.dtype)) else "a wrong result"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_planted_fault_is_seen(mutant: Mutant) -> None:
    with loaded(mutant, PLANT):
        assert any(wrong(case, seed) for seed in range(1, SEEDS + 1) for case in cases()), mutant.what


def test_no_false_alarm() -> None:
    with loaded(NONE, PLANT):
        for seed in (1, 2, 3):  # test_hopper_kernels.py has more
            for number, case in enumerate(cases()):
                said = wrong(case, seed)
                assert not said, (number, seed, said)
