"""Gradients under hypothesis: any shape, broadcasting and layout of the operands and of the gradient handed down."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor
from torch.autograd import forward_ad as fwd

from tests.oracle import strategies
from tests.oracle.ops import FIRST, Case, ids

SMOOTH = [c for c in FIRST if c.differentiable]
TOLERANCE = {torch.float64: 3e-8, torch.float32: 2e-5}  # 3e-8: torch's 1 / 6 of hardsigmoid is a float32


@st.composite
def operands(draw: st.DrawFn, case: Case, dtype: torch.dtype) -> list[Tensor]:
    """Smooth values whose shapes broadcast, each in a layout of its own."""
    shape = draw(strategies.shapes(max_side=6))
    torch.manual_seed(draw(st.integers(0, 2**32 - 1)))
    result = []
    for k in range(case.inputs):
        own = tuple(1 if draw(st.integers(0, 3)) == 0 else n for n in shape)
        own = own[draw(st.integers(0, len(own))) if draw(st.booleans()) else 0 :]
        values = case.smooth_inputs(own, dtype)[k]
        layout = draw(strategies.layouts)
        if not values.is_floating_point() and layout in ("sliced", "offset"):
            layout = "dense"
        result.append(strategies.arranged(values, layout))
    return result


@pytest.mark.parametrize("case", SMOOTH, ids=ids(SMOOTH))
@settings(max_examples=10)
@given(data=st.data())
def test_gradients_of_any_layout(case: Case, data: st.DataObject) -> None:
    """Reverse and forward mode against torch's float64 gradient of dense copies of the operands, expanded here."""
    dtype = data.draw(st.sampled_from((torch.float64, torch.float32)))
    inputs = data.draw(operands(case, dtype))
    active = [k for k, t in enumerate(inputs) if t.is_floating_point()]
    leaves = [t.detach().requires_grad_() if k in active else t for k, t in enumerate(inputs)]
    exact = [t.detach().double().contiguous().requires_grad_() if k in active else t for k, t in enumerate(inputs)]
    ours, theirs = case.ours(*leaves), case.eager(*torch.broadcast_tensors(*exact))
    weight = strategies.arranged(torch.randn(theirs.shape, dtype=dtype), data.draw(strategies.layouts))
    mine = torch.autograd.grad(ours, [leaves[k] for k in active], weight)
    right = torch.autograd.grad(theirs, [exact[k] for k in active], weight.double())
    for k, a, b in zip(active, mine, right):
        assert a.shape == leaves[k].shape and a.dtype == dtype
        terms = max(1, theirs.numel() // max(1, b.numel()))  # what broadcasting sums
        scale = float(b.abs().max()) if b.numel() else 0.0
        eps = TOLERANCE[dtype] * terms**0.5
        torch.testing.assert_close(a.double(), b, rtol=eps, atol=eps * (1 + scale))

    which = data.draw(st.sampled_from(active))
    direction = strategies.arranged(torch.randn(inputs[which].shape, dtype=dtype), data.draw(strategies.layouts))
    with fwd.dual_level():  # elements that share memory cannot have tangents of their own
        shared = any(n > 1 and s == 0 for n, s in zip(inputs[which].shape, inputs[which].stride()))
        primal = inputs[which].contiguous() if shared else inputs[which]
        x = [fwd.make_dual(primal, direction) if k == which else t for k, t in enumerate(inputs)]
        tangent = fwd.unpack_dual(case.ours(*x)).tangent
        y = [t.detach() for t in exact]
        y[which] = fwd.make_dual(y[which], direction.double())
        expected = fwd.unpack_dual(case.eager(*torch.broadcast_tensors(*y))).tangent
    if expected is None:  # torch's copysign has no part of the sign's operand, whose derivative is 0
        expected = torch.zeros_like(theirs)
    assert tangent.shape == expected.shape and tangent.dtype == dtype
    scale = float(expected.abs().max()) if expected.numel() else 0.0
    torch.testing.assert_close(tangent.double(), expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * (1 + scale))
