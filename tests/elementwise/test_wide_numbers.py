"""Numbers that no signed type of 64 bits holds, -1 by another name among them: eager, traced and compiled.

What is feared is also a signal, so that calls run in processes of their own.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from functools import partial
from operator import methodcaller
from typing import Any

import pytest
import torch
from torch import Tensor

import gpukern
from tests.oracle import outcomes

SIGNED = (torch.int8, torch.int16, torch.int32, torch.int64)
FORMS: dict[str, Callable[[Tensor, Any, str], Tensor]] = {
    "functional": lambda x, y, mode: gpukern.div(x, y, rounding_mode=mode),
    "out": lambda x, y, mode: gpukern.div(x, y, rounding_mode=mode, out=torch.empty_like(x)),
    "in place": lambda x, y, mode: gpukern.div_(x.clone(), y, rounding_mode=mode),
    "op": lambda x, y, mode: torch.ops.gpukern.div(x, y, rounding_mode=mode),
}


def wrong_values(calls: list[Callable[[], Any]], wanted: list[Any]) -> list[str]:
    found = outcomes.forked(calls)
    return [f"{k}: {got}, not {want}" for k, (got, want) in enumerate(zip(found, wanted)) if got[-1] != want]


@pytest.mark.parametrize("mode", ["trunc", "floor"])
@pytest.mark.parametrize("form", FORMS)
def test_a_divisor_that_wraps_to_minus_one(form: str, mode: str) -> None:
    """The smallest integer over 2^64 - 1, as a number and as an unsigned tensor: it wraps, and nothing dies."""
    calls: list[Callable[[], Any]] = []
    wanted = []
    for dtype in SIGNED:
        low = torch.iinfo(dtype).min
        divisors: list[Any] = [2**64 - 1, torch.tensor(2**64 - 1, dtype=torch.uint64)]
        if dtype != torch.int64:
            divisors.append(torch.tensor(2**32 - 1, dtype=torch.uint32))
        for divisor in divisors:
            calls.append(partial(FORMS[form], torch.tensor([low, 5], dtype=dtype), divisor, mode))
            wanted.append([low, -5])
    assert not (wrong := wrong_values(calls, wanted)), wrong


@pytest.mark.parametrize("mode", ["trunc", "floor"])
def test_a_dividend_that_wraps_to_the_smallest_integer(mode: str) -> None:
    y = torch.tensor([-1, 2])
    dividends = (2**63, torch.tensor(2**63, dtype=torch.uint64))
    calls: list[Callable[[], Any]] = [partial(gpukern.div, x, y, rounding_mode=mode) for x in dividends]
    calls += [partial(gpukern.div, x, y, rounding_mode=mode, out=torch.empty_like(y)) for x in dividends]
    assert not (wrong := wrong_values(calls, [[-(2**63), -(2**62)]] * 4)), wrong


@pytest.mark.parametrize("mode", ["trunc", "floor"])
def test_sparse_integers_over_minus_one(mode: str) -> None:
    calls: list[Callable[[], Any]] = []
    wanted = []
    for dtype, divisor in itertools.product(SIGNED, (-1, torch.tensor(-1), 2**64 - 1)):
        low = torch.iinfo(dtype).min
        for form in ("functional", "in place", "op"):

            def call(t: torch.dtype = dtype, x: int = low, d: Any = divisor, form: str = form) -> Tensor:
                return FORMS[form](torch.tensor([x, 0, 5], dtype=t).to_sparse(), d, mode).to_dense()

            calls.append(call)
            wanted.append([low, 0, -5])
    assert not (wrong := wrong_values(calls, wanted)), wrong


# --- a number that the type does not hold ---------------------------------------------------------------------------


def alike(calls: list[Callable[[Any], Any]]) -> list[str]:
    ours = outcomes.forked([partial(c, gpukern) for c in calls])
    theirs = outcomes.forked([partial(c, torch) for c in calls])
    return [f"{k}: {a}, torch {b}" for k, (a, b) in enumerate(zip(ours, theirs)) if a != b]


def test_where_refuses_what_its_type_does_not_hold() -> None:
    m = torch.tensor([True, False])
    numbers = (0, 1, -1, 2**31, 2**63, 1e39, math.inf, 1j, True, 0.5)
    calls: list[Callable[[Any], Any]] = [methodcaller("where", m, a, b) for a, b in itertools.product(numbers, numbers)]
    for dtype in (torch.complex64, torch.complex128, torch.uint16, torch.uint32, torch.uint64, torch.float16):
        x = torch.tensor([1, 2]).to(dtype)
        calls += [methodcaller("where", m, x, n) for n in numbers]
        calls += [methodcaller("where", m, n, x) for n in numbers]
    assert not (wrong := alike(calls)), wrong[:8]


def fake_and_real(
    call: Callable[[Tensor], Tensor], dtype: torch.dtype, shape: tuple[int, ...], way: str
) -> tuple[outcomes.Outcome, outcomes.Outcome]:
    real = outcomes.of(lambda: call(torch.ones(shape, dtype=dtype)), values=False)
    if way == "meta":
        return outcomes.of(lambda: call(torch.ones(shape, dtype=dtype, device="meta")), values=False), real
    with torch._subclasses.fake_tensor.FakeTensorMode():
        return outcomes.of(lambda: call(torch.ones(shape, dtype=dtype)), values=False), real


@pytest.mark.parametrize("way", ["meta", "fake"])
def test_fakes_refuse_the_numbers_that_the_kernels_refuse(way: str) -> None:
    calls: list[tuple[torch.dtype, Callable[[Tensor], Tensor]]] = [
        *[(d, lambda x: gpukern.pow(x, -1)) for d in (torch.int32, torch.bool)],
        *[(torch.bool, lambda x, n=n: gpukern.pow(x, n)) for n in (True, 2, 0.5)],
        *[(torch.int8, lambda x, n=n: gpukern.pow_(x, n)) for n in (300, 3)],
        *[(torch.int32, lambda x, n=n: gpukern.lerp(x, x, n)) for n in (0.5, 1)],
        *[(torch.float16, lambda x, n=n: gpukern.lerp(x, x, n)) for n in (1e39, 0.5)],
        *[(torch.float16, lambda x, n=n: gpukern.lerp_(x, x, n)) for n in (1e39, 0.5)],
        *[(torch.int8, lambda x, n=n: gpukern.where(x > 0, x, n)) for n in (300, 1e39, 1j, 3)],
        *[(torch.bool, lambda x, n=n: gpukern.where(x, n, x)) for n in (300, 1e39, 1j, True)],
        (torch.bool, lambda x: gpukern.where(x, 0, 1e39)),
        *[(torch.bool, lambda x, f=f: f(x, 1j)) for f in (gpukern.clamp_min, gpukern.clamp_max, gpukern.clamp_min_)],
    ]  # fmt: skip
    wrong = []
    for k, (dtype, call) in enumerate(calls):
        for shape in ((2, 3), (), (0,)):
            got, real = fake_and_real(call, dtype, shape, way)
            if got != real:
                wrong.append(f"{k} {dtype} {shape}: {way} {got}, kernel {real}")
    assert not wrong, "\n".join([f"{len(wrong)}", *wrong])


@pytest.mark.parametrize("divisor", [0, -(2**31), 256])
def test_a_fake_quotient_by_what_becomes_0_is_refused(divisor: int) -> None:
    for device, mode in itertools.product(("cpu", "meta"), ("trunc", "floor")):
        with pytest.raises(RuntimeError, match=r"^ZeroDivisionError$"):
            gpukern.div(torch.ones(3, dtype=torch.int8, device=device), divisor, rounding_mode=mode)
        empty = torch.ones(0, dtype=torch.int8, device=device)
        assert gpukern.div(empty, divisor, rounding_mode=mode).shape == (0,)


PRODUCTS: dict[str, Callable[[torch.dtype, torch.dtype, str], Any]] = {
    "mm_activation_backward": lambda a, b, on: torch.ops.gpukern.mm_activation_backward(
        torch.ones(2, 3, dtype=a, device=on), torch.ones(3, 4, dtype=b, device=on),
        torch.ones(2, 4, dtype=a, device=on), "relu",
    ),
    "scaled_product": lambda a, b, on: torch.ops.gpukern.scaled_product(
        torch.ones(2, 3, dtype=a, device=on), torch.ones(3, 4, dtype=b, device=on),
        torch.ones(2, device=on), torch.ones(4, device=on),
    ),
    "scaled_mm": lambda a, b, on: torch.ops.gpukern.scaled_mm(
        torch.ones(16, 16, device=on).to(a), torch.ones(16, 16, device=on).to(b).t(), torch.ones((), device=on),
        torch.ones((), device=on),
    ),
}  # fmt: skip
FACTORS = (torch.float16, torch.float32, torch.float64, torch.int8, torch.bool, torch.complex64, torch.float8_e4m3fn)


@pytest.mark.parametrize("name", PRODUCTS)
def test_fakes_of_scaled_products_refuse_types(name: str) -> None:
    pairs = itertools.product(FACTORS, FACTORS)
    found = [
        [outcomes.of(functools.partial(PRODUCTS[name], *p, on), values=False) for on in ("cpu", "meta")] for p in pairs
    ]
    assert all(real == fake for real, fake in found), [f for f in found if f[0] != f[1]][:4]


def powers(x: Tensor, exponent: float) -> dict[str, Tensor]:
    return {
        "functional": gpukern.pow(x, exponent),
        "in place": gpukern.pow_(x.clone(), exponent),
        "out": gpukern.pow(x, exponent, out=torch.empty_like(x)),
        "op": torch.ops.gpukern.pow(x, exponent),
        "vmap": torch.vmap(lambda v: gpukern.pow(v, exponent))(x[None])[0],
    }


def test_powers_of_a_half_do_not_depend_on_the_form() -> None:
    """sqrt and rsqrt where torch takes them: of -0 and of -inf a power has another value."""
    for dtype, exponent in itertools.product(
        (torch.float16, torch.bfloat16, torch.float32, torch.float64), (0.5, -0.5)
    ):
        x = torch.tensor([-0.0, -math.inf, 4.0, 0.0, math.inf], dtype=dtype)
        expected = torch.pow(x, exponent)
        found = powers(x, exponent)
        for form, result in found.items():
            torch.testing.assert_close(result, expected, rtol=0, atol=0, equal_nan=True, msg=f"{form} {dtype}")
            assert torch.equal(torch.signbit(result), torch.signbit(expected)) or result.isnan().any(), (form, dtype)


def derivatives(call: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Reverse, forward."""
    leaf = x.clone().requires_grad_()
    (grad,) = torch.autograd.grad(call(leaf).sum(), leaf)
    tangent: Tensor = torch.func.jvp(call, (x,), (torch.ones_like(x),))[1]
    return grad, tangent


