"""Faults planted in the kernels of wgmma and TMA (hopper_faults.py): each is seen; without them all is quiet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

import gpukern.model.machine
from gpukern.model.configurations import place_of
from tests.gemm.kernels.asked import columns, factors, lines, result, to_nearest_even
from tests.gemm.kernels.asked_scaled import padded
from tests.gemm.kernels.test_packing import odd, odd_columns
from tests.gemm.mutants.hopper_faults import HOPPER_FAULTS, KERNEL
from tests.gemm.mutants.mutants import Mutant, Plant
from tests.gemm.mutants.platform_faults import PLATFORM_FAULTS
from tests.gemm.mutants.search import Case, is_seen, loaded
from tests.oracle import fills
from tests.oracle.float8 import FORMATS, exact, scales, whole

NAMES = ("p64x64", "w256x128", "w128x192", "d128x16", "q128x16", "q256x128", "t128x64", "t256x128")
TURNS, SHARES_A, NARROW, THIN, THIN_PROMOTING, PROMOTING, SMALL_TERMS, TERMS = (
    place_of(f"wgmma/{name}")[1] for name in NAMES
)
FOLDER, _ = place_of(f"wgmma/{NAMES[0]}")
SEEDS = 10

NONE = Mutant("nothing, hopper", KERNEL, "", "")
MUTANTS = [Mutant(*fault) for fault in [*HOPPER_FAULTS, *PLATFORM_FAULTS]]
# What is no choice at run time: declarations, an `else`, constants, an argument of a template.
APART = frozenset(
    (
        "matrices inside lines are taken for others",
        "the address is not the peer's",
        "scales run along D's rows only",
        "a step along k is twice as long",
        "a step of lines is half as long",
        "scales are not exchanged with A and B",
        "the copies of matrices lie on each other",
        "the matrices of a copy are all the first",
        "a descriptor's stride is its leading offset",
        "pieces are turned by the line before",
        "operands lie the other way",
    )
)
PLANT = Plant(
    "hopper_mutants", "tests/gemm/mutants/mutant_hopper.cu", (NONE, *MUTANTS), ("csrc/gemm/split/split.cu",), APART
)


def cases() -> Iterator[Case]:
    """Small products that between them come to every line of the kernel."""

    def made(m: int, n: int, k: int, batch: int = 1) -> tuple[Tensor, Tensor]:
        return factors(torch.bfloat16, batch, m, n, k)

    # Batches, ranges, epilogues, other results.
    a, b = made(70, 20, 72, batch=3)
    inside = [lines(t).transpose(0, 1).contiguous().transpose(0, 1) for t in (a, result(a, b))]
    yield {"a": inside[0], "b": columns(b), "index": TURNS, "cluster": 2, "out": inside[1]}
    yield {"a": lines(a), "b": columns(b[:1]).expand(3, 72, 20), "index": TURNS, "out": lines(result(a, b))}
    yield {"a": lines(a), "b": columns(b), "index": THIN, "out": lines(result(a, b))}
    yield {"a": columns(b).transpose(1, 2), "b": lines(a).transpose(1, 2), "index": THIN, "out": result(b.mT, a.mT)}
    residual = fills.integers(3, 70, 20, k=9, dtype=torch.bfloat16)
    end = {"index": TURNS, "out": lines(result(a, b)), "residual": residual, "activation": "relu"}
    yield {"a": lines(a), "b": columns(b), **end}
    yield {"a": lines(a), "b": columns(b), **end, "residual": None}
    yield {"a": lines(a), "b": columns(b), **end, "activation": "none"}
    a, b = made(66, 40, 64 * 4 + 1, batch=2)
    for splits in (2, 3, 7):
        yield {"a": lines(a), "b": columns(b), "index": TURNS, "splits": splits, "out": result(a, b)}
    for splits, index in ((2, TURNS), (3, THIN), (3, TURNS), (5, THIN)):
        yield {
            "a": lines(a),
            "b": columns(b),
            "index": index,
            "splits": splits,
            "cluster": -1,
            "out": lines(result(a, b)),
        }
    # Fewer blocks than tiles, a ring that goes round, a tile beyond the edge.
    a, b = made(150, 70, 64 * 11 + 9)
    for cluster in (1, 2):
        few = {"index": TURNS, "processors": 2, "cluster": cluster, "out": lines(result(a, b))}
        yield {"a": lines(a), "b": columns(b), **few}
        yield {"a": columns(a), "b": columns(b), "alpha": 0.5, **few}
    a, b = made(200, 150, 64 * 5)
    wide = {"index": SHARES_A, "processors": 2, "cluster": 2, "out": lines(result(a, b))}
    yield {"a": columns(a), "b": columns(b), **wide}
    yield {"a": lines(a), "b": lines(b), **wide, "processors": 1, "cluster": 1}
    a, b = made(130, 198, 64 * 6)
    yield {"a": lines(a), "b": columns(b), "index": NARROW, "processors": 2, "cluster": 2, "out": lines(result(a, b))}
    a, b = made(130, 130, 64)
    yield {"a": lines(a), "b": lines(b), "index": SHARES_A, "out": result(a, b)}


def scaled_cases() -> Iterator[Case]:
    """tf32 (of numbers that are no tf32), and float8: each kind of scales, epilogues, ranges, a ring that wraps."""
    numbers = 1 + torch.rand(1, 64, 40)
    yield {"a": torch.eye(64)[None].contiguous(), "b": columns(numbers), "index": TURNS, "out": torch.empty(1, 64, 40)}
    e4m3 = FORMATS[0]

    def made(m: int, n: int, k: int, kind: str) -> Case:
        a, b = whole(e4m3, m, k), whole(e4m3, k, n)
        return {"a": padded(a), "b": padded(b.t()).t(), "out": torch.empty(m, n), "scales": scales(kind, m, n, k)}

    few = {"index": THIN_PROMOTING, "processors": 1}
    yield {**made(20, 150, 128 * 11 + 40, "1x128, 128x128"), **few}
    yield {**made(150, 18, 128 * 2 + 40, "1x128, 1x128"), **few, "processors": 4, "cluster": 2}
    yield {**made(150, 18, 128 * 4, "128x128, 1x128"), **few, "splits": 2}
    bias = torch.arange(150.0) % 7
    for m, n in ((20, 150), (150, 20)):
        yield {**made(m, n, 128, "row"), **few, "bias": bias[:n]}
        yield {**made(m, n, 128, "row"), **few, "bias": bias[:n], "out": torch.empty(n, m).t()}
    yield {**made(270, 70, 128 * 6 + 9, "1x128, 128x128"), "index": PROMOTING, "processors": 2, "cluster": 2}


def term_cases() -> Iterator[Case]:
    """float32 as terms: numbers of 16 bits beside +-1, so that every sum is exact; infinity; batches, pairs, ranges."""

    def made(m: int, n: int, k: int, batch: int = 1) -> tuple[Tensor, Tensor]:
        a = torch.where(torch.rand(batch, m, k) < 4 / k, torch.randint(-(2**16) + 1, 2**16, (batch, m, k)), 0)
        return a.float(), torch.randint(0, 2, (batch, k, n)).float() * 2 - 1

    few = {"index": SMALL_TERMS, "processors": 2, "precision": "bf16x3"}
    for cluster in (1, 2):
        a, b = made(140, 70, 300)
        yield {"a": a, "b": b, "out": result(a, b), **few, "cluster": cluster}
        yield {"a": columns(a), "b": columns(b), "out": result(a, b), **few, "cluster": cluster}
    a, b = made(130, 66, 200, batch=2)
    yield {"a": a, "b": b, "out": result(a, b), **few}
    yield {"a": a, "b": b[:1].expand(2, 200, 66), "out": result(a, b), **few, "precision": "bf16x6"}
    yield {"a": a, "b": b, "out": result(a, b), **few, "splits": 2}
    a = torch.randint(-(2**10), 2**10, (1, 24, 2)).float()
    yield {"a": a, "b": a.mT.contiguous(), "out": torch.empty(1, 24, 24), **few, "precision": "bf16x6"}
    a, b = made(20, 20, 40)
    a[0, 3, 5], b[0, 5, ::2] = float("inf"), 1.2345678  # where b is 1, inf times its second term is NaN
    b[0, 5, 1::2] = 1.0
    yield {"a": a, "b": b, "out": result(a, b), **few, "like": float("inf")}
    a, b = made(260, 30, 130)
    yield {"a": a, "b": b, "out": result(a, b), **few, "index": TERMS}


def packing_cases() -> Iterator[Case]:
    """Operands that are copied: of 2, 4 and 1 bytes, along k and across, one of them and both, in batches."""
    a, b = factors(torch.bfloat16, 2, 70, 40, 150)
    across = odd(b.transpose(1, 2)).transpose(1, 2)  # a column of B is a line of k
    for x, y in ((odd(a), columns(b)), (lines(a), odd(b)), (odd_columns(a), odd(b)), (odd(a), across)):
        yield {"a": x, "b": y, "index": TURNS, "out": result(a, b)}
    a, b = factors(torch.float32, 1, 40, 20, 40)
    yield {"a": columns(a), "b": lines(b), "index": TURNS, "out": result(a, b)}
    x, y = whole(FORMATS[0], 150, 200), whole(FORMATS[0], 200, 20)
    yield {
        "a": columns(x[None])[0], "b": odd(y[None])[0], "index": THIN_PROMOTING, "out": torch.empty(150, 20),
        "scales": scales("tensor", 150, 20, 200),
    }  # fmt: skip


def run_scaled(case: Case, schedule: gpukern.model.machine.Schedule) -> str:
    index, a, b, (one, two) = case.pop("index"), case.pop("a"), case.pop("b"), case.pop("scales")
    got = gpukern.model.machine.scaled(
        FOLDER, index, case.pop("out"), a, b, one, two, **case, schedule=schedule, aligned=True
    )
    expected = exact(a, b, one, two) + case.get("bias", torch.zeros(()))
    return "" if torch.equal(got, expected.to(got.dtype)) else "a wrong result"


def exactly(index: int, t: Tensor) -> Tensor:
    """In float64, what the configuration multiplies."""
    return (t if t.dtype != torch.float32 or index in (SMALL_TERMS, TERMS) else to_nearest_even(t)).double()


@gpukern.model.machine.unchecked()  # skinny configurations for wide results too
def wrong(case: Case, seed: int) -> str:
    """The model's fault, or that a result is wrong, or ""."""
    case = dict(case)
    like = case.pop("like", None)  # then only elements that are so are compared: the others are rounded
    if "scales" in case:
        try:
            return run_scaled(case, gpukern.model.machine.Schedule("pct", seed))
        except (gpukern.model.machine.ModelError, gpukern.model.machine.Refused, AssertionError) as error:
            return str(error)
    index, a, b = case.pop("index"), case["a"], case["b"]
    schedule = gpukern.model.machine.Schedule("pct", seed)
    try:
        got = gpukern.model.machine.product(
            FOLDER, index, case.pop("out"), case.pop("a"), case.pop("b"), **case, schedule=schedule, aligned=True
        )
    except (gpukern.model.machine.ModelError, gpukern.model.machine.Refused, AssertionError) as error:
        return str(error)
    expected = case.get("alpha", 1) * (exactly(index, a) @ exactly(index, b))
    if case.get("activation") == "relu":
        expected = expected.relu()
    if case.get("residual") is not None:
        expected = expected + case["residual"].double()
    if like is not None:
        return "" if torch.equal(got[expected == like], expected[expected == like]) else "infinity is lost"
    return "" if torch.equal(got, expected.to(got.dtype)) else "a wrong result"


def every_case() -> Iterator[Case]:
    yield from cases()
    yield from scaled_cases()
    yield from term_cases()
    yield from packing_cases()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_planted_fault_is_seen(mutant: Mutant) -> None:
    assert is_seen(mutant, PLANT, every_case, wrong, SEEDS), mutant.what


def test_no_false_alarm() -> None:
    with loaded(NONE, PLANT):
        for seed in (1, 2, 3):  # test_hopper_kernels.py has more
            for number, case in enumerate(every_case()):
                message = wrong(case, seed)
                assert not message, (number, seed, message)
