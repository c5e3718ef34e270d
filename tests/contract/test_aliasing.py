"""Arguments that share memory with the tensor that is written: the right result, or torch's refusal.

Every op with an `out=`, an in-place form or a residual, times every tensor argument, times the ways two views of one
storage can lie.  What is expected is computed in float64 from copies made before the call.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from math import prod
from typing import Any

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import gpukern
from gpukern import _C
from tests.oracle import ops as catalogue
from tests.oracle.entries import IN_PLACE, INVARIANT, PRODUCTS, SUM, TAILED, Product, Shape, values

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
        """Right, with nothing else in the storage changed, or refused with torch's error."""
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
    if form == "in place" and (not case.writes_self or case.inputs == 1):
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


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32, torch.float16])
def test_elementwise_of_the_same_bytes_as_another_type(dtype: torch.dtype) -> None:
    """Elements of one size at one place are read before they are written; others are copied, or refused."""
    seen, tested = set(), set()
    for case in catalogue.FIRST:
        if case.has_condition or (case.types == "floating" and not dtype.is_floating_point):
            continue
        for way in WAYS:
            shapes: list[Shape] = [(5, 6)] * case.inputs
            dtypes = [dtype, *[torch.float32] * (case.inputs - 1)]
            laid = Laid.out(shapes, dtypes, 0, (5, 6), torch.float32, way, case.name in POSITIVE)
            try:
                expected = case.ours(*[t.clone() for t in laid.args], out=torch.empty(5, 6))
            except RuntimeError:
                break  # torch's `out` of this op has to have the result's own type
            tested.add(case.id)
            seen.add(laid.check(partial(case.ours, *laid.args, out=laid.written), expected, 0.0, f"{case.id}, {way}"))
    assert seen == {"right", "refused"} and len(tested) > 15


# ---- products --------------------------------------------------------------------------------------------------------


TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 4e-3, torch.complex64: 1e-5, torch.int64: 0.0}
WIDENED = {"mm", "bmm", "addmm", "baddbmm"}  # which have an out_dtype
WIDE = {torch.complex64: torch.complex128, torch.int64: torch.int64, torch.int32: torch.int64}


def of_integers(p: Product) -> Product:
    return replace(p, kwargs={key: int(2 * v) if key in SUM else v for key, v in p.kwargs.items()})


def check_product(p: Product, dtype: torch.dtype, written: torch.dtype | None = None) -> None:
    """Every tensor argument in turn, in every way."""
    if dtype == torch.int64:
        p = of_integers(p)
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


ROUTED = [p for p in PRODUCTS + IN_PLACE if p.name.rstrip("_") in _C.routable() and p.kwargs != INVARIANT]


@pytest.mark.parametrize("dtype", [torch.float32, torch.int32, torch.complex64], ids=str)
@pytest.mark.parametrize("p", ROUTED, ids=names)
def test_routed_products(p: Product, dtype: torch.dtype) -> None:
    """torch's functions under enable(), of types that stay torch's too: its kernels multiply what they have written."""
    if dtype == torch.int32:
        p = of_integers(p)
    theirs = getattr(torch.Tensor if p.in_place else torch, p.name)
    outcomes = []
    for shared in range(1 if p.in_place else 0, len(p.shapes)):
        for way in WAYS:
            laid = Laid.out(list(p.shapes), [dtype] * len(p.shapes), shared, p.result, dtype, way, False)
            if p.in_place:
                laid.args[0] = laid.written
            expected = p.reference(*[t.clone().to(WIDE.get(dtype, torch.float64)) for t in laid.args])
            with gpukern.enable():
                more = {} if p.in_place else {"out": laid.written}
                call = partial(p.call, theirs, *laid.args, **more)
                outcomes.append(laid.check(call, expected, 1e-5, f"argument {shared}, {way}"))
    assert set(outcomes) == {"right"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.int32], ids=str)
def test_a_routed_output_that_takes_another_shape(dtype: torch.dtype) -> None:
    b = values((3, 4), dtype)
    with gpukern.enable():
        storage = values((30,), dtype)
        a, out = storage[6:12].view(2, 3), storage[:0]
        expected = a.clone() @ b
        assert torch.equal(torch.mm(a, b, out=out), expected)


