"""Ops whose results are bool or whole numbers: comparisons, logic, tests of a value, bits, shifts, divisors."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor
from torch.autograd import forward_ad as fwd

import gpukern
from tests.elementwise.test_forms import TYPES, outcome, small
from tests.elementwise.test_kernels import run
from tests.oracle import exact, fills, strategies, ulps
from tests.oracle.ops import EXACT, Case, ids
from tests.platform.machine import SCHEDULES, Schedule

UNARY = [c for c in EXACT if c.inputs == 1]
BINARY = [c for c in EXACT if c.inputs == 2]
IN_PLACE = [c for c in EXACT if c.writes_self]
TAKES_NUMBERS = [c for c in BINARY if not c.name.startswith("logical_") and c.name not in ("gcd", "lcm")]


def grid(case: Case, dtype: torch.dtype) -> list[Tensor]:
    """Special values of every operand beside those of the other; 40 of the same, for vector bodies and tails."""
    values = fills.special(dtype)
    if dtype.is_floating_point:
        values = torch.cat([values, torch.tensor([-torch.nan, 1e-3], dtype=dtype)])
    if case.name == "lcm":  # what the type holds; beyond, torch's own result is undefined
        values = values[(values.to(torch.int64).abs() < 12)]
    if "shift" in case.name:
        values = torch.cat([values, torch.tensor([5, 8, 15, 16, 31, 32, 63, 64, 100], dtype=dtype)])
    columns = [values.reshape([-1 if e == k else 1 for e in range(case.inputs)]) for k in range(case.inputs)]
    return [t.unsqueeze(-1).expand(*t.shape, 40).contiguous() for t in columns]


def operands(case: Case, shape: tuple[int, ...], dtype: torch.dtype, layout: str = "dense") -> list[Tensor]:
    tensors = [strategies.laid_out(shape, dtype, layout) for _ in range(case.inputs)]
    if not dtype.is_floating_point:
        return tensors
    return [torch.where(t.abs() < 0.5, torch.zeros_like(t), t) for t in tensors]  # that some are equal, and zero


@pytest.mark.parametrize("case", EXACT, ids=ids(EXACT))
def test_special_values_of_every_type(case: Case) -> None:
    for dtype in exact.types_of(case):
        tensors = grid(case, dtype)
        got, want = case.ours(*tensors), exact.reference(case, *tensors)
        assert got.dtype == want.dtype == (torch.bool if case.predicate else dtype)
        assert torch.equal(got, want), (dtype, (got != want).nonzero()[:4])


@pytest.mark.parametrize("dtype", ulps.HALVES, ids=str)
@pytest.mark.parametrize("case", [c for c in EXACT if c.predicate], ids=ids([c for c in EXACT if c.predicate]))
def test_every_16_bit_pattern(case: Case, dtype: torch.dtype) -> None:
    x = ulps.all_patterns(dtype)
    for shift in (0, 1, 17, 1 << 15):
        tensors = [x, x.roll(shift)][: case.inputs]
        assert torch.equal(case.ours(*tensors), exact.reference(case, *tensors))


@pytest.mark.parametrize("case", BINARY, ids=ids(BINARY))
def test_result_of_every_pair_of_types(case: Case) -> None:
    """Tensors and 0-dim tensors: torch's dtype and values, or torch's error."""
    wrong = []
    types = (*TYPES, torch.complex64, torch.uint16)
    for a, b, shapes in itertools.product(types, types, (((3,), (3,)), ((3,), ()), ((), (3,)), ((), ()))):
        x, y = small(a, *shapes[0]), small(b, *shapes[1])
        ours, theirs = outcome(case.ours, x, y), outcome(case.eager, x, y)
        if ours != theirs or (
            isinstance(theirs[0], torch.dtype) and not torch.equal(case.ours(x, y), case.eager(x, y))
        ):
            wrong.append(f"{case.id}({a}{shapes[0]}, {b}{shapes[1]}): {ours}, torch {theirs}")
    assert not wrong, "\n".join(wrong[:12])


NUMBERS = (True, 2, -3, 0.1, 300, 2**31, 2**40, -(2**63), 2.5, 1e40, float("nan"), 2j)


@pytest.mark.parametrize("case", TAKES_NUMBERS, ids=ids(TAKES_NUMBERS))
def test_python_numbers(case: Case) -> None:
    """In place of the second operand, in each form, and of the first where torch takes one there."""
    wrong = []
    for dtype, number, shape in itertools.product(TYPES, NUMBERS, ((5,), ())):
        x = torch.arange(1, 6).to(dtype) if shape else small(dtype)
        calls: list[tuple[Any, ...]] = [(x, number)] + ([] if case.predicate else [(number, x)])
        for args in calls:
            ours, theirs = outcome(case.ours, *args), outcome(case.eager, *args)
            if ours != theirs:
                wrong.append(f"{case.id}{args}: {ours}, torch {theirs}")
            elif isinstance(theirs[0], torch.dtype):
                result = case.eager(*args)
                if not torch.equal(case.ours(*args), result):
                    wrong.append(f"{case.id}{args}: {case.ours(*args)}, torch {result}")
                out = torch.empty_like(result)
                assert torch.equal(case.ours(*args, out=out), result)
        mine, theirs_ = x.clone(), x.clone()
        done = outcome(lambda t, n: getattr(t, case.name + "_")(n), theirs_, number)
        if outcome(case.in_place, mine, number) != done or not torch.equal(mine, theirs_):
            wrong.append(f"{case.id}_{(x, number)}: {outcome(case.in_place, x.clone(), number)}, torch {done}")
    assert not wrong, "\n".join(wrong[:12])


def reaching(done: tuple[Any, ...]) -> tuple[Any, ...]:
    """An outcome with only the strides by which an element is reached: none of a dimension of 1 or an empty result."""
    if len(done) == 2:
        return done
    dtype, shape, strides = done
    return dtype, shape, [s for n, s in zip(shape, strides) if n > 1 and 0 not in shape]


@pytest.mark.parametrize("case", EXACT, ids=ids(EXACT))
@given(data=st.data())
def test_fuzz_shapes_strides_types(case: Case, data: st.DataObject) -> None:
    tensors = data.draw(strategies.broadcastable(case.inputs, strategies.all_types))
    expected, got = outcome(case.eager, *tensors), outcome(case.ours, *tensors)
    assert reaching(got) == reaching(expected)
    # Where torch casts operands of two types, and where it fills, it leaves other strides for dimensions of 1.
    if len({t.dtype for t in tensors}) == 1 and case.name not in ("isinf", "isfinite"):
        assert got == expected
    if isinstance(expected[0], torch.dtype):
        assert torch.equal(case.ours(*tensors), case.eager(*tensors))


@pytest.mark.parametrize("case", EXACT, ids=ids(EXACT))
def test_out(case: Case) -> None:
    """Kept, resized, cast: torch's values and warning; a dtype that torch refuses is refused."""
    dtype = exact.types_of(case)[0]
    tensors = operands(case, (3, 4), dtype)
    want = case.ours(*tensors)
    for out in (torch.ones_like(want), want.new_empty(0), torch.ones(4, 3).to(want.dtype).t()):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert case.ours(*tensors, out=out) is out
        assert torch.equal(out, want)
    with pytest.warns(UserWarning, match="An output with one or more elements was resized"):
        assert torch.equal(case.ours(*tensors, out=want.new_empty(7)), want)
    for other in (torch.float16, torch.float64, torch.int64, torch.uint8, torch.bool):
        out = torch.empty(3, 4, dtype=other)
        ours = outcome(case.ours, *tensors, out=out)
        try:
            theirs = outcome(case.eager, *tensors, out=torch.empty(3, 4, dtype=other))
        except TypeError:
            theirs = (TypeError,)
        if theirs[0] is not TypeError:  # torch's isnan, isinf and isfinite have no out=
            assert ours == theirs, other
        if isinstance(ours[0], torch.dtype):
            assert torch.equal(out, want.to(other)), other
    x = operands(case, (8,), dtype)
    if case.inputs == 2 and want.dtype == dtype:  # over an operand
        expected = case.ours(*x)
        assert torch.equal(case.ours(*x, out=x[1]), expected)


