"""Values: every 16-bit pattern, float32 by strata, float64 against 50 digits, special values, integers and bool."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.oracle import fills, precise, ulps
from tests.oracle.ops import CASES, SEVERAL, UNARY, Case, ids

# Branch points and edges, whose neighbours are always among the arguments.
EDGES = (3.0, -3.0, 6.0, 20.0, -20.0, 10.0, 88.7, -87.3, -103.9, 16.6, 5.5, -5.5, -13.5, 4.0, 8.0, -0.25, 0.01)
# float32: ops built of one function of torch's vector library keep 2 ulp, compositions and erfc 4.
FLOAT32_ULPS = {"gelu": 4, "silu": 4, "mish": 4, "logsigmoid": 4, "softplus": 4, "elu": 4, "sigmoid": 4}


def rounded(x: Tensor, dtype: torch.dtype) -> Tensor:
    return x.to(torch.float32).to(dtype) if dtype == torch.float32 else x.to(dtype)


def worst(case: Case, *tensors: Tensor, result: torch.dtype, allowed: Tensor | int = 0) -> tuple[int, str]:
    """(largest distance from the rounded reference beyond what is allowed, where)."""
    got = case.ours(*tensors)
    assert got.dtype == result
    expected = rounded(case.reference(*tensors), result)
    steps = (ulps.distance(got, expected) - allowed).clamp(min=0)
    at = int(steps.flatten().argmax())
    arguments = [float(t.expand(got.shape).flatten()[at]) for t in tensors]
    where = f"{case.id}{tuple(arguments)} = {float(got.flatten()[at])!r}, should be {float(expected.flatten()[at])!r}"
    return int(steps.max()), where


@pytest.mark.parametrize("dtype", ulps.HALVES, ids=str)
@pytest.mark.parametrize("case", UNARY, ids=ids(UNARY))
def test_every_16_bit_pattern(case: Case, dtype: torch.dtype) -> None:
    steps, where = worst(case, ulps.all_patterns(dtype), result=dtype, allowed=case.ulp)
    assert steps == 0, f"{steps} ulp beyond the promised {case.ulp}: {where}"


@pytest.mark.parametrize("case", UNARY, ids=ids(UNARY))
def test_float32_by_strata(case: Case) -> None:
    x = ulps.stratified(torch.float32, 1 << 18, EDGES)
    if case.ulp == 0:
        allowed = torch.zeros(len(x), dtype=torch.int64)
    else:
        steps = FLOAT32_ULPS.get(case.name, 2) + (tanh_argument(x) if case.choice == "tanh" else 0)
        allowed = (steps + underflow(case, x)).to(torch.int64)
    steps, where = worst(case, x, result=torch.float32, allowed=allowed)
    assert steps == 0, f"{steps} ulp beyond what is allowed: {where}"


def tanh_argument(x: Tensor) -> Tensor:
    """What the rounding of gelu's polynomial costs in the tail e^(2u): five roundings, 2 |u| times magnified."""
    wide = x.to(torch.float64)
    twice_u: Tensor = 2 * (2 / torch.pi) ** 0.5 * (wide + 0.044715 * wide**3)
    return (4.5 * twice_u.abs()).clamp(max=1000) * (x < 0)


def underflow(case: Case, x: Tensor) -> Tensor:
    """x times a factor that is itself subnormal: one step of the factor is |x| steps of the result."""
    if case.name not in ("gelu", "silu", "mish"):
        return torch.zeros(x.shape, dtype=torch.float64)
    result = case.reference(x).abs()
    factor = result / x.to(torch.float64).abs()
    step = torch.maximum(result, torch.full_like(result, 2.0**-126)) * 2.0**-23
    return torch.where(
        factor < 2.0**-126, x.abs().to(torch.float64) * 2.0**-149 / step, torch.zeros_like(result)
    ).ceil()


PRECISE_CASES = [c for c in UNARY if c.id in precise.PRECISE]


