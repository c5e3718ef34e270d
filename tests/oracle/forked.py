"""Calls in a forked process: one that ends the process is a failure with a name, and the tests go on."""

from __future__ import annotations

import faulthandler
import os
import pickle
import signal
import struct
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch


@dataclass(frozen=True)
class Died:
    """The call ended its process by this signal (0: the process ended by itself)."""

    number: int

    def __str__(self) -> str:
        return f"the process died of {signal.Signals(self.number).name}" if self.number else "the process ended"


def results(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each call returns, or Died.  The fork has everything imported; behind one that dies another fork goes on."""
    found: list[Any] = []
    while len(found) < len(calls):
        found += _child(calls[len(found) :])
    return found


def _child(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.close(reader)
        faulthandler.disable()  # what it dies of is in the answer, not on the terminal
        torch.set_num_threads(1)  # threads of the parent are not in the fork
        with os.fdopen(writer, "wb") as pipe:
            for call in calls:
                data = pickle.dumps(call())
                pipe.write(struct.pack("q", len(data)) + data)
                pipe.flush()
        os._exit(0)
    os.close(writer)
    found: list[Any] = []
    with os.fdopen(reader, "rb") as pipe:
        while len(header := pipe.read(8)) == 8:
            found.append(pickle.loads(pipe.read(*struct.unpack("q", header))))
    status = os.waitpid(child, 0)[1]
    if len(found) < len(calls):
        found.append(Died(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0))
    return found


def run_forked(checks: Mapping[str, Callable[[], None]], seconds: int = 300) -> dict[str, str]:
    """The text of what each check raised, or of the signal that it died of; "" where it passed.  Each has `seconds`."""
    found = results([partial(_error, check, seconds) for check in checks.values()])
    return {name: str(result) for name, result in zip(checks, found)}


def _error(check: Callable[[], None], seconds: int) -> str:
    signal.alarm(seconds)
    try:
        check()
    except BaseException:
        return traceback.format_exc()
    return ""
