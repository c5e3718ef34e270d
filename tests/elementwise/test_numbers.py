"""Integers and numbers: an absent bound, what a type does not hold, the edges of division and power, narrowing.

Every call is compared with torch's: result, or exception and the first line of its message. The calls run in other
processes, because a fault may be a signal (torch's integer division crashes on -2^31 / -1, which is not compared).
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

import gpukern
from tests.oracle import outcomes, ulps

TYPES = (*ulps.FLOATS, *ulps.INTEGERS, torch.bool)
INF, NAN = math.inf, math.nan
NUMBERS = (
    *(1, 0, 2, -1, -3, 300, 70000, 2**31, 2**63 - 1, -(2**63), 2**63, -(2**63) - 1, 2**64),
    *(0.5, -1.5, 1e6, 1e39, -1e300, 1e-300, INF, -INF, NAN, True, False, 2j, 1 + 0j),
)
F = torch.nn.functional
Call = Callable[[Any, torch.dtype, Any], Any]


def values(dtype: torch.dtype, shape: tuple[int, ...] = (9,)) -> Tensor:
    numbers = torch.tensor([3, 1, 2, 0, 1, 2, 5, 1], dtype=torch.float64)
    return numbers.repeat(8)[: math.prod(shape)].reshape(shape).to(dtype)


class Torch:
    """torch's names in one place: its functions, torch.nn.functional's, and the in-place forms of its tensors."""

    def __getattr__(self, name: str) -> Any:
        if hasattr(torch, name) and not name.endswith("_"):
            return getattr(torch, name)
        return getattr(F, name) if hasattr(F, name) else getattr(Tensor, name)


def keyword(name: str, place: str, *shapes: tuple[int, ...]) -> Call:
    """A function of tensors with a number as that keyword."""
    given = shapes or ((9,),)
    return lambda m, dtype, n: getattr(m, name)(*(values(dtype, s) for s in given), **{place: n})


def beside(name: str, **rest: Any) -> Call:
    """A function with a number in the second tensor's place."""
    return lambda m, dtype, n: getattr(m, name)(values(dtype), n, **rest)


def between(name: str, place: str, rest: str, other: Any, m: Any, dtype: torch.dtype, n: Any) -> Any:
    return getattr(m, name)(values(dtype), **{place: n, rest: other})


def number_calls() -> Iterator[tuple[str, Call]]:
    two, three = ((9,),) * 2, ((9,),) * 3
    for name in ("add", "sub", "add_", "sub_"):
        yield f"{name}(alpha)", keyword(name, "alpha", *two)
    for name in ("add", "sub", "mul", "div", "pow", "clamp_min", "clamp_max"):
        yield f"{name}(number)", beside(name)
        yield f"{name}_(number)", beside(name + "_")
    for mode in ("trunc", "floor"):
        yield f"div(number, {mode})", beside("div", rounding_mode=mode)
    yield "pow(number, tensor)", lambda m, dtype, n: m.pow(n, values(dtype))
    for name, place in itertools.product(("clamp", "clamp_"), ("min", "max")):
        yield f"{name}({place})", keyword(name, place)
        for other in (0, 0.5, INF):
            rest = {"min": "max", "max": "min"}[place]
            yield f"{name}({place}, {rest}={other})", partial(between, name, place, rest, other)
    yield "lerp(number)", lambda m, dtype, n: m.lerp(values(dtype), values(dtype) + 1, n)
    yield "lerp_(number)", lambda m, dtype, n: m.lerp_(values(dtype), values(dtype) + 1, n)
    yield "addcmul", keyword("addcmul", "value", *three)
    yield "addcmul_", keyword("addcmul_", "value", *three)
    yield "addcdiv", lambda m, dtype, n: m.addcdiv(values(dtype), values(dtype), values(dtype) + 1, value=n)
    choice = torch.ones(9, dtype=torch.bool)
    yield "where(other)", lambda m, dtype, n: m.where(choice, values(dtype), n)
    yield "where(input)", lambda m, dtype, n: m.where(choice, n, values(dtype))
    yield "leaky_relu", keyword("leaky_relu", "negative_slope")
    yield "elu", keyword("elu", "alpha")
    yield "softplus(beta)", keyword("softplus", "beta")
    yield "softplus(threshold)", keyword("softplus", "threshold")
    yield "hardtanh(min_val)", lambda m, dtype, n: m.hardtanh(values(dtype), n, 7.0)
    yield "hardtanh(max_val)", lambda m, dtype, n: m.hardtanh(values(dtype), -7, n)


