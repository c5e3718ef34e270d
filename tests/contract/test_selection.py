"""explain, available, force: the choice is shown for any device, and can be overridden."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

import gpukern
from gpukern import selection, tuning
from gpukern.bench import results
from gpukern.model import command
from tests.bench import synthetic


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(*shape, dtype=dtype, device="meta")


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    selection.reset_served()
    yield


def test_a_cpu_product_runs_on_the_host(capsys: pytest.CaptureFixture[str]) -> None:
    found = gpukern.explain("matmul", torch.randn(8, 4), torch.randn(4, 6))
    assert found.configuration == "host/blas" and found.device == "cpu"
    assert "(8, 4) @ (4, 6), float32" in found.problem
    assert ("simt", "it runs on GPUs, and this device is the CPU") in found.refused
    assert capsys.readouterr().out == f"{found}\n"  # printed and returned
    assert not selection.served()  # and nothing ran


@pytest.mark.parametrize("device", ["sm_80", "sm_90a", "sm_120", "gfx90a", "gfx942", "gfx1100"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int8])
def test_any_device_can_be_asked_about(device: str, dtype: torch.dtype) -> None:
    found = gpukern.explain("mm", meta(512, 256, dtype=dtype), meta(256, 512, dtype=dtype), device=device)
    configurations = {c.name: c for c in gpukern.available(built=False)}
    assert found.would_run in configurations and not configurations[found.would_run].on_cpu
    assert str(dtype).removeprefix("torch.") in configurations[found.would_run].types
    assert found.configuration in (None, found.would_run)
    assert device.split("_")[-1][:2] in found.device
    if found.configuration is None:
        assert any("no code was built" in reason for _, reason in found.refused)
        assert "gpukern.info()" in str(found)


def test_figures_of_the_cost_model_are_called_predictions() -> None:
    """Of products with and without scales, forced ones and those of terms; what counts no cycles prints none."""
    a, e = meta(1024, 1024), meta(1024, 1024, dtype=torch.float8_e4m3fn)
    one = torch.empty((), device="meta")
    explanations = [gpukern.explain("linear", a, a, device=device) for device in ("sm_90a", "sm_80", "gfx942")]
    explanations.append(gpukern.explain("scaled_mm", e, e.t(), one, one, device="sm_90a"))
    explanations.append(gpukern.explain("mm", a, a, precision="bf16x6", device="sm_90a"))
    with gpukern.force("simt"):
        explanations.append(gpukern.explain("mm", a, a, device="sm_90a"))
    for found in explanations:
        assert f"{found.cycles:,.0f} cycles by the cost model: predicted, not measured on a GPU" in str(found)
        for line in str(found).splitlines():
            assert ("cycles" not in line and "times the chosen" not in line) or "predicted, not measured" in line
    for found in (gpukern.explain("mm", a, a, device="cpu"), gpukern.explain("relu", a, device="sm_90a")):
        assert "cycles" not in str(found) and "predicted" not in str(found)


def test_the_shape_decides_between_configurations() -> None:
    large = gpukern.explain("mm", meta(8192, 8192), meta(8192, 8192), device="sm_90a")
    small = gpukern.explain("mm", meta(32, 512), meta(512, 32), device="sm_90a")
    assert large.would_run != small.would_run


def test_cycles_are_the_costs_that_a_refusal_compares() -> None:
    square = meta(1024, 1024)
    found = gpukern.explain("mm", square, square, device="sm_90a")
    other, reason = next((c, why) for c, why in found.refused if "times the chosen configuration's" in why)
    with gpukern.force(other):
        forced = gpukern.explain("mm", square, square, device="sm_90a")
    assert found.cycles and forced.would_run == other and forced.cycles
    assert f"{forced.cycles / found.cycles:.2f} times" in reason
    assert "(predicted, not measured on a GPU)" in reason
    assert gpukern.explain("mm", square, square, device="cpu").cycles is None  # its one configuration counts none
    assert gpukern.explain("relu", square, device="sm_90a").cycles is None


SAME_PROBLEM = [
    ("mm", (meta(6, 4), meta(4, 5)), {}, "(6, 4) @ (4, 5)"),
    ("bmm", (meta(3, 6, 4), meta(3, 4, 5)), {}, "3 x (6, 4) @ (4, 5)"),
    ("mv", (meta(6, 4), meta(4)), {}, "(6, 4) @ (4, 1)"),
    ("addmm", (meta(5), meta(6, 4), meta(4, 5)), {"beta": 2}, "(6, 4) @ (4, 5)"),
    ("baddbmm", (meta(3, 6, 5), meta(3, 6, 4), meta(3, 4, 5)), {}, "3 x (6, 4) @ (4, 5)"),
    ("matmul", (meta(2, 3, 4), meta(4, 5)), {}, "(6, 4) @ (4, 5)"),
    ("matmul", (meta(2, 3, 4), meta(2, 4, 5)), {}, "2 x (3, 4) @ (4, 5)"),
    ("matmul", (meta(4), meta(4)), {}, "(1, 4) @ (4, 1)"),
    ("linear", (meta(2, 3, 4), meta(5, 4), meta(5)), {}, "(6, 4) @ (4, 5)"),
    ("dot", (meta(4), meta(4)), {}, "(1, 4) @ (4, 1)"),
    ("vdot", (meta(4), meta(4)), {}, "(1, 4) @ (4, 1)"),
    ("inner", (meta(2, 3, 4), meta(5, 4)), {}, "(6, 4) @ (4, 5)"),
    ("addr", (meta(6, 5), meta(6), meta(5)), {"beta": 2}, "(6, 1) @ (1, 5)"),
    ("addbmm", (meta(6, 5), meta(3, 6, 4), meta(3, 4, 5)), {}, "(6, 12) @ (12, 5)"),
    ("bilinear", (meta(2, 3), meta(2, 4), meta(5, 3, 4)), {}, "(2, 12) @ (12, 5)"),
    ("tensordot", (meta(2, 3, 4), meta(3, 4, 5)), {}, "(2, 12) @ (12, 5)"),
    ("einsum", ("bij,bjk->bik", meta(3, 6, 4), meta(3, 4, 5)), {}, "3 x (6, 4) @ (4, 5)"),
    ("multi_dot", ([meta(6, 4), meta(4, 5)],), {}, "(6, 4) @ (4, 5)"),
    ("linear", (meta(3, 4), meta(5, 4)), {"activation": "gelu"}, "(3, 4) @ (4, 5)"),
]


@pytest.mark.parametrize(("op", "args", "kwargs", "problem"), SAME_PROBLEM)
def test_every_product_is_explained(op: str, args: tuple, kwargs: dict, problem: str) -> None:
    found = gpukern.explain(op, *args, device="gfx942", **kwargs)
    assert found.problem.startswith(problem)
    assert ("bias" in found.problem) == (op in ("addmm", "linear") and len(args) == 3)
    assert ("gelu" in found.problem) == ("activation" in kwargs)
    assert gpukern.explain(getattr(gpukern, op), *args, device="gfx942", **kwargs) == found


def test_a_chain_is_explained_by_its_largest_product() -> None:
    chain = [meta(2, 3), meta(3, 40), meta(40, 5)]
    for op, args, largest, other in (
        ("multi_dot", (chain,), "(3, 40) @ (40, 5)", "(2, 3) @ (3, 5)"),  # in the order that takes the fewest
        ("chain_matmul", chain, "(3, 40) @ (40, 5)", "(2, 3) @ (3, 5)"),
        ("einsum", ("ij,jk,kl->il", *chain), "(2, 40) @ (40, 5)", "(2, 3) @ (3, 40)"),  # from left to right
    ):
        found = gpukern.explain(op, *args, device="gfx942")
        assert found.op == op and found.problem.startswith(largest)
        assert any(note.startswith(f"and {other}") for note in found.notes)


def test_what_is_no_product_is_said() -> None:
    assert "(4, 5), float32, broadcast" in gpukern.explain("outer", meta(4), meta(5), device="sm_90a").problem
    assert (
        gpukern.explain("einsum", "ij,ij->ij", meta(4, 5), meta(4, 5), device="sm_90a").would_run == "elementwise/gpu"
    )
    assert "torch's own op serves this call" in gpukern.explain("einsum", "ii->i", meta(3, 3), device="sm_90a").notes


def test_complex_products_are_tiles_of_the_ordinary_cores() -> None:
    x, square = meta(3, dtype=torch.complex64), meta(512, 512, dtype=torch.complex128)
    dot = selection.named(gpukern.explain("dot", x, x, device="sm_90a").would_run or "")
    assert "complex64" in dot.types and not dot.tensor_cores
    found = gpukern.explain("addmm", square, square.mH, square, alpha=2j, device="gfx942")
    assert found.would_run == "simt/z64x64" and "A column-major, conjugated, B row-major" in found.problem
    why = "it has no complex kernel; tiled kernels serve complex products of any shape"
    assert ("skinny", why) in found.refused or not found.configuration


def test_a_residual_with_batch_dimensions_was_refused() -> None:
    found = gpukern.explain(
        "linear", meta(2, 5, 8), meta(6, 8), meta(6), device="sm_90a", activation="gelu", residual=meta(2, 5, 6)
    )
    assert found.problem.startswith("(10, 8) @ (8, 6)") and "+ residual" in found.problem


def test_layouts_are_seen() -> None:
    a = meta(16, 8)
    assert "A row-major, B column-major" in gpukern.explain("mm", a, meta(8, 8).t(), device="sm_90a").problem
    assert "A strided" in gpukern.explain("mm", meta(32, 16)[::2, ::2], meta(8, 8), device="sm_90a").problem


def test_a_gradient_changes_what_is_fused() -> None:
    x, w = torch.randn(3, 4), torch.randn(5, 4, requires_grad=True)
    assert gpukern.explain("linear", x, w, activation="relu").notes
    with torch.no_grad():
        assert not gpukern.explain("linear", x, w, activation="relu").notes


def test_elementwise_ops_are_explained() -> None:
    found = gpukern.explain("silu", torch.randn(4, 5))
    assert found.configuration == f"host/{gpukern._C.cpu_capability()}" and "dense" in found.problem
    assert "broadcast" in gpukern.explain("add", meta(4, 5), meta(5), device="sm_90a").problem
    assert "strided" in gpukern.explain("add", meta(4, 5), meta(5, 4).t(), device="sm_90a").problem
    assert "float16" in "".join(gpukern.explain("exp", torch.randn(4, dtype=torch.float16)).notes)


def test_every_function_is_explained_or_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"^there is no op 'conv3d' to explain; known are matmul, mm, .*silu"):
        gpukern.explain("conv3d", meta(2, 2))
    assert capsys.readouterr().out == ""


def test_wrong_arguments_raise_torchs_errors() -> None:
    for op, args in [("mm", (meta(2, 3), meta(4, 5))), ("bmm", (meta(2, 3), meta(4, 5))), ("add", (meta(2), meta(3)))]:
        with pytest.raises(RuntimeError) as theirs:
            getattr(torch, op)(*args)
        with pytest.raises(RuntimeError) as ours:
            gpukern.explain(op, *args, device="sm_90a")
        assert str(ours.value).splitlines()[0] == str(theirs.value).splitlines()[0]
    with pytest.raises(ValueError, match="sm_90"):
        gpukern.explain("mm", meta(2, 2), meta(2, 2), device="geforce")


def test_available_lists_what_is_compiled() -> None:
    configurations = gpukern.available()
    assert [c.name for c in configurations if c.targets == ("cpu",)] == ["host/blas"]
    everything = gpukern.available(built=False)
    assert set(configurations) <= set(everything) and len({c.name for c in everything}) == len(everything)
    for configuration in everything:
        assert configuration.name in str(configuration) and ("not built" in str(configuration)) == (
            not configuration.targets
        )


def test_force_chooses_and_ends() -> None:
    a, b = torch.randn(4, 4), torch.randn(4, 4)
    with gpukern.force("host"):
        assert torch.allclose(gpukern.mm(a, b), a @ b, atol=1e-5)
        with gpukern.force("host/blas"):
            assert gpukern.explain("mm", a, b).configuration == "host/blas"
    with gpukern.force("simt/s64x64"):
        found = gpukern.explain("mm", meta(2048, 2048), meta(2048, 2048), device="sm_90a")
        assert found.would_run == "simt/s64x64"
        assert ("simt/s128x128", "another configuration is forced") in found.refused or found.configuration is None
        with pytest.raises(RuntimeError, match=r"simt/s64x64 was forced and cannot serve .*it runs on GPUs"):
            gpukern.mm(a, b)
    assert torch.allclose(gpukern.mm(a, b), a @ b, atol=1e-5)


def test_unknown_configurations_are_answered_with_the_known_ones() -> None:
    with (
        pytest.raises(ValueError, match=r"no kernel folder or configuration 'warp9' .*simt/s128x128.*host/blas"),
        gpukern.force("warp9"),
    ):
        raise AssertionError
    gpukern.mm(torch.randn(2, 2), torch.randn(2, 2))


def test_a_forced_configuration_may_be_entered_again_and_decorates() -> None:
    """The second `with` of one object was an AttributeError of contextlib's."""
    chosen = gpukern.force("host/blas")
    for _ in range(2):
        with chosen:
            with gpukern.force("simt"), chosen:
                gpukern.mm(torch.ones(2, 2), torch.ones(2, 2))
            assert gpukern._C.gemm_forced() == "host/blas"
        assert gpukern._C.gemm_forced() == ""

    @gpukern.force("simt")
    def product() -> str:
        return str(gpukern._C.gemm_forced())

    assert product() == product() == "simt" and gpukern._C.gemm_forced() == ""
    wrong = gpukern.force("warp9")
    for _ in range(2):
        with pytest.raises(ValueError, match="warp9"), wrong:
            raise AssertionError
    assert gpukern._C.gemm_forced() == ""