GROWING = {
    "addmv": ((1,), (3, 4), (4,)), "addmm": ((1, 3), (2, 4), (4, 3)), "addr": ((2, 1), (2,), (2,)),
    "addbmm": ((1, 3), (5, 2, 4), (5, 4, 3)), "baddbmm": ((1, 2, 3), (5, 2, 4), (5, 4, 3)),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.int32], ids=str)
@pytest.mark.parametrize("name", GROWING)
def test_a_routed_addend_that_is_the_output_and_grows(name: str, dtype: torch.dtype) -> None:
    """torch gives it the result's shape, and then reads what lay behind it."""
    addend, *factors = (torch.arange(1, 201)[: prod(shape)].view(shape).to(dtype) for shape in GROWING[name])
    theirs = getattr(torch, name)
    expected = theirs(addend.clone(), *factors)
    out = torch.arange(1, 201).to(dtype)[: addend.numel()].view(addend.shape)
    with gpukern.enable():
        assert torch.equal(theirs(out, *factors, out=out), expected)
    out = torch.arange(1, 201).to(dtype)[: addend.numel()].view(addend.shape)
    assert torch.equal(getattr(gpukern, name)(out, *factors, out=out), expected)


@pytest.mark.parametrize("p", PRODUCTS + IN_PLACE, ids=names)
def test_products(p: Product) -> None:
    check_product(p, torch.float32)
    check_product(p, torch.float16)
    check_product(p, torch.int64)
    if "batch_invariant" not in p.kwargs:
        check_product(p, torch.complex64)


@pytest.mark.parametrize("p", [p for p in PRODUCTS + IN_PLACE if p.result], ids=names)
def test_products_refuse_an_output_that_overlaps_itself(p: Product) -> None:
    """All of them: torch's bmm and mv write every number of a row into one place."""
    tensors = [values(shape, torch.float32) for shape in p.shapes]
    out = torch.zeros((*p.result[:-1], 1)).expand(p.result)
    tensors[:1] = [out] if p.in_place else tensors[:1]
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
        p.call(getattr(gpukern, p.name), *tensors, **({} if p.in_place else {"out": out}))
    assert not out.any()


@pytest.mark.parametrize("p", TAILED, ids=names)
def test_products_with_a_tail(p: Product) -> None:
    check_product(p, torch.float32)


@pytest.mark.parametrize("p", [p for p in PRODUCTS if p.name in WIDENED], ids=names)
def test_products_that_are_written_in_a_wider_type(p: Product) -> None:
    if "batch_invariant" not in p.kwargs:
        check_product(p, torch.float16, torch.float32)


# ---- other ways to share memory --------------------------------------------------------------------------------------


def test_an_output_that_takes_another_shape_within_what_is_read() -> None:
    b = torch.randn(3, 5)
    storage = torch.randn(20)
    a, out = storage[:12].view(4, 3), storage[2:2]
    expected = a.clone() @ b
    torch.testing.assert_close(gpukern.mm(a, b, out=out), expected)
    with pytest.warns(UserWarning, match="was resized"):
        expected = b.t().clone() @ b
        torch.testing.assert_close(gpukern.mm(b.t(), b, out=b), expected)
    row, a, b = torch.randn(1, 5), torch.randn(4, 3), torch.randn(3, 5)
    expected = row.clone() + a @ b
    with pytest.warns(UserWarning, match="was resized"):
        torch.testing.assert_close(gpukern.addmm(row, a, b, out=row), expected)
    storage = torch.randn(8)
    expected = storage[:4].exp()
    torch.testing.assert_close(gpukern.exp(storage[:4], out=storage[2:2]), expected)


def test_memory_that_two_storages_share() -> None:
    memory = numpy.linspace(-1, 1, 40, dtype=numpy.float32)
    a, out = torch.from_numpy(memory)[:25].view(5, 5), torch.from_numpy(memory)[3:28].view(5, 5)
    expected = a.clone() @ a.clone()
    torch.testing.assert_close(gpukern.mm(a, a, out=out), expected)


