"""A check in a process of its own: what kills it is a failure with a name, and the tests go on."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable

import torch


def run_apart(check: Callable[[], None], seconds: int = 120) -> None:
    """Runs `check` in a fork of this process, which has everything imported; raises what it raised or died of."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        text = ""
        try:
            signal.alarm(seconds)
            torch.set_num_threads(1)  # threads of the parent are not in the fork
            check()
        except BaseException:
            text = traceback.format_exc()
        with os.fdopen(writing, "w") as pipe:
            pipe.write(text)
        os._exit(bool(text))
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        raise AssertionError(f"the process died of {signal.Signals(os.WTERMSIG(status)).name}")
    if status:
        raise AssertionError(text)
