"""Fakes agree with kernels: dtype, shape, strides, or the type of the exception.

Every op and product is called twice, on CPU tensors and without data (meta tensors, and FakeTensorMode's), over types,
numbers, ranks, empty sides, layouts and the three forms. Real calls run in a process of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import Phase, given, settings
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

import gpukern
from tests.oracle import outcomes, strategies, ulps

CATALOGUE = gpukern._C.elementwise_catalogue()
TYPES = (*ulps.FLOATS, *ulps.INTEGERS, torch.bool)
NUMBERS = (0, 1, -3, 300, 2**31, 2**63, -(2**63) - 1, 0.5, 1e6, 1e39, math.inf, -math.inf, math.nan, True, False, 2j)
WORD = {"div": "rounding_mode", "gelu": "approximate", "geglu": "approximate"}
AS_NUMBER = ("add", "sub", "mul", "div", "pow", "clamp_min", "clamp_max", "where", "lerp")  # what torch takes one in

types = st.sampled_from(TYPES)
numbers = st.sampled_from(NUMBERS)
Call = tuple[str, list[Any], dict[str, Any]]


@st.composite
def shapes(draw: st.DrawFn, count: int) -> list[tuple[int, ...]]:
    """Shapes that broadcast, mostly; sides of 0 and 1, ranks of 0 among them."""
    full = draw(st.lists(st.sampled_from((2, 3, 1, 0)), max_size=3).map(tuple))
    found = []
    for _ in range(count):
        cut = full[draw(st.sampled_from((0, 0, 0, 1, 3))) :]
        found.append(tuple(1 if draw(st.integers(0, 7)) == 0 else n for n in cut))
    if draw(st.integers(0, 19)) == 0:
        found[-1] = (4,)
    return found


def ones(shape: tuple[int, ...], dtype: torch.dtype, layout: str) -> Tensor:
    return torch.ones_like(strategies.laid_out(shape, dtype, layout)) if layout == "dense" else strategies.laid_out(
        shape, torch.float32, layout
    ).fill_(1).to(dtype)  # fmt: skip


@st.composite
def elementwise_calls(draw: st.DrawFn, entry: dict[str, Any]) -> Call:
    """A call of one op: the function's name, its tensors and numbers by position, keywords."""
    name, count = entry["name"], entry["inputs"]
    same = draw(st.integers(0, 2)) > 0
    common = draw(types)
    kinds = [common if same else draw(types) for _ in range(count)]
    if name == "where":
        kinds[0] = draw(st.sampled_from((torch.bool, torch.bool, torch.bool, torch.uint8)))
    layouts = [draw(st.sampled_from(strategies.LAYOUTS)) for _ in range(count)]
    args: list[Any] = [ones(*given) for given in zip(draw(shapes(count)), kinds, layouts)]
    kwargs: dict[str, Any] = {}
    if entry["choice"]:
        kwargs[WORD.get(name, "activation")] = entry["choice"]
    schema = getattr(torch.ops.gpukern, name).default._schema
    for parameter in schema.arguments:
        if "number" in str(parameter.type) and draw(st.integers(0, 3)) > 0:
            optional = "Optional" in str(parameter.type)
            kwargs[parameter.name] = draw(st.one_of(st.none(), numbers) if optional else numbers)
    if name in AS_NUMBER and count > 1 and draw(st.integers(0, 2)) == 0:
        args[-1] = draw(numbers)
    return ("clamp" if name == "clamp_tensor" else name), args, kwargs


@st.composite
def forms(draw: st.DrawFn, call: Call) -> Call:
    """The same call as it is, in place, or into an `out` of some type and size."""
    name, args, kwargs = call
    form = draw(st.sampled_from(("functional", "functional", "out", "in place")))
    if form == "in place" and isinstance(args[0], Tensor) and hasattr(gpukern, name + "_"):
        return name + "_", args, kwargs
    tensors = [a for a in args if isinstance(a, Tensor)]
    if form == "out" and len(tensors) == len(args):
        try:
            shape = torch.broadcast_shapes(*(t.shape for t in tensors))
        except RuntimeError:
            shape = torch.Size((2,))
        dtype = draw(st.one_of(st.just(tensors[-1].dtype), types, st.just(torch.complex64)))
        size = draw(st.sampled_from((tuple(shape), tuple(shape), (0,))))
        kwargs = {**kwargs, "out": torch.zeros(size, dtype=dtype)}
    return name, args, kwargs


