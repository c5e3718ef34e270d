"""One test for each bug that was found, named for it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from fractions import Fraction
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad as fwd

import gpukern
from tests.oracle import ulps


def test_forward_over_reverse_of_an_op_that_saves_its_result_was_zero() -> None:
    """The result was saved before its tangent was attached, so the gradient's tangent had no part of it."""
    x = torch.tensor([0.3, 1.7], dtype=torch.float64)
    for name, in_place in (("exp", False), ("tanh", False), ("rsqrt", False), ("sigmoid", True), ("sqrt", True)):
        seconds = []
        for home in (gpukern, torch):
            with fwd.dual_level():
                leaf = fwd.make_dual(x.clone().requires_grad_(), torch.ones_like(x))
                function = getattr(home, name + "_" if in_place else name)
                y = function(leaf * 1 if in_place else leaf)
                (g,) = torch.autograd.grad(y.sum(), leaf, create_graph=True)
                seconds.append(fwd.unpack_dual(g).tangent)
        torch.testing.assert_close(seconds[0], seconds[1], msg=name)


def test_in_place_on_a_tensor_that_has_a_tangent_failed_an_assertion() -> None:
    """A tangent can be written to, not replaced."""
    x, direction = torch.tensor([0.3, -1.7], dtype=torch.float64), torch.tensor([2.0, 3.0], dtype=torch.float64)
    for name in ("silu", "sigmoid", "neg", "relu"):
        with fwd.dual_level():
            ours = fwd.make_dual(x.clone(), direction.clone())
            getattr(gpukern, name + "_")(ours)
            theirs = fwd.make_dual(x.clone(), direction.clone())
            y = getattr(torch, name, None) or getattr(torch.nn.functional, name)
            torch.testing.assert_close(fwd.unpack_dual(ours).tangent, fwd.unpack_dual(y(theirs)).tangent, msg=name)


def test_subtraction_took_a_bool_beside_another_type() -> None:
    x, mask = torch.ones(3), torch.tensor([True, False, True])
    for call in (lambda: gpukern.sub(x, mask), lambda: gpukern.sub(mask, x), lambda: gpukern.sub(x, True)):
        with pytest.raises(RuntimeError, match="Subtraction, the `-` operator, with a bool tensor is not supported"):
            call()


def test_zero_dim_integer_was_not_narrowed_to_the_common_type() -> None:
    """-6 beside uint8 counts as 250 in torch, and 300 as 44."""
    x = torch.tensor([0, 5, 251], dtype=torch.uint8)
    for number in (-6, 300, 7):
        other = torch.tensor(number, dtype=torch.int32)
        for name in ("maximum", "minimum", "fmax", "fmin", "clamp_min", "clamp_max", "add", "mul", "pow"):
            ours, theirs = getattr(gpukern, name)(x, other), getattr(torch, name)(x, other)
            assert ours.dtype == theirs.dtype and torch.equal(ours, theirs), (name, number)


def test_integers_to_negative_powers_were_computed() -> None:
    with pytest.raises(RuntimeError, match="Integers to negative integer powers are not allowed"):
        gpukern.pow(torch.tensor([1, 2]), -3)


def test_bool_to_the_power_of_a_number_was_refused() -> None:
    x = torch.tensor([True, False])
    assert torch.equal(gpukern.pow(x, True), torch.pow(x, True))


def test_complex_numbers_beside_zero_dim_tensors() -> None:
    x = torch.tensor(2.0)
    torch.testing.assert_close(gpukern.pow(x, 2j), torch.pow(x, 2j))
    with pytest.raises(RuntimeError, match="value cannot be converted to type float without overflow"):
        gpukern.lerp(x, x, 2j)


def test_out_of_another_type_was_cast_where_torch_refuses() -> None:
    with pytest.raises(RuntimeError, match="Found dtype Double but expected Float"):
        gpukern.abs(torch.ones(3), out=torch.empty(3, dtype=torch.float64))


def test_out_of_clamp_min_was_refused_as_not_a_scalar() -> None:
    """The twin was picked by the number of its arguments, and `clamp_min.out` has as many as `clamp_min.Tensor_out`."""
    x = torch.ones(3)
    with pytest.raises(RuntimeError, match="result type Float can't be cast to the desired output type Long"):
        gpukern.clamp_min(x, x, out=torch.empty(3, dtype=torch.int64))