def test_gradients_with_numbers_beyond_int64() -> None:
    # of -1, torch's has the sign of an exponent that is rounded
    x = torch.tensor([0.5, 1.0, 0.25], dtype=torch.float64)
    for name, call in {
        "pow": lambda t, a: t.pow(a, 2**63),
        "pow(number, tensor)": lambda t, a: t.pow(2**63 if t is gpukern else 2.0**63, a),  # torch's is NaN
        "lerp": lambda t, a: t.lerp(a, a * 2, 2**63),
        "mul": lambda t, a: t.mul(a, 2**63),
        "add": lambda t, a: t.add(a, 2**63),
        "div": lambda t, a: t.div(a, 2**63),
    }.items():
        found = []
        for module in (gpukern, torch):
            found.append(derivatives(functools.partial(call, module), x))
        torch.testing.assert_close(*found, equal_nan=True, msg=name)


# --- compiled -------------------------------------------------------------------------------------------------------


def is_alike(got: outcomes.Outcome, eager: outcomes.Outcome) -> bool:
    """The same, or the same refusal; a tracer's message for a fake tensor has a beginning of its own."""
    if len(got) != 2 or len(eager) != 2:
        return got == eager
    return eager[1] in got[1] or got == ("TorchRuntimeError", "RuntimeError when making fake tensor call")


