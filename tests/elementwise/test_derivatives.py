"""Gradients, tangents and second derivatives where they are hard: limits, saturation, poles, branches; and their ulp.

tests/oracle/derivatives.py has the references. Where there is no limit (outside of a domain, at a kink) torch decides.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad as fwd

from tests.oracle import derivatives, figures, gradient_errors, partials, ulps
from tests.oracle.derivatives import FIRST, SECOND, key, limit
from tests.oracle.ops import UNARY, Case, ids
from tests.oracle.precise import PRECISE, mp

SMOOTH = [c for c in UNARY if key(c) in FIRST]
LINEAR = [c for c in UNARY if c.differentiable and key(c) not in FIRST]
BRANCHES = (
    0.5,
    0.625,
    1.0,
    1.5,
    2.0,
    3.0,
    4.0,
    5.0,
    6.0,
    10.0,
    20.0,
    24.0,
    38.0,
    87.3,
    88.7,
    103.9,
    128.0,
    149.0,
    709.7,
)
CROSSINGS = {"gelu", "silu", "mish", "hardswish"}  # derivatives that are differences somewhere


def special(dtype: torch.dtype) -> Tensor:
    """Zeros, infinities, NaN, largest, smallest, subnormal numbers, branch points and the neighbours of all."""
    info = torch.finfo(dtype)
    ends = [
        0.0,
        info.max,
        info.max / 2,
        info.max**0.5,
        info.tiny,
        4 * info.tiny,
        ulps.TINY[dtype],
        7 * ulps.TINY[dtype],
    ]
    x = torch.tensor([*ends, *BRANCHES, 1e-3, 0.1], dtype=torch.float64).to(dtype)
    bits = x.view(ulps._BITS[dtype])
    near = torch.cat([bits, bits + 1, bits[1:] - 1]).view(dtype)
    rest = torch.tensor([math.inf, math.nan], dtype=dtype)
    return torch.cat([near, -near, rest, -rest])


def derivatives_of(case: Case, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gradient, tangent and second derivative, 1 being handed down."""
    x = x.clone().requires_grad_()
    first = torch.autograd.grad(case.ours(x).sum(), x, create_graph=True)[0]
    second = torch.autograd.grad(first.sum(), x)[0]
    with fwd.dual_level():
        tangent = fwd.unpack_dual(case.ours(fwd.make_dual(x.detach(), torch.ones_like(x)))).tangent
    return first.detach(), tangent, second


@functools.cache
def exact(name: str, order: int, x: float, kwargs: tuple[tuple[str, float], ...]) -> float:
    return limit(name, (FIRST if order == 1 else SECOND)[name], x, **dict(kwargs))


def expected(case: Case, order: int, x: Tensor) -> Tensor:
    """In float64; torch's own where there is no limit."""
    kwargs = tuple((k, v) for k, v in case.kwargs.items() if not isinstance(v, str))
    want = torch.tensor([exact(key(case), order, v, kwargs) for v in x.tolist()], dtype=torch.float64)
    wide = x.double().requires_grad_()
    torchs = torch.autograd.grad(case.eager(wide).sum(), wide, create_graph=True)[0]
    if order == 2:
        torchs = torch.autograd.grad(torchs.sum(), wide)[0]
    return torch.where(want.isnan(), torchs.detach(), want)


def check(case: Case, x: Tensor, got: Tensor, want: Tensor, order: int, what: str) -> None:
    dtype = x.dtype
    rounded = want.to(dtype)
    relative = {torch.float64: 1e-11, torch.float32: 4e-5, torch.float16: 6e-3, torch.bfloat16: 5e-2}[dtype]
    absolute = 2 * torch.finfo(dtype).eps * ((x.abs() < 20) if case.name in CROSSINGS else torch.zeros_like(x))
    # a factor may be subnormal: one step of it is abs(x), twice derived abs(x)^2, steps of the result
    wide = dtype in (torch.float32, torch.float64)
    steps = 4 + (4 * x.abs().double().clamp(max=400) ** order).nan_to_num() * wide
    near = (got.double() - want).abs() <= relative * want.abs() + absolute.double() + steps * ulps.TINY[dtype]
    largest = torch.finfo(dtype).max * (1 - 2**-6)
    end = (got.abs() >= largest) & (want.abs() >= largest) & (got.sign() == rounded.sign())
    # outside of a domain: torch's first derivative, but for underflow; the second has no meaning there
    low, high = derivatives.DOMAIN.get(case.name, (0 if case.name in derivatives.POSITIVE else -math.inf, math.inf))
    outside = (x < low) | (x > high)
    near |= outside & ((got.abs() < 1e-18) & (want.abs() < 1e-18) | (order == 2))
    fine = (got.isnan() & want.isnan()) | (got == rounded) | near | end
    wrong = [f"{what} of {case.id} at {a!r}: {b!r}, should be {c!r}"
             for a, b, c in zip(x[~fine].tolist(), got[~fine].tolist(), want[~fine].tolist())]  # fmt: skip
    assert not wrong, "\n".join(wrong[:8])