@pytest.mark.parametrize("shared", ["input", "mat2", "scale_a", "scale_b", "bias"])
def test_scaled_mm(shared: str) -> None:
    """Of 8 bits a factor and the result may be the same bytes, of 32 a scale and the result."""
    a, b = values((4, 4), torch.float32).to(torch.float8_e4m3fn), values((4, 4), torch.float32).to(torch.float8_e5m2)
    wide = torch.rand(40) + 0.5
    scale_a, scale_b, bias = wide[0:4, None], wide[4:8][None], torch.randn(4)
    if shared in ("input", "mat2"):
        out, dtype = (a if shared == "input" else b), None
        scale_a, scale_b = wide[:1], wide[1:2]
    else:
        begin = {"scale_a": 1, "scale_b": 2, "bias": 20}[shared]
        out, dtype = wide[begin : begin + 16].view(4, 4), torch.float32
        bias = wide[21:25] if shared == "bias" else bias
    sums = a.double() @ b.double() * scale_a.double() * scale_b.double() + bias.double()
    expected = sums.float().to(out.dtype).float()
    gpukern.scaled_mm(a, b, scale_a, scale_b, bias, out_dtype=dtype, out=out)
    torch.testing.assert_close(out.float(), expected, rtol=0.3 if dtype is None else 1e-5, atol=1e-5)


def test_chain_matmul_writes_into_out_under_a_mode() -> None:
    a, b = torch.randn(3, 3), torch.randn(3, 3)
    with torch.device("cpu"):  # a mode that sees the call
        assert gpukern.chain_matmul(a, b, out=a) is a


def test_bias_act_writes_into_out() -> None:
    x, bias = torch.randn(3, 4, 5), torch.randn(4)
    expected = gpukern.bias_act(x, bias, "silu", dim=1)
    out = torch.empty(0)
    assert gpukern.bias_act(x, bias, "silu", dim=1, out=out) is out
    torch.testing.assert_close(out, expected, rtol=0, atol=0)
    torch.testing.assert_close(gpukern.bias_act(x.clone(), x[0, 0], out=torch.empty(3, 4, 5).double()),
                               gpukern.bias_act(x, x[0, 0]).double())  # fmt: skip
    bias = x[0, :, 1]  # columns of what is written
    expected = gpukern.bias_act(x, bias.clone(), "gelu", dim=1)
    torch.testing.assert_close(gpukern.bias_act(x, bias, "gelu", dim=1, out=x), expected, rtol=0, atol=0)
    with pytest.raises(RuntimeError, match="bias has 4 elements"):
        gpukern.bias_act(x, torch.randn(4), out=torch.empty(3, 4, 5))
    with pytest.raises(RuntimeError, match="can't be cast to the desired output type"):
        gpukern.bias_act(x, torch.randn(5), out=torch.empty(3, 4, 5, dtype=torch.int32))
    with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
        gpukern.bias_act(x.clone().requires_grad_(), torch.randn(5), out=torch.empty(3, 4, 5))


def clones(call: Callable[[], Any]) -> int:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        call()
    return sum(e.count for e in profile.key_averages() if e.key == "aten::clone")


def test_nothing_is_copied_where_no_memory_is_shared() -> None:
    """Columns of one matrix lie between each other and share nothing; an addend may be the output itself."""
    m = torch.randn(4, 12)
    a, b, c = m[:, :4], m[:, 4:8], m[:, 8:]
    assert clones(lambda: gpukern.mm(a, b, out=c)) == 0
    assert clones(lambda: gpukern.addmm_(c, a, b)) == 0
    assert clones(lambda: gpukern.add(a, b, out=c)) == 0
    assert clones(lambda: gpukern.exp(a, out=a)) == 0
    assert clones(lambda: gpukern.addmm(m[:, 1:5], a, c, beta=0, out=b)) == 0  # which is not read
    assert clones(lambda: gpukern.mm(a, b, out=m[:, 7:11])) == 1
    assert clones(lambda: gpukern.mm(a, a, out=a)) == 2
    assert clones(lambda: gpukern.exp(a, out=m[:, 3:7])) == 1
    assert clones(lambda: gpukern.mm(a, b, residual=c, out=c)) == 1


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 7)), min_size=4, max_size=4), st.integers(0, 12))
def test_views_of_any_strides(extents: list[tuple[int, int]], offset: int) -> None:
    """A factor with any strides over an output with any that do not run into each other."""
    (m, s0), (k, s1), (n, s2), (_, s3) = extents
    storage = torch.arange(80.0) * 0.37 - 11
    a = storage.as_strided((m, k), (s0, s1), offset)
    wide = max(s2, 1) * (n - 1) + 1 + s3
    out = storage.as_strided((m, n), (wide, max(s2, 1)), 6)
    b = torch.randn(k, n)
    before, expected = storage.clone(), a.double() @ b.double()
    torch.testing.assert_close(gpukern.mm(a, b, out=out).double(), expected, rtol=1e-5, atol=1e-5)
    before.as_strided(out.shape, out.stride(), 6).copy_(out.clone())
    assert torch.equal(storage, before)
    if n == k:
        storage, expected = storage.clone(), (a.double() * 2).relu()
        a, out = storage.as_strided((m, k), (s0, s1), offset), storage.as_strided((m, n), (wide, max(s2, 1)), 6)
        expected = a.double().square()
        try:
            gpukern.square(a, out=out)
        except RuntimeError as error:
            assert str(error).startswith(REFUSALS)
        else:
            torch.testing.assert_close(out.double(), expected, rtol=1e-5, atol=1e-5)


