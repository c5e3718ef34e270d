"""`precision=` and `batch_invariant=`: refusals, derivatives, transforms, and rows that do not depend on other rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor
from torch.func import vmap

import gpukern
from gpukern import _C
from tests.oracle import products

PRECISIONS = gpukern.selection.PRECISIONS
FLOATS = [torch.float32, torch.float64, torch.bfloat16, torch.float16]

CALLS: dict[str, Callable[..., Tensor]] = {
    "mm": lambda a, b, c, **how: gpukern.mm(a, b, **how),
    "matmul": lambda a, b, c, **how: gpukern.matmul(a, b, **how),
    "linear": lambda a, b, c, **how: gpukern.linear(a, b.t(), c, **how),
    "addmm": lambda a, b, c, **how: gpukern.addmm(c, a, b, beta=0.5, alpha=2, **how),
    "bmm": lambda a, b, c, **how: gpukern.bmm(a.expand(2, *a.shape), b.expand(2, *b.shape), **how),
    "baddbmm": lambda a, b, c, **how: gpukern.baddbmm(c, a[None], b[None], **how),
    "gelu": lambda a, b, c, **how: gpukern.linear(a, b.t(), c, activation="gelu", residual=c, **how),
    "vector": lambda a, b, c, **how: gpukern.matmul(a, b[:, 0], **how),
}


def operands(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    return torch.randn(5, 7).to(dtype), torch.randn(7, 6).to(dtype), torch.randn(6).to(dtype)


# ---- precision -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS)
def test_every_precision_is_strict_on_the_cpu(call: str) -> None:
    tensors = operands()
    for precision in PRECISIONS:
        torch.testing.assert_close(CALLS[call](*tensors, precision=precision), CALLS[call](*tensors))


@pytest.mark.parametrize("call", CALLS)
def test_refusals(call: str) -> None:
    with pytest.raises(ValueError, match="unknown precision 'fast'; choose one of strict, tf32, bf16x3, bf16x6"):
        CALLS[call](*operands(), precision="fast")
    for dtype in (torch.float64, torch.bfloat16, torch.int32):
        if call != "gelu" or dtype.is_floating_point:
            with pytest.raises(TypeError, match="precision= applies to float32 products only, got"):
                CALLS[call](*operands(dtype), precision="strict")
    with pytest.raises(TypeError, match="precision= applies to float32 products only"):
        CALLS[call](*operands(torch.complex64), precision="strict")


def test_out_and_in_place_forms_take_them() -> None:
    a, b, c = operands()
    how: dict[str, Any] = {"precision": "bf16x6", "batch_invariant": True}
    for out_form, plain in (
        (lambda out: gpukern.mm(a, b, out=out, **how), gpukern.mm(a, b, **how)),
        (lambda out: gpukern.linear(a, b.t(), c, out=out, **how), gpukern.linear(a, b.t(), c, **how)),
        (lambda out: gpukern.matmul(a, b, out=out, **how), gpukern.matmul(a, b, **how)),
        (lambda out: gpukern.addmm(c, a, b, out=out, **how), gpukern.addmm(c, a, b, **how)),
    ):
        out = torch.empty(0)
        assert out_form(out) is out and torch.equal(out, plain)
    target = torch.ones(5, 6)
    assert gpukern.addmm_(target, a, b, beta=2, **how) is target
    assert torch.equal(target, gpukern.addmm(torch.ones(5, 6), a, b, beta=2, **how))


class Recorder(torch.utils._python_dispatch.TorchDispatchMode):
    """The `precision` and `batch_invariant` that each product below autograd gets."""

    def __init__(self) -> None:
        super().__init__()
        self.options: list[tuple[Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.name in ("gpukern::mm", "gpukern::bmm", "gpukern::addmm", "gpukern::baddbmm"):
            options = kwargs or {}
            self.options.append((options.get("precision"), options.get("batch_invariant", False)))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("call", CALLS)
def test_backward_products_are_computed_alike(call: str) -> None:
    a, b, c = (t.requires_grad_() for t in operands())
    name = "".join(["bf", "16x6"])  # no constant that outlives the call
    with Recorder() as recorder:
        CALLS[call](a, b, c, precision=name, batch_invariant=True).sum().backward()
    products = 2 if call == "gelu" else 3  # a forward with an activation is below the dispatcher
    assert len(recorder.options) >= products and set(recorder.options) == {("bf16x6", True)}
    plain = torch.autograd.grad(CALLS[call](a, b, c).sum(), (a, b))
    torch.testing.assert_close(a.grad, plain[0])
    torch.testing.assert_close(b.grad, plain[1])


def test_tangents_vmap_compile_and_meta() -> None:
    a, b, c = operands()
    how: dict[str, Any] = {"precision": "bf16x9", "batch_invariant": True}
    with Recorder() as recorder:
        tangent = torch.func.jvp(lambda x: gpukern.mm(x, b, **how), (a,), (torch.ones_like(a),))[1]
    assert set(recorder.options) == {("bf16x9", True)}
    torch.testing.assert_close(tangent, torch.ones_like(a) @ b)
    with Recorder() as recorder:
        got = vmap(lambda x: gpukern.addmm(c, x, b, **how))(a.expand(3, 5, 7))
    assert set(recorder.options) == {("bf16x9", True)}
    torch.testing.assert_close(got, (a @ b + c).expand(3, 5, 6))
    compiled = torch.compile(lambda x: gpukern.linear(x, b.t(), c, **how), backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(a), a @ b + c)
    assert gpukern.mm(a.to("meta"), b.to("meta"), **how).shape == (5, 6)
    for name in ("mm", "bmm"):
        x, y = (a, b) if name == "mm" else (a[None], b[None])
        torch.library.opcheck(getattr(torch.ops.gpukern, name).default, (x.requires_grad_(), y), how)


def test_autocast_leaves_a_product_with_a_precision_in_float32() -> None:
    a, b, _ = operands()
    with torch.autocast("cpu"):
        assert gpukern.mm(a, b).dtype == torch.bfloat16
        assert gpukern.mm(a, b, batch_invariant=True).dtype == torch.bfloat16
        got = gpukern.mm(a, b.bfloat16(), precision="bf16x6")
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, a @ b.bfloat16().float())


def test_torchs_switch_is_what_none_means() -> None:
    a = torch.empty(512, 512, device="meta")
    before = torch.backends.cuda.matmul.allow_tf32
    try:
        for allowed, precision in ((False, "strict"), (True, "tf32")):
            torch.backends.cuda.matmul.allow_tf32 = allowed
            found = gpukern.selection.explain_quietly("mm", a, a, device="sm_90").would_run
            assert found and gpukern.selection.named(found).precisions == (precision,)
            strict = gpukern.selection.explain_quietly("mm", a, a, precision="strict", device="sm_90").would_run
            assert strict and gpukern.selection.named(strict).precisions == ("strict",)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


# ---- batch_invariant -------------------------------------------------------------------------------------------------


def some_rows() -> list[Tensor]:
    """Which of 100 rows: 1 to 100 of them, in order, with gaps, shuffled."""
    runs = [torch.arange(first, first + count) for first, count in ((0, 1), (99, 1), (1, 2), (3, 16), (5, 33), (0, 64))]
    return [*runs, torch.arange(1, 100, 7), *(torch.randperm(100)[:count] for count in (1, 3, 15, 50, 97, 100))]


@pytest.mark.parametrize(("k", "n"), [(1, 1), (7, 5), (64, 33), (200, 1), (300, 257), (33, 1000), (0, 3)])
@pytest.mark.parametrize("dtype", FLOATS)
def test_a_row_is_the_same_bits_whatever_rows_lie_beside_it(dtype: torch.dtype, k: int, n: int) -> None:
    """A BLAS fails this: 64 x 33 in float64, in which MKL sums the rows of one call in more than one order."""
    a, bias = torch.randn(100, k).to(dtype), torch.randn(n).to(dtype)
    for b in (torch.randn(k, n).to(dtype), torch.randn(n, k).to(dtype).t()):
        for activation in (None, "gelu", "tanh"):
            how: dict[str, Any] = {"batch_invariant": True, "activation": activation}
            whole = gpukern.mm(a, b, **how)
            biased = gpukern.addmm(bias, a, b, beta=0.5, alpha=3, **how)
            for rows in some_rows():
                assert torch.equal(gpukern.mm(a[rows], b, **how), whole[rows])
                assert torch.equal(gpukern.addmm(bias, a[rows], b, beta=0.5, alpha=3, **how), biased[rows])
        whole = gpukern.mm(a, b, batch_invariant=True)
        for m in range(1, 101):
            assert torch.equal(gpukern.mm(a[:m], b, batch_invariant=True), whole[:m])
        if k:
            products.check_product(gpukern.mm(a, b, batch_invariant=True), a, b)


@pytest.mark.parametrize("dtype", FLOATS)
def test_batches_and_layouts_are_invariant_too(dtype: torch.dtype) -> None:
    a, b, c = torch.randn(6, 21, 40).to(dtype), torch.randn(6, 40, 9).to(dtype), torch.randn(6, 21, 9).to(dtype)
    how: dict[str, Any] = {"batch_invariant": True}
    whole, shared = gpukern.bmm(a, b, **how), gpukern.matmul(a, b[0], **how)
    summed, vector = gpukern.baddbmm(c, a, b, **how), gpukern.matmul(a, b[0, :, 0], **how)
    for i in range(6):
        assert torch.equal(gpukern.mm(a[i], b[i], **how), whole[i])
        assert torch.equal(gpukern.linear(a[i], b[0].t(), **how), shared[i])
        assert torch.equal(gpukern.addmm(c[i], a[i], b[i], **how), summed[i])
    for m in (1, 4, 20):
        assert torch.equal(gpukern.bmm(a[2:4, :m], b[2:4], **how), whole[2:4, :m])
        assert torch.equal(gpukern.matmul(a[:, :m], b[0, :, 0], **how), vector[:, :m])
        columns = a[0, :m].t().contiguous().t()
        assert torch.equal(gpukern.mm(columns, b[0], **how), whole[0, :m])
    for threads in (1, 2, 3):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        assert torch.equal(gpukern.bmm(a, b, **how), whole)
        torch.set_num_threads(before)


def test_what_torch_serves_is_refused() -> None:
    a = torch.randn(3, 3, dtype=torch.complex64)
    for call in (gpukern.mm, gpukern.matmul):
        with pytest.raises(RuntimeError, match="batch_invariant=True needs one of gpukern's own kernels"):
            call(a, a, batch_invariant=True)
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        gpukern.mm(torch.randn(2, 3), torch.randn(2, 3), batch_invariant=True)


@pytest.mark.parametrize("device", ["sm_75", "sm_80", "sm_90", "gfx942"])
def test_one_folder_for_any_number_of_rows_and_no_ranges_of_k(device: str) -> None:
    places = [c.folder for c in gpukern.available(built=False)]
    for precision in range(5):
        number = 2  # float32
        problems = [
            (number, number, precision, 1, 1, m, 4096, 16384, 0, 1, 16) for m in (1, 2, 8, 9, 17, 64, 300, 4096)
        ]
        chosen = _C.gemm_choose(device, numpy.array(problems))
        assert len({places[place] for place, _ in chosen}) == 1 and (chosen[:, 1] == 1).all()


def test_a_stored_measurement_does_not_decide() -> None:
    """It could name another folder for another number of rows."""
    a, b = torch.empty(64, 64, device="meta"), torch.empty(64, 64, device="meta")
    plain = gpukern.selection.explain_quietly("mm", a, b, device="sm_90")
    other = "simt/s16x128" if plain.would_run != "simt/s16x128" else "simt/s64x64"
    before = _C.gemm_ranking()
    _C.gemm_set_ranking([("a device", "sm_90", "float32", (64, 64, 64, 1), "nn", [other], "a test")])
    try:
        assert gpukern.selection.explain_quietly("mm", a, b, device="sm_90").would_run == other
        for how in ({"batch_invariant": True}, {"precision": "bf16x6"}):
            found = gpukern.selection.explain_quietly("mm", a, b, device="sm_90", **how)
            assert found.would_run != other and not any("measurement" in note for note in found.notes)
    finally:
        _C.gemm_set_ranking(before)


# ---- determinism -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
def test_torchs_deterministic_mode_is_no_other_mode(dtype: torch.dtype) -> None:
    tensors = operands(dtype)
    for call in CALLS.values():
        plain = call(*tensors)
        torch.use_deterministic_algorithms(True)
        try:
            assert torch.equal(call(*tensors), plain)
            a, b, c = (t.clone().requires_grad_() for t in tensors)
            call(a, b, c).sum().backward()
        finally:
            torch.use_deterministic_algorithms(False)