PRODUCTS = {
    "addmm": ((2, 3), (2, 2), (2, 3)),
    "baddbmm": ((2, 2, 3), (2, 2, 2), (2, 2, 3)),
    "addmv": ((2,), (2, 3), (3,)),
    "addbmm": ((2, 3), (2, 2, 2), (2, 2, 3)),
    "addr": ((2, 3), (2,), (3,)),
}


def product_calls() -> Iterator[tuple[str, Call]]:
    for (name, shapes), place in itertools.product(PRODUCTS.items(), ("alpha", "beta")):
        yield f"{name}({place})", keyword(name, place, *shapes)
        yield f"{name}_({place})", keyword(name + "_", place, *shapes)


CALLS = dict([*number_calls(), *product_calls()])


def agree(ours: outcomes.Outcome, theirs: outcomes.Outcome) -> bool:
    """The same; the elements of floating types within rounding."""
    if len(ours) < 4 or len(theirs) < 4 or ours[:3] != theirs[:3]:
        return ours == theirs
    unit = {"torch.float16": 2e-3, "torch.bfloat16": 2e-2, "torch.float32": 1e-6, "torch.float64": 1e-13}
    tolerance = unit.get(ours[0], 0)
    pairs = [(float(a), float(b)) for a, b in zip(ours[3], theirs[3])] if tolerance else []
    near = all(a == b or (a != a and b != b) or abs(a - b) <= tolerance * max(1, abs(b)) for a, b in pairs)
    return near if tolerance else ours == theirs


def differs_on_purpose(name: str, number: Any) -> bool:
    """docs/numerics.md: torch negates alpha first, which int64 does not hold; the parser comes before the bounds."""
    if name.startswith("sub") and "alpha" in name and number == -(2**63):
        return True
    return name.startswith("hardtanh") and number in (-(2**63) - 1, 2**64)


@pytest.mark.parametrize("name", CALLS)
def test_every_number_of_every_op_is_torchs(name: str) -> None:
    """26 numbers, 10 types: what the type does not hold is converted or refused as torch has it."""
    cases = [(d, n) for d, n in itertools.product(TYPES, NUMBERS) if not differs_on_purpose(name, n)]
    if name.startswith("elu"):  # alpha * 0 of an alpha that is not finite: tests of special values have it
        cases = [(d, n) for d, n in cases if isinstance(n, complex) or math.isfinite(n)]
    ours = outcomes.forked([partial(CALLS[name], gpukern, *c) for c in cases])
    theirs = outcomes.forked([partial(CALLS[name], Torch(), *c) for c in cases])
    wrong = [f"{c}: {a}, torch {b}" for c, a, b in zip(cases, ours, theirs) if not agree(a, b)]
    assert not wrong, "\n".join([f"{name}: {len(wrong)} of {len(cases)}", *wrong[:12]])


OPS = torch.ops.gpukern
ANYWHERE = (1, -3, 300, 70000, 2**31, 2**63 - 1, 0.5, 1e6, 1e39, INF, NAN, True)
CHOICE = torch.ones(3, dtype=torch.bool)


def by_name(name: str, m: Any, x: Tensor, n: Any) -> Any:
    return getattr(m, name)(x, n)


IN_PLACE_OF_A_TENSOR: dict[str, Callable[[Any, Tensor, Any], Any]] = {
    **{name: partial(by_name, name) for name in ("add", "sub", "mul", "div", "pow")},
    "div(trunc)": lambda m, x, n: m.div(x, n, rounding_mode="trunc"),
    "div(floor)": lambda m, x, n: m.div(x, n, rounding_mode="floor"),
    "clamp_min": lambda m, x, n: m.clamp_min(x, n),
    "clamp_max": lambda m, x, n: m.clamp_max(x, n),
    "where": lambda m, x, n: m.where(CHOICE if x.dim() else CHOICE[0], x, n),
    "pow(number, tensor)": lambda m, x, n: m.pow(n, x),
    "lerp": lambda m, x, n: m.lerp(x, x + 1, n),
}  # fmt: skip