def invoke(call: Call, carry: Callable[[Tensor], Tensor]) -> Any:
    name, args, kwargs = call
    moved = [carry(a) if isinstance(a, Tensor) else a for a in args]
    return getattr(gpukern, name)(*moved, **{k: carry(v) if isinstance(v, Tensor) else v for k, v in kwargs.items()})


def without_data(t: Tensor) -> Tensor:
    return torch.empty_strided(t.shape, t.stride(), dtype=t.dtype, device="meta")


def is_torchs_product(call: Call) -> bool:
    """A product that torch's kernels make, of types or numbers that gpukern's have none for."""
    name, args, kwargs = call
    if name.rstrip("_") not in ("addr", "addbmm", "matmul"):
        return False
    types = {t.dtype for t in (*args, kwargs.get("out", args[0]))}
    factors = [kwargs.get("alpha", 1), kwargs.get("beta", 1)]
    return len(types) > 1 or torch.bool in types or any(type(n) is not int or abs(n) > 127 for n in factors)


def is_torchs_copy(call: Call) -> bool:
    """torch clamps integers between numbers by a copy, with the strides that it finds."""
    return call[0].rstrip("_") in ("relu6", "hardtanh") and not call[1][0].is_floating_point()


def refused_twice(call: Call, *found: outcomes.Outcome) -> bool:
    """In place, by shape and by type: either refusal may come first; in torch's matmul the strides decide which."""
    return (call[0].endswith("_") or is_torchs_product(call)) and all(len(one) == 1 for one in found)


def faked(call: Call) -> Any:
    with FakeTensorMode() as mode:
        return invoke(call, mode.from_tensor)


def described(function: Callable[[], Any]) -> outcomes.Outcome:
    """dtype, shape and strides, or the type of the exception."""
    found = outcomes.of(function, values=False)
    return found if len(found) == 3 else found[:1]


def meant(found: outcomes.Outcome) -> outcomes.Outcome:
    """Without strides that mean nothing, as torch compares its fakes: of an empty tensor, and along one element."""
    if len(found) < 3:
        return found
    dtype, shape, strides = found
    return dtype, shape, () if 0 in shape else tuple(s for s, n in zip(strides, shape) if n > 1)


def is_torchs_own(call: Call) -> bool:
    """A number that a type does not hold, in a tensor's place: an op of torch's, whose fake does not refuse it, and
    which does where it runs. Meta tensors have no number beyond int64 there at all."""
    name, args, kwargs = call
    if name.startswith(("addr", "addbmm", "matmul")):
        # torch's kernels look at no type where there is nothing to multiply, and take strides of their own for several
        types = {t.dtype for t in (*args, kwargs.get("out", args[0]))}
        own = len(types) > 1 and (name != "matmul" or any(t.numel() == 0 for t in args))
        return own or (name == "addbmm_" and args[0].dim() != 2)  # which takes the product's shape
    if name.startswith("lerp") and not isinstance(args[2], Tensor) and not args[0].is_floating_point():
        return True
    given = [a for a in args if not isinstance(a, Tensor)]
    odd = [n for n in given if isinstance(n, (bool, complex)) or n in (2**63, -(2**63) - 1) or not abs(n) < 128]
    return bool(odd) and (name.rstrip("_") in ("pow", "where", "lerp", "clamp_min", "clamp_max") or 2**63 in odd)


def check(calls: Sequence[Call], every: int = 4) -> None:
    """Each without data, and one of `every` under FakeTensorMode."""
    wrong = []
    calls = [c for c in calls if not is_torchs_own(c)]
    real = outcomes.forked([partial(invoke, c, lambda t: t) for c in calls], described)
    for k, (call, kernel) in enumerate(zip(calls, real)):
        fakes = {"meta": partial(invoke, call, without_data)}
        if k % every == 0:
            fakes["fake"] = partial(faked, call)
        for kind, function in fakes.items():
            text = [f"{a.dtype}{tuple(a.shape)}{a.stride()}" if isinstance(a, Tensor) else a for a in call[1]]
            found, wanted = described(function), kernel
            if is_torchs_product(call) or is_torchs_copy(call):
                found, wanted = meant(found), meant(wanted)
            if found != wanted and not refused_twice(call, found, kernel):
                wrong.append(f"{call[0]}({text}, {call[2]}): {kind} {found}, kernel {kernel}")
    assert not wrong, "\n".join([f"{len(wrong)} of {len(calls)}", *wrong[:12]])


