"""Derivatives of ops of several numbers far out: where a factor is infinite, a zero or subnormal and the whole is not.

References are mpmath's, or the value of a limit or of torch, written out.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.func import grad, jacfwd, jacrev, vmap

import gpukern
from tests.oracle import gradient_errors, ulps
from tests.oracle.ops import CASES
from tests.oracle.precise import mp

INF, NAN = math.inf, math.nan
LARGEST = torch.finfo(torch.float32).max


def t(*values: float, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.tensor(values if len(values) > 1 else values[0], dtype=dtype)


def holds(got: Tensor, want: float, what: str, relative: float = 2e-5, steps: float = 2) -> None:
    """Of one number: NaN is NaN, an infinity has its sign, a subnormal number is off by a few steps."""
    info = torch.finfo(got.dtype)
    right = torch.tensor(want, dtype=torch.float64).to(got.dtype)
    value, step = got.item(), info.tiny * info.eps
    fine = bool(got == right) or (math.isnan(want) and math.isnan(value))
    fine = fine or (abs(want) < INF and abs(value - want) <= relative * abs(want) + steps * step)
    assert fine, f"{what} is {value!r}, should be {want!r}"


def seconds(f: Callable[..., Tensor], *at: Tensor, g: Tensor | None = None) -> tuple[list[Tensor], list[list[Tensor]]]:
    """The gradients, and of each its derivatives, by reverse mode twice; zero where nothing depends."""
    leaves = [a.clone().requires_grad_() for a in at]
    first = torch.autograd.grad(f(*leaves), leaves, g, create_graph=True)
    rows = [
        list(torch.autograd.grad(d, leaves, retain_graph=True, allow_unused=True, materialize_grads=True))
        if d.requires_grad
        else [torch.zeros_like(a) for a in at]
        for d in first
    ]
    return [d.detach() for d in first], rows


# --- pow -------------------------------------------------------------------------------------------------------------


def exact_pow(x: float, y: float, order: str) -> float:
    """x > 0; the float64 nearest to it, infinite beyond."""
    a, b = mp.mpf(x), mp.mpf(y)
    power, log = a**b, mp.log(a)
    mixed = power / a * (1 + b * log)
    return float({
        "0": b * power / a, "1": log * power, "00": b * (b - 1) * power / a**2, "01": mixed, "10": mixed,
        "11": log**2 * power,
    }[order])  # fmt: skip


EXPONENTS = (0.0, 1e-3, 0.3, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, -0.5, -0.75, -0.999, -1.0, -2.0, -30.0, 1e-20, 1e-40, -1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_derivatives_of_pow_are_exact_far_out(dtype: torch.dtype) -> None:
    """First and second, of both, by each; operands small, large and subnormal."""
    info = torch.finfo(dtype)
    step = info.tiny * info.eps
    bases = (step, 7 * step, info.tiny / 100, 1e-30, 6e-26, 1e-5, 0.7, 1.0, 2.0, 1e3, 1e20, info.max / 4)
    points = torch.tensor(list(itertools.product(bases, EXPONENTS)), dtype=torch.float64).to(dtype)
    x, y = points[:, 0].clone().requires_grad_(), points[:, 1].clone().requires_grad_()
    first = torch.autograd.grad(gpukern.pow(x, y).sum(), (x, y), create_graph=True)
    found = {"0": first[0], "1": first[1]}
    for i, d in enumerate(first):
        for j, s in enumerate(torch.autograd.grad(d.sum(), (x, y), retain_graph=True)):
            found[f"{i}{j}"] = s
    for order, values in found.items():
        for a, b, value in zip(x.tolist(), y.tolist(), values.detach()):
            # a subnormal power, whose logarithms multiply its steps
            holds(value, exact_pow(a, b, order), f"d{order} of pow({a!r}, {b!r})", steps=2 + math.log(a) ** 2)


@pytest.mark.parametrize("x, y, order, want", [
    (0.0, 0.5, "00", -INF), (-0.0, 0.5, "00", -INF), (0.0, 0.5, "01", -INF), (0.0, 0.5, "10", -INF),
    (0.0, 1.0, "00", 0.0), (0.0, 2.0, "00", 2.0), (0.0, 3.0, "00", 0.0), (0.0, 2.0, "01", 0.0), (0.0, 2.0, "10", 0.0),
    (0.0, 1.5, "00", INF), (0.0, 0.0, "0", 0.0), (0.0, 0.0, "1", 0.0), (0.0, -1.0, "0", -INF), (0.0, -1.0, "00", INF),
    (INF, 2.0, "00", 2.0), (INF, 3.0, "00", INF), (INF, 0.5, "00", 0.0), (INF, -1.0, "00", 0.0), (0.0, 2.0, "11", 0.0),
    (-2.0, 0.0, "01", NAN), (-100.0, -30.0, "10", NAN), (-2.0, 3.0, "00", -12.0), (-2.0, -1.0, "00", -0.25),
    (-1.0, 1e10, "0", -1e10), (-1.0, 2.0**24 + 2, "0", -(2.0**24 + 2)), (-2.0, 3.0, "01", NAN), (NAN, 0.0, "0", 0.0),
])  # fmt: skip
def test_derivatives_of_pow_where_there_is_no_logarithm(x: float, y: float, order: str, want: float) -> None:
    for dtype in (torch.float32, torch.float64):
        first, second = seconds(gpukern.pow, t(x, dtype=dtype), t(y, dtype=dtype))
        i = int(order[0])
        holds(first[i] if len(order) == 1 else second[i][int(order[1])], want, f"d{order} of pow({x}, {y})")


@pytest.mark.parametrize("y", [3.0, 4.0, 5.0, 2.5, 1.0, 2.0, -1.0, -2.0, 0.5, 0.0])
def test_third_derivatives_of_powers_are_no_nan(y: float) -> None:
    third = grad(grad(grad(lambda x: gpukern.pow(x, y))))
    for x in (1e20, 1e38, 0.7, 1e-20) + ((-1e-20, -0.7) if y == int(y) else ()):
        power = mp.mpf(y) * (y - 1) * (y - 2) * mp.mpf(t(x).item()) ** (y - 3)
        holds(third(t(x)), float(power), f"third derivative of pow({x}, {y})")
    if y == int(y) and y >= 0:
        holds(third(t(0.0)), 6.0 if y == 3 else 0.0, f"third derivative of pow(0, {y})")


@pytest.mark.parametrize("y", [0.0, 1.0, 2.0, 2.5])
def test_third_derivatives_of_pow_by_both_are_right(y: float) -> None:
    """Where a coefficient is 0 it has a derivative by the exponent."""
    at = (mp.mpf(t(0.7, dtype=torch.float64).item()), mp.mpf(y))
    for operands in itertools.product((0, 1), repeat=3):
        f: Callable[..., Tensor] = gpukern.pow
        for k in operands:
            f = grad(f, k)
        want = mp.diff(lambda a, b: a**b, at, (operands.count(0), operands.count(1)))
        got = f(t(0.7, dtype=torch.float64), t(y, dtype=torch.float64))
        assert abs(got.item() - float(want)) <= 1e-8, (y, operands)


# --- numbers for tensors ---------------------------------------------------------------------------------------------

OF_NUMBERS: dict[str, Callable[[Tensor], Tensor]] = {
    "mul": lambda x: gpukern.mul(x, 2.0),
    "div": lambda x: gpukern.div(x, 2.0),
    "div of": lambda x: gpukern.div(2.0, x),
    "pow": lambda x: gpukern.pow(x, 2.5),
    "pow of": lambda x: gpukern.pow(2.0, x),
    "lerp": lambda x: gpukern.lerp(x, x * x, 0.3),
    "add": lambda x: gpukern.add(x * x, 2.0),
    "sub": lambda x: gpukern.mul(gpukern.sub(x, 2.0), x),
}


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_numbers_for_tensors_under_every_transform(name: str) -> None:
    f = OF_NUMBERS[name]
    for dtype in (torch.float32, torch.float64):
        x = t(0.7, 0.8, dtype=dtype)
        leaf = x.clone().requires_grad_()
        (first,) = torch.autograd.grad(f(leaf).sum(), leaf, create_graph=True)
        second = torch.zeros_like(x)
        if first.requires_grad:
            second = torch.autograd.grad(first.sum(), leaf, allow_unused=True, materialize_grads=True)[0]
        first = first.detach()
        torch.testing.assert_close(vmap(grad(f))(x), first)
        torch.testing.assert_close(jacrev(f)(x), torch.diag(first))
        torch.testing.assert_close(jacfwd(f)(x), torch.diag(first))
        torch.testing.assert_close(vmap(grad(grad(f)))(x), second)
        torch.testing.assert_close(torch.func.hessian(lambda x: f(x).sum())(x), torch.diag(second))
        torch.testing.assert_close(torch.stack([grad(grad(f))(v) for v in x]), second)


def test_third_derivatives_by_a_0_dim_tensor_have_the_digits_of_its_type() -> None:
    for f, want in ((lambda x: gpukern.pow(2.0, x), mp.log(2) ** 3 * mp.mpf(2) ** mp.mpf(0.7)),
                    (lambda x: gpukern.div(2.0, x), -12 / mp.mpf(0.7) ** 4)):  # fmt: skip
        got = grad(grad(grad(f)))(t(0.7, dtype=torch.float64))
        assert got.shape == ()
        holds(got, float(want), "third derivative", 1e-13)


# --- limits at infinities --------------------------------------------------------------------------------------------

STEEP = ("relu", "gelu", "gelu_tanh", "silu", "mish", "hardswish")


@pytest.mark.parametrize("name, x, first, second", [
    ("none", INF, INF, 1.0), ("none", -INF, -INF, 1.0), *[(a, INF, INF, 1.0) for a in STEEP],
    *[(a, -INF, 0.0, 0.0) for a in STEEP], *[(a, e, 0.0, 0.0) for a in ("sigmoid", "tanh") for e in (INF, -INF)],
])  # fmt: skip
def test_scale_shift_act_of_an_infinity(name: str, x: float, first: float, second: float) -> None:
    """The gradient by scale, and of that by input the derivative by scale: no zero times an infinity."""

    def f(x: Tensor, s: Tensor) -> Tensor:
        out: Tensor = gpukern.scale_shift_act(x, s, t(0.0), name)
        return out

    by, rows = seconds(f, t(x), t(1.0))
    holds(by[1], first, f"{name}: gradient by scale")
    holds(rows[0][1], second, f"{name}: derivative by scale of the gradient by input")
    holds(grad(f, 1)(t(x), t(1.0)), first, f"{name}: grad")
    holds(jacfwd(f, 1)(t(x), t(1.0)), first, f"{name}: jacfwd")
    holds(jacfwd(grad(f), 1)(t(x), t(1.0)), second, f"{name}: jacfwd of grad")
    holds(jacrev(grad(f), 1)(t(x), t(1.0)), second, f"{name}: jacrev of grad")
    if first == 0:
        holds(vmap(grad(f), (0, None))(t(0.5, 0.5), t(x))[0], 0.0, f"{name}: gradient by input, infinite scale")


def test_scale_shift_act_keeps_nan() -> None:
    for name in ("none", *STEEP, "sigmoid", "tanh"):
        for at in ((NAN, 1.0), (1.0, NAN)):
            by, _ = seconds(lambda x, s, n=name: gpukern.scale_shift_act(x, s, t(0.0), n), t(at[0]), t(at[1]))
            holds(by[1 if math.isnan(at[0]) else 0], NAN, name)


def test_gated_units_at_a_gate_of_minus_infinity() -> None:
    for f in (gpukern.swiglu, gpukern.geglu, lambda a, b: gpukern.geglu(a, b, approximate="tanh")):
        for dtype in (torch.float32, torch.float64, torch.bfloat16):
            first, second = seconds(f, t(-INF, dtype=dtype), t(2.0, dtype=dtype))
            for value in (*first, second[1][0], second[0][1]):
                holds(value, 0.0, f"{f} at a gate of -inf")
            holds(seconds(f, t(NAN, dtype=dtype), t(2.0, dtype=dtype))[0][1], NAN, f"{f} at NaN")
        x = torch.tensor([-90.0, -20.0, -3.0, -0.5, 0.0, 2.0, 100.0])
        got = grad(lambda u, f=f, x=x: f(x, u).sum())(torch.ones(7))
        torch.testing.assert_close(got, f(x, torch.ones(7)), rtol=1e-4, atol=1e-44)


# --- addcdiv ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("x, a, b, value", [
    (0.0, LARGEST, 0.5, 1e-30), (1.0, LARGEST, 0.5, 0.0), (0.0, 0.5, 1e-40, 1e-3), (1.0, 1.0, 1e-40, 0.0),
    (0.0, 1e-30, 1e20, 1e30), (0.0, 3.0, 7.0, -0.5), (0.0, 1e-37, 1e-38, 1e-3), (0.0, -LARGEST, -4.0, 3.0),
    (0.0, 1e30, 1e-5, 1e-20), (0.0, 0.0, 2.0, 0.5), (0.0, 1e-10, 1e-20, 1e-36), (0.0, 1e20, 1e25, 1e10),
])  # fmt: skip
def test_addcdiv_whose_quotient_alone_is_out_of_range(x: float, a: float, b: float, value: float) -> None:
    """The value, the gradient by the divisor, and its derivatives, which are finite."""

    def f(*at: Tensor) -> Tensor:
        out: Tensor = gpukern.addcdiv(*at, value=value)
        return out

    at = [t(v) for v in (x, a, b)]
    base, top, bottom = (mp.mpf(v.item()) for v in at)
    v = mp.mpf(t(value).item())
    what = f"addcdiv({x}, {a}, {b}, value={value})"
    holds(f(*at), float(base + v * top / bottom), what)
    out = torch.empty(())
    torch.testing.assert_close(gpukern.addcdiv(*at, value=value, out=out), f(*at), rtol=0, atol=0)
    first, second = seconds(f, *at)
    holds(first[1], float(v / bottom), f"gradient by tensor1 of {what}")
    holds(first[2], float(-v * top / bottom**2), f"gradient by tensor2 of {what}")
    if value == 0 or abs(bottom) > 1e-6:
        holds(second[2][2], float(2 * v * top / bottom**3), f"second derivative by tensor2 of {what}")


# --- large and small upstream gradients ------------------------------------------------------------------------------


@pytest.mark.parametrize("name, x, g, want", [
    ("square", 0.25, 3e38, 1.5e38), ("square", 3e38, 0.25, 1.5e38), ("square", 3.0, 1e-44, 6e-44),
    ("log2", 1e30, 3e38, 3e38 / (1e30 * math.log(2))), ("log2", 1e-5, 1e-45, 2.0217e-40),
    ("rsqrt", 1e-38, 1e-45, -7.006e11), ("rsqrt", 1e30, 3e38, -1.5e-7), ("rsqrt", 4.0, 3e38, -1.875e37),
    ("reciprocal", 1e-10, 1e-40, -1e-20), ("sqrt", 1e-30, 1e-40, 5e-26), ("exp2", 128.0, 1e-10, 2.3586e28),
])  # fmt: skip
def test_upstream_gradients_as_large_and_as_small_as_they_come(name: str, x: float, g: float, want: float) -> None:
    first, _ = seconds(getattr(gpukern, name), t(x), g=t(g))
    holds(first[0], want, f"gradient of {name} at {x} for g = {g}", 1e-4)


def test_rsqrt_of_subnormal_bfloat16() -> None:
    small = torch.tensor(9.2e-41).to(torch.bfloat16)
    first, _ = seconds(gpukern.rsqrt, small, g=small)
    holds(first[0], -0.5 * small.item() ** -0.5, "gradient of rsqrt", 2e-2)


# --- kinks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beta, threshold, x", [(1, 0, 0.0), (1, 20, 20.0), (2, 4, 2.0), (0.5, 3, 6.0)])
def test_second_derivative_of_softplus_at_its_threshold_is_torchs(beta: float, threshold: float, x: float) -> None:
    for f in (gpukern.softplus, torch.nn.functional.softplus):
        first, second = seconds(lambda x, f=f: f(x, beta, threshold), t(x))
        assert second[0][0] == 0
        holds(first[0], 1 / (1 + math.exp(-threshold)), "gradient of softplus")


def test_second_derivative_of_hardswish_at_nan_is_torchs() -> None:
    for f in (gpukern.hardswish, torch.nn.functional.hardswish, lambda x: gpukern.add_act(x, t(0.0), "hardswish")):
        first, second = seconds(f, t(NAN))
        assert second[0][0] == 0
        assert first[0].isnan() or f is torch.nn.functional.hardswish  # NaN in torch's vectors, 1 in their tails
        first, second = seconds(f, t(1.0))
        holds(second[0][0], 1 / 3, "second derivative of hardswish")


# --- what float32 promises -------------------------------------------------------------------------------------------


def test_gradients_of_a_fused_sum_are_its_activations() -> None:
    """Bit by bit, so that the promise is the activation's."""
    x = ulps.stratified(torch.float32, 1 << 14, gradient_errors.EDGES)
    for case in CASES:
        name = case.kwargs.get("activation", "none")
        if case.name != "add_act" or name == "none":
            continue
        alone = {"gelu_tanh": lambda v: gpukern.gelu(v, approximate="tanh")}.get(name, getattr(gpukern, name, None))
        assert alone is not None
        leaf = x.clone().requires_grad_()
        (want,) = torch.autograd.grad(alone(leaf).sum(), leaf)
        (got,) = torch.autograd.grad(gpukern.add_act(leaf, torch.zeros_like(x), name).sum(), leaf)
        torch.testing.assert_close(got, want, rtol=0, atol=0, equal_nan=True)
        spelt = {"gelu": "gelu-none", "gelu_tanh": "gelu-tanh"}.get(name, name)
        assert case.grad_ulp32 == next(c for c in CASES if c.id == spelt).grad_ulp32, name


@pytest.mark.parametrize("beta", [0.01, 0.3, 3.0, 50.0])
def test_softplus_keeps_its_promise_for_every_beta(beta: float) -> None:
    factor = t(beta).item()
    edges = tuple(v / beta for v in (-103.0, -87.0, -66.0, -30.0, 5.0, 19.0))
    x = ulps.stratified(torch.float32, 1 << 14, edges)
    leaf = x.clone().requires_grad_()
    (got,) = torch.autograd.grad(gpukern.softplus(leaf, factor).sum(), leaf)
    z = x.double() * factor
    want = torch.where(z > 20, 1.0, torch.sigmoid(z)).float()
    steps = ulps.distance(got, want)
    promise = next(c for c in CASES if c.name == "softplus").grad_ulp32
    assert int(steps.max()) <= promise, (int(steps.max()), x[steps.argmax()])