def test_clamp_with_tensor_bounds_had_no_out_and_no_in_place_form() -> None:
    x, low, high = torch.tensor([-2.0, 0.5, 9.0]), torch.zeros(3), torch.ones(3)
    for bounds in ((low, high), (low, None), (None, high)):
        expected = torch.clamp(x, *bounds)
        with pytest.warns(UserWarning, match="An output with one or more elements was resized"):
            out = gpukern.clamp(x, *bounds, out=torch.empty(7))
        assert torch.equal(out, expected)
        y = x.clone()
        assert gpukern.clamp_(y, *bounds) is y and torch.equal(y, expected)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gpukern.clamp(x, low, high, out=torch.empty(0))
    leaf = x.clone().requires_grad_()
    with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
        gpukern.clamp(leaf, low, high, out=torch.empty(3))


def test_zero_dim_bounds_of_clamp_promoted_as_numbers() -> None:
    x, low, high = torch.tensor(1.0, dtype=torch.float16), torch.tensor(-1.0), torch.tensor(2.0, dtype=torch.bfloat16)
    assert gpukern.clamp(x, low, high).dtype == torch.clamp(x, low, high).dtype == torch.float32


def exact_gelu(x: Tensor) -> Tensor:
    tail: Tensor = torch.special.erfc(-x.double() * 0.5**0.5)
    return 0.5 * x.double() * tail


def test_constant_of_gelu_tanh_had_eleven_digits() -> None:
    """0.044715 sqrt(8 / pi), wrong in the twelfth: 4e7 ulp at -17.5 in float64."""
    x = torch.linspace(-5, 5, 1001, dtype=torch.float64)
    expected = torch.nn.functional.gelu(x[x > -2], approximate="tanh")
    torch.testing.assert_close(gpukern.gelu(x[x > -2], approximate="tanh"), expected, rtol=5e-15, atol=0)


@pytest.mark.parametrize("low, high", [(-13.0, -6.0), (-6.0, -1.0), (-1.0, -1e-3), (1e-3, 1.0), (1.0, 8.0)])
def test_tail_of_gelu_lost_digits_to_the_rounding_of_its_argument(low: float, high: float) -> None:
    """erfc(x / sqrt(2)) magnifies the rounding of its argument x^2 times: 196 ulp at -13 in float32.

    Four are left with the registers' own tail; six without, since the C library's erfcf has up to four of its own.
    """
    x = torch.linspace(low, high, 400_001, dtype=torch.float64).float()
    worst = int(ulps.distance(gpukern.gelu(x), exact_gelu(x).float()).max())
    assert worst <= (6 if gpukern._C.cpu_capability() == "DEFAULT" else 4), f"{worst} ulp"