def compiled(function: Callable[[Tensor], Tensor], x: Tensor, **how: Any) -> Any:
    torch._dynamo.reset()
    return torch.compile(function, backend="aot_eager", **how)(x)


INTEGERS_AND_BOOL = (torch.int8, torch.uint8, torch.int64, torch.bool)
NUMBERS_FIRST: dict[str, tuple[Any, ...]] = {
    "div": (300, -1, 2**63, 2**64 - 1, 2**64, 1j),
    "add": (300, 2**63, 2**64, 1j),
    "sub": (2**64, 1j),
    "mul": (2**63, 2**64, 1j),
    "pow": (300, 2**63, 2**64),
}


def differing(name: str, number: Any, first: bool) -> list[str]:
    function, wrong = getattr(gpukern, name), []

    def call(v: Tensor) -> Tensor:
        result: Tensor = function(number, v) if first else function(v, number)
        return result

    for dtype in INTEGERS_AND_BOOL:
        if name == "sub" and dtype == torch.bool:
            continue
        for x in (torch.tensor([1, 2]).to(dtype), torch.tensor(1).to(dtype)):
            eager, got = outcomes.of(functools.partial(call, x)), outcomes.of(functools.partial(compiled, call, x))
            if not is_alike(got, eager):
                wrong.append(f"{name} {number} {dtype}{tuple(x.shape)}: {got}, eager {eager}")
    return wrong


