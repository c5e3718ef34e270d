"""`make gpu-check` without a GPU: its order, its exits, what it writes, and its parts tried on CPU tensors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.gpu import check, device, launches, replay, sanitize, watch
from tests.gpu.watch import CRASHED, HUNG, RIGHT, WRONG, Ending, Log
from tests.platform import record

ROOT = Path(__file__).resolve().parents[2]
ABOUT = {"device": "Some GPU (4 GB)", "target": "sm_90", "driver": "1.2", "runtime": "CUDA 13.0", "torch": "2.13.0"}
RAN = {"launches": 5, "schedules": [], "cases": 2}
FACTS: dict[str, dict[str, Any]] = {
    "replay": {"rows": {"simt/a": RAN}, "families": {"math": RAN}, "rows_of_other_devices": ["simt/z"]},
    "tests": {"tests": 12, "rho": {"simt/a float32": 3.5}},
    "sanitizers": {"tools": {"memcheck": {"verdict": "clean", "words": ""},
                             "racecheck": {"verdict": "not applicable", "words": "its planted fault does not fire"}}},
    "benchmark": {"schema": 1, "ceilings": {"bytes_per_s": 1e12}, "clocks": {"before": {"clocks.sm": "1 MHz"}},
                  "lines": [{"name": "mm", "ours": [1.0]}, {"name": "mv", "ours": []}]},
}  # fmt: skip
NAMES = ["bounded", "words", "launches", "build", "replay", "tests", "sanitizers", "benchmark"]


class Machine:
    """Runs nothing: notes the step, writes its facts, and ends with the status given for each command."""

    def __init__(self, fails: str = "", silent: str = "", endings: dict[str, list[Ending]] | None = None) -> None:
        self.endings = {fails: [Ending(WRONG, "exit status 1")]} if fails else endings or {}
        self.silent = silent
        self.ran: list[str] = []  # steps
        self.commands: list[list[str]] = []
        self.environments: list[dict[str, str]] = []

    def __call__(self, command: list[str], environment: dict[str, str], log: Log, patience: float) -> Ending:
        probe = tuple(command) == check.PROBE
        name = "probe" if probe else log.path.stem.partition("-")[2]
        if not probe:
            assert patience > 0 or name in ("bounded", "build"), "a compiler alone may say nothing for long"
        if name not in self.ran:
            self.ran.append(name)
        self.commands.append([name, *command])
        self.environments.append(environment)
        named = [w for w in (*command, environment.get("GPUKERN_GPU_FACTS", "")) if w.endswith(f"{name}.json")]
        if name in FACTS and name != self.silent:
            Path(named[0]).write_text(json.dumps(FACTS[name]))
        told = self.endings.get(name)
        return told.pop(0) if told else Ending(RIGHT)


def checked(machine: Machine, folder: Path, target: str = "sm_90") -> int:
    return check.main(why_none=lambda: "", about=lambda: {**ABOUT, "target": target}, execute=machine,
                      results=folder / "results", logs=folder / "logs")  # fmt: skip


def logs(folder: Path) -> dict[str, str]:
    """Of the one run: what each step's file holds, by the step's name; those that are not whole by their own."""
    (run,) = (folder / "logs").iterdir()
    return {p.name.removesuffix(".log").partition("-")[2]: p.read_text() for p in sorted(run.glob("*.log*"))}


def verdicts(folder: Path) -> dict[str, str]:
    (file,) = (folder / "logs").glob("*/verdicts.json")
    return {name: result["status"] for name, result in json.loads(file.read_text()).items()}


def test_a_green_run_writes_its_facts_and_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine = Machine()
    assert checked(machine, tmp_path) == 0
    assert machine.ran == NAMES == [s.name for s in check.steps()]
    assert list(logs(tmp_path)) == NAMES and verdicts(tmp_path) == dict.fromkeys(NAMES, "right")
    assert all(text.endswith("==== verdict: right\n") for text in logs(tmp_path).values())
    benchmark, path = sorted((tmp_path / "results").rglob("*.json"), key=lambda p: not p.name.startswith("bench-"))
    assert path.parent.name == "some-gpu-4-gb" and len(list(path.parent.iterdir())) == 2
    assert json.loads(benchmark.read_text()) == FACTS["benchmark"]
    found = json.loads(path.read_text())
    assert {"device", "driver", "torch", "commit", "date", "clocks", "rows", "families"} <= found.keys()
    assert found["rows"] == {"simt/a": RAN} and found["sanitizers"]["memcheck"]["verdict"] == "clean"
    printed = capsys.readouterr().out
    assert "not for this device: simt/z" in printed and "its planted fault does not fire" in printed
    assert "1 comparisons, copy 1000 GB/s" in printed
    assert "worst rho 3.5" in printed and printed.splitlines()[-1].startswith("gpukern: all right")


@pytest.mark.parametrize("name", NAMES)
def test_the_first_wrong_step_stops_the_rest(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine = Machine(fails=name)
    assert checked(machine, tmp_path) == 1
    assert machine.ran == NAMES[: NAMES.index(name) + 1]
    assert not (tmp_path / "results").exists()
    printed = capsys.readouterr().out
    assert f"{name} went wrong" in printed and printed.count("not run") == len(NAMES) - len(machine.ran)
    assert list(logs(tmp_path)) == machine.ran and logs(tmp_path)[name].endswith("==== verdict: WRONG\n")
    right, not_run = machine.ran[:-1], NAMES[len(machine.ran) :]
    wanted = dict.fromkeys(right, "right") | {name: "WRONG"} | dict.fromkeys(not_run, "not run")
    assert verdicts(tmp_path) == wanted


def test_a_step_without_facts_is_not_believed(tmp_path: Path) -> None:
    assert checked(Machine(silent="tests"), tmp_path) == 1 and not (tmp_path / "results").exists()


def test_the_environment_of_a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The GPUs that are here, not those of a variable; nothing forced, nothing recorded as the model's."""
    forbidden = {"TORCH_CUDA_ARCH_LIST", "GPUKERN_FORCE", "GPUKERN_RECORD", "GPUKERN_GPU_SKIP"}
    for name in (*forbidden, "GPUKERN_GPU_DEVICE", "GPUKERN_BOUNDED_WAITS", "GPUKERN_PACKAGE"):
        monkeypatch.setenv(name, "1")
    machine = Machine()
    assert checked(machine, tmp_path) == 0
    for environment in machine.environments:
        assert not forbidden & environment.keys()
    own = {c[0]: e for c, e in zip(machine.commands, machine.environments)}
    assert own["bounded"]["GPUKERN_BUILD"] == own["build"]["GPUKERN_BUILD"] == "cuda"
    assert [name for name in NAMES if "GPUKERN_BOUNDED_WAITS" in own[name]] == ["bounded"]
    assert [name for name in NAMES if "GPUKERN_PACKAGE" in own[name]] == ["launches"]
    amd = {step.name: step for step in check.steps("gfx942")}
    assert amd["build"].environment == {"PYTORCH_ROCM_ARCH": "gfx942", "GPUKERN_BUILD": "hip"}


