"""One function, called in every way: by position, by keyword, in place and into `out`.

Plain arguments take a fast path, all others torch's own parser, which a torch-function mode makes serve every call: the
two give one result or one refusal.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode

import gpukern
from tests.oracle import outcomes

SCHEMAS = {
    name: getattr(torch.ops.gpukern, name).default._schema
    for name in sorted(gpukern._C.functions())
    if name not in ("scaled_mm", "scaled_product")  # whose operands are of their own kind
}
Arguments = dict[str, Any]


class Parsed(TorchFunctionMode):
    """Sends every call through torch's parser, unchanged."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return function(*args, **(kwargs or {}))


def parsed(function: Callable[[], Any]) -> Any:
    with Parsed():
        return function()


M, V, T = (3, 3), (3,), (2, 3, 3)
# Of the tensors in their order; all others are matrices, and a bias a vector.
SHAPES = {
    "mv": (M, V), "addmv": (V, M, V), "dot": (V, V), "vdot": (V, V), "outer": (V, V), "ger": (V, V), "addr": (M, V, V),
    "bmm": (T, T, T), "baddbmm": (T, T, T, T), "addbmm": (M, T, T), "bilinear": (M, M, (3, 3, 3), V),
}  # fmt: skip
WHOLE = {e["name"] for e in gpukern._C.elementwise_catalogue() if e["types"] == "whole"}
TEXTS = {"rounding_mode": "floor", "precision": None, "approximate": "tanh"}


def arguments(name: str) -> Arguments | None:
    """Some for every parameter; None for functions of lists, which have no fast path."""
    found: Arguments = {}
    generator = torch.Generator().manual_seed(0)
    shapes = iter(SHAPES.get(name.rstrip("_"), ()))
    for parameter in SCHEMAS[name].arguments:
        kind, key = str(parameter.type), parameter.name
        if "List" in kind:
            return None
        if "Tensor" in kind:
            t = torch.rand(next(shapes, V if key == "bias" else M), generator=generator) + 0.1
            t = (10 * t).to(torch.int32) if name.rstrip("_") in WHOLE else t
            found[key] = t > 0.6 if key == "condition" else t
        elif "number" in kind:
            found[key] = 2.0 if parameter.default_value is None else parameter.default_value
        elif "str" in kind:
            found[key] = TEXTS.get(key, "relu")
        else:
            found[key] = parameter.default_value
    return found


def copied(given: Arguments) -> Arguments:
    return {key: value.clone() if isinstance(value, Tensor) else value for key, value in given.items()}


def ways(name: str, given: Arguments) -> dict[str, Callable[..., Any]]:
    """The same call in several ways: each with copies of its own, since it may write into the first."""
    function = getattr(gpukern, name)
    places = [a.name for a in SCHEMAS[name].arguments if not a.kwarg_only]
    found: dict[str, Callable[..., Any]] = {}
    for count in range(len(places) + 1):

        def split(count: int = count, **more: Any) -> Any:
            mine = copied(given)
            by_place = [mine.pop(place) for place in places[:count]]
            return function(*by_place, **mine, **more)

        found[f"{count} by position"] = split

    def not_interned(**more: Any) -> Any:
        return function(**{"".join(list(key)): value for key, value in (copied(given) | more).items()})

    found["keywords that are not interned"] = not_interned
    return found


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_way_to_call_is_one(name: str) -> None:
    given = arguments(name)
    if given is None:
        assert name in ("multi_dot", "chain_matmul", "einsum", "tensordot")
        return
    calls = ways(name, given)
    expected = outcomes.of(lambda: parsed(calls["0 by position"]))
    assert len(expected) == 4, expected  # a result, no refusal
    for way, call in calls.items():
        for kind, function in (("plain", call), ("parsed", partial(parsed, call))):
            assert outcomes.of(function) == expected, f"{way}, {kind}"
    if "out" in getattr(torch.ops.gpukern, name).overloads():
        dtype = getattr(torch, expected[0].removeprefix("torch.")) if "torch." in str(expected[0]) else None
        for way, call in calls.items():
            out = torch.empty(0, dtype=dtype)
            assert call(out=out) is out, way
            assert outcomes.of(lambda: out) == expected, way  # noqa: B023
            assert outcomes.of(partial(call, out=None)) == expected, way