@pytest.mark.parametrize("name", NUMBERS_FIRST)
def test_a_compiled_call_with_a_number_first(name: str) -> None:
    """Value, dtype or refusal, as in eager mode."""
    wrong = [line for number in NUMBERS_FIRST[name] for line in differing(name, number, first=True)]
    assert not wrong, "\n".join([f"{len(wrong)}", *wrong])


def test_a_compiled_call_with_a_complex_or_wide_number_second() -> None:
    cases = itertools.product(("add", "mul", "div"), (1j, 2**64 - 1))
    wrong = [line for name, number in cases for line in differing(name, number, first=False)]
    assert not wrong, "\n".join([f"{len(wrong)}", *wrong])


def test_vmap_refuses_beside_bool_what_torch_does_not_promote() -> None:
    with pytest.raises(RuntimeError, match="Promotion for uint16, uint32, uint64 types is not supported"):
        torch.vmap(lambda v: gpukern.div(v, 2**64 - 1))(torch.tensor([True, False]))


@pytest.mark.parametrize("name", ["pow", "where"])
def test_a_number_that_varies_is_refused_when_its_type_does_not_hold_it(name: str) -> None:
    torch._dynamo.reset()
    t = torch.tensor([1, -2], dtype=torch.int8)

    def call(v: Tensor, n: int) -> Tensor:
        return gpukern.pow(v, n) if name == "pow" else gpukern.where(v > 0, n, v)

    function = torch.compile(call, backend="aot_eager", dynamic=True)
    for n in (3, 4, 300):
        eager, got = outcomes.of(partial(call, t, n)), outcomes.of(partial(function, t, n))
        assert is_alike(got, eager), (n, got, eager)


@pytest.mark.parametrize("name", ["mul", "add_", "div", "maximum", "sub", "pow", "where"])
def test_none_for_a_tensor_is_a_type_error_compiled(name: str) -> None:
    x = torch.tensor([1.0, 2.0])
    args = (x > 1, x, None) if name == "where" else (x, None)
    function = getattr(gpukern, name)
    torch._dynamo.reset()
    with pytest.raises(TypeError):
        torch.compile(function, backend="aot_eager")(*args)
    with pytest.raises(TypeError):
        function(*args)


def test_words_of_refused_bounds() -> None:
    x = torch.ones(2, dtype=torch.complex64)
    assert not (
        wrong := alike([lambda t: t.clamp(x, min=torch.tensor(2.0)), lambda t: t.clamp(x, max=torch.ones(2))])
    ), wrong
    calls: list[Callable[[Any], Any]] = []
    for dtype, n, out in itertools.product(
        (torch.uint8, torch.int64, torch.float16, torch.float32),
        (256, -1, 0.5, 1e39, 2**63, 1j),
        (torch.bool, torch.int8, torch.float16, torch.float32),
    ):
        y = torch.ones(2, dtype=dtype)
        calls.append(methodcaller("pow", y, n, out=torch.zeros(2, dtype=out)))
        calls.append(methodcaller("lerp", y, y, n, out=torch.zeros(2, dtype=out)))
    assert not (wrong := alike(calls)), wrong
    for low, high in ((2**63, 2**63 - 1), (2**64 - 1, 2**63), (0.5, 0.25)):
        with pytest.raises(ValueError, match="min_val cannot be greater than max_val"):
            gpukern.hardtanh(torch.ones(2), low, high)
