"""The command: errors for bad arguments, interruption and resumption, progress, and that it measures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import gpukern
from gpukern import bench
from gpukern.bench import arguments, command, measure
from gpukern.bench.operands import Pool, Want
from gpukern.bench.results import Line, Run, load
from gpukern.bench.timing import Clock, Effort, HostClock, by_turns, rotating

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--quick", "--device", "cpu", "--dtype", "float32"]


@pytest.fixture(autouse=True)
def no_ceilings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds a run, of which only one test speaks."""
    fixed = {"bytes_per_s": 1e10, "flops": {"float32": 1e11}}
    monkeypatch.setattr(command.ceilings, "measure", lambda *_: dict(fixed))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], "nothing is neither a suite nor an op"),
        (["mm", "--device", "tpu"], "--device tpu: choose cpu or cuda"),
        (["mm", "--dtype", "float8"], "--dtype float8: choose from float16, bfloat16, float32, float64"),
        (["mm", "--shapes", "1,2"], "mm takes shapes of 3 numbers"),
        (["mm", "--shapes", "abc"], "write positive numbers separated by commas"),
        (["--shapes", "1,2,3"], "--shapes goes with an op"),
        (["mm", "--against", "cublas"], "--against cublas: choose from torch, compile, triton"),
        (["mm", "--against", ""], "--against : choose from torch, compile, triton"),
        (["mm", "--device", ""], "--device : choose cpu or cuda"),
        (["mm", "--device", "cpu:7"], "--device cpu:7: choose cpu or cuda"),
        (["mm", "--dtype", ","], "--dtype : choose from"),
        (["mm", "--threads", "0"], "--threads 0: choose 1 to"),
        (["mm", "--threads", "100000"], "--threads 100000: choose 1 to"),
        (["mm", "--json", ""], "--json .: it is not a file name"),
        (["mm", "--json", "/dev/null"], "--json /dev/null: it exists and is not a regular file"),
        (["mm", "--json", "/"], "--json /: it exists and is not a regular file"),
        (["mm", "--json", "/proc/x.json"], "--json /proc/x.json: "),
        (["mm", "--plot", "/proc/pictures"], "--plot /proc/pictures: "),
        (["compare", "one"], "the following arguments are required: new"),
        (["show"], "the following arguments are required: file"),
        (["mm", "--fast"], "unrecognized arguments: --fast"),
        (["--resume", "nowhere.json"], "--resume nowhere.json: No such file"),
    ],
)
def test_bad_arguments_are_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(arguments) == 2
    printed = capsys.readouterr()
    assert words in printed.err and printed.err.count("\n") == 1 and not printed.out


def test_without_a_gpu_or_triton_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert bench.main(["mm", "--device", "cuda"]) == 2
    assert "finds no GPU; choose cpu" in capsys.readouterr().err
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None)
    assert bench.main(["mm", "--against", "triton"]) == 2
    assert "triton is not installed here" in capsys.readouterr().err
    assert bench.main(["mm", "--plot", "there"]) == 2
    assert "--plot needs matplotlib" in capsys.readouterr().err


