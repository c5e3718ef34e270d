"""The GPU kernels, executed by the machine model: every variant of every op, every path, every type."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import reduce
from typing import Any

import pytest
import torch
from torch import Tensor

import gpukern
from tests.oracle import fills, strategies, ulps
from tests.oracle.ops import CASES, FIRST, UNARY, Case, ids
from tests.oracle.ulps import agrees_with_cpu
from tests.platform import machine
from tests.platform.machine import SCHEDULES, Schedule

CATALOGUE = gpukern._C.elementwise_catalogue()
FAMILIES = list(dict.fromkeys(e["family"] for e in CATALOGUE))
_SCALARS: dict[str, tuple[Any, ...]] = {
    "add": ("alpha", 1), "sub": ("alpha", 1), "leaky_relu": ("negative_slope", 0.01), "elu": ("alpha", 1.0),
    "addcmul": ("value", 1), "addcdiv": ("value", 1), "softplus": ("beta", 1, "threshold", 20),
    "hardtanh": ("min_val", -1.0, "max_val", 1.0), "clamp": ("min", None, "max", None),
}  # fmt: skip


def place(case: Case, variant: int = 0) -> tuple[int, int, int]:
    """Family, place in it, variant."""
    mine = [e for e in CATALOGUE if e["family"] == case.family]
    at = next(i for i, e in enumerate(mine) if (e["name"], e["choice"]) == (case.name, case.choice))
    return FAMILIES.index(case.family), at, variant


def scalars(case: Case) -> list[float | None]:
    pairs = _SCALARS.get(case.name, ())
    return [case.kwargs.get(pairs[i], pairs[i + 1]) for i in range(0, len(pairs), 2)]


def run(case: Case, tensors: Sequence[Tensor], *, like: Tensor | None = None, **options: object) -> Tensor:
    """The value kernel over these tensors, into an output that gpukern's own CPU call would give."""
    expected = case.ours(*tensors) if like is None else like
    if case.predicate:  # computes in its operands' type
        options["compute"] = reduce(torch.promote_types, [t.dtype for t in tensors])
    return machine.elementwise(place(case), torch.empty_like(expected), tensors, scalars(case), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", ulps.HALVES, ids=str)
@pytest.mark.parametrize("case", UNARY, ids=ids(UNARY))
def test_every_16_bit_pattern(case: Case, dtype: torch.dtype) -> None:
    x = ulps.all_patterns(dtype)
    got = run(case, [x], like=x)
    steps = ulps.distance(got, case.reference(x).to(dtype))
    at = int(steps.argmax())
    assert int(steps.max()) <= case.ulp, (case.id, float(x[at]), float(got[at]), int(steps.max()))


@pytest.mark.parametrize("dtype", ulps.FLOATS, ids=str)
@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_values(case: Case, dtype: torch.dtype) -> None:
    """A dense call, special values among the random ones."""
    tensors = [
        torch.rand(1037) > 0.5
        if k == 0 and case.has_condition
        else torch.cat([fills.special(dtype).roll(k), fills.normal(1037, dtype=dtype) * 3])[:1037]
        for k in range(case.inputs)
    ]
    if (
        case.name in ("pow", "div") or "tanh" in case.choice or case.name.endswith("_act")
    ):  # of specials the CPU's tests speak
        tensors = case.smooth_inputs((1037,), dtype)
    order, seed = SCHEDULES[CASES.index(case) % len(SCHEDULES)]  # every family meets every schedule
    agrees_with_cpu(run(case, tensors, schedule=Schedule(order, seed)), case.ours(*tensors), case.id)


INTEGERS = [c for c in FIRST if c.types in ("number", "all")]


@pytest.mark.parametrize("dtype", [*ulps.INTEGERS, torch.bool], ids=str)
@pytest.mark.parametrize("case", INTEGERS, ids=ids(INTEGERS))
def test_integers(case: Case, dtype: torch.dtype) -> None:
    if dtype == torch.bool and case.types != "all":
        return
    tensors = [
        strategies.filled((533,), torch.bool if k == 0 and case.has_condition else dtype) for k in range(case.inputs)
    ]
    tensors = case.divisible(tensors)
    if case.name == "pow":
        tensors[1] = tensors[1].abs()
    if case.name == "clamp":
        tensors[0] = tensors[0] if dtype != torch.uint8 else tensors[0].to(torch.int16)
    assert torch.equal(run(case, tensors), case.ours(*tensors))
    if case.name == "clamp":  # one bound alone, and what it does not bound
        bounds: list[dict[str, Any]] = [{"min": 1}, {"max": 1}]
        for bound in bounds:
            given = [bound.get("min"), bound.get("max")]
            got = machine.elementwise(place(case), torch.empty_like(tensors[0]), tensors, given)
            assert torch.equal(got, gpukern.clamp(tensors[0], **bound))
    if case.kwargs.get("rounding_mode"):  # what the host refuses, and what a processor's own division traps on
        info = torch.iinfo(dtype)
        x = torch.tensor([info.min, info.max, 7, 0], dtype=dtype)
        for divisor in (0, -1) if info.min else (0,):
            try:
                got = run(case, [x, torch.full_like(x, divisor)], like=x)
            except RuntimeError as error:  # this test replayed on a CPU, which has torch's check
                assert divisor == 0 and str(error) == "ZeroDivisionError", error
                continue
            assert torch.equal(got, torch.zeros_like(x) if divisor == 0 else gpukern.neg(x)), (case.id, divisor)
    if case.inputs > 1 and dtype != torch.bool and case.name != "heaviside":  # which takes one dtype
        mixed = [*tensors[:-1], tensors[-1].to(torch.int64)]
        expected = case.ours(*mixed)
        assert torch.equal(run(case, mixed, like=expected), expected)


def _grad(case: Case, g: Tensor, operands: Sequence[Tensor | None], i: int, j: int) -> Tensor:
    padded = [*operands, None, None, None][:3]
    name = case.name + (f".{case.choice}" if case.choice else "")
    result: Tensor = torch.ops.gpukern.elementwise_grad(g, *padded, name, i, j, scalars(case))
    return result


@pytest.mark.parametrize("case", FIRST, ids=ids(FIRST))
def test_every_gradient(case: Case) -> None:
    """First and second derivatives in float32, float64 and bfloat16, against the CPU loops of the same variants."""
    entry = next(e for e in CATALOGUE if (e["name"], e["choice"]) == (case.name, case.choice))
    seen = 0
    for dtype, (i, j) in itertools.product(
        (torch.float32, torch.float64, torch.bfloat16), itertools.product(range(case.inputs), (-1, 0, 1, 2))
    ):
        variant = 1 + i if j < 0 else 4 + 3 * i + j
        if variant not in entry["variants"]:
            continue
        inputs = case.smooth_inputs((211,), dtype)
        saved: list[Tensor | None] = [case.ours(*inputs)] if entry["saves_result"] else list(inputs)
        operands = [t if entry["saved"][i] >> k & 1 else None for k, t in enumerate(saved)]
        g = fills.normal(211, dtype=dtype)
        expected = _grad(case, g, operands, i, j)
        given = [g, *(t for t in operands if t is not None)]
        got = machine.elementwise(place(case, variant), torch.empty_like(expected), given, scalars(case))
        agrees_with_cpu(got, expected, (case.id, dtype, i, j))
        seen += 1
    assert seen or not case.differentiable


PATHS = [c for c in FIRST if c.id in ("silu", "add", "where", "addcmul", "swiglu", "scale_shift_act-gelu", "maximum")]
SHAPES = [(), (1,), (3,), (255,), (7, 1), (37, 41), (64, 96), (5, 33, 40), (2, 3, 4, 5), (1, 2, 1, 3, 2, 1, 2)]


def operands(case: Case, shape: tuple[int, ...], dtype: torch.dtype, layout: str) -> list[Tensor]:
    kinds = [torch.bool if k == 0 and case.has_condition else dtype for k in range(case.inputs)]
    return [strategies.laid_out(shape, t, layout) for t in kinds]


@pytest.mark.parametrize("aligned", [False, True], ids=["at the page's end", "aligned"])
@pytest.mark.parametrize("layout", strategies.LAYOUTS)
@pytest.mark.parametrize("case", PATHS, ids=ids(PATHS))
def test_layouts(case: Case, layout: str, aligned: bool) -> None:
    for shape, dtype in itertools.product(SHAPES, (torch.float32, torch.bfloat16, torch.float64)):
        tensors = operands(case, shape, dtype, layout)
        agrees_with_cpu(run(case, tensors, aligned=aligned), case.ours(*tensors), (shape, dtype))


@pytest.mark.parametrize("case", [c for c in PATHS if c.inputs > 1], ids=ids([c for c in PATHS if c.inputs > 1]))
def test_broadcasting(case: Case) -> None:
    """Biases, scales and numbers beside dense, sliced and transposed tensors."""
    full = (6, 40, 24)
    others: list[tuple[int, ...]] = [(24,), (40, 1), (6, 1, 1), (1,), (6, 1, 24), (1, 40, 24), ()]
    for small, layout, dtype in itertools.product(
        others, ("dense", "sliced", "transposed"), (torch.float32, torch.float16)
    ):
        for at in range(case.inputs):
            tensors = operands(case, full, dtype, layout)
            kind = tensors[at].dtype
            tensors[at] = strategies.filled(small, kind)
            agrees_with_cpu(run(case, tensors), case.ours(*tensors), (small, layout, at))


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_tiles_under_every_schedule(schedule: tuple[str, int]) -> None:
    """The one path whose threads share memory: one to three transposed operands, ragged tiles, other dimensions."""
    swiglu, addcmul, silu = (next(c for c in FIRST if c.id == name) for name in ("swiglu", "addcmul", "silu"))
    for case, transposed in ((silu, 1), (swiglu, 1), (swiglu, 2), (addcmul, 3)):
        for shape, dtype in itertools.product(
            [(33, 70), (64, 32), (3, 40, 50)], (torch.float32, torch.float16, torch.float64)
        ):
            tensors = [
                strategies.laid_out(shape, dtype, "transposed" if k < transposed else "dense")
                for k in range(case.inputs)
            ]
            like = torch.empty(shape, dtype=dtype)
            for wave in (32, 64):
                machine.report()
                got = run(case, tensors, like=like, schedule=Schedule(*schedule, wave=wave))
                assert machine.report()["barriers"] > 0
                agrees_with_cpu(got, case.ours(*tensors), (case.id, shape, dtype, wave))


@pytest.mark.parametrize("offset", range(1, 8))
def test_misaligned_addresses(offset: int) -> None:
    """Each operand off by its own number of elements: heads, narrow pieces, tails."""
    add = next(c for c in FIRST if c.id == "add")
    for dtype in (torch.float16, torch.float32, torch.float64, torch.int8):
        raw = [strategies.filled((300 + offset * (k + 1),), dtype) for k in range(2)]
        tensors = [t[offset * (k + 1) :][:290] for k, t in enumerate(raw)]
        agrees_with_cpu(run(add, tensors, aligned=True), add.ours(*tensors), dtype)
        agrees_with_cpu(run(add, tensors), add.ours(*tensors), dtype)
        out = torch.empty(300 + offset, dtype=dtype)[offset:][:290]
        agrees_with_cpu(run(add, tensors, like=out, aligned=True), add.ours(*tensors), dtype)


@pytest.mark.parametrize("case", PATHS, ids=ids(PATHS))
def test_mixed_types(case: Case) -> None:
    kinds = [
        torch.float16,
        torch.bfloat16,
        torch.float32,
        torch.float64,
        torch.int8,
        torch.int64,
        torch.bool,
        torch.uint8,
    ]
    for a, b in itertools.product(kinds, kinds):
        types = [torch.bool if k == 0 and case.has_condition else (a, b, a)[k] for k in range(case.inputs)]
        tensors = [strategies.filled((9, 31), t) for t in types]
        try:
            expected = case.ours(*tensors)
        except (RuntimeError, TypeError):
            continue  # torch refuses the pair, and so do we
        if expected.dtype in ulps.HALVES and torch.float64 in types:
            continue
        agrees_with_cpu(run(case, tensors), expected, types)
        if expected.dtype.is_floating_point:  # out= of another type
            wide = torch.empty(expected.shape, dtype=torch.float64)
            got = machine.elementwise(place(case), wide, tensors, scalars(case), compute=expected.dtype)
            torch.testing.assert_close(got, expected.double(), rtol=1e-2, atol=1e-2, equal_nan=True)


def test_in_place() -> None:
    """The output is the first input, element for element."""
    for case, shape in itertools.product(PATHS, [(1037,), (37, 41)]):
        if case.has_condition:
            continue
        for dtype in (torch.float32, torch.bfloat16):
            tensors = operands(case, shape, dtype, "dense")
            got = run(case, tensors, like=tensors[0], in_place=True)
            agrees_with_cpu(got, case.ours(*tensors), (case.id, shape, dtype))


@pytest.mark.parametrize("limit", [2, 100, 999])
def test_slices_of_a_call_that_is_too_large(limit: int) -> None:
    """Calls of 2^31 elements and more are cut; here at a few hundred."""
    swiglu = next(c for c in FIRST if c.id == "swiglu")
    for shape, layout in itertools.product([(1000,), (37, 27), (5, 9, 21)], ("dense", "sliced", "transposed")):
        tensors = operands(swiglu, shape, torch.float32, layout)
        agrees_with_cpu(run(swiglu, tensors, slice_limit=limit), swiglu.ours(*tensors), (shape, layout))
