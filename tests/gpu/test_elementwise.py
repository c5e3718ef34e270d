"""The elementwise ops on the device: every 16-bit pattern, every type and layout, sizes, outputs, derivatives."""

from __future__ import annotations

import itertools
from functools import partial

import pytest
import torch
from torch import Tensor

import gpukern
from tests.elementwise.test_values import EDGES, FLOAT32_ULPS, tanh_argument, underflow
from tests.oracle import exact, fills, strategies, ulps
from tests.oracle.ops import CASES, EXACT, FIRST, UNARY, Case, ids


def agrees(got: Tensor, expected: Tensor, what: object) -> None:
    """With the CPU's result, strides included."""
    got = got.cpu()
    assert (got.dtype, got.shape, got.stride()) == (expected.dtype, expected.shape, expected.stride()), what
    ulps.agrees_with_cpu(got, expected, what)


@pytest.mark.parametrize("dtype", ulps.HALVES, ids=str)
@pytest.mark.parametrize("case", UNARY, ids=ids(UNARY))
def test_all_65536_patterns(case: Case, dtype: torch.dtype) -> None:
    x = ulps.all_patterns(dtype)
    steps = ulps.distance(case.ours(x.cuda()).cpu(), case.reference(x).to(dtype))
    at = int(steps.argmax())
    assert int(steps.max()) <= case.ulp, (case.id, float(x[at]), int(steps.max()))


@pytest.mark.parametrize("case", UNARY, ids=ids(UNARY))
def test_float32_by_strata(case: Case) -> None:
    """A million patterns over all exponents: exact where the CPU is held to that, else its allowance and 2 places."""
    x = ulps.stratified(torch.float32, 1 << 20, EDGES)
    allowed = torch.zeros(len(x), dtype=torch.float64)
    if case.ulp:
        magnified = tanh_argument(x) if case.choice == "tanh" else 0
        allowed += FLOAT32_ULPS.get(case.name, 2) + 2 + magnified + underflow(case, x)
    got, expected = case.ours(x.cuda()).cpu(), case.reference(x).to(torch.float32)
    beyond = ulps.distance(got, expected) - allowed.nan_to_num(0).to(torch.int64)
    at = int(beyond.argmax())
    assert int(beyond.max()) <= 0, (case.id, float(x[at]), float(got[at]), float(expected[at]))


SHAPES = [(), (0,), (3,), (1037,), (37, 41), (64, 96), (5, 33, 40), (2, 3, 4, 5), (1, 2, 1, 3, 2, 1, 2)]


@pytest.mark.parametrize("dtype", ulps.FLOATS, ids=str)
@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_every_float_type_and_layout(case: Case, dtype: torch.dtype) -> None:
    for shape, layout in itertools.product(SHAPES, strategies.LAYOUTS):
        inputs = [strategies.arranged(t, layout) for t in case.smooth_inputs(shape, dtype)]
        agrees(case.ours(*(moved(t) for t in inputs)), case.ours(*inputs), (case.id, shape, layout))


def moved(t: Tensor) -> Tensor:
    """On the device with the strides it has; `.cuda()` would close the gaps."""
    extent = 1 + sum((n - 1) * s for n, s in zip(t.shape, t.stride())) if t.numel() else 0
    start = t.storage_offset()
    whole = t.as_strided((start + extent,), (1,), 0).cuda()
    return whole.as_strided(t.shape, t.stride(), start)


INTEGERS = [c for c in FIRST if c.types in ("number", "all")]


@pytest.mark.parametrize("dtype", [*ulps.INTEGERS, torch.bool], ids=str)
def test_integers(dtype: torch.dtype) -> None:
    for case in INTEGERS:
        if dtype == torch.bool and case.types != "all":
            continue
        kinds = [torch.bool if k == 0 and case.has_condition else dtype for k in range(case.inputs)]
        inputs = case.divisible([strategies.filled((1031,), kind) for kind in kinds])
        if case.name == "pow":
            inputs[1] = inputs[1].abs()
        if case.name == "clamp" and dtype == torch.uint8:
            continue
        assert torch.equal(case.ours(*(t.cuda() for t in inputs)).cpu(), case.ours(*inputs)), case.id


