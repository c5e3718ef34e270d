"""Products with a scale a row and a scale a column: scaled_product."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import gpukern
import gpukern.reference
from tests.gemm.kernels.test_row_scales import wide

EPS = {torch.float16: 2e-3, torch.bfloat16: 2e-2, torch.float32: 2e-5, torch.float64: 1e-12}


def operands(dtype: torch.dtype, *batch: int) -> list[Tensor]:
    narrow = [torch.randn(*batch, *s, dtype=dtype) for s in ((3, 5), (5, 7))]
    return [*narrow, *(torch.rand(*batch, s, dtype=wide(dtype)) + 0.5 for s in (3, 7))]


@pytest.mark.parametrize("batch", [(), (4,)])
@pytest.mark.parametrize("dtype", EPS)
def test_the_function_is_its_formula(dtype: torch.dtype, batch: tuple[int, ...]) -> None:
    a, b, rows, columns = operands(dtype, *batch)
    bias, residual = torch.randn(7, dtype=dtype), torch.randn(*batch, 3, 7, dtype=dtype)
    for r, c in ((rows, columns), (rows, None), (None, columns), (None, None)):
        for end in ({}, {"bias": bias, "activation": "gelu"}, {"residual": residual}):
            got = gpukern.scaled_product(a, b, r, c, **end)
            expected = gpukern.reference.scaled_product(a, b, r, c, **end)
            assert got.dtype == dtype
            torch.testing.assert_close(got.double(), expected, rtol=EPS[dtype], atol=EPS[dtype])


def test_it_is_differentiable() -> None:
    inputs = [t.requires_grad_() for t in operands(torch.float64)]
    assert torch.autograd.gradcheck(
        lambda *t: gpukern.scaled_product(*t, activation="silu"), inputs, check_forward_ad=True
    )
    assert torch.autograd.gradgradcheck(lambda *t: gpukern.scaled_product(*t), inputs)


def test_vmap_compile_and_autocast() -> None:
    call: Any = gpukern.scaled_product
    a, b, rows, columns = operands(torch.float32, 4)
    each = torch.stack([call(*t) for t in zip(a, b, rows, columns)])
    torch.testing.assert_close(call(a, b, rows, columns), each)
    torch.testing.assert_close(torch.func.vmap(call)(a, b, rows, columns), each)
    compiled = torch.compile(lambda *t: call(*t, activation="relu"), backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(a, b, rows, columns), each.relu())
    torch.library.opcheck(torch.ops.gpukern.scaled_product.default, (a, b, rows, columns))
    with torch.autocast("cpu", torch.bfloat16):  # its factors were chosen, and stay
        assert torch.equal(call(a, b, rows, columns), call(a, b, rows, columns).float())


def test_what_does_not_fit_is_refused() -> None:
    a, b, rows, columns = operands(torch.float32)
    call: Any = gpukern.scaled_product
    with pytest.raises(RuntimeError, match=r"row_scale of shape \[7\] is not of shape \[3\]"):
        call(a, b, columns)
    with pytest.raises(TypeError, match="column_scale must be Float for factors of Half, got Half"):
        call(a.half(), b.half(), rows, columns.half())
    with pytest.raises(TypeError, match="scales need float16, bfloat16, float32 or float64, got Int"):
        call(a.int(), b.int())
    with pytest.raises(TypeError, match="the factors have types Float and Double; convert one of them"):
        call(a, b.double())
    with pytest.raises(RuntimeError, match="two matrices or two batches of matrices, got 2 and 3"):
        call(a, b[None])
    with pytest.raises(TypeError, match="bias has type Half, but the product has Float"):
        call(a, b, bias=torch.ones(7).half())
    with pytest.raises(ValueError, match="unknown activation 'swish'"):
        call(a, b, rows, activation="swish")
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        call(a[:, :4], b, rows)


def test_explain_names_the_scales() -> None:
    meta = [t.to("meta") for t in operands(torch.bfloat16)]
    found = gpukern.explain("scaled_product", *meta, device="sm_90a")
    assert found.problem.endswith("B row-major, rows scaled, columns scaled") and found.would_run
