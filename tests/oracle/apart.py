"""Checks in another process: what kills it is a failure with a name, and the tests go on."""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import traceback
from collections.abc import Callable, Mapping

import torch


def run_apart(checks: Mapping[str, Callable[[], None]], seconds: int = 300) -> dict[str, str]:
    """Runs the checks one after another in a fork of this process, which has everything imported.

    The answer has the text of what each one raised, or of the signal that the process died of in it, "" where it
    passed.  Behind one that dies the rest run in another fork.  A check has `seconds` to end.
    """
    outcomes: dict[str, str] = {}
    while left := [name for name in checks if name not in outcomes]:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            faulthandler.disable()  # what it dies of is in the answer, not on the terminal
            torch.set_num_threads(1)  # threads of the parent are not in the fork
            for name in left:
                os.write(writing, json.dumps([name, _outcome(checks[name], seconds)]).encode() + b"\n")
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            outcomes.update(json.loads(line) for line in pipe if line.endswith("\n"))
        _, status = os.waitpid(child, 0)
        if died := next((name for name in left if name not in outcomes), None):
            number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            outcomes[died] = f"the process died of {signal.Signals(number).name if number else status}"
    return outcomes


def _outcome(check: Callable[[], None], seconds: int) -> str:
    signal.alarm(seconds)
    try:
        check()
    except BaseException:
        return traceback.format_exc()
    return ""
