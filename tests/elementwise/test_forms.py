"""Calls: promotion, Python numbers, broadcasting, strides, out=, in place, poisoned outputs."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor

import gpukern
from tests.oracle import poison, strategies, ulps
from tests.oracle.ops import FIRST, Case, ids

TYPES = (*ulps.FLOATS, *ulps.INTEGERS, torch.bool)
BINARY = [
    c
    for c in FIRST
    if c.inputs == 2
    and c.family in ("arithmetic", "blend")
    and c.name in ("add", "sub", "mul", "div", "pow", "maximum", "minimum", "fmax", "fmin")
]


def outcome(function: Any, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
    """(dtype, shape, stride) of a result, or (exception type, first line)."""
    try:
        result = function(*args, **kwargs)
    except Exception as error:
        return type(error), str(error).splitlines()[0]
    return result.dtype, tuple(result.shape), tuple(result.stride())


def small(dtype: torch.dtype, *shape: int) -> Tensor:
    return torch.ones(shape, dtype=dtype)


@pytest.mark.parametrize("case", BINARY, ids=ids(BINARY))
def test_result_type_of_every_pair(case: Case) -> None:
    """10 x 10 types, each operand once as a tensor and once as a 0-dim tensor: torch's dtype, or torch's error."""
    wrong = []
    for a, b in itertools.product(TYPES, TYPES):
        for shapes in (((3,), (3,)), ((3,), ()), ((), (3,)), ((), ())):
            x, y = small(a, *shapes[0]), small(b, *shapes[1])
            ours, theirs = outcome(case.ours, x, y), outcome(case.eager, x, y)
            if ours != theirs:
                wrong.append(f"{case.id}({a}{shapes[0]}, {b}{shapes[1]}): {ours}, torch {theirs}")
    assert not wrong, "\n".join(wrong[:12])


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "pow", "where", "clamp", "lerp"])
def test_python_numbers(name: str) -> None:
    """bool, int, float and complex numbers beside every type: dtype and value as torch."""
    ours, theirs = getattr(gpukern, name), getattr(torch, name)
    wrong = []
    for dtype, number in itertools.product(TYPES, (True, 2, 1.5, -3, 2j)):
        for shape in ((3,), ()):
            x = small(dtype, *shape)
            condition = torch.tensor([True, False, True])
            calls: dict[str, list[tuple[Any, ...]]] = {
                "where": [(condition, x, number), (condition, number, x)],
                "clamp": [(x, number), (x, None, number)],
                "lerp": [(x, x * 0, number)] if dtype != torch.bool else [],
                "pow": [(x, number), (number, x)],
            }
            for args in calls.get(name, [(x, number)]):
                if outcome(ours, *args) != outcome(theirs, *args):
                    wrong.append(f"{name}{args}: {outcome(ours, *args)}, torch {outcome(theirs, *args)}")
                elif isinstance(outcome(theirs, *args)[0], torch.dtype):
                    torch.testing.assert_close(ours(*args), theirs(*args), equal_nan=True)
    assert not wrong, "\n".join(wrong[:12])


def test_numbers_first_and_deprecated_order() -> None:
    x = torch.tensor([1.0, 2.0, 3.0])
    assert torch.equal(gpukern.pow(2, x), torch.pow(2, x))
    assert torch.equal(gpukern.add(x, other=x, alpha=2), torch.add(x, other=x, alpha=2))
    assert torch.equal(gpukern.add(input=x, other=1), torch.add(input=x, other=1))


@pytest.mark.parametrize("case", FIRST, ids=ids(FIRST))
def test_shape_and_strides_of_the_result(case: Case) -> None:
    """TensorIterator's rule for strides: permuted in, permuted out; of every op, so that a chain of them stays so."""
    # These of torch's own allocate by other rules (all but logsigmoid where nothing is computed).
    theirs = torch.neg if case.name in ("logsigmoid", "relu6", "hardtanh", "deg2rad", "rad2deg") else case.eager
    shapes: list[tuple[int, ...]] = [(), (0,), (0, 3), (2, 3, 4), (2, 3, 4, 5), (1, 2, 1, 3, 2, 1, 2)]
    for shape, layout in itertools.product(shapes, strategies.LAYOUTS):
        types = [torch.bool if k == 0 and case.has_condition else torch.float32 for k in range(case.inputs)]
        x = [strategies.laid_out(shape, t, layout) for t in types]
        assert outcome(case.ours, *x) == outcome(theirs, *x), (shape, layout)