@pytest.mark.parametrize("dtype", ulps.FLOATS, ids=str)
@pytest.mark.parametrize("case", SMOOTH, ids=ids(SMOOTH))
def test_derivatives_at_special_values_are_limits(case: Case, dtype: torch.dtype) -> None:
    x = special(dtype)
    first, tangent, second = derivatives_of(case, x)
    want = expected(case, 1, x)
    check(case, x, first, want, 1, "gradient")
    check(case, x, tangent, want, 1, "tangent")
    want = expected(case, 2, x)
    if case.name == "softplus":  # a kink, where torch has 0
        beta, threshold = case.kwargs.get("beta", 1), case.kwargs.get("threshold", 20)
        want = torch.where(x.double() * beta == threshold, 0.0, want)
    check(case, x, second, want, 2, "second derivative")


@pytest.mark.parametrize("dtype", ulps.FLOATS, ids=str)
@pytest.mark.parametrize("case", LINEAR, ids=ids(LINEAR))
def test_derivatives_of_pieces_of_lines_are_torchs(case: Case, dtype: torch.dtype) -> None:
    """At kinks, infinities and NaN too."""
    x = special(dtype).repeat_interleave(40).requires_grad_()  # torch's tails are other code than its vectors
    wide = x.detach().double().requires_grad_()
    ours = torch.autograd.grad(case.ours(x).sum(), x)[0]
    theirs = torch.autograd.grad(case.eager(wide).sum(), wide)[0]
    tolerance = 2.0**-24 if dtype == torch.float64 else torch.finfo(dtype).eps  # hardsigmoid's 1 / 6 is a float32 there
    torch.testing.assert_close(ours.double(), theirs, rtol=tolerance, atol=0, equal_nan=True)


SEVERAL = [c for c in gradient_errors.CASES if c.inputs > 1 and c.name not in ("add", "sub")]


def grid(case: Case, dtype: torch.dtype) -> list[Tensor]:
    info = torch.finfo(dtype)
    values = [0.0, 1.0, -1.0, 0.5, -3.0, 7.0, info.max, -info.max, info.tiny, ulps.TINY[dtype], math.inf, -math.inf]
    if case.inputs == 3:
        values = [0.0, 1.0, -3.0, info.max, 0.25, -math.inf]
    points = torch.cartesian_prod(*[torch.tensor(values, dtype=torch.float64).to(dtype)] * case.inputs)
    # of two infinities there is a limit only along a path, and an infinite factor times 0 is NaN as in torch
    factors = {"swiglu": [0, 1], "geglu": [0, 1], "scale_shift_act": [0, 1]}.get(case.name, [])
    points = points[(points.isinf().sum(1) <= 1) & ~points[:, factors].isinf().any(1)]
    if case.name == "scale_shift_act":  # inf - inf, or a multiply-add that does not overflow
        points = points[~((points[:, 0] * points[:, 1]).isinf() & points[:, 2].isinf())]
    return [points[:, k].contiguous() for k in range(case.inputs)]