def test_force_from_the_environment() -> None:
    code = "import torch, gpukern; print(gpukern.mm(torch.ones(2, 2), torch.ones(2, 2)).sum().item())"
    outcomes = []
    for name in ("host", "simt", "warp9"):
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "GPUKERN_FORCE": name}, capture_output=True, text=True
        )
        outcomes.append((done.returncode, (done.stdout + done.stderr).strip().splitlines()[-1]))
    assert outcomes[0] == (0, "8.0")
    assert outcomes[1][0] == 1 and "simt was forced and cannot serve" in outcomes[1][1]
    assert outcomes[2][0] == 1 and "'warp9'" in outcomes[2][1]


def test_what_was_served_is_counted() -> None:
    a, b = torch.randn(4, 4), torch.randn(4, 4)
    gpukern.mm(a, b)
    gpukern.linear(a, b, torch.randn(4))
    gpukern.silu(a)
    counts = {(call, c): count for call, c, count in selection.served()}
    assert counts[("matrix product", "host/blas")] == 2
    assert counts[("silu", f"host/{gpukern._C.cpu_capability()}")] == 1
    selection.reset_served()
    assert not selection.served()


def test_products_of_nothing_are_explained() -> None:
    """Extents of 0 beside a batch that had to be deduced were a RuntimeError of reshape."""
    for a, b in (((0, 5), (5, 3)), ((4, 0), (0, 3)), ((2, 0, 3), (3, 4)), ((0, 2, 3), (0, 3, 4)), ((2, 3, 0), (0, 4))):
        found = gpukern.selection.explain_quietly("matmul", torch.empty(a), torch.empty(b), device="sm_90")
        assert found.would_run, (a, b)