@pytest.mark.parametrize("case", FIRST, ids=ids(FIRST))
@given(data=st.data())
def test_fuzz_shapes_strides_types(case: Case, data: st.DataObject) -> None:
    """Values never depend on layout: the dense, unbroadcast call gives the same bits."""
    types = strategies.float_types if case.types in ("floating", "to_float") else strategies.all_types
    if case.name in ("lerp", "addcdiv"):
        types = st.just(data.draw(types))
    tensors = data.draw(strategies.broadcastable(case.inputs, types))
    if case.has_condition:
        tensors[0] = tensors[0] > 0
    try:
        expected = case.eager(*tensors)
    except RuntimeError:  # and what derives from it
        assert outcome(case.ours, *tensors) == outcome(case.eager, *tensors)
        return
    got = case.ours(*tensors)
    assert got.shape == expected.shape and got.dtype == expected.dtype
    dense = [t.expand(got.shape).contiguous() if t.dim() else t for t in tensors]
    again = case.ours(*dense)
    # vector bodies and tails give the same bits
    same = (
        torch.equal(got, again)
        if not got.is_floating_point()
        else bool((ulps.distance(got, again.expand(got.shape)) == 0).all())
    )
    assert same, [(t.dtype, t.shape, t.stride()) for t in tensors]
    if not got.is_floating_point():
        assert torch.equal(got, expected)