def test_a_build_for_first_runs_is_not_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither by the bench nor by tune, whose figures would choose configurations; on a CPU nothing of it is
    different."""
    facts = {**arguments.built(), "flags": {"gpu": "-O3 -DGPUKERN_BOUNDED_WAITS"}}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    monkeypatch.setattr(command.selection, "default_device", lambda: "cuda")
    monkeypatch.setattr(arguments, "built", lambda: facts)
    for words in (["mm", "--device", "cuda"], ["tune", "--shapes", "8,8,8", "--device", "cuda:0"]):
        assert bench.main(words) == 2
        assert "so its times are not the shipped build's; run: make build" in capsys.readouterr().err
    assert bench.main(["relu", *SMALL]) == 0
    monkeypatch.undo()
    info = gpukern.info()
    assert "for first runs" not in str(info)
    info["built"] = {**info["built"], "flags": facts["flags"]}
    assert "with GPUKERN_BOUNDED_WAITS, for first runs on a device; for normal use run: make build" in str(info)


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main([]) == 0
    out = capsys.readouterr().out
    assert "gemm-square" in out and "swiglu" in out


def test_a_run_is_printed_and_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.json"
    assert bench.main(["mm", "add", "--shapes", "32,32,32", *SMALL]) == 2  # one shape cannot serve both
    capsys.readouterr()
    assert bench.main(["swiglu", *SMALL, "--json", str(file)]) == 0
    printed = capsys.readouterr()
    run = load(file)
    assert run.complete and [line.name for line in run.lines] == ["swiglu 32x32 float32", "swiglu 1024x1024 float32"]
    for line in run.lines:
        assert line.timed and len(line.ours) == len(line.rivals["torch"]) >= 5 and line.name in printed.out
    assert "[2/2, 0 s left]" in printed.err
    assert "geometric mean of torch's time / gpukern's over 2 cases" in printed.out


def test_the_configuration_that_ran_is_named(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    assert bench.main(["mm", "--shapes", "32,32,32", *SMALL, "--json", str(file)]) == 0
    assert load(file).lines[0].configuration == "host/blas"


def interrupted_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C within the measurement of case `count`."""
    whole = measure.Bench.line
    done = 0

    def line(self: measure.Bench, spec: Any, run: Run) -> Line:
        nonlocal done
        if done == count:
            raise KeyboardInterrupt
        done += 1
        return whole(self, spec, run)

    monkeypatch.setattr(measure.Bench, "line", line)


def test_an_interrupted_run_is_valid_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.json"
    with monkeypatch.context() as patch:
        interrupted_after(3, patch)
        assert bench.main(["silu", "relu", *SMALL, "--json", str(file)]) == 130
    assert "interrupted: the cases above are complete" in capsys.readouterr().out
    part = load(file)
    assert len(part.lines) == 3 and not part.complete
    assert bench.main(["--resume", str(file)]) == 0
    whole = load(file)
    assert whole.complete and whole.lines[:3] == part.lines and len(whole.lines) == 4
    assert "[4/4" in capsys.readouterr().err


def test_resume_refuses_what_is_not_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.json"
    assert bench.main(["relu", *SMALL, "--json", str(file)]) == 0
    facts = json.loads(file.read_text())
    for key, value, words in (
        ("torch", "1.0", "torch was 1.0 and is"),
        ("commit", "abc", "gpukern was"),
        ("machine", {**facts["machine"], "device": "Model 7"}, "the device was Model 7"),
    ):
        other = tmp_path / "other.json"
        other.write_text(json.dumps({**facts, key: value}))
        assert bench.main(["--resume", str(other)]) == 2
        printed = capsys.readouterr().err
        assert words in printed.splitlines()[-1]
    for more in (["silu"], ["--dtype", "float64"], ["--against", "compile"], ["--slow"], ["--shapes", "1,2"]):
        assert bench.main([*more, "--resume", str(file)]) == 2
        assert "takes its suites and options from the file" in capsys.readouterr().err


def test_ctrl_c_while_the_ceilings_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bug: a traceback and no file."""

    def interrupted(*_: Any) -> dict[str, Any]:
        raise KeyboardInterrupt

    file = tmp_path / "run.json"
    with monkeypatch.context() as patch:
        patch.setattr(command.ceilings, "measure", interrupted)
        assert bench.main(["relu", *SMALL, "--json", str(file)]) == 130
    assert not load(file).complete and not load(file).lines
    assert bench.main(["--resume", str(file)]) == 0 and len(load(file).lines) == 2
    capsys.readouterr()


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """SIGINT ends the process that it is sent to.  A shell starts background jobs with SIGINT ignored, which their
    children inherit."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("found", [signal.default_int_handler, signal.SIG_IGN])