def test_vmap_of_ops_made_of_others_looped_with_a_warning() -> None:
    x, low, high = torch.randn(3, 4), torch.full((4,), -0.5), torch.full((3, 4), 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = torch.vmap(lambda a, b: gpukern.clamp(a, low, b))(x, high)
        assert torch.equal(got, torch.clamp(x, low, high))
        assert torch.equal(torch.vmap(lambda a: gpukern.bias_act(a, low, "relu"))(x), torch.relu(x + low))
        assert torch.equal(torch.vmap(lambda a: gpukern.pow(a, 3))(x), gpukern.pow(x, 3))


def test_vmap_over_a_number_in_a_tensors_place_was_refused() -> None:
    x, y = torch.randn(3, 4), torch.randn(4)
    assert torch.equal(torch.vmap(lambda a: gpukern.lerp(a, y, 0.25))(x), gpukern.lerp(x, y, 0.25))
    for name in ("add", "sub", "mul", "div"):
        ours, theirs = getattr(gpukern, name), getattr(torch, name)
        for number, t in ((2, x), (1.5, x), (2.5, x.long()), (2, x.long() + 5)):
            got = torch.vmap(lambda a, n=number, f=ours: f(a, n))(t)
            torch.testing.assert_close(got, theirs(t, number))
    condition = x > 0
    got = torch.vmap(lambda c, a: gpukern.where(c, a, 1.0))(condition, x)
    assert torch.equal(got, torch.where(condition, x, 1.0))


def test_a_number_that_a_tracer_keeps_open_was_refused() -> None:
    """Under dynamic=True an int argument is a symbol, which Scalar::equal does not compare."""
    x, y = torch.rand(3, 4) + 1, torch.rand(4, 3)
    calls = {
        "pow": lambda t, n: gpukern.pow(t, n),
        "add": lambda t, n: gpukern.add(t, t, alpha=n),
        "sub": lambda t, n: gpukern.sub(t, t, alpha=n),
        "addmm": lambda t, n: gpukern.addmm(t[:, :3], t, y, beta=n, alpha=n),
        "addbmm": lambda t, n: gpukern.addbmm(t[:, :3], t[None], y[None], beta=n, alpha=n),
        "addr": lambda t, n: gpukern.addr(t, t[:, 0], t[0], beta=n, alpha=n),
    }
    for name, call in calls.items():
        torch._dynamo.reset()
        compiled = torch.compile(call, fullgraph=True, backend="aot_eager", dynamic=True)
        for number in (3, 2, 5):
            grads = []
            for function in (compiled, call):
                leaf = x.clone().requires_grad_()
                grads.append(torch.autograd.grad(function(leaf, number).sum(), leaf))
            torch.testing.assert_close(grads[0], grads[1], msg=partial("{}: {}".format, name))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_nested_tensors_had_no_kernel(layout: torch.layout) -> None:
    """Their keys and classes lie below autograd and know torch's ops only."""
    parts = [torch.randn(2, 3), torch.randn(4, 3)]
    nested = torch.nested.nested_tensor(parts, layout=layout)
    weight, bias = torch.randn(5, 3), torch.randn(5)
    for grad in (False, True):
        x = nested.detach().requires_grad_(grad)
        calls: list[tuple[Tensor, Callable[[Tensor], Tensor]]] = [
            (gpukern.relu(x), torch.relu),
            (gpukern.mul(x, 2), lambda t: t * 2),
            (gpukern.add(x, x), lambda t: t + t),
            (gpukern.linear(x, weight, bias), lambda t: torch.nn.functional.linear(t, weight, bias)),
        ]
        if layout == torch.strided:  # torch has no product of two jagged ones
            calls += [(f(x, x.transpose(1, 2)), lambda t: t @ t.t()) for f in (gpukern.bmm, gpukern.matmul)]
        for got, function in calls:
            for result, part in zip(got.unbind(), parts):
                torch.testing.assert_close(result, function(part))
    if layout == torch.strided:
        with torch.inference_mode():
            inside = torch.nested.nested_tensor(parts)
            assert torch.equal(gpukern.relu(inside).unbind()[0], parts[0].relu())
            assert gpukern.bmm(inside, inside.transpose(1, 2)).is_nested


def test_int64_results_beyond_the_type_were_undefined_behaviour() -> None:
    """They wrapped by the compiler's grace; UBSan (`make sanitize`) stops at signed arithmetic that overflows."""
    least, most = torch.iinfo(torch.int64).min, torch.iinfo(torch.int64).max
    x = torch.tensor([least, most, -1, 3, most])
    y = torch.tensor([-1, 1, least, most, most])
    for home in (gpukern, torch):
        results = [home.add(x, y), home.add(x, y, alpha=3), home.sub(x, y), home.sub(y, x, alpha=most), home.mul(x, y)]
        results += [home.neg(x), home.abs(x), home.square(x), home.addcmul(x, y, y, value=3)]
        results.append(home.pow(x, torch.full_like(x, 3)))
        if home is gpukern:
            ours = results
    for number, (result, expected) in enumerate(zip(ours, results)):
        assert torch.equal(result, expected), number


def test_a_remainder_of_a_large_quotient_was_nan() -> None:
    """Sleef's fmod, in the CPU's registers: NaN for 3.4e38 and 0.99. Rounded divisions are made of it too."""
    generator = torch.Generator().manual_seed(11)
    for dtype, reach in ((torch.float32, 38), (torch.float64, 300)):
        powers = reach * (2 * torch.rand(2, 4099, generator=generator, dtype=torch.float64) - 1)
        x, y = (10.0 ** powers[0]).to(dtype), -(10.0 ** powers[1]).to(dtype)
        want = torch.tensor([math.fmod(a, b) for a, b in zip(x.tolist(), y.tolist())], dtype=torch.float64).to(dtype)
        assert torch.equal(gpukern.fmod(x, y), want)
        assert torch.equal(gpukern.remainder(x, y), torch.where(want > 0, want + y, want))
        down = gpukern.div(x, y, rounding_mode="floor")
        exact = [float(Fraction(a) // Fraction(b)) for a, b in zip(x.tolist(), y.tolist()) if abs(a / b) < 1e300]
        within = [abs(a / b) < 1e300 for a, b in zip(x.tolist(), y.tolist())]
        torch.testing.assert_close(down[torch.tensor(within)], torch.tensor(exact, dtype=torch.float64).to(dtype))