def test_the_names_of_before_0_1_are_still_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A configuration was called a row: in Python, on the command line, and in files of the bench and of tuning."""
    a, b = torch.randn(5, 6), torch.randn(6, 7)
    assert selection.Row is selection.Configuration
    found = gpukern.explain("mm", a, b, device="cpu")
    assert found.row == found.configuration == "host/blas"
    got, report = gpukern.model.run("mm", a, b, row="simt/s32x32")
    assert report.kernel == "simt/s32x32" and torch.allclose(got, a @ b, atol=1e-5)
    with pytest.raises(TypeError, match="both configuration= and row="):
        gpukern.model.run("mm", a, b, row="simt/s32x32", configuration="simt/s32x32")
    options = command._parser().parse_args(["mm", "--row", "simt/s32x32"])
    assert options.configuration == "simt/s32x32" and "--row" not in command._parser().format_help()

    text = json.dumps(asdict(synthetic.run([synthetic.line(256, 1)])))
    assert text.count('"configuration"') == 1
    assert results.loads(text.replace('"configuration"', '"row"')) == results.loads(text)
    monkeypatch.setenv("GPUKERN_TUNING", str(tmp_path))
    entry = tuning.Entry("float32", 64, 64, 64, 1, "nn", (("simt/s64x64", 12.5), ("simt/s32x32", 15.0)), "2026-11-24")
    path = tuning.store("NVIDIA H200", "sm_90", [entry])
    assert path is not None
    path.write_text(path.read_text().replace('"configurations"', '"rows"'))
    stored, why = tuning.load(path)
    assert stored is not None and stored.entries == (entry,), why