@pytest.mark.usefixtures("ctrl_c")
def test_a_second_ctrl_c_does_not_cut_off_the_file(found: Any) -> None:
    """Bug of the test: it failed wherever SIGINT was ignored when it began."""
    signal.signal(signal.SIGINT, found)
    with command._undisturbed():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is found
    if found is signal.SIG_IGN:
        signal.raise_signal(signal.SIGINT)  # as before: nothing
        return
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_no_file_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bug: --json replaced whatever it named, a device and a finished run alike."""
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    assert bench.main(["relu", *SMALL, "--json", str(notes)]) == 2 and notes.read_text() == "mine"
    assert "the file exists; continue its run with --resume" in capsys.readouterr().err
    os.mkfifo(tmp_path / "pipe")
    assert bench.main(["relu", *SMALL, "--json", str(tmp_path / "pipe")]) == 2
    assert (tmp_path / "pipe").is_fifo() and "not a regular file" in capsys.readouterr().err
    (tmp_path / "link.json").symlink_to(tmp_path / "deep" / "run.json")
    assert bench.main(["relu", *SMALL, "--json", str(tmp_path / "link.json")]) == 0
    assert (tmp_path / "link.json").is_symlink() and load(tmp_path / "deep" / "run.json").complete


def test_a_case_that_raises_does_not_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bug: a traceback, and what was measured before it was lost."""
    file = tmp_path / "run.json"
    whole = measure.Bench._measure
    raised: list[Any] = []

    def fails_once(self: measure.Bench, case: Any, line: Line) -> None:
        if not raised:
            raised.append(True)
            raise RuntimeError("no kernel image is available\nsecond line")
        whole(self, case, line)

    monkeypatch.setattr(measure.Bench, "_measure", fails_once)
    assert bench.main(["relu", *SMALL, "--json", str(file)]) == 1
    bad, good = load(file).lines
    assert bad.verdict == "WRONG: it raised RuntimeError: no kernel image is available" and good.timed
    capsys.readouterr()


def test_a_rival_that_fails_is_left_out_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(torch, "compile", broken)
    file = tmp_path / "run.json"
    words = ["relu", "--shapes", "100", *SMALL, "--against", "torch,compile", "--json", str(file)]
    assert bench.main(words) == 0
    assert "compile is left out: RuntimeError: no compiler" in capsys.readouterr().err
    assert list(load(file).lines[0].rivals) == ["torch"]


def test_an_unknown_configuration_to_force_is_said_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gpukern", "bench", "mm", "--quick"], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "GPUKERN_FORCE": "nonsense"},
    )  # fmt: skip
    assert (
        done.returncode == 2 and "GPUKERN_FORCE: there is no kernel folder or configuration 'nonsense'" in done.stderr
    )
    assert done.stderr.count("\n") == 1 and not done.stdout


def test_a_reader_that_has_gone_is_no_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m gpukern bench | true", shell=True, cwd=ROOT, capture_output=True, text=True
    )
    assert not done.stderr, done.stderr


