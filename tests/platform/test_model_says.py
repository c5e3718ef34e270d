"""The model's errors for calls that a configuration is not for, and for results that are not written."""

from __future__ import annotations

import ctypes
import functools
import re
from pathlib import Path
from typing import Any

import pytest
import torch

import gpukern
from gpukern import _C, model
from gpukern.model import build, machine, memory
from gpukern.model.configurations import place_of
from gpukern.selection import Configuration

CONFIGURATIONS = [c for c in gpukern.available(built=False) if not c.on_cpu]
by_configuration = pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda c: c.name)


CSRC = Path(__file__).parents[2] / "csrc" / "gemm"


@functools.cache
def _said_in(folder: str) -> str:
    """The reasons that a folder's table may give: in its own headers, and in those that all share."""
    files = [*CSRC.glob(f"arch/{folder}/*.h"), *CSRC.glob("*.h")]
    return "".join(re.sub(r'"\s*\n\s*"', "", file.read_text()) for file in files).replace('\\"', '"')


def _filled(*shape: int, dtype: torch.dtype) -> torch.Tensor:
    if dtype.is_floating_point or dtype.is_complex:
        return torch.randn(*shape).to(dtype)
    return torch.randint(0, 5, shape).to(dtype)


@by_configuration
def test_a_configuration_gives_the_right_numbers_or_its_own_reason(configuration: Configuration) -> None:
    """Skinny shapes and others, every precision of float32, a result that may not depend on its height."""
    dtype = getattr(torch, "float32" if "float32" in configuration.types else configuration.types[-1])
    if "float8" in str(dtype):
        return  # only scaled products have their types
    served = 0
    for (m, n, k), precision, invariant in (
        ((37, 41, 24), None, False), ((5, 20, 24), None, True), ((1, 33, 16), None, False),
        ((37, 41, 24), "strict", False), ((1, 20, 24), "tf32", True), ((5, 20, 24), "bf16x6", False),
    ):  # fmt: skip
        if precision and dtype != torch.float32:
            continue
        a, b = _filled(m, k, dtype=dtype), _filled(k, n, dtype=dtype)
        how: dict[str, Any] = {"precision": precision} if precision else {}
        how |= {"batch_invariant": True} if invariant else {}
        try:
            got, _ = model.run(
                "matmul", a, b, configuration=configuration.name, schedule="fifo", check=False, count=False, **how
            )
        except model.Refused as error:
            why = str(error).removeprefix(f"{configuration.name} cannot serve this call: ")
            assert f'"{why}"' in _said_in(configuration.folder), why
            continue
        served += 1
        torch.testing.assert_close(got, a @ b, rtol=2e-2, atol=2e-1)
    assert served


def test_the_sample() -> None:
    words = (
        "skinny/r8 cannot serve this call: it serves results of at most 8 rows or columns; "
        "for larger ones tiled kernels reuse each load more"
    )
    with pytest.raises(model.Refused, match=f"^{words}$"):
        model.run("matmul", torch.randn(67, 72), torch.randn(72, 131), configuration="skinny/r8")


def test_every_kind_of_refusal_is_one_sentence() -> None:
    a, b = torch.randn(4, 4), torch.randn(4, 4)
    for configuration, x, y, how, words in (
        ("mma_sync/t64x64", a, b, {"wave": 64}, "it needs cp.async and mma.sync, which NVIDIA GPUs have from sm_80 on"),
        ("skinny/r1", a, b, {}, "it multiplies by one vector only; this product has more"),
        (
            "skinny/r8", a, b, {"batch_invariant": True},
            "batch_invariant=True rules it out: it sums in another order than kernels for more rows",
        ),
        ("wgmma/w256x128", a.half()[:, :0], b.half()[:0], {}, "k is 0, so there is nothing to load"),
        (
            "mma_sync/e64x64", a, b, {"precision": "strict"},
            'this call does not ask for bfloat16 terms (precision="bf16x3", "bf16x6" or "bf16x9")',
        ),
        ("simt/w64x64", a.int(), b.int(), {"activation": "relu"}, "an activation needs a floating type"),
    ):  # fmt: skip
        with pytest.raises(model.Refused) as error:
            model.run("mm", x, y, configuration=configuration, **how)
        assert str(error.value) == f"{configuration} cannot serve this call: {words}"


def test_what_an_op_is_told_reaches_the_kernel() -> None:
    """Factors of rows and columns, S and the sums of columns: they were left out."""
    a, b, saved = torch.randn(9, 12), torch.randn(12, 20), torch.randn(9, 20)
    by = torch.randn(9), torch.randn(20)
    got, _ = model.run("scaled_product", a, b, *by)
    torch.testing.assert_close(got, gpukern.scaled_product(a, b, *by), rtol=1e-5, atol=1e-5)
    for bias_grad in (False, True):
        got, _ = model.run("mm_activation_backward", a, b, saved, "silu", bias_grad=bias_grad)
        torch.testing.assert_close(
            got, gpukern.mm_activation_backward(a, b, saved, "silu", bias_grad=bias_grad), rtol=1e-5, atol=1e-4
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.int32, torch.bool, torch.complex64, torch.float8_e4m3fn])
def test_elementwise_ops_give_their_numbers_or_a_reason(dtype: torch.dtype) -> None:
    """Every op of the catalogue: as gpukern's own on the CPU, or a sentence."""
    names = sorted({e["name"] for e in _C.elementwise_catalogue()} & set(gpukern.ops.__all__))
    ran = 0
    for name in names:
        entry = next(e for e in _C.elementwise_catalogue() if e["name"] == name)
        tensors = [_filled(3, 20, dtype=torch.float32).abs().to(dtype) for _ in range(entry["inputs"])]
        if entry["args"].startswith("Tensor condition"):
            tensors[0] = torch.rand(3, 20) > 0.5
        if name in ("fmod", "remainder") and dtype == torch.int32:  # a CPU refuses to divide by 0
            tensors[1] += 1
        try:
            expected = getattr(gpukern, name)(*tensors)
        except (RuntimeError, TypeError):
            expected = None
        try:
            got, _ = model.run(name, *tensors, count=False)
        except (ValueError, RuntimeError, TypeError) as error:
            assert not isinstance(error, model.ModelError), (name, error)
            assert expected is None or isinstance(error, model.Refused), (name, error)
            continue
        ran += 1
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5, equal_nan=True)
    assert ran or dtype in (torch.complex64, torch.float8_e4m3fn)