@pytest.mark.parametrize("way", ["overload", "vmap"])
@pytest.mark.parametrize("name", IN_PLACE_OF_A_TENSOR)
def test_a_number_in_a_tensors_place_by_overload_and_under_vmap(name: str, way: str) -> None:
    """The dispatcher's .Scalar overloads, which tracing sees, of tensors and 0-dim ones; and a batch of rows."""
    call = IN_PLACE_OF_A_TENSOR[name]

    def of_rows(x: Tensor, n: Any) -> Any:
        return torch.vmap(lambda row: call(gpukern, row, n))(x)

    given = {d: (values(d, (3,)), values(d, (1,))[0]) for d in TYPES}
    cases = [(d, n, k) for d, n, k in itertools.product(TYPES, ANYWHERE, range(2 if way == "overload" else 1))]
    # a 0-dim tensor of 16 bits beside a number that is one, too: the quotient's divisor is rounded to 16 bits
    cases = [c for c in cases if not (name == "div" and c[0] == torch.float16 and c[2] and abs(c[1]) > 65504)]
    ours = outcomes.forked([
        partial(call, OPS, given[c[0]][c[2]], c[1]) if way == "overload" else
        partial(of_rows, given[c[0]][0].expand(2, 3), c[1])
        for c in cases
    ])  # fmt: skip
    theirs = outcomes.forked([
        partial(call, torch, given[c[0]][c[2]] if way == "overload" else given[c[0]][0].expand(2, 3), c[1])
        for c in cases
    ])  # fmt: skip
    wrong = [f"{c}: {a}, torch {b}" for c, a, b in zip(cases, ours, theirs) if not agree_but_strides(a, b)]
    assert not wrong, "\n".join([f"{name}: {len(wrong)} of {len(cases)}", *wrong[:8]])


def agree_but_strides(ours: outcomes.Outcome, theirs: outcomes.Outcome) -> bool:
    """A batch of one row laid out again has strides of its own."""
    if len(ours) < 4 or len(theirs) < 4:
        return ours == theirs
    return agree((*ours[:2], None, ours[3]), (*theirs[:2], None, theirs[3]))


@pytest.mark.parametrize("name", PRODUCTS)
def test_numbers_of_products_under_enable(name: str) -> None:
    """torch's own names, served by these kernels: what torch refuses stays refused."""

    def call(place: str, dtype: torch.dtype, n: Any, served: bool) -> Any:
        with gpukern.enable() if served else contextlib.nullcontext():
            return keyword(name, place, *PRODUCTS[name])(torch, dtype, n)

    numbers = (*ANYWHERE, 2**63, 2j)
    cases = list(itertools.product(("alpha", "beta"), (torch.float16, torch.float32, torch.int8), numbers))
    ours = outcomes.forked([partial(call, *c, True) for c in cases])
    theirs = outcomes.forked([partial(call, *c, False) for c in cases])
    wrong = [f"{c}: {a}, torch {b}" for c, a, b in zip(cases, ours, theirs) if not agree(a, b)]
    assert not wrong, "\n".join([f"{name}: {len(wrong)} of {len(cases)}", *wrong[:8]])


# --- an absent bound ------------------------------------------------------------------------------------------------


BOUNDS = (None, 0, 1, -1, 0.5, INF, -INF, NAN)


def clamped(x: Tensor, low: Any, high: Any, form: str) -> Any:
    """One form of clamp: ours, as torch has it."""
    if form == "out":
        return gpukern.clamp(x, low, high, out=torch.empty(0, dtype=torch.float64))
    if form == "in place":
        return gpukern.clamp_(x.clone(), low, high)
    if form == "op":
        return torch.ops.gpukern.clamp(x, low, high)
    if form == "vmap":
        return torch.vmap(lambda v: gpukern.clamp(v, low, high))(x)
    return gpukern.clamp(x, low, high)


def clamped_by_torch(x: Tensor, low: Any, high: Any, form: str) -> Any:
    if form == "out":
        return torch.clamp(x, low, high, out=torch.empty(0, dtype=torch.float64))
    return x.clone().clamp_(low, high) if form == "in place" else torch.clamp(x, low, high)


@pytest.mark.parametrize("form", ["functional", "op", "out", "in place", "vmap"])
def test_an_absent_bound_is_no_number(form: str) -> None:
    """Every pair of bounds, absent and infinite ones among them, on every type: torch's values and dtype."""
    cases = list(itertools.product(TYPES, BOUNDS, BOUNDS))
    given = {d: torch.tensor([-2, -1, 0, 1, 2]).to(d) for d in TYPES}
    ours = outcomes.forked([partial(clamped, given[c[0]], *c[1:], form) for c in cases])
    theirs = outcomes.forked([partial(clamped_by_torch, given[c[0]], *c[1:], form) for c in cases])
    wrong = [f"{c}: {a}, torch {b}" for c, a, b in zip(cases, ours, theirs) if a != b]
    assert not wrong, "\n".join([f"{len(wrong)} of {len(cases)}", *wrong[:12]])