UNCHECKED: Any = gpukern  # for calls that are the parser's to refuse or to convert, not a type checker's
WRONG: dict[str, Callable[[], Any]] = {
    "an unknown keyword": lambda: UNCHECKED.add(torch.ones(2), torch.ones(2), gamma=1),
    "twice": lambda: UNCHECKED.add(torch.ones(2), torch.ones(2), other=torch.ones(2)),
    "too many": lambda: UNCHECKED.add(torch.ones(2), torch.ones(2), 1, 2),
    "missing": lambda: UNCHECKED.add(torch.ones(2), alpha=2),
    "keyword-only by position": lambda: UNCHECKED.mm(torch.ones(2, 2), torch.ones(2, 2), "relu"),
    "a text for a number": lambda: UNCHECKED.add(torch.ones(2), torch.ones(2), alpha="1"),
    "a number for a text": lambda: UNCHECKED.linear(torch.ones(2, 2), torch.ones(2, 2), activation=1),
    "a number for a flag": lambda: UNCHECKED.mm(torch.ones(2, 2), torch.ones(2, 2), batch_invariant=1),
    "None for a number": lambda: UNCHECKED.add(torch.ones(2), torch.ones(2), alpha=None),
    "None for a tensor": lambda: UNCHECKED.mm(torch.ones(2, 2), None),
    "no such activation": lambda: UNCHECKED.mm(torch.ones(2, 2), torch.ones(2, 2), activation="gelo"),
    "half a surrogate pair": lambda: UNCHECKED.mm(torch.ones(2, 2), torch.ones(2, 2), activation="\ud800"),
    "out is no tensor": lambda: UNCHECKED.add(torch.ones(2), torch.ones(2), out=1),
    "beyond 64 bits": lambda: UNCHECKED.add(torch.ones(2), torch.ones(2), alpha=2**70),
    "requires grad": lambda: UNCHECKED.relu_(torch.ones(2, requires_grad=True)),
}


@pytest.mark.parametrize("case", WRONG)
def test_refusals_are_those_of_torchs_parser(case: str) -> None:
    """Whatever the fast path does not take, with the parser's message."""
    found = []
    for call in (WRONG[case], lambda: parsed(WRONG[case])):
        with pytest.raises(Exception) as caught:
            call()
        found.append((caught.type, str(caught.value)))
    assert found[0] == found[1]


ODD: dict[str, Callable[[], Tensor]] = {
    "a bool for a number": lambda: UNCHECKED.add(torch.ones(2), torch.ones(2), alpha=True),
    "a number of numpy": lambda: UNCHECKED.add(torch.ones(2), torch.ones(2), alpha=numpy.float32(0.5)),
    "a tensor for a number": lambda: UNCHECKED.add(torch.ones(2), torch.ones(2), alpha=torch.tensor(3)),
    "a complex number": lambda: UNCHECKED.add(torch.ones(2, dtype=torch.complex64), torch.ones(2), alpha=2j),
    "a text of a subclass": lambda: UNCHECKED.gelu(torch.ones(2), approximate=type("S", (str,), {})("tanh")),
    "a parameter": lambda: UNCHECKED.mm(torch.nn.Parameter(torch.ones(2, 2)), torch.ones(2, 2), activation="relu"),
    "inplace by keyword": lambda: UNCHECKED.relu(torch.tensor([-1.0, 2.0]), inplace=True),
    "inplace by position": lambda: UNCHECKED.relu(torch.tensor([-1.0, 2.0]), True),
    "two bounds by keyword": lambda: UNCHECKED.clamp(torch.arange(4.0), max=2, min=1),
    "a bound that is None": lambda: UNCHECKED.clamp(torch.arange(4.0), min=None, max=2),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_arguments_are_what_torchs_parser_makes_of_them(case: str) -> None:
    assert outcomes.of(ODD[case]) == outcomes.of(lambda: parsed(ODD[case]))


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div"])
def test_a_number_for_out_is_a_tensor_of_the_result(name: str) -> None:
    """It was returned as it came."""
    x, y = torch.rand(2, 2), torch.rand(2, 2)
    for number in (2.5, numpy.float64(2.5)):
        ours, theirs = getattr(gpukern, name)(x, y, out=number), getattr(torch, name)(x, y, out=number)
        assert ours.dtype == theirs.dtype and torch.equal(ours, theirs)


def test_where_of_two_numbers_under_a_mode() -> None:
    """It ended the process."""
    with FakeTensorMode() as mode:
        condition = mode.from_tensor(torch.ones(2, 3) > 0)
        for a, b in ((1, 2.5), (True, 2), (1, 2j)):
            assert gpukern.where(condition, a, b).dtype == torch.where(condition, a, b).dtype


@pytest.mark.parametrize("dtype", [torch.uint16, torch.uint64, torch.float8_e4m3fn, torch.complex32], ids=str)
def test_powers_with_a_number_of_types_without_a_kernel_are_torchs(dtype: torch.dtype) -> None:
    x = torch.ones(2).to(dtype)
    for number in (0, 1, True, False, 0.0, 1.0, 2):
        assert outcomes.of(lambda: gpukern.pow(x, number)) == outcomes.of(lambda: torch.pow(x, number))  # noqa: B023
        assert outcomes.of(lambda: gpukern.pow(number, x)) == outcomes.of(lambda: torch.pow(number, x))  # noqa: B023


def test_the_argument_of_an_in_place_call_is_its_result() -> None:
    x = torch.tensor([-1.0, 2.0])
    count = x._version
    assert gpukern.relu_(x) is x and x._version == count + 1
    assert gpukern.add_(input=x, other=x, alpha=2) is x and x.tolist() == [0.0, 6.0]
