"""`scaled_mm` on CPU tensors: results, torch's errors, tracing; its configurations are in test_scaled_kernels.py."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import gpukern
import gpukern.reference
from tests.oracle import products
from tests.oracle.float8 import FORMATS, OUT, SCALES, patterns, powers, scales, value, values
from tests.oracle.ulps import UNIT

ONE = torch.tensor(1.0)
Call = Callable[..., Tensor]


def operands(m: int, n: int, k: int, *types: torch.dtype) -> tuple[Tensor, Tensor]:
    return torch.randn(m, k).to(types[0]), torch.randn(k, n).to(types[-1])


def within(got: Tensor, expected: Tensor, size: Tensor, k: int, out: torch.dtype) -> None:
    """The bound of a float32 sum, and one rounding of the result."""
    unit = {**UNIT, FORMATS[0]: 2.0**-4, FORMATS[1]: 2.0**-3, FORMATS[2]: 2.0**-4, FORMATS[3]: 2.0**-3}[out]
    tiny = {FORMATS[0]: 2.0**-9, FORMATS[1]: 2.0**-16, FORMATS[2]: 2.0**-10, FORMATS[3]: 2.0**-17}.get(out, 2.0**-24)
    summed = products.slack(k) * UNIT[torch.float32] * size
    tolerance = unit * (expected.abs() + summed) + summed + tiny
    error = (got.double() - expected).abs()
    assert bool((error <= tolerance).all()), float((error / tolerance).max())


@pytest.mark.parametrize("out", OUT)
@pytest.mark.parametrize("kind", SCALES)
def test_results(kind: str, out: torch.dtype) -> None:
    for m, n, k, first, second in ((33, 20, 300, 0, 0), (130, 140, 129, 0, 1), (1, 7, 64, 1, 0), (16, 16, 256, 2, 3)):
        a, b = operands(m, n, k, FORMATS[first], FORMATS[second])
        one, two = (t / 16 for t in scales(kind, m, n, k))
        for bias in (None, torch.randn(n), torch.randn(n).bfloat16()):
            for right in (b, b.t().contiguous().t()):
                got = gpukern.scaled_mm(a, right, one, two, bias, out_dtype=out)
                assert got.dtype == out and got.shape == (m, n)
                expected = gpukern.reference.scaled_mm(a, b, one, two, bias, None, out)
                size = gpukern.reference.scaled_mm(a.double().abs(), b.double().abs(), one, two)
                within(got, expected, size, k, out)


def test_the_reference_reads_patterns_as_they_are_defined() -> None:
    for dtype in FORMATS:
        expected = torch.tensor([value(p, dtype) for p in range(256)], dtype=torch.float64)
        assert torch.equal(values(patterns(dtype)).nan_to_num(7), expected.nan_to_num(7))
        got = gpukern.scaled_mm(patterns(dtype)[:, None], torch.ones(1, 1).to(dtype), ONE, ONE, out_dtype=torch.float32)
        assert torch.equal(got.flatten().double().nan_to_num(7), expected.nan_to_num(7))


def test_a_scale_of_the_result_multiplies_and_is_of_8_bits_only() -> None:
    a, b = torch.full((4, 8), 2.0).to(FORMATS[0]), torch.full((8, 4), 2.0).to(FORMATS[0])
    quarter = torch.tensor(0.25)
    got = gpukern.scaled_mm(a, b, ONE, ONE, scale_result=quarter)
    assert got.dtype == FORMATS[0] and torch.equal(got.float(), torch.full((4, 4), 8.0))
    wide = gpukern.scaled_mm(a, b, ONE, ONE, scale_result=quarter, out_dtype=torch.float32)
    assert torch.equal(wide, torch.full((4, 4), 32.0))


def test_what_is_too_large_for_8_bits_is_what_torch_converts_it_to() -> None:
    """Once NaN on a processor with AMX, where torch's own kernel is oneDNN's."""
    a, b = torch.full((4, 8), 2.0).to(FORMATS[0]), torch.full((8, 4), 2.0).to(FORMATS[0])
    for out in FORMATS:
        got = gpukern.scaled_mm(a, b, torch.tensor(1e4), ONE, out_dtype=out).float()
        torch.testing.assert_close(got, torch.full((4, 4), 32e4).to(out).float(), equal_nan=True)
        assert out != FORMATS[0] or torch.equal(got, torch.full((4, 4), 448.0))


def test_torchs_scales_are_torchs_results() -> None:
    for types, fast in itertools.product(itertools.product(FORMATS[:2], repeat=2), (False, True)):
        a, b = operands(16, 32, 64, *types)
        for one, two in ((ONE * 2, ONE * 3), (powers(16, 1), powers(1, 32))):
            given = (a, b.t().contiguous().t(), one, two)
            options: dict[str, Any] = {"out_dtype": torch.bfloat16, "use_fast_accum": fast}
            torch.testing.assert_close(gpukern.scaled_mm(*given, **options), torch._scaled_mm(*given, **options))


def test_empty_extents() -> None:
    for m, n, k in ((0, 3, 4), (3, 0, 4), (3, 4, 0)):
        a, b = operands(m, n, k, FORMATS[0])
        bias = torch.arange(n).float()
        got = gpukern.scaled_mm(a, b, ONE, ONE, bias, out_dtype=torch.float32)
        assert torch.equal(got, bias.expand(m, n))


def refusals() -> dict[str, tuple[Call, bool]]:
    """What is refused, and whether with torch's own error."""
    a, b = operands(16, 32, 64, FORMATS[0])
    return {
        "mat1 is a vector": (lambda f: f(a[0], b, ONE, ONE), True),
        "shapes do not multiply": (lambda f: f(a, b[:32], ONE, ONE), True),
        "scales are halves": (lambda f: f(a, b, ONE.half(), ONE), True),
        "scales of another shape": (lambda f: f(a, b, torch.rand(3), ONE), True),
        "operands of 32 bits": (lambda f: f(a.float(), b.float(), ONE, ONE), True),
        "bias of another size": (lambda f: f(a, b, ONE, ONE, torch.zeros(3)), True),
        "out of another type": (
            lambda f: f(a, b, ONE, ONE, out_dtype=torch.bfloat16, out=torch.empty(0)), True,
        ),
        "an integer out_dtype": (lambda f: f(a, b, ONE, ONE, out_dtype=torch.int32), False),
        "scale_result of two numbers": (lambda f: f(a, b, ONE, ONE, scale_result=torch.ones(2)), False),
    }  # fmt: skip


