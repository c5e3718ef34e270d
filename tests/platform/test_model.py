"""gpukern.model: a user's call, its report with known counts, the command, and what faults look like."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch

import gpukern
from gpukern import model
from gpukern.model import machine
from tests.platform.library import model_library


def test_a_product_is_run_and_reported() -> None:
    a, b = torch.randn(70, 33), torch.randn(33, 65)
    for schedule in ("fifo", "lifo", "random", "pct"):
        got, report = model.run("matmul", a, b, configuration="simt/s64x64", schedule=schedule, seed=7)
        torch.testing.assert_close(got, a @ b, rtol=1e-5, atol=1e-5)
        assert report.kernel == "simt/s64x64" and report.blocks == 4 and report.threads == 4 * 256
        # one barrier after the first tiles and one a step of 16: 1 + 3, for every thread
        assert report.barriers == 4 * 256 * 4
        assert report.moved("global", "write") == 70 * 65 * 4


def test_the_same_seed_is_the_same_run() -> None:
    a, b = torch.randn(40, 40), torch.randn(40, 40)
    first = model.run("mm", a, b, seed=3)
    again = model.run("mm", a, b, seed=3)
    assert torch.equal(first[0], again[0]) and first[1] == again[1]


def test_every_product_and_its_extensions() -> None:
    x, w, bias, r = torch.randn(2, 5, 8), torch.randn(6, 8), torch.randn(6), torch.randn(2, 5, 6)
    calls: list[tuple[str, tuple[torch.Tensor, ...], dict[str, Any]]] = [
        ("linear", (x, w, bias), {"activation": "gelu", "residual": r}),
        ("bmm", (x, w.t().expand(2, 8, 6)), {}),
        ("addmm", (bias, x[0], w.t()), {"beta": 0.5, "alpha": 2}),
        ("baddbmm", (r, x, w.t().expand(2, 8, 6)), {"beta": 2}),
        ("mv", (w, x[0, 0]), {}),
        ("addmv", (bias, w, x[0, 0]), {}),
        ("matmul", (x, w.t()), {"activation": "silu"}),
    ]
    for op, args, kwargs in calls:
        got, _ = model.run(op, *args, **kwargs)
        torch.testing.assert_close(got, getattr(gpukern, op)(*args, **kwargs), rtol=1e-5, atol=1e-5)


def test_elementwise_ops_with_their_numbers_and_choices() -> None:
    x, y = torch.randn(7, 30), torch.randn(30)
    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
        ("silu", (x,), {}),
        ("add", (x, y), {"alpha": 2}),
        ("add", (x, 3), {}),
        ("clamp", (x,), {"min": -0.5}),
        ("clamp", (x, -0.5, 0.25), {}),
        ("gelu", (x,), {"approximate": "tanh"}),
        ("where", (x > 0, x, y), {}),
        ("div", (x, y), {"rounding_mode": "floor"}),
        ("add_act", (x, y, "silu"), {}),
        ("elu", (x.half(),), {"alpha": 0.5}),
        ("add", (torch.arange(5), torch.arange(5.0)), {}),
    ]
    for op, args, kwargs in calls:
        got, _ = model.run(op, *args, **kwargs)
        torch.testing.assert_close(got, getattr(gpukern, op)(*args, **kwargs), rtol=2e-6, atol=2e-6)


def test_sectors_worked_out_by_hand() -> None:
    """4096 floats: 512 sectors each way when dense; every second of 8192: a warp's 32 lie in 256 bytes, 8 sectors."""
    report = model.run("neg", torch.randn(4096))[1]
    assert report.moved("global", "read") == report.moved("global", "write") == 4096 * 4
    for kind in ("read", "write"):
        lines = [c for c in report.lines if c.kind == kind]
        assert sum(c.passes for c in lines) == sum(c.ideal for c in lines) == 512
        assert sum(c.requests for c in lines) == 4096 * 4 // 16 // 32  # 16 bytes a lane
    strided = model.run("neg", torch.randn(8192)[::2])[1]
    read = [c for c in strided.lines if c.kind == "read"]
    assert sum(c.requests for c in read) == 4096 // 32
    assert sum(c.passes for c in read) == 4096 // 32 * 8 and sum(c.ideal for c in read) == 4096 // 32 * 4


