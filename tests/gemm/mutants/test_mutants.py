"""Faults planted in the mma_sync product, one at a time: each is seen within ten schedules; without, all is quiet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch
from torch import Tensor

import gpukern.model.configurations
import gpukern.model.machine
import gpukern.reference
from tests.gemm.mutants.mutants import MMA_SYNC, MUTANTS, NONE, NONE_TF32, Mutant
from tests.gemm.mutants.search import Case, is_seen, loaded
from tests.oracle import fills

# What mutant.cu compiles.
SMALL = {torch.bfloat16: "mma_sync/h64x64", torch.float32: "mma_sync/t64x64"}
SEEDS = 10


def columns(t: Tensor) -> Tensor:
    return t.transpose(1, 2).contiguous().transpose(1, 2)


def with_pitch(t: Tensor, pitch: int) -> Tensor:
    wide = torch.zeros(t.shape[0], t.shape[1], pitch, dtype=t.dtype)
    wide[:, :, : t.shape[2]] = t
    return wide[:, :, : t.shape[2]]


def every_other(t: Tensor) -> Tensor:
    wide = torch.zeros(t.shape[0], t.shape[1], 2 * t.shape[2], dtype=t.dtype)
    wide[:, :, ::2] = t
    return wide[:, :, ::2]


def cases(dtype: torch.dtype) -> Iterator[Case]:
    """Small products that between them come to every line of the kernel."""

    def made(m: int, n: int, k: int, batch: int = 1) -> tuple[Tensor, Tensor]:
        return fills.integers(batch, m, k, k=k, dtype=dtype), fills.integers(batch, k, n, k=k, dtype=dtype)

    same: Callable[[Tensor], Tensor] = Tensor.contiguous
    deep = 6 * (64 if dtype.itemsize == 2 else 32) + 8
    for lay_a, lay_b in ((same, same), (same, columns), (columns, same), (columns, columns)):
        a, b = made(72, 136, deep)
        yield {"a": lay_a(a), "b": lay_b(b)}
        a, b = made(67, 37, deep + 3)  # not a multiple of anything
        yield {"a": lay_a(a), "b": lay_b(b)}
    a, b = made(20, 24, 140)
    yield {"a": with_pitch(a, 148), "b": with_pitch(b, 28)}  # multiples of 8 bytes
    yield {"a": with_pitch(a, 142), "b": with_pitch(b, 26)}  # of 4
    a, b = made(20, 24, 141)
    yield {"a": with_pitch(a, 142), "b": with_pitch(b, 26)}  # of 4, with half a piece at the end
    yield {"a": with_pitch(a, 144), "b": with_pitch(b, 32)}  # of 16, with part of a chunk at the end
    yield {"a": every_other(a), "b": every_other(b)}
    a, b = made(33, 41, 5 * 64 + 24, batch=2)
    c, bias = fills.integers(2, 33, 41, k=9, dtype=dtype), fills.integers(2, 1, 41, k=9, dtype=dtype)
    for splits in (1, 2, 3):
        yield {"a": a, "b": b, "c": c, "alpha": 1, "beta": 2, "splits": splits}
        yield {"a": a, "b": b, "c": bias.expand(2, 33, 41), "residual": c, "activation": "relu", "splits": splits}
    saved = 4.0 ** torch.randint(0, 4, (2, 33, 41))  # with roots that have few digits
    for lay_s, lay_b, derivative in ((same, same, "square"), (columns, columns, "sqrt"), (every_other, same, "relu")):
        end = {"derivative": derivative, "saved": lay_s(saved.to(dtype) - (derivative == "relu") * 4)}
        yield {"a": columns(a), "b": lay_b(b), **end}
        yield {"a": a, "b": b, **end, "splits": 2, "residual": c}
    rows, ends = 2.0 ** torch.randint(-2, 3, (2, 33)), 2.0 ** torch.randint(-2, 3, (2, 41))
    for lay_b, row, column in ((same, rows, ends), (columns, rows, None), (same, None, ends)):
        yield {"a": columns(a), "b": lay_b(b), "row_scale": row, "column_scale": column}
    a, b = made(20, 40, 64)  # D in packets, S not
    yield {"a": a, "b": b, "derivative": "relu", "saved": with_pitch(fills.integers(1, 20, 40, k=9, dtype=dtype), 41)}
    a, b = made(33, 41, 70, batch=2)
    nothing = torch.full((2, 33, 41), float("nan"), dtype=dtype)
    yield {"a": a, "b": b, "c": nothing, "beta": 0, "activation": "relu"}
    c = fills.integers(2, 33, 41, k=9, dtype=dtype)
    for lay_aux, lay_b, splits in (
        (same, same, 1),
        (columns, same, 1),
        (columns, columns, 1),
        (every_other, same, 1),
        (same, columns, 2),
    ):
        aux = lay_aux(torch.empty(2, 33, 41, dtype=dtype))
        yield {"a": columns(a), "b": lay_b(b), "activation": "relu", "residual": c, "aux": aux, "splits": splits}
    a, b = made(20, 40, 64)  # D in packets, the aux not
    yield {"a": a, "b": b, "activation": "relu", "aux": with_pitch(torch.empty(1, 20, 40, dtype=dtype), 41)}
    if dtype == torch.float32:
        yield {"a": fills.normal(1, 40, 70), "b": fills.normal(1, 70, 40), "rounded": True}


def wrong(case: Case, seed: int, name: str = "") -> str:
    """The model's fault, or that a result is wrong, or ""."""
    case = dict(case)
    a, b, c, residual = case["a"], case["b"], case.get("c"), case.get("residual")
    rounded = case.pop("rounded", False)
    out = torch.empty(a.shape[0], a.shape[1], b.shape[2], dtype=a.dtype)
    try:
        got = gpukern.model.machine.product(
            *gpukern.model.configurations.place_of(name or SMALL[a.dtype]), out, case.pop("a"), case.pop("b"), **case,
            schedule=gpukern.model.machine.Schedule("pct", seed), aligned=True,
        )  # fmt: skip
    except (gpukern.model.machine.ModelError, gpukern.model.machine.Refused, AssertionError) as error:
        return str(error)
    if rounded:
        exact = fills.tf32(a).double() @ fills.tf32(b).double()
        return "" if bool(((got.double() - exact).abs() <= 1e-4).all()) else "not what rounded factors give"
    expected = case.get("alpha", 1) * (a.double() @ b.double())
    for name, dim in (("row_scale", 2), ("column_scale", 1)):
        if case.get(name) is not None:
            expected = expected * case[name].double().unsqueeze(dim)
    if c is not None and case.get("beta", 1) != 0:
        expected = expected + case.get("beta", 1) * c.double()
    if case.get("aux") is not None and not torch.equal(case["aux"], expected.to(case["aux"].dtype)):
        return "a wrong pre-activation"
    expected = gpukern.reference.activate(expected.numpy(), case.get("activation"))
    if "saved" in case:
        unit = torch.eye(b.shape[2])[None]
        expected = gpukern.reference.mm_activation_backward(expected, unit, case["saved"], case["derivative"]).numpy()
    expected = torch.from_numpy(expected) + (0 if residual is None else residual.double())
    return "" if torch.equal(got, expected.to(got.dtype)) else "a wrong result"


def dtype_of(mutant: Mutant) -> torch.dtype:
    return torch.float32 if mutant.tf32 else torch.bfloat16


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_planted_fault_is_seen(mutant: Mutant) -> None:
    assert is_seen(mutant, MMA_SYNC, partial(cases, dtype_of(mutant)), wrong, SEEDS), mutant.what


@pytest.mark.parametrize("mutant", [NONE, NONE_TF32], ids=lambda m: m.name)
def test_no_false_alarm(mutant: Mutant) -> None:
    with loaded(mutant, MMA_SYNC):
        for seed in (1, 2, 3):  # test_kernels.py has more
            for number, case in enumerate(cases(dtype_of(mutant))):
                message = wrong(case, seed)
                assert not message, (number, seed, message)