@pytest.mark.parametrize("case", IN_PLACE, ids=ids(IN_PLACE))
def test_in_place(case: Case) -> None:
    for dtype in exact.types_of(case):
        tensors = operands(case, (6, 5), dtype)
        want = case.ours(*tensors).to(dtype)
        for layout in ("dense", "transposed", "offset"):
            x = strategies.arranged(tensors[0].clone(), layout) if dtype.is_floating_point else tensors[0].clone()
            assert case.in_place(x, *tensors[1:]) is x
            assert torch.equal(x, want), (dtype, layout)
    if case.inputs == 2:
        ours = outcome(case.in_place, torch.ones(1, dtype=torch.int32), torch.ones(3, dtype=torch.int32))
        assert ours[0] is RuntimeError and "output with shape [1] doesn't match the broadcast shape [3]" in ours[1]


@pytest.mark.parametrize("case", [c for c in EXACT if c.predicate], ids=ids([c for c in EXACT if c.predicate]))
def test_a_predicate_is_not_differentiated(case: Case) -> None:
    x = torch.randn(5, requires_grad=True)
    others = [torch.randn(5)] * (case.inputs - 1)
    result = case.ours(x, *others)
    assert not result.requires_grad and result.grad_fn is None
    case.ours(x, *others, out=torch.empty(5, dtype=torch.bool))  # as torch's, which records nothing either
    with fwd.dual_level():
        assert fwd.unpack_dual(case.ours(fwd.make_dual(x.detach(), torch.ones(5)), *others)).tangent is None
    if case.writes_self:  # what was there has no part in what is there now
        y = x * 2
        case.in_place(y, *others)
        assert y.requires_grad
        y.sum().backward()
        assert torch.equal(x.grad, torch.zeros(5))  # type: ignore[arg-type]