# Of many calls each, since a process is started for them; what fails is one call, which needs no shrinking.
BATCHES = settings(max_examples=2, phases=[Phase.generate])
OPS = [e for e in CATALOGUE if not e["name"].endswith("_act") or e["choice"] in ("none", "relu")]


@pytest.mark.parametrize("entry", OPS, ids=[f"{e['name']}-{e['choice']}".strip("-") for e in OPS])
@BATCHES
@given(data=st.data())
def test_elementwise(entry: dict[str, Any], data: st.DataObject) -> None:
    check([data.draw(forms(data.draw(elementwise_calls(entry)))) for _ in range(40)])


# --- products -------------------------------------------------------------------------------------------------------


def shape_of(text: str, sides: dict[str, int]) -> tuple[int, ...]:
    return tuple(sides[letter] for letter in text)


PRODUCTS = {
    "mm": ("nk", "km"), "bmm": ("bnk", "bkm"), "mv": ("nk", "k"), "addmm": ("nm", "nk", "km"), "dot": ("k", "k"),
    "baddbmm": ("bnm", "bnk", "bkm"), "addmv": ("n", "nk", "k"), "addbmm": ("nm", "bnk", "bkm"), "outer": ("n", "m"),
    "addr": ("nm", "n", "m"), "matmul": ("bnk", "km"), "linear": ("nk", "mk", "m"), "inner": ("nk", "mk"),
}  # fmt: skip


@st.composite
def product_calls(draw: st.DrawFn, name: str) -> Call:
    sides = {letter: draw(st.sampled_from((2, 3, 1, 0))) for letter in "bnkm"}
    common = draw(types)
    args: list[Any] = []
    for k, text in enumerate(PRODUCTS[name]):
        shape = shape_of(text, sides)
        if draw(st.integers(0, 29)) == 0:
            shape = (*shape[:-1], 4)
        dtype = common if draw(st.integers(0, 9)) else draw(types)
        layout = draw(st.sampled_from(("dense", "dense", "transposed", "sliced")))
        if name.startswith(("add", "badd")) and k == 0 and draw(st.booleans()):
            shape = shape[-1:]
        args.append(ones(shape, dtype, layout))
    kwargs: dict[str, Any] = {}
    if name in ("addmm", "baddbmm", "addmv", "addbmm", "addr"):
        kwargs = {place: draw(numbers) for place in ("alpha", "beta") if draw(st.booleans())}
    return name, args, kwargs


@st.composite
def product_forms(draw: st.DrawFn, call: Call) -> Call:
    name, args, kwargs = call
    form = draw(st.sampled_from(("functional", "functional", "out", "in place")))
    if form == "in place" and hasattr(gpukern, name + "_"):
        return name + "_", args, kwargs
    if form == "out":
        dtype = draw(st.one_of(st.just(args[-1].dtype), st.just(args[-1].dtype), types))
        kwargs = {**kwargs, "out": torch.zeros(0, dtype=dtype)}
    return name, args, kwargs


@pytest.mark.parametrize("name", PRODUCTS)
@BATCHES
@given(data=st.data())
def test_products(name: str, data: st.DataObject) -> None:
    check([data.draw(product_forms(data.draw(product_calls(name)))) for _ in range(40)])


LISTS: dict[str, Callable[..., Tensor]] = {
    "multi_dot": lambda a, b, c, **out: gpukern.multi_dot([a, b, c], **out),
    "chain_matmul": lambda a, b, c, **out: gpukern.chain_matmul(a, b, c, **out),
    "tensordot": lambda a, b, c, **out: gpukern.tensordot(a, b, 1, **out),
    "einsum": lambda a, b, c: gpukern.einsum("ij,jk,kl->il", a, b, c),
    "bilinear": lambda a, b, c: gpukern.bilinear(a, b, c[:, None].expand(3, 3, 3)),
}