@pytest.mark.parametrize("case", PRECISE_CASES, ids=ids(PRECISE_CASES))
def test_float64_against_50_digits(case: Case) -> None:
    x = precise.points(case.id)
    magnified = {"gelu-tanh": tanh_argument(x), "gelu-none": 1.5 * x * x * (x < 0)}.get(case.id, torch.zeros_like(x))
    allowed = magnified + (4 if case.name in FLOAT32_ULPS else 2)
    off = precise.ulps_off(case.ours(x), x, precise.PRECISE[case.id])
    at = int((off - allowed).argmax())
    assert bool((off <= allowed).all()), f"{case.id}({float(x[at])!r}) is {float(off[at]):.2f} ulp off"


EXACT = [c for c in UNARY if c.ulp == 0]


@pytest.mark.parametrize("case", EXACT, ids=ids(EXACT))
def test_float64_exact(case: Case) -> None:
    steps, where = worst(case, ulps.stratified(torch.float64, 1 << 12, EDGES), result=torch.float64)
    assert steps == 0, where


def grid(dtype: torch.dtype, inputs: int, has_condition: bool) -> list[Tensor]:
    """All combinations of special values, one operand a dimension."""
    result = []
    for k in range(inputs):
        values = fills.special(torch.bool if k == 0 and has_condition else dtype)
        if inputs == 3:
            values = values[:: max(1, len(values) // 20)]
        result.append(values.reshape([-1 if e == k else 1 for e in range(inputs)]))
    return result


@pytest.mark.parametrize("dtype", ulps.FLOATS, ids=str)
@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_special_values(case: Case, dtype: torch.dtype) -> None:
    """NaN and infinity exactly where float64 has them (after rounding to the type), and zero with its sign.

    A function of one number has one right answer.  Of several, overflow and underflow between the steps are part of the
    definition, and three ways to take the steps are right: torch's, exact ones (float64, or long double for what
    float64 does not hold), and a product and a sum with one rounding, which compilers make a fused multiply-add of.
    """
    operands = grid(dtype, case.inputs, case.has_condition)
    # 40 of the same in each row, so that vector bodies and scalar tails both meet each value
    repeated = [t.unsqueeze(-1).expand(*t.shape, 40).contiguous() for t in operands]
    got = case.ours(*repeated)
    expected = case.reference(*repeated).to(dtype)
    compute = torch.float64 if dtype == torch.float64 else torch.float32
    stepwise = case.eager(*[t if t.dtype == torch.bool else t.to(compute) for t in repeated]).to(dtype)
    right = [expected]
    if case.inputs > 1:
        right += [stepwise]
        right += [precise.once_rounded(case, repeated, compute).to(dtype)] if case.name in precise.SUMS else []
    fine = torch.stack([same_kind(got, r) for r in right]).any(0)
    assert bool(fine.all()), show(case, repeated, got, expected, ~fine)
    if case.name not in (
        "maximum",
        "minimum",
        "fmax",
        "fmin",
        "clamp_min",
        "clamp_max",
        "clamp_tensor",
        "clamp",
        "hardtanh",
    ):
        # of equal zeros a choice (the ops above) may give either
        signs = [(r != 0) | (got.signbit() == r.signbit()) for r in [*right, stepwise]]
        wrong = (got == 0) & ~torch.stack(signs).any(0)
        assert not bool(wrong.any()), show(case, repeated, got, expected, wrong)


def same_kind(got: Tensor, expected: Tensor) -> Tensor:
    """Both NaN, both the same infinity (the last steps before it may round either way), or both finite."""
    largest = torch.finfo(got.dtype).max * (1 - 2**-6)
    infinite = got.isinf() | expected.isinf()
    at_the_end = (got.abs() >= largest) & (expected.abs() >= largest) & (got.sign() == expected.sign())
    return (got.isnan() & expected.isnan()) | (~got.isnan() & ~expected.isnan() & (~infinite | at_the_end))


def show(case: Case, operands: list[Tensor], got: Tensor, expected: Tensor, wrong: Tensor) -> str:
    lines = []
    for at in wrong.nonzero()[::40][:6].tolist():
        arguments = [float(t.expand(got.shape)[tuple(at)]) for t in operands]
        lines.append(
            f"{case.id}{tuple(arguments)} = {float(got[tuple(at)])!r}, should be {float(expected[tuple(at)])!r}"
        )
    return "\n".join(lines)


INTEGER_CASES = [c for c in CASES if c.types in ("number", "all")]
BOOL_CASES = [c for c in CASES if c.types in ("all", "to_float") and c.kwargs.get("rounding_mode") is None]


@pytest.mark.parametrize("dtype", ulps.INTEGERS, ids=str)
@pytest.mark.parametrize("case", INTEGER_CASES, ids=ids(INTEGER_CASES))
def test_integers_as_torch(case: Case, dtype: torch.dtype) -> None:
    """Wraparound, unsigned and extreme values: bit for bit torch's (integer arithmetic has one right answer)."""
    operands = case.divisible(grid(dtype, case.inputs, case.has_condition))
    if case.name == "pow":
        operands[1] = operands[1].clamp(0, 40)
    kwargs_fit = dtype != torch.uint8 or all(not isinstance(v, int) or v >= 0 for v in case.kwargs.values())
    if not kwargs_fit:
        operands = [t.to(torch.int16) for t in operands]
    expected = case.eager(*operands)
    got = case.ours(*operands)
    assert got.dtype == expected.dtype
    assert torch.equal(got, expected)


@pytest.mark.parametrize("case", BOOL_CASES, ids=ids(BOOL_CASES))
def test_bool_as_torch(case: Case) -> None:
    operands = grid(torch.bool, case.inputs, case.has_condition)
    try:
        expected = case.eager(*operands)
    except RuntimeError as error:
        with pytest.raises(RuntimeError) as ours:
            case.ours(*operands)
        assert str(ours.value).splitlines()[0] == str(error).splitlines()[0]
        return
    got = case.ours(*operands)
    assert got.dtype == expected.dtype
    torch.testing.assert_close(got, expected, equal_nan=True)


@pytest.mark.parametrize("dtype", ulps.FLOATS, ids=str)
@pytest.mark.parametrize("case", SEVERAL, ids=ids(SEVERAL))
def test_random_operands(case: Case, dtype: torch.dtype) -> None:
    """Ops of several operands: the promised ulp, plus what cancellation in the compute type may cost."""
    operands = [fills.normal(2000, dtype=dtype) * 3 for _ in range(case.inputs)]
    if case.has_condition:
        operands[0] = torch.rand(2000) > 0.5
    if case.name == "pow":
        operands[0] = operands[0].abs()
    got, reference = case.ours(*operands).to(torch.float64), case.reference(*operands)
    if case.kwargs.get("rounding_mode"):  # a quotient that rounds up to a whole number, as in torch
        reference = case.eager(*[t.to(torch.float64 if dtype == torch.float64 else torch.float32) for t in operands])
        reference = reference.to(dtype).to(torch.float64)
    scale = sum(t.to(torch.float64).abs() for t in operands) + 1
    if case.name in ("mul", "addcmul", "scale_shift_act", "swiglu", "geglu"):
        scale = scale * scale
    if case.name in ("div", "addcdiv", "pow"):
        scale = scale * (reference.abs() + 1)
    compute = ulps.UNIT[torch.float64 if dtype == torch.float64 else torch.float32]
    tolerance = 2 * ulps.UNIT[dtype] * (case.ulp + 0.5) * reference.abs() + 16 * compute * scale + ulps.TINY[dtype]
    if "tanh" in case.choice:
        tolerance = tolerance + 10 * compute * scale**3 * reference.abs()
    if case.kwargs.get("rounding_mode"):
        tolerance = torch.zeros_like(tolerance)
    overflow = got.isinf() & (got == reference.to(dtype).to(torch.float64))
    wrong = ~((got - reference).abs() <= tolerance) & ~(reference.isnan() & got.isnan()) & ~overflow
    assert not bool(wrong.any()), show(case, operands, got, reference, wrong)