@pytest.mark.parametrize("case", EXACT, ids=ids(EXACT))
def test_vmap(case: Case) -> None:
    dtype = exact.types_of(case)[0]
    tensors = operands(case, (4, 6), dtype)
    assert torch.equal(torch.vmap(case.ours)(*tensors), case.ours(*tensors))
    if case.inputs == 2:
        got = torch.vmap(case.ours, in_dims=(None, 0))(tensors[0][0], tensors[1])
        assert torch.equal(got, case.ours(tensors[0][:1], tensors[1]))


@pytest.mark.slow
@pytest.mark.parametrize("case", EXACT, ids=ids(EXACT))
def test_opcheck(case: Case) -> None:
    tensors = tuple(operands(case, (3, 4), exact.types_of(case)[0]))
    torch.library.opcheck(getattr(torch.ops.gpukern, case.name).default, tensors)


# ---- the GPU kernels, executed by the machine model ---------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("case", EXACT, ids=ids(EXACT))
def test_kernels_of_every_type(case: Case) -> None:
    for n, dtype in enumerate(exact.types_of(case)):
        tensors = [t[..., :3] for t in grid(case, dtype)]
        order, seed = SCHEDULES[n % len(SCHEDULES)]
        got = run(case, tensors, schedule=Schedule(order, seed))
        assert torch.equal(got, exact.reference(case, *tensors)), dtype


@pytest.mark.slow
@pytest.mark.parametrize("aligned", [False, True], ids=["at the page's end", "aligned"])
@pytest.mark.parametrize("case", EXACT, ids=ids(EXACT))
def test_kernels_of_every_layout(case: Case, aligned: bool) -> None:
    types = exact.types_of(case)
    shapes: list[tuple[int, ...]] = [(), (255,), (37, 41), (5, 33, 40), (1, 2, 1, 3, 2, 1, 2)]
    for n, (shape, layout) in enumerate(itertools.product(shapes, strategies.LAYOUTS)):
        tensors = operands(case, shape, types[n % len(types)], layout)
        assert torch.equal(run(case, tensors, aligned=aligned), case.ours(*tensors)), (shape, layout)


@pytest.mark.parametrize("dtype", ulps.HALVES, ids=str)
def test_what_is_compared_is_rounded_to_the_common_type_first(dtype: torch.dtype) -> None:
    x = torch.tensor([0.1, 1e5, 2049.0, torch.inf], dtype=dtype)
    others = (torch.tensor(0.1), torch.tensor([0, 70000, 2049, 2**40]), torch.tensor(0.1, dtype=torch.float64), 0.1)
    for name, other in itertools.product(("eq", "ne", "lt", "ge"), others):
        got, want = getattr(gpukern, name)(x, other), getattr(torch, name)(x, other)
        assert torch.equal(got, want), (name, other)
    assert bool(gpukern.eq(x, 0.1)[0])


def test_bits_beyond_the_types_of_elementwise_kernels_are_torchs() -> None:
    """uint16, complex and float8 have no kernels here: torch's own serve them, or refuse them."""
    for name, dtype in itertools.product(
        ("eq", "lt", "bitwise_and", "gcd", "logical_or"), (torch.uint16, torch.complex64)
    ):
        x = small(dtype, 3)
        assert outcome(getattr(gpukern, name), x, x) == outcome(getattr(torch, name), x, x), (name, dtype)


def test_heaviside_has_no_derivative_and_its_backward_says_so() -> None:
    """A result without a history would leave a part out of a gradient, silently."""

    def in_place(x: Tensor, values: Tensor) -> Tensor:
        return gpukern.heaviside_(x * 1, values)

    def into(x: Tensor, values: Tensor) -> Tensor:
        return gpukern.heaviside(x, values, out=torch.empty(4))

    for call in (gpukern.heaviside, in_place, into):
        x, values = torch.randn(4, requires_grad=True), torch.randn(4, requires_grad=True)
        result = call(x, values)
        assert result.requires_grad
        with pytest.raises(RuntimeError, match=r"derivative for aten::heaviside_? is not implemented"):
            result.sum().backward()