def test_gradients_of_an_absent_bound() -> None:
    """Reverse and forward, bounds absent, infinite and finite, NaN in the input."""
    for dtype, low, high in itertools.product((torch.float32, torch.float64), BOUNDS, BOUNDS):
        if low is None and high is None:
            continue
        x = torch.tensor([-2, -1, -0.5, 0, 0.5, 1, INF, -INF, NAN], dtype=dtype)
        found = []
        for module in (gpukern, torch):
            clamp = functools.partial(module.clamp, min=low, max=high)
            tangent = torch.func.jvp(clamp, (x,), (torch.ones_like(x),))[1]
            leaf = x.clone().requires_grad_()
            (grad,) = torch.autograd.grad(clamp(leaf).sum(), leaf)
            found.append((tangent, grad))
        torch.testing.assert_close(*found, rtol=0, atol=0, equal_nan=True)


def test_compiled_calls_have_the_kernels_dtype() -> None:
    """What the fake promises is what the kernel returns: the next op reads it."""
    bounds = [b for b in itertools.product(BOUNDS, BOUNDS) if b != (None, None)]

    def program(v: Tensor) -> list[Tensor]:
        return [gpukern.clamp(v, low, high) / 2 + v for low, high in bounds]

    x = torch.arange(-2, 3)
    got = torch.compile(program, backend="aot_eager", fullgraph=True)(x)
    for pair, ours in zip(bounds, got):
        torch.testing.assert_close(ours, torch.clamp(x, *pair) / 2 + x, equal_nan=True, msg=str(pair))


# --- division, power, sums of bool ----------------------------------------------------------------------------------


def wrapped(value: int, dtype: torch.dtype) -> int:
    """Two's complement, as docs/numerics.md promises for integers."""
    info = torch.iinfo(dtype)
    return (value - info.min) % (info.max - info.min + 1) + info.min


def edges(dtype: torch.dtype) -> list[int]:
    info = torch.iinfo(dtype)
    near = {-7, -2, -1, 0, 1, 2, 3, 7}
    return sorted({v for v in near if v >= info.min} | {info.min, info.min + 1, info.max - 1, info.max})


def quotient(x: int, y: int, mode: str) -> int:
    """In whole numbers of any size."""
    down = x // y
    return down + 1 if mode == "trunc" and down < 0 and down * y != x else down


DIVISIONS: dict[str, Callable[[Tensor, Any, str], Tensor]] = {
    "functional": lambda x, y, mode: gpukern.div(x, y, rounding_mode=mode),
    "op": lambda x, y, mode: torch.ops.gpukern.div(x, y, rounding_mode=mode),
    "out": lambda x, y, mode: gpukern.div(x, y, rounding_mode=mode, out=torch.empty_like(x)),
    "wider out": lambda x, y, mode: gpukern.div(x, y, rounding_mode=mode, out=x.to(torch.float64)).to(x.dtype),
    "complex out": lambda x, y, mode: gpukern.div(
        x, y, rounding_mode=mode, out=x.to(torch.complex128)
    ).real.to(x.dtype),
    "in place": lambda x, y, mode: gpukern.div_(x.clone(), y, rounding_mode=mode),
    "0-dim": lambda x, y, mode: torch.stack([
        gpukern.div(a, b if isinstance(y, Tensor) else y, rounding_mode=mode)
        for a, b in zip(x, y if isinstance(y, Tensor) else x)
    ]),
    "strided": lambda x, y, mode: gpukern.div(
        x.repeat_interleave(2)[::2], y.repeat_interleave(2)[::2] if isinstance(y, Tensor) else y, rounding_mode=mode
    ),
    "vmap": lambda x, y, mode: torch.vmap(
        lambda a, b: gpukern.div(a, b if isinstance(y, Tensor) else y, rounding_mode=mode)
    )(x, y if isinstance(y, Tensor) else x),
    "traced": lambda x, y, mode: torch.fx.experimental.proxy_tensor.make_fx(
        lambda a: gpukern.div(a, y, rounding_mode=mode)
    )(torch.ones_like(x))(x),
}  # fmt: skip