@pytest.mark.parametrize(("target", "left"), [("sm_80", 2), ("gfx942", 3), ("sm_75", 3)])
def test_what_is_not_for_a_device_is_said_and_not_run(
    target: str, left: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = Machine()
    assert checked(machine, tmp_path, target) == 0
    assert machine.ran == [n for n in NAMES if verdicts(tmp_path)[n] == "right"] and len(machine.ran) == 8 - left
    assert capsys.readouterr().out.count("not applicable ") >= left


# ---- what hangs and crashes ------------------------------------------------------------------------------------------

RECORD = "gpukern: block (3,0,0) of (132,1,1), thread 0 of 384: mbarrier_wait_parity .., given up after 10000 ms"


def test_the_launches_are_tried_alone_and_all_of_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One traps, one hangs, one is wrong: the others are tried, and the step behind is not."""
    endings = [Ending(RIGHT) for _ in launches.NAMES]
    endings[1] = Ending(WRONG, "exit status 1", "ring", RECORD)
    endings[5] = Ending(HUNG, "nothing moved for 300 s", "ranges")
    endings[8] = Ending(WRONG, "exit status 1", "graph")
    machine = Machine(endings={"launches": endings})
    assert checked(machine, tmp_path) == 1
    assert [c[-1] for c in machine.commands if c[0] == "launches"] == list(launches.NAMES)
    assert machine.ran == ["bounded", "words", "launches", "probe"]
    assert sum(c[0] == "probe" for c in machine.commands) == 2  # behind the trap and the hang
    printed, log = capsys.readouterr().out, logs(tmp_path)["launches"]
    for text in (printed, log):
        assert "launches ring WRONG: exit status 1; the last case: ring\n" + RECORD in text
        assert "launches ranges HUNG: nothing moved for 300 s; the last case: ranges" in text
    assert verdicts(tmp_path)["launches"] == "HUNG" and log.endswith("==== verdict: HUNG\n")
    (row,) = [line for line in printed.splitlines() if line.startswith("launches     HUNG")]
    assert all(name in row for name in ("ring WRONG", "ranges HUNG", "graph WRONG")) and "went wrong" in printed


def test_words_go_on_behind_the_case_that_hung(tmp_path: Path) -> None:
    machine = Machine(endings={"words": [Ending(HUNG, "86", "wgmma m, n"), Ending(CRASHED, "signal SIGABRT", "tma")]})
    assert checked(machine, tmp_path) == 1
    skipped = [e.get("GPUKERN_GPU_SKIP") for c, e in zip(machine.commands, machine.environments) if c[0] == "words"]
    assert skipped == [None, "wgmma m, n", "wgmma m, n\ntma"]
    assert "launches" not in machine.ran and verdicts(tmp_path)["words"] == "HUNG"


def test_the_same_case_again_is_not_tried_for_ever(tmp_path: Path) -> None:
    machine = Machine(endings={"words": [Ending(HUNG, "86", "tma") for _ in range(9)]})
    assert checked(machine, tmp_path) == 1 and sum(c[0] == "words" for c in machine.commands) == 2


def test_a_device_that_no_longer_answers_ends_the_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine = Machine(endings={"launches": [Ending(HUNG, "x", "one-tile")], "probe": [Ending(HUNG, "y")]})
    assert checked(machine, tmp_path) == 1
    assert sum(c[0] == "launches" for c in machine.commands) == 1
    assert "the device no longer answers" in capsys.readouterr().out and verdicts(tmp_path)["launches"] == "HUNG"


def test_an_interrupt_is_130_and_leaves_whole_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine = Machine()

    def interrupted(command: list[str], environment: dict[str, str], log: Log, patience: float) -> Ending:
        if len(machine.commands) == 3:
            raise KeyboardInterrupt
        return machine(command, environment, log, patience)

    assert checked(interrupted, tmp_path) == 130  # type: ignore[arg-type]
    assert verdicts(tmp_path)["words"] == "right" and verdicts(tmp_path)["launches"] == "interrupted"
    assert logs(tmp_path)["launches"].endswith("==== verdict: interrupted\n")
    assert "interrupted" in capsys.readouterr().out


KILLS_ITS_PARENT = """
import sys
from pathlib import Path
from tests.gpu import check, watch
first = check.Step("first", "says something", (sys.executable, "-c", "print('all of it')"))
second = check.Step("second", "kills who runs it", (sys.executable, "-c",
    "import os, signal; print('begun', flush=True); os.kill(os.getppid(), signal.SIGKILL)"))
check.run([first, second], watch.run, Path(sys.argv[1]), Path(sys.argv[1], "logs", "x"))
"""


def test_a_step_that_kills_the_process_leaves_the_ones_before_whole(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLS_ITS_PARENT, str(tmp_path)], cwd=ROOT, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    found = logs(tmp_path)
    assert found["first"] == "all of it\n==== verdict: right\n"
    assert list(found) == ["first", "second.log.part"] and verdicts(tmp_path) == {"first": "right", "second": "not run"}


def test_a_real_step_that_hangs_is_reported_and_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With children: the second of three cases stands still, the third is tried; the step behind is not."""
    program = """
import os, signal, sys
print("this is", sys.argv[1], flush=True)
open(os.environ["GPUKERN_GPU_PROGRESS"], "w").write(sys.argv[1] + chr(10))
if sys.argv[1] == "b":
    signal.pause()
"""
    here = tmp_path / "logs" / "x"
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 1000 * (watch.last_line(here / "01-three.progress") == "b")
        return now

    def execute(command: list[str], environment: dict[str, str], log: Log, patience: float) -> Ending:
        if tuple(command) == check.PROBE:
            return Ending(RIGHT)
        return watch.run(command, environment, log, patience, clock=clock)

    three = check.Step("three", "", (sys.executable, "-c", program), each=("a", "b", "c"), patience=10)
    outcomes = check.run([three, check.Step("never", "", ("false",))], execute, tmp_path, here)
    assert [o.status for o in outcomes] == [HUNG, "not run"]
    assert outcomes[0].endings == [("b", Ending(HUNG, "nothing moved for 10 s", "b"))]
    text = logs(tmp_path)["three"]
    assert [line for line in text.splitlines() if line.startswith("this is")] == ["this is a", "this is b", "this is c"]
    assert "three b HUNG" in check.table(outcomes) + capsys.readouterr().out


COMPILER = """#!/bin/sh
# A stand-in for both compilers: notes its flags, and writes an empty output.
echo "$@" >> "{log}"
case "$*" in
  *--version*) echo "release 13.0, V13.0.88"; exit 0 ;;
  *--list-gpu-code*) echo sm_80 sm_90 sm_90a; exit 0 ;;
esac
while [ $# -gt 0 ]; do
  if [ "$1" = "-o" ]; then : > "$2"; fi
  if [ "$1" = "-MF" ]; then echo "x:" > "$2"; fi
  shift
done
"""


@pytest.mark.slow
def test_the_build_whose_waits_end_is_a_package_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step's own command, with compilers that only note their flags: every device source is named, nothing else,
    and the package of the tree stays as it is."""
    home = tmp_path / "cuda"
    for name in ("bin/nvcc", "include/cuda_runtime.h", "cxx"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(COMPILER.format(log=tmp_path / "log"))
        (home / name).chmod(0o755)
    monkeypatch.setattr(check, "BOUNDED", tmp_path / "bounded")
    step = check.steps("sm_90")[0]
    compilers = {name: str(home / "cxx") for name in ("CXX", "CC", "LDSHARED", "LDCXXSHARED")}
    environment = {**os.environ, **compilers, **step.environment, "CUDA_HOME": str(home), "TORCH_CUDA_ARCH_LIST": "9.0"}
    (ours,) = (ROOT / "gpukern").glob("_C.*.so")
    before = ours.stat().st_mtime_ns, ours.stat().st_ino
    done = subprocess.run(step.command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (ours.stat().st_mtime_ns, ours.stat().st_ino) == before
    package = tmp_path / "bounded" / "lib" / "gpukern"
    assert list(package.glob("_C.*.so")) and (package / "selection.py").exists()
    named = {s.name: s.environment for s in check.steps("sm_90")}["launches"]["GPUKERN_PACKAGE"]
    assert Path(named) == package.parent
    compiled = [line for line in (tmp_path / "log").read_text().splitlines() if " -c " in line]
    device_code = [line for line in compiled if ".cu -o" in line]
    assert len(device_code) > 10 and [line for line in compiled if "-DGPUKERN_BOUNDED_WAITS" in line] == device_code


@pytest.mark.parametrize(("given", "factor"), [("2.5", 2.5), ("0", 0), ("-1", 0), ("soon", 1)])
def test_patience_has_a_factor(given: str, factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUKERN_GPU_PATIENCE", given)
    assert check.patience_of(check.Step("", "", (), patience=100)) == 100 * factor


def test_without_a_gpu_one_line_a_list_and_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine = Machine()
    assert check.main(why_none=lambda: "nothing is here", execute=machine, results=tmp_path) == 2
    assert not machine.ran and not list(tmp_path.iterdir())
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("gpukern: no GPU to check: nothing is here")
    assert [line.split()[1] for line in rest[::2]] == NAMES


def test_the_command_itself() -> None:
    """As `make` runs it, on a machine whose GPUs are hidden."""
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "HIP_VISIBLE_DEVICES": "", "ROCR_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, "-m", "tests.gpu.check"], cwd=ROOT, env=hidden, capture_output=True,
                          text=True)  # fmt: skip
    assert done.returncode == 2 and done.stdout.startswith("gpukern: no GPU to check"), done.stdout + done.stderr
    assert "python -m tests.gpu.check" in (ROOT / "Makefile").read_text().replace("$(PY)", "python")


def test_writing_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a" / "facts.json"
    record.write_atomically(path, {"old": 1})
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("the disk is full")))
    with pytest.raises(OSError, match="full"):
        record.write_atomically(path, {"new": 2})
    assert json.loads(path.read_text()) == {"old": 1} and list(path.parent.iterdir()) == [path]


def test_names_of_folders() -> None:
    assert device.folder_name("NVIDIA H100 80GB HBM3") == "nvidia-h100-80gb-hbm3"
    assert device.folder_name("AMD Instinct MI300X") == "amd-instinct-mi300x" and device.folder_name("?") == "device"


# ---- the sanitizers --------------------------------------------------------------------------------------------------

SANITIZER = """#!/bin/sh
# A stand-in: finds the planted fault of every tool but {blind}, and of configurations under {finds}.
echo "$@" >> "{log}"
tool=$2
case "$*" in
  *" fault") [ "$tool" = "{blind}" ] || exit 99 ;;
  *tests.gpu.small) [ "$tool" = "{finds}" ] && exit 99; echo "7 runs on small shapes, every result right" ;;
