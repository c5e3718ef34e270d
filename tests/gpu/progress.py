"""The running case, for a watchdog: a line in the file that GPUKERN_GPU_PROGRESS names, written before a
case begins and on the disk when it does, because the case may take the process or the machine with it.

As a pytest plugin (`-p tests.gpu.progress`) a test is a case.  Under a watchdog SIGUSR1 prints where each thread is;
the watchdog sends it before it ends a process.
"""

from __future__ import annotations

import faulthandler
import os
import signal

if os.environ.get("GPUKERN_GPU_PROGRESS"):
    faulthandler.register(signal.SIGUSR1, file=os.dup(2), all_threads=True)  # pytest puts 2 elsewhere


def begins(case: str) -> None:
    """Does nothing without a watchdog."""
    path = os.environ.get("GPUKERN_GPU_PROGRESS")
    if not path:
        return
    line = (case.replace("\n", " ") + "\n").encode()
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(file, line)
        os.fsync(file)
    finally:
        os.close(file)


def pytest_runtest_logstart(nodeid: str, location: object) -> None:
    begins(nodeid)