def exact_partials(case: Case, operands: list[Tensor]) -> Tensor:
    """(inputs, points) in float64; NaN where there is no real number."""
    columns = []
    for row in zip(*(t.tolist() for t in operands)):
        at = [mp.mpf(v) if math.isfinite(v) else math.copysign(1, v) * derivatives.FAR for v in row]
        values = []
        for k in range(case.inputs):
            try:
                with mp.workprec(1100 if case.name == "pow" else mp.prec):  # an exponent less 1 is exact
                    value = partials.partials(case, partials.PRECISE_WORDS, *at)[k]
                values.append(float(value) if isinstance(value, (int, float, mp.mpf)) else math.nan)
            except ZeroDivisionError:
                values.append(math.nan)
        columns.append(values)
    return torch.tensor(columns, dtype=torch.float64).t()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("case", SEVERAL, ids=ids(SEVERAL))
def test_partial_derivatives_at_special_values_are_limits(case: Case, dtype: torch.dtype) -> None:
    """Of one operand at a time; where an operand is infinite and torch has no NaN, torch's."""
    operands = grid(case, dtype)
    leaves = [t.clone().requires_grad_() for t in operands]
    got = torch.autograd.grad(case.ours(*leaves).sum(), leaves)
    wide = [t.double().requires_grad_() for t in operands]
    torchs = torch.autograd.grad(case.eager(*wide).sum(), wide)
    for k, (mine, want, theirs) in enumerate(zip(got, exact_partials(case, operands), torchs, strict=True)):
        known = ~want.isnan() | theirs.isfinite()
        largest = torch.finfo(dtype).max * (1 - 2**-6)
        factor = torch.stack([t.double().abs().clamp(1, 1e3) for t in operands]).amax(0)

        def agrees(right: Tensor, got: Tensor = mine, factor: Tensor = factor, largest: float = largest) -> Tensor:
            near = (got.double() - right).abs() <= 4e-5 * right.abs() + 8 * ulps.TINY[dtype] * factor
            end = (got.abs() >= largest) & (right.abs() >= largest) & (got.sign() == right.sign())
            return near | end | (got.double() == right)

        # torch's too: a sum is rounded before a branch is taken, an exponent beyond 2^53 is even
        wrong = known & ~(agrees(want) | (agrees(theirs) & theirs.isfinite()))
        text = [
            f"d/d{k} {case.id}{tuple(float(t[i]) for t in operands)} = {float(mine[i])!r}, not {float(want[i])!r}"
            for i in wrong.nonzero().flatten().tolist()
        ]
        assert not text, "\n".join(text[:12])
        assert float(known.double().mean()) > 0.5


MEASURED = [(c, d) for c in gradient_errors.CASES for d in figures.COLUMNS.values() if gradient_errors.measured(c, d)]