esac
exit 0
"""


def stand_in(folder: Path, blind: str = "none", finds: str = "none") -> str:
    path = folder / "sanitizer"
    path.write_text(SANITIZER.format(blind=blind, finds=finds, log=folder / "log"))
    path.chmod(0o755)
    return str(path)


def test_a_tool_counts_only_where_its_planted_fault_fires(tmp_path: Path) -> None:
    sanitizer = stand_in(tmp_path, blind="racecheck", finds="synccheck")
    verdicts = {tool: sanitize.check(tool, sanitizer, "planted") for tool in sanitize.TOOLS}
    assert verdicts["memcheck"] == ("clean", "7 runs on small shapes, every result right")
    assert verdicts["racecheck"][0] == "not applicable" and "does not fire" in verdicts["racecheck"][1]
    assert verdicts["synccheck"][0] == "found" and verdicts["initcheck"][0] == "clean"
    assert "racecheck" not in [line.split()[1] for line in (tmp_path / "log").read_text().splitlines()
                               if "tests.gpu.small" in line]  # fmt: skip


def test_a_finding_ends_the_tools_with_status_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sanitizer = stand_in(tmp_path, finds="racecheck")
    monkeypatch.setattr(sanitize, "tool_path", lambda name: sanitizer)
    monkeypatch.setattr(sanitize, "compile_planted", lambda folder: ("planted", ""))
    monkeypatch.setattr("torch.version.hip", None)
    facts = tmp_path / "facts.json"
    assert sanitize.main([str(facts)]) == 1 and not facts.exists()
    assert "initcheck" not in (tmp_path / "log").read_text()


def test_amd_devices_and_a_missing_sanitizer_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sanitize, "tool_path", lambda name: None)
    for hip, words in ((None, "not installed"), ("7.2", "NVIDIA")):
        monkeypatch.setattr("torch.version.hip", hip)
        facts = tmp_path / "facts.json"
        assert sanitize.main([str(facts)]) == 0
        tools = json.loads(facts.read_text())["tools"]
        assert set(tools) == set(sanitize.TOOLS)
        assert all(t["verdict"] == "not applicable" and words in t["words"] for t in tools.values())


# ---- its parts on CPU tensors ----------------------------------------------------------------------------------------


def on_the_cpu(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, "GPUKERN_GPU_DEVICE": "cpu", **environment})  # fmt: skip


@pytest.mark.slow
def test_what_the_sanitizers_run() -> None:
    done = on_the_cpu("tests.gpu.small")
    assert done.returncode == 0 and "every result right" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
def test_the_replay(tmp_path: Path) -> None:
    """The model's cases through the public functions; every configuration and family is counted."""
    facts = tmp_path / "facts.json"
    done = on_the_cpu(*check.pytest_step("-p", "tests.gpu.replay", *check.KERNEL_TESTS)[2:],
                      GPUKERN_GPU_FACTS=str(facts))  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    found = json.loads(facts.read_text())
    assert sorted(found["rows"]) == sorted(record.configurations()) and sorted(found["families"]) == sorted(
        record.families()
    )