@pytest.mark.parametrize("what", refusals())
def test_refusals(what: str) -> None:
    call, torchs = refusals()[what]
    with pytest.raises((RuntimeError, ValueError, TypeError)) as got:
        call(gpukern.scaled_mm)
    if torchs:
        # Without oneDNN, which serves these calls on processors with AMX and has other messages for some.
        with torch.backends.mkldnn.flags(enabled=False), pytest.raises(type(got.value)) as expected:
            call(torch._scaled_mm)
        assert str(got.value).splitlines()[0] == str(expected.value).splitlines()[0]


def test_it_has_no_derivative() -> None:
    a, b = operands(4, 4, 8, FORMATS[0])
    out = gpukern.scaled_mm(a, b, torch.tensor(1.0, requires_grad=True), ONE, out_dtype=torch.float32)
    with pytest.raises(RuntimeError, match="derivative for gpukern::scaled_mm is not implemented"):
        out.sum().backward()


def test_out() -> None:
    """Of any layout, for a GPU's result is written in place; never of what needs a gradient."""
    a, b = operands(4, 6, 8, FORMATS[0])
    out = torch.empty(0, dtype=torch.bfloat16)
    assert gpukern.scaled_mm(a, b, ONE, ONE, out_dtype=torch.bfloat16, out=out) is out
    expected = gpukern.scaled_mm(a, b, ONE, ONE, out_dtype=torch.bfloat16)
    assert torch.equal(out, expected)
    columns = torch.empty(6, 4, dtype=torch.bfloat16).t()
    gpukern.scaled_mm(a, b, ONE, ONE, out=columns)
    assert torch.equal(columns, expected)
    with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
        gpukern.scaled_mm(a, b, torch.tensor(1.0, requires_grad=True), ONE, out=columns)


def test_meta_and_compile() -> None:
    a, b = operands(4, 6, 8, FORMATS[0])
    meta = gpukern.scaled_mm(a.to("meta"), b.to("meta"), ONE.to("meta"), ONE.to("meta"), out_dtype=torch.float16)
    assert meta.shape == (4, 6) and meta.dtype == torch.float16 and meta.is_meta

    def step(x: Tensor, y: Tensor, s: Tensor) -> Tensor:
        return gpukern.scaled_mm(x, y, s, s, out_dtype=torch.float32).relu()

    compiled = torch.compile(step, fullgraph=True, backend="aot_eager", dynamic=True)
    torch.testing.assert_close(compiled(a, b, ONE), step(a, b, ONE))


def test_opcheck() -> None:
    a, b = operands(4, 6, 8, FORMATS[0])
    torch.library.opcheck(
        torch.ops.gpukern.scaled_mm.default, (a, b, ONE, ONE), {"out_dtype": torch.float32},
        test_utils=("test_faketensor",),  # the others multiply the operands
    )  # fmt: skip


def test_explanations() -> None:
    a, b = (torch.empty(s, dtype=t, device="meta") for s, t in (((512, 1024), FORMATS[0]), ((1024, 256), FORMATS[1])))
    one, two = torch.empty(512, 8, device="meta"), torch.empty(8, 2, device="meta")
    found = gpukern.explain("scaled_mm", a, b, one, two, out_dtype=torch.bfloat16, device="sm_90a")
    assert not gpukern.selection.named(found.would_run or "").tensor_cores
    assert "float8_e4m3fn x float8_e5m2 to bfloat16" in found.problem
    assert "A scaled per 1x128 block, B scaled per 128x128 block" in found.problem
    refused = dict(found.refused)
    assert refused["mma_sync"] in (
        "it needs float8 mma.sync of sm_89 or sm_120; other GPUs convert float8 before each product",
        "no code was built for this device",
    )
    here = gpukern.explain("scaled_mm", a, b, one, two, device="cpu")
    assert here.configuration == "host/blas"
    for explained in (found, here, gpukern.explain("scaled_mm", a, b, ONE, ONE, device="gfx942")):
        assert any(note.startswith("emulated") and "summed in float32" in note for note in explained.notes)
    deep = (torch.empty(64, 65536, dtype=FORMATS[0], device="meta"),) * 2
    split = gpukern.explain("scaled_mm", deep[0], deep[1].t(), ONE, ONE, out_dtype=torch.bfloat16, device="sm_90")
    assert split.splits > 1 and any("ranges" in note for note in split.notes)
    for wrong in (torch.empty(3), torch.empty(512, 3), torch.empty(4, 7)):
        with pytest.raises(ValueError, match="Invalid scaling configuration"):
            gpukern.explain("scaled_mm", a, b, wrong, two, device="sm_90")
