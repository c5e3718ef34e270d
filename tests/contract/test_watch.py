"""The watchdog of `make gpu-check`, tried on child processes that hang, crash, print too much and stop in mid-line.

Nothing here waits for time to pass: the watchdog's clock is the test's own, and moves when the child has reached the
line where it hangs.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.gpu import progress, watch
from tests.gpu.watch import CRASHED, HUNG, RIGHT, WRONG, Ending, Log


def child(program: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(program)]


def watched(folder: Path, program: str, patience: float = 10, **more: object) -> Ending:
    log = Log(folder / "01-step.log")
    try:
        return watch.run(child(program), dict(os.environ), log, patience, **more)  # type: ignore[arg-type]
    finally:
        log.close("over")


def stopped() -> float:
    """A clock that never reaches a time limit."""
    return 0.0


def jumps(when: Callable[[], bool]) -> Callable[[], float]:
    """A clock that stands until something has happened, and then runs."""
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 1000 * when()
        return now

    return clock


def printed(folder: Path) -> str:
    return (folder / "01-step.log").read_text()


@pytest.mark.parametrize(
    ("program", "status", "words"),
    [
        ("print('fine')", RIGHT, ""),
        ("raise SystemExit(3)", WRONG, "exit status 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", CRASHED, "signal SIGSEGV"),
        ("import os; os.abort()", CRASHED, "signal SIGABRT"),
        ("raise SystemExit(86)", HUNG, "warps stood at a barrier for longer than GPUKERN_WAIT_SECONDS"),
        ("raise SystemExit(87)", CRASHED, "the runtime gave an error and answers no more"),
    ],
)
def test_how_a_command_ended(program: str, status: str, words: str, tmp_path: Path) -> None:
    assert watched(tmp_path, program, clock=stopped) == Ending(status, words)


def test_the_status_of_the_hosts_watch_is_the_one_that_it_ends_with() -> None:
    text = (watch.ROOT / "csrc" / "platform" / "waits_host.h").read_text()
    assert f"constexpr int kHung = {watch.GIVEN_UP};" in text


def test_what_hangs_is_ended_and_named_with_all_that_it_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A child of the child holds a lock until it is gone too; half a line of either file is no whole one."""
    program = f"""
        import fcntl, os, signal, subprocess, sys
        import tests.gpu.progress
        ready, ours = os.pipe()
        held = "import fcntl, os, signal; f = open({str(tmp_path / "lock")!r}, 'w'); fcntl.flock(f, fcntl.LOCK_EX); "
        held += "os.write(" + str(ours) + ", b'x'); signal.pause()"
        subprocess.Popen([sys.executable, "-c", held], pass_fds=[ours])
        os.read(ready, 1)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.stdout.write("case 7 right\\nhalf a li"), sys.stdout.flush()
        with open(os.environ["GPUKERN_WAIT_RECORD"], "w") as record:
            record.write("gpukern: block (3,0,0): mbarrier_wait_parity\\n")
        with open(os.environ["GPUKERN_GPU_PROGRESS"], "w") as file:
            file.write("case 7\\ncase 8\\nca")
        def stands_here():
            signal.pause()
        stands_here()
    """
    log = tmp_path / "01-step.progress"
    there = jumps(lambda: log.exists() and log.read_text().endswith("\nca"))
    ending = watched(tmp_path, program, clock=there)
    assert ending.status == HUNG and ending.words == "nothing moved for 10 s" and ending.last == "case 8"
    assert str(ending) == "HUNG: nothing moved for 10 s; the last case: case 8"
    assert ending.record == "gpukern: block (3,0,0): mbarrier_wait_parity"
    with (tmp_path / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # comes when the child's child has gone
    assert printed(tmp_path).startswith("case 7 right\nhalf a li")
    assert "in stands_here" in printed(tmp_path)  # where it was
    assert "half a li" in capsys.readouterr().out


def test_what_a_command_leaves_behind_is_ended_too(tmp_path: Path) -> None:
    program = f"""
        import os, subprocess, sys
        ready, ours = os.pipe()
        held = "import fcntl, os, signal; f = open({str(tmp_path / "lock")!r}, 'w'); fcntl.flock(f, fcntl.LOCK_EX); "
        held += "os.write(" + str(ours) + ", b'x'); signal.pause()"
        subprocess.Popen([sys.executable, "-c", held], pass_fds=[ours])
        os.read(ready, 1)
    """
    assert watched(tmp_path, program, clock=stopped).status == RIGHT
    with (tmp_path / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


def test_what_moves_slowly_is_left_alone(tmp_path: Path) -> None:
    """Five lines, each after nearly all of the patience: together they take four times as long."""
    program = f"""
        import os, time
        for i in range(5):
            print(i, flush=True)
            while not os.path.exists({str(tmp_path)!r} + f"/go{{i}}"):
                time.sleep(0.01)
    """
    now, seen = 0.0, -1
    part = tmp_path / "01-step.log.part"

    def sleep(_: float) -> None:
        nonlocal now, seen
        line = watch.last_line(part)
        if line and int(line) > seen:
            seen = int(line)
            now += 9
            (tmp_path / f"go{seen}").touch()

    assert watched(tmp_path, program, clock=lambda: now, sleep=sleep).status == RIGHT
    assert now == 45 and printed(tmp_path).startswith("0\n1\n2\n3\n4\n")


def test_without_patience_nothing_is_ended(tmp_path: Path) -> None:
    looks = 0

    def sleep(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 20:
            (tmp_path / "go").touch()

    program = f"import os, time\nwhile not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.01)"
    assert watched(tmp_path, program, 0, clock=jumps(lambda: True), sleep=sleep).status == RIGHT and looks >= 20


def test_more_than_a_pipe_holds_arrives_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = "import sys; sys.stdout.write('x' * 4_000_000 + 'end'); sys.stderr.write('and this')"
    assert watched(tmp_path, program, clock=stopped).status == RIGHT
    assert printed(tmp_path).count("x") == 4_000_000 == capsys.readouterr().out.count("x")
    assert "and this" in printed(tmp_path) and printed(tmp_path).endswith("==== verdict: over\n")


def test_a_record_is_wrong_whatever_the_command_says(tmp_path: Path) -> None:
    program = "import os; open(os.environ['GPUKERN_WAIT_RECORD'], 'w').write('gpukern: block (0,0,0)')"
    ending = watched(tmp_path, program, clock=stopped)
    assert ending.status == WRONG and ending.record == "gpukern: block (0,0,0)"
    assert watched(tmp_path, "print(1)", clock=stopped) == Ending(RIGHT)  # another command's record is not this one's


def test_an_interrupt_ends_what_runs(tmp_path: Path) -> None:
    program = f"""
        import fcntl, os, signal
        lock = open({str(tmp_path / "lock")!r}, "w")
        fcntl.flock(lock, fcntl.LOCK_EX)
        print("there", flush=True)
        signal.pause()
    """

    def sleep(_: float) -> None:
        if "there" in (tmp_path / "01-step.log.part").read_text():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watched(tmp_path, program, clock=stopped, sleep=sleep)
    with (tmp_path / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


def test_a_log_has_its_name_only_with_its_verdict(tmp_path: Path) -> None:
    log = Log(tmp_path / "a" / "01-step.log")
    log.say("half")
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["01-step.log.part"]
    log.close("HUNG")
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["01-step.log"]
    assert (tmp_path / "a" / "01-step.log").read_text() == "half\n==== verdict: HUNG\n"


def test_progress_is_on_the_disk_before_the_case_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    path = tmp_path / "progress"
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(path.read_text()))
    progress.begins("no watchdog")
    assert not path.exists()
    monkeypatch.setenv("GPUKERN_GPU_PROGRESS", str(path))
    progress.begins("first")
    progress.pytest_runtest_logstart("tests/x.py::test[a\nb]", None)
    assert synced == ["first\n", "first\ntests/x.py::test[a b]\n"]
    assert watch.last_line(path) == "tests/x.py::test[a b]"


@pytest.mark.slow
def test_pytest_says_which_test_runs(tmp_path: Path) -> None:
    two = "def test_two():\n    os.kill(os.getpid(), signal.SIGUSR1)\n    raise SystemExit('a crash')\n"
    (tmp_path / "test_it.py").write_text("import os, signal\ndef test_one(): pass\n" + two)
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.gpu.progress"]
    env = {**os.environ, "GPUKERN_GPU_PROGRESS": str(tmp_path / "progress"), "PYTHONPATH": str(watch.ROOT)}
    done = subprocess.run([*words, str(tmp_path / "test_it.py")], cwd=tmp_path, env=env, capture_output=True)
    assert b"in test_two" in done.stderr, "where it is when it is asked, past pytest's capture"
    assert (tmp_path / "progress").read_text() == "test_it.py::test_one\ntest_it.py::test_two\n"