@pytest.mark.slow
def test_the_tests_of_this_folder_are_not_there_without_a_gpu() -> None:
    hidden = {"CUDA_VISIBLE_DEVICES": "", "HIP_VISIBLE_DEVICES": ""}
    done = on_the_cpu("pytest", "-p", "no:cacheprovider", "--collect-only", "tests/gpu", **hidden)
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED and "skipped" not in done.stdout, done.stdout


def test_the_benchmarks_suites_are_there() -> None:
    from gpukern.bench import suites

    assert set(check.SUITES) < set(suites.paths())


def test_the_replay_sees_every_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guard, a gap, an input: what a kernel may not write to is looked at."""
    monkeypatch.setattr(replay, "DEVICE", "cpu")
    like = torch.zeros(6, 10)[:, ::2]
    for at in (0, -1, replay.GUARD + 256 - 4 * (6 * 10 - 1) + 4):  # before, behind, between the first two elements
        placed = replay.Placed(like, None, aligned=False)
        assert bool(placed.view.isnan().all())
        placed.view.fill_(1)
        assert torch.equal(replay.Placed(like, torch.ones_like(like), aligned=True).result(), torch.ones(6, 5))
        placed._bytes[at] ^= 1
        with pytest.raises(AssertionError, match="no element's were overwritten"):
            placed.result()
    source = replay.Placed(like, like, aligned=False)
    source.untouched()
    source.view[2, 3] = 5
    with pytest.raises(AssertionError, match="an input was written to"):
        source.untouched()
