"""Arguments that share memory with the tensor that is written: the right result, or torch's refusal.

Every op with an `out=`, an in-place form or a residual, times every tensor argument, times the ways two views of one
storage can lie.  What is expected is computed in float64 from copies made before the call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from math import prod
from typing import Any

import pytest
import torch
from torch import Tensor

import gpukern
from tests.oracle import ops as catalogue
from tests.oracle.entries import IN_PLACE, PRODUCTS, SUM, TAILED, Product, Shape, values

Function = Callable[..., Any]
REFUSALS = ("unsupported operation: some elements of the input tensor", "unsupported operation: more than one element")


def dense(shape: Shape, gap: int = 0) -> list[int]:
    """Strides of rows that are `gap` elements apart."""
    extents = [*shape[:-1], shape[-1] + gap] if shape else []
    return [*accumulate([1, *extents[:0:-1]], lambda x, y: x * y)][::-1] if shape else []


# The strides of what is written, those of the argument, and by how many elements the argument begins later.
WAYS: dict[str, Callable[[Shape, Shape], tuple[list[int], list[int], int]]] = {
    "same": lambda out, arg: (dense(out), dense(arg), 0),
    "an element later": lambda out, arg: (dense(out), dense(arg), 1),
    "a row later": lambda out, arg: (dense(out), dense(arg), out[-1] if out else 1),
    "transposed": lambda out, arg: (dense(out), dense(arg[::-1])[::-1], 0),
    "columns of one matrix": lambda out, arg: (dense(out, 5), dense(arg, 5), 2),
    "every second element": lambda out, arg: ([2 * s for s in dense(out)], dense(arg), 1),
    "broadcast from a part": lambda out, arg: (dense(out), [0] * (len(arg) - 1) + [1] * bool(arg), 1),
}


@dataclass
class Laid:
    """Arguments, one of which shares its storage with the tensor that is written."""

    args: list[Tensor]
    written: Tensor
    storage: Tensor

    @classmethod
    def out(
        cls, shapes: list[Shape], dtypes: list[torch.dtype], shared: int, written: Shape, dtype: torch.dtype,
        way: str, positive: bool,
    ) -> Laid:  # fmt: skip
        out_strides, strides, offset = WAYS[way](written, shapes[shared])
        storage = values((4 * (prod(written) + prod(shapes[shared]) + 40),), dtype, positive)
        args = [values(shape, t, positive) for shape, t in zip(shapes, dtypes)]
        args[shared] = storage.view(dtypes[shared]).as_strided(shapes[shared], strides, offset)
        return cls(args, storage.as_strided(written, out_strides), storage)

    def check(self, call: Function, expected: Tensor, tolerance: float, label: str) -> str:
        """Right, with nothing else in the storage changed, or refused in torch's words."""
        before, inside = self.storage.clone(), torch.zeros_like(self.storage, dtype=torch.bool)
        inside.as_strided(self.written.shape, self.written.stride()).fill_(True)
        try:
            result = call()
        except RuntimeError as error:
            assert str(error).startswith(REFUSALS), f"{label}: {error}"
            assert torch.equal(self.storage, before), f"{label}: refused after something was written"
            return "refused"
        assert result is self.written
        torch.testing.assert_close(
            self.written, expected.to(self.written.dtype), rtol=tolerance, atol=tolerance, equal_nan=True,
            msg=lambda text: f"{label}: {text}",
        )  # fmt: skip
        assert torch.equal(self.storage[~inside], before[~inside]), label
        return "right"


# ---- elementwise ops -------------------------------------------------------------------------------------------------

POSITIVE = {"sqrt", "rsqrt", "log", "log2", "log1p", "pow", "div", "reciprocal", "addcdiv"}


@pytest.mark.parametrize("form", ["out", "in place"])
@pytest.mark.parametrize("case", catalogue.FIRST, ids=catalogue.ids(catalogue.FIRST))
def test_elementwise(case: catalogue.Case, form: str) -> None:
    if form == "in place" and (case.has_condition or case.inputs == 1):
        return  # nothing but self, which is written
    outcomes = []
    for shared in range(case.inputs):
        for way in WAYS if form == "out" or shared else ():
            dtypes = [torch.float32] * case.inputs
            if case.has_condition:
                dtypes = [torch.bool] * 3 if shared == 0 else [torch.bool, torch.float32, torch.float32]
            laid = Laid.out([(5, 6)] * case.inputs, dtypes, shared, (5, 6), dtypes[-1], way, case.name in POSITIVE)
            if form == "in place":
                laid.args[0] = laid.written
            expected = case.reference(*[t.clone() for t in laid.args])
            call = (
                partial(case.in_place, *laid.args)
                if form == "in place"
                else partial(case.ours, *laid.args, out=laid.written)
            )
            outcomes.append((way, laid.check(call, expected, 2e-5, f"argument {shared}, {way}")))
    assert ("same", "right") in outcomes and ("columns of one matrix", "right") in outcomes
    assert ("an element later", "refused") in outcomes
    assert len({outcome for way, outcome in outcomes if way in ("columns of one matrix", "every second element")}) == 1


# ---- products --------------------------------------------------------------------------------------------------------


TOLERANCE = {torch.float32: 1e-5, torch.float16: 4e-3, torch.complex64: 1e-5, torch.int64: 0.0}
WIDE = {torch.complex64: torch.complex128, torch.int64: torch.int64}


def check_product(p: Product, dtype: torch.dtype, written: torch.dtype | None = None) -> None:
    """Every tensor argument in turn, in every way."""
    if dtype == torch.int64:
        p = replace(p, kwargs={key: int(2 * v) if key in SUM else v for key, v in p.kwargs.items()})
    outcomes = []
    for shared in range(1 if p.in_place else 0, len(p.shapes)):
        for way in WAYS:
            laid = Laid.out(list(p.shapes), [dtype] * len(p.shapes), shared, p.result, written or dtype, way, False)
            if p.in_place:
                laid.args[0] = laid.written
            expected = p.reference(*[t.clone().to(WIDE.get(dtype, torch.float64)) for t in laid.args])
            more: dict[str, Any] = {} if p.in_place else {"out": laid.written}
            if written:
                more["out_dtype"] = written
            call = partial(p.call, getattr(gpukern, p.name), *laid.args, **more)
            outcomes.append(laid.check(call, expected, TOLERANCE[dtype], f"argument {shared}, {way}"))
    assert "right" in outcomes
    assert "refused" not in outcomes or p.name in ("outer", "ger")  # which are elementwise


def names(p: Product) -> str:
    return p.id


@pytest.mark.parametrize("p", PRODUCTS + IN_PLACE, ids=names)
def test_products(p: Product) -> None:
    check_product(p, torch.float32)
    check_product(p, torch.float16)
    check_product(p, torch.int64)
    if "batch_invariant" not in p.kwargs:
        check_product(p, torch.complex64)


@pytest.mark.parametrize("p", TAILED, ids=names)
def test_products_with_a_tail(p: Product) -> None:
    check_product(p, torch.float32)


@pytest.mark.parametrize("p", [p for p in PRODUCTS if p.name in ("mm", "bmm", "addmm", "baddbmm")], ids=names)
def test_products_that_are_written_in_a_wider_type(p: Product) -> None:
    if "batch_invariant" not in p.kwargs:
        check_product(p, torch.float16, torch.float32)
