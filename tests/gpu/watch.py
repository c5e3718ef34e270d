"""One command under a watchdog: its output goes to a file, and when nothing moves any more it is ended.

    moves       the output grows, or the progress file does (progress.py)
    the file    <name>.log.part while the command runs; its last line is then the verdict, and with that on the disk it
                is <name>.log: what is there under that name is whole, whatever the next command does to the machine
    ended       the command and all it started, by SIGKILL: a process whose device hangs listens to nothing else

The child writes to the file itself, so that there is no pipe to fill and nothing to lose when either side dies.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RIGHT, WRONG, HUNG, CRASHED = "right", "WRONG", "HUNG", "CRASHED"
GIVEN_UP = 86  # kHung in csrc/platform/waits_host.h: the process ended itself
LOST = 87  # a command's status for: the runtime returned an error, and does not recover in this process


@dataclass(frozen=True)
class Ending:
    """status: how a command ended.  words: exit status, signal or how long nothing moved.  last: the case that it named
    last.  record: the device's record of a wait that ran out of time."""

    status: str
    words: str = ""
    last: str = ""
    record: str = ""

    def __str__(self) -> str:
        parts = [self.status, *(w for w in (self.words, self.last and f"the last case: {self.last}") if w)]
        return ": ".join(parts[:2]) + "".join(f"; {p}" for p in parts[2:])


def last_line(path: Path) -> str:
    """The last whole line; a part behind it was being written when its writer died."""
    with suppress(OSError):
        whole, newline, _ = path.read_bytes().rpartition(b"\n")
        if newline:
            return whole.rpartition(b"\n")[2].decode(errors="replace")
    return ""


def size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def ended(status: int) -> tuple[str, str]:
    if status == 0:
        return RIGHT, ""
    if status == GIVEN_UP:
        return HUNG, "warps stood at a barrier for longer than GPUKERN_WAIT_SECONDS"
    if status == LOST:
        return CRASHED, "the runtime gave an error and answers no more"
    if status < 0:
        with suppress(ValueError):
            return CRASHED, f"signal {signal.Signals(-status).name}"
        return CRASHED, f"signal {-status}"
    return WRONG, f"exit status {status}"


def kill(process: subprocess.Popen[bytes], wait: float) -> str:
    """Ends the command and what it started; reports a process that does not end, as one that the driver holds may."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        process.wait(wait)
    except subprocess.TimeoutExpired:
        return f"; process {process.pid} was killed and is still there"
    return ""


class Log:
    """A step's file; several commands may write to it one after the other."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.part = path, path.with_name(path.name + ".part")
        self.file = self.part.open("ab")

    def say(self, text: str) -> None:
        self.file.write(text.encode() + b"\n")
        self.file.flush()

    def close(self, verdict: str) -> None:
        """The verdict is the last line, and the file has its name only with it."""
        self.say(f"==== verdict: {verdict}")
        os.fsync(self.file.fileno())
        self.file.close()
        os.replace(self.part, self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class Echo:
    """What a file has gained, to our own output."""

    def __init__(self, path: Path) -> None:
        self.path, self.at = path, size(path)

    def __call__(self) -> None:
        with self.path.open("rb") as file:
            file.seek(self.at)
            more = file.read()
        self.at += len(more)
        if more:
            sys.stdout.write(more.decode(errors="replace"))
            sys.stdout.flush()


def run(
    command: list[str], environment: dict[str, str], log: Log, patience: float, *,
    clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep, reap: float = 60,
) -> Ending:  # fmt: skip
    """Runs a command until it ends or nothing has moved for `patience` seconds (0: it may take what it takes).

    The environment gets GPUKERN_GPU_PROGRESS and GPUKERN_WAIT_RECORD, files beside the log that are this command's own.
    """
    progress, record = (log.path.with_suffix(suffix) for suffix in (".progress", ".waits"))
    for path in (progress, record):
        path.unlink(missing_ok=True)
    files = {"GPUKERN_GPU_PROGRESS": str(progress), "GPUKERN_WAIT_RECORD": str(record)}
    echo = Echo(log.part)
    process = subprocess.Popen(command, cwd=ROOT, env={**environment, **files}, stdin=subprocess.DEVNULL,
                               stdout=log.file, stderr=subprocess.STDOUT, start_new_session=True)  # fmt: skip
    try:
        seen, since = (-1, -1), clock()
        while process.poll() is None:
            now = size(log.part), size(progress)
            if now != seen:
                seen, since = now, clock()
            elif patience and clock() - since > patience:
                os.kill(process.pid, signal.SIGUSR1)  # where it is (progress.py); others end by that
                time.sleep(0.5)
                words = f"nothing moved for {patience:.0f} s" + kill(process, reap)
                return Ending(HUNG, words, last_line(progress), text_of(record))
            echo()
            sleep(0.1)
        status, words = ended(process.returncode)
        left = text_of(record)
        if left and status == RIGHT:
            status, words = WRONG, "a wait was given up, and the command ended as if nothing had been"
        return Ending(status, words, last_line(progress), left)
    except BaseException:
        kill(process, reap)
        raise
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # what a command leaves behind may hold the device
        echo()


def text_of(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(errors="replace").strip()
    return ""