@functools.cache
def table() -> dict[str, list[str]]:
    """The rows of docs/numerics.md on gradients, by op."""
    text = (Path(__file__).parents[2] / "docs" / "numerics.md").read_text()
    lines = text.partition("## Measured, gradients")[2].partition("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return {row[0]: row[1:] for row in rows[2:]}


@pytest.mark.parametrize("case, dtype", MEASURED, ids=[f"{c.id}-{d}" for c, d in MEASURED])
def test_gradients_keep_their_promise(case: Case, dtype: torch.dtype) -> None:
    """Every 16-bit pattern, float32 by strata: within the ulp that the op's struct names, and the table of the docs."""
    worst, _, where = gradient_errors.measure(case, dtype)
    assert worst <= gradient_errors.promise(case, dtype), where
    cell, promised = table()[case.id][list(figures.COLUMNS.values()).index(dtype)], table()[case.id][-1]
    assert promised == figures.promised(case.id)
    assert worst <= max(int(entry.split("/")[0]) for entry in cell.split(",")), f"the table says {cell}: {where}"


def test_every_gradient_is_in_the_table() -> None:
    assert list(table()) == [c.id for c in gradient_errors.CASES]


def test_references_are_the_functions_derivatives() -> None:
    """mpmath differentiates the functions themselves; the float64 formulas agree with the closed ones."""
    for case in SMOOTH:
        name, kwargs = key(case), {k: v for k, v in case.kwargs.items() if not isinstance(v, str)}
        points = [0.37, 1.7, 2.9] + ([] if name in derivatives.POSITIVE else [-0.4, -1.6, -2.7])
        low, high = derivatives.DOMAIN.get(name, (-math.inf, math.inf))
        points = [v for v in points if low <= v <= high]
        if not kwargs and name in PRECISE:
            for v in points:
                for order, table in ((1, FIRST), (2, SECOND)):
                    assert mp.almosteq(table[name](mp.mpf(v)), mp.diff(PRECISE[name], mp.mpf(v), order), 1e-15)
        x = torch.tensor([*points, 1e-30, 1e-4, 12.0, 40.0], dtype=torch.float64)
        x = torch.cat([x, -x]) if name not in derivatives.POSITIVE else x
        x = x[(x >= low) & (x <= high)]
        want = torch.tensor([limit(name, FIRST[name], v, **kwargs) for v in x.tolist()], dtype=torch.float64)
        torch.testing.assert_close(derivatives.wide(case, x), want, rtol=1e-12, atol=1e-300, msg=name)


@pytest.mark.parametrize("case", [c for c in SMOOTH if c.name != "square"], ids=lambda c: c.id)
def test_third_derivatives_are_right(case: Case) -> None:
    """By reverse mode three times, and by forward mode over reverse twice: mpmath's derivative of the second."""
    low, high = derivatives.DOMAIN.get(case.name, (0, 3))
    points = [low + (min(high, 3) - low) * share for share in (0.1, 0.3, 0.75)]
    x = torch.tensor(points, dtype=torch.float64, requires_grad=True)
    kwargs = {k: v for k, v in case.kwargs.items() if not isinstance(v, str)}
    function = SECOND[key(case)]
    exact = [float(mp.diff(lambda t: function(t, **kwargs), mp.mpf(v))) for v in x.tolist()]
    want = torch.tensor(exact, dtype=torch.float64)
    first = torch.autograd.grad(case.ours(x).sum(), x, create_graph=True)[0]
    second = torch.autograd.grad(first.sum(), x, create_graph=True)[0]
    third = torch.zeros_like(x)
    if second.requires_grad:
        third = torch.autograd.grad(second.sum(), x, allow_unused=True, create_graph=True)[0]
    torch.testing.assert_close(third.detach(), want, rtol=1e-9, atol=1e-12)
    grad = torch.func.grad(torch.func.grad(lambda t: case.ours(t).sum()))
    forward = torch.func.vmap(lambda t: torch.func.jvp(grad, (t,), (torch.ones_like(t),))[1])(x.detach())
    torch.testing.assert_close(forward, want, rtol=1e-9, atol=1e-12)


def test_elu_where_its_result_is_minus_alpha() -> None:
    """The gradient is alpha e^x, not result + alpha; in place, forward, twice, as a module and behind a product too."""
    import gpukern
    import gpukern.nn

    points = {torch.float32: (-20.0, -15.0), torch.float64: (-38.0,)}
    for dtype, values in points.items():
        x = torch.tensor(values, dtype=dtype)
        right = torch.exp(x.double()).to(dtype)
        module = gpukern.nn.ELU()
        eye = torch.eye(len(values), dtype=dtype)
        functions: dict[str, Callable[[Tensor], Tensor]] = {
            "elu": gpukern.elu,
            "elu_": lambda t: gpukern.elu_(t * 1),
            "nn.ELU": module,
            "mm": lambda t: gpukern.mm(eye, t[:, None], activation="elu"),  # noqa: B023
        }
        for name, function in functions.items():
            leaf = x.clone().requires_grad_()
            first = torch.autograd.grad(function(leaf).sum(), leaf, create_graph=True)[0]
            second = torch.autograd.grad(first.sum(), leaf)[0]
            torch.testing.assert_close(first.detach(), right, rtol=1e-6, atol=0, msg=name)
            torch.testing.assert_close(second, right, rtol=1e-6, atol=0, msg=name)


def test_elu_with_an_infinite_alpha() -> None:
    import gpukern

    x = torch.tensor([0.0, -0.0, 1.0, -1.0])
    got = gpukern.elu(x, alpha=math.inf)
    assert torch.equal(got, torch.nn.functional.elu(x, alpha=math.inf))
    assert got[1].signbit()


def test_softplus_with_a_large_threshold_does_not_overflow() -> None:
    import gpukern

    x = torch.tensor([90.0, 500.0, -90.0])
    torch.testing.assert_close(gpukern.softplus(x, 1, 1000), torch.nn.functional.softplus(x.double(), 1, 1000).float())
    torch.testing.assert_close(gpukern.softplus(x[:2], 2, 4000), x[:2])