def test_an_elementwise_call_of_too_many_dimensions_is_refused() -> None:
    x = torch.randn(2, 2, 2, 2, 2, 2, 2, 2, 2, 3)[..., ::2].permute(9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
    with pytest.raises(model.Refused, match="10 dimensions"):
        model.run("add", x, x.contiguous()[..., :1])


# ---- what is not written ---------------------------------------------------------------------------------------------


class Lazy:
    """The library, whose launches do nothing to the last `rows` of D (or to none of it)."""

    def __init__(self, real: ctypes.CDLL, rows: int | None) -> None:
        self.real, self.rows = real, rows

    def __getattr__(self, name: str) -> object:
        real = getattr(self.real, name)
        if name not in ("gpukern_model_product", "gpukern_model_elementwise"):
            return real

        def launch(*arguments: object) -> object:
            if self.rows is None:
                return b""
            given = list(arguments)
            if name.endswith("product"):
                extents = list(given[1])  # type: ignore[call-overload]
                extents[1] -= self.rows
                given[1] = (ctypes.c_int64 * 4)(*extents)
            else:
                shape = list(given[1])  # type: ignore[call-overload]
                shape[-1] -= self.rows
                given[1] = (ctypes.c_int64 * len(shape))(*shape)
            return real(*given)

        return launch


@pytest.fixture
def lazy(monkeypatch: pytest.MonkeyPatch) -> Lazy:
    found = Lazy(build.library(), None)
    for module in (machine, memory):
        monkeypatch.setattr(module, "library", lambda: found)
    return found


def test_elements_that_no_kernel_wrote_are_named(lazy: Lazy) -> None:
    """A kernel that leaves out the end of a row, and one that is not launched; products and elementwise ops; of
    views, the view's elements and not what lies between them."""
    a, b = torch.randn(9, 12), torch.randn(12, 20)
    x = torch.randn(9, 20)[:, ::2]
    for configuration in ("simt/s32x32", "wgmma/p64x64", "mma_sync/e64x64"):
        lazy.rows = 2
        with pytest.raises(model.ModelError) as error:
            model.run("mm", a, b, configuration=configuration)
        assert str(error.value) == (
            f"{configuration}: 40 of 180 elements of the result were never written, the first of them at (0, 7, 0)"
        )
    with pytest.raises(model.ModelError, match=r"^elementwise/silu: 2 of 90 elements .* first of them at \(8, 8\)$"):
        model.run("silu", x)
    place = machine_place("neg")
    for rows, words in ((3, r"3 of 90 .* at \(8, 7\)"), (None, r"90 of 90 .* at \(0, 0\)")):
        lazy.rows = rows
        with pytest.raises(model.ModelError, match=f"^elementwise/neg: {words}"):
            machine.elementwise(place, torch.empty(9, 30)[:, ::3], [torch.randn(9, 10)])
    lazy.rows = None
    with pytest.raises(model.ModelError, match=r"^simt/s32x32: 180 of 180 .* at \(0, 0, 0\)$"):
        model.run("mm", a, b, configuration="simt/s32x32")


def machine_place(name: str) -> tuple[int, int, int]:
    catalogue = _C.elementwise_catalogue()
    entry = next(e for e in catalogue if e["name"] == name)
    mine = [e["name"] for e in catalogue if e["family"] == entry["family"]]
    return list(dict.fromkeys(e["family"] for e in catalogue)).index(entry["family"]), mine.index(name), 0


def test_nothing_to_write_is_nothing_missing() -> None:
    for shape in ((0, 5, 4), (3, 5, 0), (3, 0, 4)):
        m, k, n = shape
        got, _ = model.run("mm", torch.randn(m, k), torch.randn(k, n), configuration="simt/s32x32")
        assert got.shape == (m, n) and not got.any()
    assert model.run("silu", torch.empty(0, 3))[0].shape == (0, 3)
    for out in (torch.empty(9, 60)[:, ::3], torch.empty(20, 9).t()):  # gaps, and another order
        got = machine.product(*place_of("simt/s32x32"), out[None], torch.ones(1, 9, 2), torch.ones(1, 2, 20))
        assert bool((got == 2).all())


def test_a_result_that_is_read_before_it_is_written() -> None:
    """An op in place reads its input; reading any other result is a fault of the model's."""
    x = torch.randn(50)
    place = machine_place("neg")
    assert torch.equal(machine.elementwise(place, x.clone(), [x], in_place=True), -x)
    buffer = memory.guarded(torch.empty(50)).poison()
    real = build.library()
    machine.set_schedule(machine.Schedule())
    memory.watch({}, buffer)
    out = memory.guarded(torch.empty(50)).poison()
    memory.name_buffer("another", out, 1)
    arguments = machine._call(place, out.view, [buffer.view], torch.float32, 4, 0)
    numbers = (ctypes.c_double * 3)(), (ctypes.c_int64 * 3)()
    words = real.gpukern_model_elementwise(*arguments, *numbers).decode()
    assert "of 'output' is read, and no kernel has written it" in words