@pytest.mark.parametrize("case", EXACT, ids=ids(EXACT))
def test_exact_ops_of_every_type(case: Case) -> None:
    for dtype in exact.types_of(case):
        inputs = [strategies.filled((1031,), dtype) for _ in range(case.inputs)]
        got = case.ours(*(t.cuda() for t in inputs)).cpu()
        assert torch.equal(got, exact.reference(case, *inputs)), dtype


@pytest.mark.parametrize("case", FIRST, ids=ids(FIRST))
def test_out_in_place_and_reruns(case: Case) -> None:
    inputs = [t.cuda() for t in case.smooth_inputs((123, 77), torch.float32)]
    expected = case.ours(*inputs)
    for out in (torch.full((123, 77), torch.nan, device="cuda"), torch.full((77, 123), torch.nan, device="cuda").t()):
        assert case.ours(*inputs, out=out) is out
        assert torch.equal(out, expected)
    if case.writes_self:
        x = inputs[0].clone()
        assert case.in_place(x, *inputs[1:]) is x
        assert torch.equal(x, expected)
    for _ in range(100):
        assert torch.equal(case.ours(*inputs), expected)


def test_more_than_2_31_elements() -> None:
    """Real memory, 4.3 GB of bytes; then the same in bfloat16 where the device has room for 9 GB more."""
    n = 2**31 + 4099
    kinds = [torch.int8] + ([torch.bfloat16] if torch.cuda.mem_get_info()[0] > 16 * 2**30 else [])
    for dtype in kinds:
        x = torch.zeros(n, dtype=dtype, device="cuda")
        marks = [0, 1, 2**30, 2**31 - 1, 2**31, 2**31 + 1, n - 1]
        x[marks] = torch.arange(1, 1 + len(marks), device="cuda").to(dtype)
        y = gpukern.neg(x)
        assert torch.equal(y[marks], -x[marks]) and int(torch.count_nonzero(y)) == len(marks)
        del x, y
        torch.cuda.empty_cache()


def test_many_dimensions() -> None:
    for rank in (9, 12, 25):
        x = torch.randn([2 if d % 3 == 0 else 1 for d in range(rank)]).permute(*reversed(range(rank)))
        y = torch.randn([1 if d % 2 else n for d, n in enumerate(x.shape)])
        agrees(gpukern.add(moved(x), moved(y)), gpukern.add(x, y), rank)


@pytest.mark.parametrize("case", FIRST, ids=ids(FIRST))
def test_gradients_agree_with_the_cpu(case: Case) -> None:
    if not case.differentiable:
        return
    for dtype in (torch.float32, torch.float64):
        inputs = case.smooth_inputs((61, 17), dtype)
        g = fills.normal(61, 17, dtype=dtype)
        found = []
        for where in ("cpu", "cuda"):
            here = [t.to(where).requires_grad_(t.is_floating_point()) for t in inputs]
            wanted = [t for t in here if t.requires_grad]
            found.append(torch.autograd.grad(case.ours(*here), wanted, g.to(where)))
        for k, (expected, got) in enumerate(zip(*found)):
            t = 10 * ulps.TIGHT[dtype]
            torch.testing.assert_close(got.cpu(), expected, rtol=t, atol=t, msg=partial("{} {}: {}".format, case.id, k))


def test_gradcheck_of_first_and_second_order() -> None:
    for case in (c for c in FIRST if c.id in ("silu", "mul", "addcmul", "swiglu", "scale_shift_act-gelu")):
        inputs = [t.cuda().requires_grad_() for t in case.smooth_inputs((5, 3))]
        assert torch.autograd.gradcheck(case.ours, inputs) and torch.autograd.gradgradcheck(case.ours, inputs)


def test_autocast_keeps_torchs_types() -> None:
    x = torch.rand(50, device="cuda", dtype=torch.float16) + 0.5
    with torch.autocast("cuda", dtype=torch.float16):
        for case in UNARY:
            assert case.ours(x).dtype == case.eager(x).dtype, case.id