def test_named_shapes_are_all_measured_by_a_quick_run(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    shapes = [f"{n},{n},{n}" for n in (8, 16, 24, 32)]
    assert bench.main(["mm", "--shapes", *shapes, *SMALL, "--json", str(file)]) == 0
    assert len(load(file).lines) == 4


@pytest.mark.slow
@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_of_the_command(tmp_path: Path) -> None:
    """The signal itself, to the process.  However slowly this test reads, the command cannot end before: it prints many
    more lines than the pipe holds."""
    file = tmp_path / "run.json"
    words = [sys.executable, "-m", "gpukern", "bench", "elementwise", "--quick", "--device", "cpu", "--json", str(file)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pipesize=4096) as process:
        assert process.stderr is not None
        printed = b""
        while b"\n[3/" not in printed and (more := os.read(process.stderr.fileno(), 512)):
            printed += more
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate()
    assert process.returncode == 130 and b"interrupted" in out, printed
    run = load(file)
    assert 3 <= len(run.lines) < 320 and not run.complete and all(line.timed for line in run.lines)


def test_what_is_too_slow_or_too_large_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.json"
    sizes = ["64,64,64", "100000,100000,100000"]
    assert bench.main(["mm", "--shapes", *sizes, *SMALL, "--json", str(file)]) == 0
    small, large = load(file).lines
    assert small.timed and large.verdict.startswith("left out: a call would take 2e+04 s") and not large.ours
    assert "1 left out: a call would take too long here (--slow measures them)" in capsys.readouterr().out
    monkeypatch.setattr(measure, "free_memory", lambda device: 10)
    assert bench.main(["mm", "--shapes", "64,64,64", *SMALL]) == 0
    assert "more memory than this device has free" in capsys.readouterr().out


# ---- the protocol ----------------------------------------------------------------------------------------------------


class Steps(Clock):
    """A clock that counts: a call takes what it returns."""

    def __init__(self) -> None:
        self.order: list[str] = []

    def seconds(self, call: Any, count: int) -> float:
        name, taken = call()
        self.order.append(name)
        return float(taken)


def test_ours_and_theirs_by_turns_and_who_is_first_alternates() -> None:
    clock = Steps()
    times = by_turns([lambda: ("a", 1e-3), lambda: ("b", 2e-3)], clock, Effort(1e-3, 6, 1e9))
    assert times == [[pytest.approx(1000.0)] * 6, [pytest.approx(2000.0)] * 6]
    turns = clock.order[-12:]
    assert turns == ["a", "b", "b", "a"] * 3


def test_long_calls_get_fewer_turns_but_not_too_few() -> None:
    clock = Steps()
    times = by_turns([lambda: ("a", 10.0)], clock, Effort(1e-3, 21, 3.0))
    assert len(times[0]) == 5


def test_a_turn_takes_every_set_of_operands_where_it_may() -> None:
    clock = Steps()
    counts: list[int] = []
    seconds = clock.seconds
    clock.seconds = lambda call, count: counts.append(count) or seconds(call, count)  # type: ignore[assignment,func-returns-value,method-assign]
    by_turns([lambda: ("a", 1e-3)], clock, Effort(1e-3, 5, 10.0), sets=40)
    assert counts[-1] == 40
    by_turns([lambda: ("a", 1.0)], clock, Effort(1e-3, 5, 10.0), sets=40)
    assert counts[-1] == 1


def test_a_turn_is_long_enough_where_a_graph_is_faster_than_a_call() -> None:
    class Graph(Steps):
        def prepared(self, call: Any, count: int) -> Any:
            counts.append(count)
            return lambda: 1e-6

    counts: list[int] = []
    by_turns([lambda: ("a", 1e-4)], Graph(), Effort(1e-3, 5, 10.0))
    assert counts == [10, 1000]


def test_operands_rotate_through_twice_the_cache() -> None:
    pool = Pool("cpu", 2**20)
    sets = pool.sets([Want((256, 256), torch.float32), Want((256, 256), torch.float32)])
    assert sum(t.numel() * 4 for pair in sets for t in pair) > 2 * 2**20
    starts = {t.data_ptr() for pair in sets for t in pair}
    assert len(starts) == 2 * len(sets)
    seen: list[int] = []
    call = rotating(lambda a, b: seen.append(a.data_ptr()), sets)
    for _ in range(2 * len(sets)):
        call()
    assert seen[: len(sets)] == seen[len(sets) :] == [a.data_ptr() for a, _ in sets]
    flat = torch.cat([t.flatten() for pair in sets for t in pair])
    assert abs(float(flat.mean())) < 0.01 and abs(float(flat.std()) - 1) < 0.01


def test_operands_have_the_strides_that_were_asked() -> None:
    pool = Pool("cpu", 2**10)
    (a, p, c), *_ = pool.sets(
        [
            Want((5, 7), torch.float64, stride=(1, 6)),
            Want((9,), torch.float32, "positive"),
            Want((4,), torch.bool, "bool"),
        ]
    )
    assert a.stride() == (1, 6) and a.shape == (5, 7)
    assert float(p.min()) >= 0.1 and c.dtype == torch.bool


def test_the_hosts_clock_measures() -> None:
    """At least what the call takes, at most what has passed meanwhile."""
    started = time.perf_counter()
    seconds = HostClock().seconds(lambda: time.sleep(0.02), 1)
    assert 0.02 <= seconds <= time.perf_counter() - started


@pytest.fixture
def threads() -> Iterator[int]:
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


def test_threads_are_those_asked_and_said(threads: int, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    assert bench.main(["relu", *SMALL, "--threads", "1", "--json", str(file)]) == 0
    assert load(file).machine["threads"] == 1


def test_both_ceilings_are_measured() -> None:
    from gpukern.bench import ceilings

    clock = HostClock()
    bandwidth = ceilings.bandwidth("cpu", clock, 2**22)
    peak = ceilings.arithmetic("cpu", clock, torch.float32, [128])
    assert 1e8 < bandwidth < 1e13 and 1e8 < peak < 1e14
