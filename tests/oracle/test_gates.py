"""Tests of the instruments: every planted fault is killed, and no correct kernel is accused."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor

from tests.oracle import fills, poison, precise, products, strategies, ulps
from tests.oracle.faults import CORRECT_PRODUCTS, PRODUCT_FAULTS, UNARY_FAULTS, correct
from tests.oracle.ops import REFERENCES

M, N, K = 80, 72, 1024


def operands(fill: str, dtype: torch.dtype, k: int = K) -> tuple[Tensor, Tensor]:
    make = fills.FILLS[fill]
    return make(M, k, dtype=dtype), make(k, N, dtype=dtype)


@pytest.mark.parametrize("fault", PRODUCT_FAULTS)
def test_product_fault_is_killed(fault: str) -> None:
    a, b = operands("normal", torch.bfloat16)
    assert not products.judge_product(PRODUCT_FAULTS[fault](a, b), a, b), f"{fault} lives"


@pytest.mark.parametrize("fault", PRODUCT_FAULTS)
def test_product_fault_is_killed_in_float16(fault: str) -> None:
    a, b = operands("normal", torch.float16)
    assert not products.judge_product(PRODUCT_FAULTS[fault](a, b), a, b), f"{fault} lives"


@pytest.mark.parametrize("dtype", [*ulps.HALVES, torch.float32], ids=str)
@pytest.mark.parametrize("fill", fills.FILLS)
@pytest.mark.parametrize("kernel", CORRECT_PRODUCTS)
def test_no_false_alarm(kernel: str, fill: str, dtype: torch.dtype) -> None:
    for k in (64, 1000) if kernel != "one sum" else (64, 4096):
        a, b = operands(fill, dtype, k)
        verdict = products.judge_product(CORRECT_PRODUCTS[kernel](a, b), a, b)
        assert verdict, verdict.text


def test_reduced_precision_products_are_killed_in_float32() -> None:
    """One bfloat16 or TF32 product in place of a float32 one, which looser gates let through."""
    for fill in ("normal", "wide", "cancelling"):
        a, b = operands(fill, torch.float32)
        assert products.judge_product(a @ b, a, b)
        assert not products.judge_product((a.bfloat16().float() @ b.bfloat16().float()), a, b)
        tf32 = [((t.view(torch.int32) + 0x1000) >> 13 << 13).view(torch.float32) for t in (a, b)]
        assert not products.judge_product(tf32[0] @ tf32[1], a, b)


def test_truncating_accumulators_pass_only_their_own_gate() -> None:
    """A tensor core that cuts instead of rounding, on all-positive data."""
    a, b = operands("uniform", torch.float32, 2048)
    total = torch.zeros(M, N, dtype=torch.float64)
    for k in range(0, 2048, 8):
        exact = total + a[:, k : k + 8].double() @ b[k : k + 8].double()
        total = (exact.view(torch.int64) >> 28 << 28).view(torch.float64)  # 24 bits kept, the rest cut
    reference, magnitude = products.product(a, b)
    assert products.judge(total.float(), reference, magnitude, 2048, accumulator="truncating")


def test_verdict_on_nan_and_infinity() -> None:
    r = torch.tensor([1.0, math.nan, math.inf, 1e39, 1.0], dtype=torch.float64)
    magnitude = r.abs().nan_to_num(1, 1)
    assert products.judge(torch.tensor([1.0, math.nan, math.inf, math.inf, 1.0]), r, magnitude, 4)
    for k, wrong in ((0, math.nan), (1, 1.0), (2, -math.inf), (3, 1.0), (4, math.inf)):
        got = torch.tensor([1.0, math.nan, math.inf, math.inf, 1.0])
        got[k] = wrong
        assert products.judge(got, r, magnitude, 4).wrong == 1, k


@pytest.mark.parametrize("dtype", [*ulps.HALVES, torch.float32], ids=str)
@pytest.mark.parametrize("k", [1, 7, 64, 1024, 8192])
def test_integer_fill_is_exact_in_any_order(k: int, dtype: torch.dtype) -> None:
    a, b = fills.integers(32, k, k=k, dtype=dtype), fills.integers(k, 24, k=k, dtype=dtype)
    reference, magnitude = products.product(a, b)
    assert float(magnitude.max()) < 2**24
    for kernel in CORRECT_PRODUCTS.values():
        products.exactly_equal(kernel(a, b), reference)
    assert float(a.float().norm()) > 0 and float(reference.norm()) > 0  # not vacuous


def test_exact_gate_kills_every_indexing_fault() -> None:
    a, b = fills.integers(M, K, k=K, dtype=torch.bfloat16), fills.integers(K, N, k=K, dtype=torch.bfloat16)
    reference, _ = products.product(a, b)
    products.exactly_equal(correct(a, b), reference)
    dense = torch.full_like(a, 1), torch.full_like(b, 1)  # nothing is zero, so nothing is missed by chance
    for name in ("last row", "last column", "one NaN", "last k16 missing in one tile", "one k64 twice in one tile"):
        with pytest.raises(AssertionError):
            products.exactly_equal(PRODUCT_FAULTS[name](*dense), products.product(*dense)[0])


@pytest.mark.parametrize("fault", UNARY_FAULTS)
def test_elementwise_fault_is_killed(fault: str) -> None:
    broken, right = UNARY_FAULTS[fault]
    x = ulps.all_patterns(torch.bfloat16).roll(-16256)[: 65536 - 3]  # the tail is not of NaNs
    expected = right(x)

    def passes(got: Tensor) -> bool:
        zeros = (got == 0) & (expected == 0)
        return int(ulps.distance(got, expected).max()) <= 1 and torch.equal(
            got[zeros].signbit(), expected[zeros].signbit()
        )

    assert passes(right(x)), "false alarm"
    if fault == "truncating store":
        middle = (x.abs() > 2**-6) & (x.abs() < 8)
        inexact = ulps.distance(broken(x), expected)[middle] > 0
        assert float(inexact.double().mean()) > 0.25  # within 1 ulp; seen by the share of exact results
    else:
        assert not passes(broken(x)), f"{fault} lives"


# --- the measures themselves -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ulps.FLOATS, ids=str)
def test_ulp_distance(dtype: torch.dtype) -> None:
    one = torch.ones(1, dtype=dtype)
    up = (
        torch.nextafter(one, 2 * one)
        if dtype in (torch.float32, torch.float64, torch.bfloat16)
        else one + torch.finfo(dtype).eps
    )
    assert int(ulps.distance(one, up)) == 1 and int(ulps.distance(up, one)) == 1
    assert int(ulps.distance(torch.zeros(1, dtype=dtype), -torch.zeros(1, dtype=dtype))) == 0
    tiny = torch.tensor([ulps.TINY[dtype]], dtype=torch.float64).to(dtype)
    assert int(ulps.distance(tiny, -tiny)) == 2
    nan = torch.full((1,), math.nan, dtype=dtype)
    assert int(ulps.distance(nan, nan)) == 0 and int(ulps.distance(nan, one)) > 2**60
    largest = torch.tensor([torch.finfo(dtype).max], dtype=dtype)
    assert int(ulps.distance(largest, torch.full((1,), math.inf, dtype=dtype))) == 1
    assert int(ulps.distance(-largest, largest)) > 2**10


def test_all_patterns_are_all_patterns() -> None:
    for dtype in ulps.HALVES:
        x = ulps.all_patterns(dtype)
        assert len(x.view(torch.int16).unique()) == 65536
    assert len(ulps.stratified(torch.float32, 4096)) > 4096


def test_references_agree_with_50_digits() -> None:
    """Two hands: the float64 references that judge half types and float32 are right to float64's own last places."""
    for key, function in precise.PRECISE.items():
        name, _, choice = key.partition("-")
        reference = REFERENCES.get(name) or getattr(torch, name, None) or getattr(torch.nn.functional, name)
        x = precise.points(key, 80)
        x = x[x.abs() < 12]
        got = reference(x, approximate=choice) if choice else reference(x)
        off = precise.ulps_off(got, x, function)
        assert float(off.max()) < 2**12, (key, float(off.max()))  # of 2^29 float64 steps in one of float32