@pytest.mark.parametrize("case", FIRST, ids=ids(FIRST))
def test_out(case: Case) -> None:
    """Right size kept, empty resized in silence, wrong size resized with torch's warning, dtype cast or refused.

    Whether a dtype is cast or refused, and with which message, is torch's choice op by op.
    """
    inputs = case.smooth_inputs((3, 4), torch.float32)
    expected = case.ours(*inputs)
    for out in (torch.full((3, 4), torch.nan), torch.empty(0), torch.full((4, 3), torch.nan).t()):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert case.ours(*inputs, out=out) is out
        assert torch.equal(out, expected)
    with pytest.warns(UserWarning, match="An output with one or more elements was resized"):
        out = case.ours(*inputs, out=torch.empty(7))
    assert torch.equal(out, expected)
    theirs = case.out_form() or torch.square  # what torch has no name for is cast as most ops are
    for dtype in (torch.float64, torch.int64):
        out, torchs = torch.empty(3, 4, dtype=dtype), torch.empty(3, 4, dtype=dtype)
        arguments = inputs if theirs is not torch.square else inputs[-1:]
        assert outcome(case.ours, *inputs, out=out) == outcome(theirs, *arguments, out=torchs)
        if outcome(theirs, *arguments, out=torchs)[0] is dtype:
            torch.testing.assert_close(out, expected.double(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("offset", [0, 1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_poisoned_outputs_and_guarded_inputs(dtype: torch.dtype, offset: int) -> None:
    """Every element is written, no byte beside it is, and inputs stay as they were."""
    layouts: list[tuple[tuple[int, ...], tuple[int, ...] | None]] = [
        ((1037,), None),
        ((37, 41), None),
        ((37, 41), (1, 39)),
        ((17, 19), (60, 3)),
        ((3, 5, 7), (70, 7, 1)),
        ((), None),
    ]
    for case in FIRST:
        for shape, strides in layouts:
            raw = case.smooth_inputs(shape, dtype)
            inputs = [poison.guarded_copy(t, offset) for t in raw]
            out = poison.guarded(shape, dtype, strides=strides, offset=offset)
            case.ours(*[g.view for g in inputs], out=out.view)
            assert torch.equal(out.view, case.ours(*raw)), (case.id, shape, strides)
            out.check()
            for g in inputs:
                g.untouched()


IN_PLACE = [c for c in FIRST if c.writes_self]


@pytest.mark.parametrize("case", IN_PLACE, ids=ids(IN_PLACE))
def test_in_place(case: Case) -> None:
    inputs = case.smooth_inputs((6, 5), torch.float32)
    expected = case.ours(*inputs)
    for layout in ("dense", "transposed", "offset"):
        x = torch.empty_like(inputs[0])
        if layout == "transposed":
            x = torch.empty(5, 6).t()
        elif layout == "offset":
            x = torch.empty(31)[1:].view(6, 5)
        x.copy_(inputs[0])
        assert case.in_place(x, *inputs[1:]) is x
        assert torch.equal(x, expected)
    if case.inputs > 1:  # nothing is resized in place
        ours = outcome(case.in_place, torch.ones(1), *[torch.ones(3)] * (case.inputs - 1))
        assert ours[0] is RuntimeError and "output with shape [1] doesn't match the broadcast shape [3]" in ours[1]


def test_inplace_argument_of_the_functional_forms() -> None:
    for name in ("relu", "relu6", "leaky_relu", "elu", "silu", "mish", "hardswish", "hardsigmoid", "hardtanh"):
        x = torch.randn(9)
        expected = getattr(torch.nn.functional, name)(x)
        assert getattr(gpukern, name)(x, inplace=True) is x
        torch.testing.assert_close(x, expected)


def test_overlap_is_refused_in_torchs_words() -> None:
    """An output that overlaps itself, or an input in part; the same tensor as input and output is fine."""
    buffer = torch.arange(12.0)
    calls = [
        lambda f: f(torch.ones(3), out=torch.zeros(1).expand(3)),
        lambda f: f(buffer[:10], out=buffer[1:11]),
        lambda f: f(buffer[0:6], out=buffer[3:9]),
    ]
    for call in calls:
        ours, theirs = outcome(call, gpukern.exp), outcome(call, torch.exp)
        assert theirs[0] is RuntimeError and ours == theirs
    ours = outcome(gpukern.add_, torch.zeros(1).expand(3), torch.ones(3))
    assert ours == outcome(lambda a, b: a.add_(b), torch.zeros(1).expand(3), torch.ones(3))
    x = torch.randn(50)
    expected = gpukern.exp(x)
    gpukern.exp(x, out=x)
    assert torch.equal(x, expected)


def test_more_than_eight_dims_and_25_dims() -> None:
    for rank in (9, 12, 25):
        shape = [2 if d % 3 == 0 else 1 for d in range(rank)]
        x = torch.randn(shape).permute(*reversed(range(rank)))
        y = torch.randn([1 if d % 2 else n for d, n in enumerate(x.shape)])
        torch.testing.assert_close(gpukern.add(x, y), x + y)
        torch.testing.assert_close(gpukern.silu(x), torch.nn.functional.silu(x))


def test_more_than_2_31_elements_of_a_stride_0_input() -> None:
    """Indices past 2^31, with one byte an element of output."""
    n = 2**31 + 5
    x = torch.tensor([3], dtype=torch.int8).expand(n)
    out = gpukern.neg(x)
    assert (
        out.shape == (n,) and int(out[0]) == -3 and int(out[-1]) == -3 and int(out[2**31 - 1 : 2**31 + 2].sum()) == -9
    )


@pytest.mark.parametrize("case", FIRST, ids=ids(FIRST))
def test_bitwise_the_same_every_time(case: Case) -> None:
    inputs = [t.repeat(40, 40) for t in case.smooth_inputs((9, 9), torch.float32)]
    first = case.ours(*inputs)
    for _ in range(5):
        assert torch.equal(case.ours(*inputs), first)