@pytest.mark.parametrize("mode", ["trunc", "floor"])
@pytest.mark.parametrize("form", DIVISIONS)
def test_integer_division(form: str, mode: str) -> None:
    """Every pair of edges of every width, in every form: the quotient of whole numbers, wrapped; no signal."""
    calls, wanted = [], []
    for dtype in ulps.INTEGERS:
        pairs = [(x, y) for x, y in itertools.product(edges(dtype), edges(dtype)) if y]
        x, y = (torch.tensor(side, dtype=dtype) for side in zip(*pairs))
        calls.append(partial(DIVISIONS[form], x, y, mode))
        wanted.append([wrapped(quotient(*pair, mode), dtype) for pair in pairs])
        for divisor in (-1, torch.iinfo(dtype).min or 3):
            calls.append(partial(DIVISIONS[form], x, divisor, mode))
            by = wrapped(divisor, dtype)  # -1 beside uint8 is 255
            wanted.append([wrapped(quotient(a, by, mode), dtype) for a, _ in pairs])
    for call, outcome, expected in zip(calls, outcomes.forked(calls), wanted):
        through_double = form in ("wider out", "complex out")  # which holds 53 bits
        if through_double and max(map(abs, expected)) > 2**53:
            assert outcome[0] == "torch.int64", outcome
            continue
        assert outcome[-1] == expected, (form, mode, call.args, outcome)


@pytest.mark.parametrize("mode", ["trunc", "floor"])
@pytest.mark.parametrize("form", DIVISIONS)
def test_division_by_zero_is_torchs_error(form: str, mode: str) -> None:
    """A divisor of 0 anywhere: torch's error, before anything is written; none if nothing is divided."""
    for dtype in ulps.INTEGERS:
        x, y = torch.tensor([5, 6, 7], dtype=dtype), torch.tensor([1, 2, 0], dtype=dtype)
        bad = [partial(DIVISIONS[form], x, y, mode), partial(DIVISIONS[form], x, 0, mode)]
        if form == "functional":
            bad.append(partial(gpukern.div, x, 256 ** x.element_size(), rounding_mode=mode))
        for outcome in outcomes.forked(bad[: 2 if dtype == torch.int64 else 3]):
            assert outcome == ("RuntimeError", "ZeroDivisionError"), (form, dtype)
        kept = x.clone()
        with pytest.raises(RuntimeError, match=r"^ZeroDivisionError$"):
            gpukern.div_(kept, y, rounding_mode=mode)
        assert torch.equal(kept, x)
        assert gpukern.div(x[:0], y[2:], rounding_mode=mode).shape == (0,)


def test_divisions_and_powers_compiled() -> None:
    """One graph with all of them: the same as eager."""

    def program(x: Tensor, y: Tensor) -> list[Tensor]:
        results = [gpukern.div(x, d, rounding_mode=m) for d in (y, -1, 2, -7) for m in ("trunc", "floor")]
        results += [gpukern.pow(x, y), gpukern.pow(y, 3), gpukern.pow(3, y), gpukern.add(300, x), gpukern.mul(x, 70000)]
        return [
            *results,
            gpukern.clamp_min(x, 1),
            gpukern.clamp_max(x, 0.5),
            gpukern.div_(x.clone(), -1, rounding_mode="trunc"),
        ]

    compiled = torch.compile(program, backend="aot_eager", fullgraph=True, dynamic=False)
    for dtype in (torch.int8, torch.int64):
        info = torch.iinfo(dtype)
        x, y = torch.tensor([info.min, info.max, -7], dtype=dtype), torch.tensor([-1, 2, 3], dtype=dtype)
        for ours, eager in zip(compiled(x, y), program(x, y), strict=True):
            assert ours.dtype == eager.dtype and torch.equal(ours, eager)


@pytest.mark.parametrize("name", ["pow", "pow_", "pow.out"])
def test_integer_powers_are_torchs(name: str) -> None:
    """Tensors of edges to the power of edges, negative ones among them, and of every pair of types."""

    def power(module: Any, x: Tensor, y: Tensor) -> Any:
        if name == "pow.out":
            return module.pow(x, y, out=torch.empty(0, dtype=torch.float32))
        return getattr(module, name)(x.clone(), y)

    cases = []
    for a, b in itertools.product((*ulps.INTEGERS, torch.bool), (*ulps.INTEGERS, torch.bool)):
        bases = [0, 1] if a == torch.bool else edges(a)
        exponents = [0, 1] if b == torch.bool else edges(b)
        x, y = (torch.tensor(side) for side in zip(*itertools.product(bases, exponents)))
        cases.append((x.to(a), y.to(b)))
    ours = outcomes.forked([partial(power, gpukern, *c) for c in cases])
    theirs = outcomes.forked([partial(power, Torch(), *c) for c in cases])
    wrong = [(c[0].dtype, c[1].dtype, a, b) for c, a, b in zip(cases, ours, theirs) if a != b]
    assert not wrong, wrong[:3]