def test_guards_see_one_byte() -> None:
    for shape, strides in (((5, 7), None), ((5, 7), (20, 2)), ((3,), (4,))):
        g = poison.guarded(shape, torch.float32, strides=strides, offset=1)
        assert bool(g.view.isnan().all())
        g.view.fill_(1)
        g.check()
        for at in (0, poison.GUARD - 1, len(g._bytes) - 1):
            before = int(g._bytes[at])
            g._bytes[at] = before ^ 1
            with pytest.raises(AssertionError, match="outside the tensor"):
                g.check()
            g._bytes[at] = before
    g = poison.guarded((4, 4), torch.float32, strides=(8, 2))
    torch.as_strided(g.view, (1,), (1,), g.view.storage_offset() + 1).fill_(3.0)  # a gap between elements
    with pytest.raises(AssertionError):
        g.check()
    c = poison.guarded_copy(torch.randn(3, 1).expand(3, 5))
    assert c.view.stride() == (1, 0)
    c.untouched()
    c.view[0, 0] += 1
    with pytest.raises(AssertionError):
        c.untouched()


@given(data=st.data())
def test_strategies_make_what_they_say(data: st.DataObject) -> None:
    tensors = data.draw(strategies.broadcastable(2, strategies.all_types))
    torch.broadcast_tensors(*tensors)
    for layout in strategies.LAYOUTS:
        assert strategies.laid_out((2, 3, 4, 5), torch.float32, layout).shape == (2, 3, 4, 5)


@pytest.mark.parametrize("dtype", [*ulps.FLOATS, *ulps.INTEGERS, torch.bool], ids=str)
def test_special_values_hold_what_they_should(dtype: torch.dtype) -> None:
    x = fills.special(dtype)
    if dtype.is_floating_point:
        assert bool(x.isnan().any()) and bool(x.isinf().any()) and bool((x == torch.finfo(dtype).max).any())
        zeros = x[x == 0]
        assert bool(zeros.signbit().any()) and not bool(zeros.signbit().all())
        small = x.abs()
        assert bool(((small > 0) & (small < torch.finfo(dtype).smallest_normal)).any())
    elif dtype != torch.bool:
        assert int(x.min()) == torch.iinfo(dtype).min and int(x.max()) == torch.iinfo(dtype).max