def test_bank_conflicts_worked_out_by_hand() -> None:
    """Tiles are transposed in lines of 33 words: no conflict.  The transposing store of a product of float16 writes 16
    words of each of two lines of 36 words, 8 lines apart: they conflict, so each of its requests takes two passes."""
    transposed = model.run("neg", torch.randn(64, 64).t().contiguous().t(), count=True)[1]
    assert transposed.bank_conflicts == 0
    report = model.run("add", torch.randn(64, 64), torch.randn(64, 64).t())[1]
    shared = [c for c in report.lines if c.space == "shared"]
    assert report.kernel == "elementwise/add, tile" and report.bank_conflicts == 0
    assert sum(c.requests for c in shared if c.kind == "write") == 64 * 64 // 32
    a, b = torch.randn(32, 64).half(), torch.randn(64, 32).half()
    report = model.run("mm", a, b, configuration="simt/s32x32")[1]
    stores = [c for c in report.lines if c.space == "shared" and c.kind == "write" and c.passes != c.ideal]
    assert len(stores) == 1 and stores[0].passes == 2 * stores[0].ideal
    assert stores[0].requests == 32 * 64 // 32  # A, a word a lane
    assert model.run("mm", a.t().contiguous().t(), b, configuration="simt/s32x32")[1].bank_conflicts == 0


def test_waves_of_64_lanes() -> None:
    a, b = torch.randn(33, 20), torch.randn(20, 40)
    got, report = model.run("mm", a, b, wave=64)
    torch.testing.assert_close(got, a @ b, rtol=1e-5, atol=1e-5)
    assert report.blocks > 0


@pytest.mark.parametrize(
    ("op", "kwargs", "words"),
    [
        ("mm", {"configuration": "simt/s7x7"}, "there is no configuration 'simt/s7x7'; known are skinny/r1"),
        ("mm", {"configuration": "simt/d32x32"}, "simt/d32x32 takes float64, not torch.float32"),
        ("mm", {"schedule": "pctt"}, "there is no schedule 'pctt'; choose one of fifo, lifo, random, pct"),
        ("conv3d", {}, "there is no op 'conv3d' to run; known are matmul"),
        ("add", {"configuration": "simt/s64x64"}, "add has no configurations to choose from"),
    ],
)
def test_wrong_calls_say_what_is_possible(op: str, kwargs: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match="^" + words.replace(".", r"\.")):
        model.run(op, torch.randn(4, 4), torch.randn(4, 4), **kwargs)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="4, 5"):
        model.run("mm", torch.randn(4, 5), torch.randn(4, 5))


def test_an_access_beyond_a_buffer_is_a_fault() -> None:
    """An input with one element less than the kernel reads: the message names the buffer, the thread and the line."""
    x = torch.randn(64)
    out = torch.empty(64)
    silu = next(e for e in gpukern._C.elementwise_catalogue() if e["name"] == "silu")
    assert silu["family"] == "activation"
    families = list(dict.fromkeys(e["family"] for e in gpukern._C.elementwise_catalogue()))
    mine = [e["name"] for e in gpukern._C.elementwise_catalogue() if e["family"] == "activation"]
    place = families.index("activation"), mine.index("silu"), 0
    assert machine.elementwise(place, out, [x]).shape == (64,)
    with pytest.raises(machine.ModelError, match=r"ends 4 bytes behind 'input 0'; a read at rows\.cuh:\d+"):
        machine.elementwise(place, out, [x], shorter=4)


def test_the_command() -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "gpukern", "model", *words], capture_output=True, text=True)

    done = run("matmul", "--shape", "33,40,20", "--configuration", "simt/s32x32", "--seed", "5")
    assert done.returncode == 0 and done.stdout.startswith("simt/s32x32: 4 blocks, 256 threads"), done.stderr
    assert "largest error" in done.stdout and "bank conflicts" in done.stdout
    assert run("silu", "--shape", "100", "--dtype", "bfloat16").returncode == 0
    wrong = run("matmul", "--configuration", "simt/none")
    assert wrong.returncode == 2 and wrong.stderr.count("\n") == 1
    assert "there is no configuration 'simt/none'" in wrong.stderr


@pytest.mark.parametrize("first", [0, 4, 15])
def test_cells_of_a_line_are_those_of_its_bytes(first: int) -> None:
    """What the race detector remembers of 16 bytes at once is what it would of each."""
    shadow = model_library("shadow", ("tests/platform/shadow.cpp",))
    for seed in range(300):
        assert shadow.shadow_differs(seed, 200, first, 1 + seed % 60) == 0, seed