@pytest.mark.parametrize("form", ["functional", "out"])
@pytest.mark.parametrize("name", LISTS)
def test_products_of_lists(name: str, form: str) -> None:
    """Every pair of types, of the factors and of what is written."""
    if form == "out" and name in ("einsum", "bilinear"):
        return
    for dtype in TYPES:
        for other in TYPES:
            tensors = [torch.ones(3, 3, dtype=dtype if form == "out" or k else other) for k in range(3)]
            more = {"out": torch.zeros(3, 3, dtype=other)} if form == "out" else {}

            def run(device: str, tensors: list[Tensor] = tensors, more: dict[str, Tensor] = more) -> Tensor:
                moved = {key: t.to(device) for key, t in more.items()}
                return LISTS[name](*[t.to(device) for t in tensors], **moved)

            found, kernel = (described(partial(run, d)) for d in ("meta", "cpu"))
            assert found == kernel, f"{dtype}, {other}: {found}, kernel {kernel}"


TAILS: dict[str, dict[str, Any]] = {
    "activation": {"activation": "relu"}, "no activation": {"activation": "foo"}, "no precision": {"precision": "x"},
    "residual": {"residual": torch.ones(4)}, "a residual that does not broadcast": {"residual": torch.ones(7)},
    "a residual of another type": {"residual": torch.ones(4).double()},
}  # fmt: skip


@pytest.mark.parametrize("tail", TAILS)
def test_what_follows_a_product_is_checked(tail: str) -> None:
    calls: list[Call] = []
    for name in ("mm", "addmm", "bmm", "baddbmm", "linear", "matmul"):
        shapes = [shape_of(text, {"b": 2, "n": 3, "k": 5, "m": 4}) for text in PRODUCTS[name]]
        tensors: list[Any] = [torch.ones(shape) for shape in shapes]
        calls.append((name, tensors[:2] if name == "linear" else tensors, TAILS[tail]))
    check(calls)


def test_odd_calls() -> None:
    """Each was accepted, or refused with another message."""
    condition, x = torch.ones(2, 3) > 0, torch.ones(2, 3)
    calls: list[Call] = [("where", [condition, x.to(torch.complex64), 2], {})]
    calls += [("where", [condition, 2, x.to(torch.complex64)], {})]
    calls += [("div", [x, other], {"rounding_mode": "foo"}) for other in (x, 2)]
    calls += [("div_", [condition, 0], {"rounding_mode": "floor"})]
    check(calls)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["functional", "out", "in place"])
@pytest.mark.parametrize("mode", ["trunc", "floor"])
def test_a_divisor_that_its_type_makes_zero(mode: str, form: str) -> None:
    """The number becomes a tensor without a value under FakeTensorMode, where the kernel finds a 0."""
    calls: list[Call] = []
    for dtype in (*ulps.INTEGERS, torch.bool):
        for number in (0, 256, 2**32, False, 3):
            for shape in ((2, 3), (), (0, 3)):
                kwargs: dict[str, Any] = {"rounding_mode": mode}
                if form == "out":
                    kwargs["out"] = torch.zeros(shape, dtype=torch.int64)
                calls.append(("div" + "_" * (form == "in place"), [torch.ones(shape, dtype=dtype), number], kwargs))
    check(calls, every=1)


@pytest.mark.parametrize("call", [
    ("linear", [torch.ones(2, 3, 3).transpose(0, 1), torch.ones(3), torch.ones(1)], {}),
    ("tensordot", [torch.ones(4).bool()[::2], torch.ones(2, 1).bool()], {"dims": ([-1], [0])}),
    ("tensordot", [torch.ones(3, 4).bool()[:, ::2], torch.ones(3, 2, 1).bool()], {"dims": ([0, 1], [0, 1])}),
], ids=["linear", "vectors", "matrices"])  # fmt: skip
def test_what_torch_serves_by_its_strides_is_not_refused(call: Call) -> None:
    """Of contiguous tensors torch's kernels refuse each of these."""
    with pytest.raises(RuntimeError):
        invoke(call, lambda t: t.contiguous())
    check([call])