def overlapping_calls(m: Tensor) -> Tensor:
    """Calls whose arguments are views of what they write; m is (12, 4), and Dynamo wants a dense `out`."""
    a, b, c = m[:4], m[4:8], m[8:]
    gpukern.mm(a, b, residual=c, out=c)
    gpukern.mm(a, b.t(), activation="gelu", out=a)
    gpukern.addmm_(c, c, b, residual=c)
    gpukern.addmm_(m[:8:2], b, c)
    gpukern.linear(a, b, c[0], out=c)
    gpukern.addmv_(m[0], b, m[:4, 0])
    gpukern.bias_act(a, b[:, 1], "silu", out=b)
    gpukern.addr_(c, c[0], c[:, 1])
    gpukern.exp(m[0:8:2], out=a)
    gpukern.mul_(m[0:8:2], m[2:10:2])
    gpukern.mm(m[1:5], b, out=a)
    return gpukern.dot(m[0], m[1], out=m[2, 2]) + m.sum()


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_compiled_calls_are_what_eager_ones_are(backend: str) -> None:
    eager = torch.randn(12, 4) * 0.3
    compiled = eager.clone()
    expected = overlapping_calls(eager)
    torch._dynamo.reset()
    result = torch.compile(overlapping_calls, backend=backend, fullgraph=True)(compiled)
    torch.testing.assert_close(result, expected)
    torch.testing.assert_close(compiled, eager)


def test_gradients_of_an_in_place_product_with_a_tail() -> None:
    """The activation and the residual are in them; the residual may be what is written."""
    leaves = [values((4, 4), torch.float64).requires_grad_() for _ in range(3)]

    def ours(c: Tensor, a: Tensor, b: Tensor) -> Tensor:
        c = c * 1
        return gpukern.addmm_(c, a, b, beta=0.5, activation="gelu", residual=c)  # type: ignore[no-any-return]

    def theirs(c: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return torch.nn.functional.gelu(torch.addmm(c, a, b, beta=0.5)) + c

    gradients = [torch.autograd.grad(f(*leaves).square().sum(), leaves) for f in (ours, theirs)]
    torch.testing.assert_close(*gradients)
    plain = tuple(t.detach() for t in leaves)
    torch.testing.assert_close(*[torch.func.jvp(f, plain, plain) for f in (ours, theirs)])
    assert torch.autograd.gradcheck(ours, leaves, check_forward_ad=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_linear_of_mkldnn_tensors_is_torchs(dtype: torch.dtype) -> None:
    x, w, b = torch.randn(6, 4).to(dtype), torch.randn(5, 4).to(dtype), torch.randn(5).to(dtype)
    for shape in ((6, 4), (2, 3, 4)):
        for bias in (None, b):
            args: list[Any] = [t if t is None else t.to_mkldnn() for t in (x.reshape(shape), w, bias)]
            try:
                theirs = torch.nn.functional.linear(*args)
            except RuntimeError as error:  # a CPU without what MKLDNN needs for bfloat16
                with pytest.raises(RuntimeError, match=re.escape(str(error).splitlines()[0])):
                    gpukern.linear(*args)
                continue
            ours = gpukern.linear(*args)
            assert ours.layout == theirs.layout and torch.equal(ours.to_dense(), theirs.to_dense())
    with pytest.raises(RuntimeError, match="linear doesn't support out for MKLDNN tensors"):
        gpukern.linear(x.to_mkldnn(), w.to_mkldnn(), out=torch.empty(6, 5, dtype=dtype))
