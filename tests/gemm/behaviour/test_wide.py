"""Products with `out_dtype`: results in the type of the accumulator."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import gpukern
from tests.oracle import products

WIDE = [(torch.float16, torch.float32), (torch.bfloat16, torch.float32), (torch.int8, torch.int32)]
IDS = [str(narrow).removeprefix("torch.") for narrow, _ in WIDE]


def filled(dtype: torch.dtype, *shape: int) -> Tensor:
    return torch.randint(-128, 128, shape).to(dtype) if dtype == torch.int8 else torch.randn(shape).to(dtype)


@pytest.mark.parametrize(("narrow", "wide"), WIDE, ids=IDS)
def test_sums_are_not_rounded_to_the_operands_type(narrow: torch.dtype, wide: torch.dtype) -> None:
    a, b, c = filled(narrow, 3, 20, 700), filled(narrow, 3, 700, 30), filled(wide, 3, 20, 30)
    for left, right, addend, plain, summed in (
        (a[0], b[0], c[0], gpukern.mm, gpukern.addmm), (a, b, c, gpukern.bmm, gpukern.baddbmm),
    ):  # fmt: skip
        exact, scale = products.product(left, right)
        both, both_scale = 3 * exact + 2 * addend.double(), 3 * scale + 2 * addend.double().abs()
        got = plain(left, right, wide)
        assert got.dtype == wide
        for result, expected, size in (
            (got, exact, scale),
            (summed(addend, left, right, wide, beta=2, alpha=3), both, both_scale),
            (summed(addend, left, right, out_dtype=wide, beta=0), exact, scale),
        ):  # fmt: skip
            if wide == torch.int32:
                products.exactly_equal(result, expected)
            else:
                assert products.judge(result, expected, size, 700)
        out = torch.empty(0, dtype=wide)
        assert plain(left, right, wide, out=out) is out
        assert torch.equal(out, got)


def test_int8_sums_wrap_at_32_bits() -> None:
    k = 140_000  # 127 * 127 * k is beyond 2^31
    a, b = torch.full((1, k), 127, dtype=torch.int8), torch.full((k, 1), 127, dtype=torch.int8)
    assert int(gpukern.mm(a, b, torch.int32)) == (127 * 127 * k + 2**31) % 2**32 - 2**31


def test_gradients_have_the_operands_type() -> None:
    a, b = (filled(torch.bfloat16, *s).requires_grad_() for s in ((4, 6), (6, 5)))
    gpukern.mm(a, b, torch.float32).sum().backward()
    assert a.grad is not None and a.grad.dtype == torch.bfloat16
    assert torch.equal(a.grad, b.detach().float().sum(1).bfloat16().expand(4, 6))


def test_the_same_type_is_the_plain_product() -> None:
    a, b = torch.randn(4, 5), torch.randn(5, 6)
    assert torch.equal(gpukern.mm(a, b, torch.float32), gpukern.mm(a, b))


def test_vmap() -> None:
    a, b = filled(torch.float16, 3, 4, 6), filled(torch.float16, 6, 5)
    got = torch.func.vmap(lambda x: gpukern.mm(x, b, torch.float32))(a)
    assert torch.equal(got, torch.stack([gpukern.mm(x, b, torch.float32) for x in a]))


@pytest.mark.parametrize("wrong", [torch.float64, torch.int32, torch.float16])
def test_other_types_are_refused_as_torch_refuses_them(wrong: torch.dtype) -> None:
    a, b = filled(torch.bfloat16, 2, 3), filled(torch.bfloat16, 3, 2)
    with pytest.raises(Exception) as theirs:
        torch.mm(a, b, wrong)
    with pytest.raises(type(theirs.value)) as ours:
        gpukern.mm(a, b, wrong)
    assert str(ours.value).splitlines()[0] == str(theirs.value).splitlines()[0]


def test_an_out_of_another_type_is_refused() -> None:
    a, b = filled(torch.bfloat16, 2, 3), filled(torch.bfloat16, 3, 2)
    with pytest.raises(RuntimeError, match="Expected out tensor to have dtype float, but got c10::BFloat16 instead"):
        gpukern.mm(a, b, torch.float32, out=torch.empty(2, 2, dtype=torch.bfloat16))


def test_fractional_factors_of_integers_are_refused_in_torchs_words() -> None:
    """They gave a floating result.  The message is that of torch's addr; its addmm on a CPU drops the fraction."""
    a, b = filled(torch.int8, 2, 3), filled(torch.int8, 3, 2)
    c = torch.zeros(2, 2, dtype=torch.int32)
    wrong: list[dict[str, Any]] = [{"alpha": 2.5}, {"beta": 2.5}]
    for factors in wrong:
        with pytest.raises(RuntimeError) as theirs:
            torch.addr(c, c[0], c[1], **factors)
        with pytest.raises(RuntimeError) as ours:
            gpukern.addmm(c, a, b, torch.int32, **factors)
        assert str(ours.value).splitlines()[0] == str(theirs.value).splitlines()[0]


def test_an_out_takes_no_part_in_autograd() -> None:
    """The gradient was silently dropped."""
    a, b = filled(torch.bfloat16, 2, 3).requires_grad_(), filled(torch.bfloat16, 3, 2)
    with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
        gpukern.mm(a, b, torch.float32, out=torch.empty(2, 2))