def test_sums_of_bool() -> None:
    """alpha is a bool before it multiplies: -1 and 256 are True; into every type of `out`."""
    x, y = torch.tensor([True, True, False, False]), torch.tensor([True, False, True, False])

    def total(module: Any, alpha: Any, dtype: torch.dtype | None) -> Tensor:
        out = None if dtype is None else torch.zeros(4, dtype=dtype)
        result: Tensor = module.add(x, y, alpha=alpha, out=out)
        return result

    cases = list(itertools.product((-1, 0, 1, 2, 256, -(2**63), 2**63, True, False, 0.5), (None, *TYPES)))
    ours = outcomes.forked([partial(total, gpukern, *c) for c in cases])
    theirs = outcomes.forked([partial(total, torch, *c) for c in cases])
    assert ours == theirs, [(c, a, b) for c, a, b in zip(cases, ours, theirs) if a != b][:4]
    assert gpukern.add(torch.tensor(True), torch.tensor(True), alpha=-1).item() is True


# --- into an `out` of another type ----------------------------------------------------------------------------------


OUTS = (*TYPES, torch.complex64, torch.complex128, torch.uint16)
WRITTEN: dict[str, tuple[int, dict[str, Any]]] = {
    "abs": (1, {}), "neg": (1, {}), "sign": (1, {}), "square": (1, {}), "exp": (1, {}), "sqrt": (1, {}),
    "sigmoid": (1, {}), "add": (2, {"alpha": 3}), "sub": (2, {}), "mul": (2, {}), "div": (2, {}),
    "pow": (2, {}), "maximum": (2, {}), "fmin": (2, {}), "clamp": (1, {"min": -3, "max": 90}), "clamp_min": (2, {}),
    "addcmul": (3, {"value": 2}), "addcdiv": (3, {}), "lerp": (3, {}), "where": (3, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_a_result_is_rounded_to_its_type_before_it_is_converted(name: str) -> None:
    """int8 100 + 100 into an int32 `out` is -56, and a float16 product has float16's digits in a float32 `out`."""
    count, kwargs = WRITTEN[name]

    def written(module: Any, dtype: torch.dtype, out: torch.dtype) -> Tensor:
        x = torch.tensor([100, 3, 77, 1, 90], dtype=torch.float64).to(dtype)
        if dtype.is_floating_point:
            x = x + torch.tensor(1 / 3, dtype=dtype)
        tensors = [x, x.flip(0), x.roll(2)][:count] if name != "pow" else [x, torch.full_like(x, 2)]
        if name == "where":
            tensors[0] = tensors[0] > 50
        result: Tensor = getattr(module, name)(*tensors, **kwargs, out=torch.zeros(5, dtype=out))
        return result

    cases = list(itertools.product(TYPES, OUTS))
    ours = outcomes.forked([partial(written, gpukern, *c) for c in cases])
    theirs = outcomes.forked([partial(written, torch, *c) for c in cases])
    wrong = [f"{c}: {a}, torch {b}" for c, a, b in zip(cases, ours, theirs) if not rounded_alike(c, a, b)]
    assert not wrong, "\n".join([f"{name}: {len(wrong)} of {len(cases)}", *wrong[:8]])


def rounded_alike(case: tuple[torch.dtype, torch.dtype], ours: outcomes.Outcome, theirs: outcomes.Outcome) -> bool:
    """The same, and in floating types both to the digits of the type that the inputs have."""
    if not agree((str(case[0]), *ours[1:]), (str(case[0]), *theirs[1:])):
        return ours == theirs
    if len(ours) < 4 or case[0] not in ulps.HALVES:
        return bool(ours[0] == theirs[0])
    numbers = torch.tensor(ours[3]).flatten().float()
    return bool(ours[0] == theirs[0]) and torch.equal(numbers.to(case[0]).float(), numbers)
