"""What calls come to, in processes of their own: a result, an exception, or the signal that ended the process."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Outcome = tuple[Any, ...]


def _bytes(t: Tensor) -> Any:
    """The elements of a tensor, comparable: NaN is NaN, whatever its bits, and -0 is not 0."""
    if t.is_complex():
        return _bytes(torch.view_as_real(t.resolve_conj().contiguous()))
    if t.is_floating_point():
        t = torch.where(t.isnan(), torch.full_like(t, torch.nan), t)
    return [str(v) if v != v else v if v or str(v)[0] != "-" else "-0" for v in t.flatten().tolist()]


def of(function: Callable[[], Any], values: bool = True) -> Outcome:
    """(dtype, shape, strides, elements) of a result, or (the exception's type, the first line of its message)."""
    try:
        result = function()
    except Exception as error:
        return type(error).__name__, (str(error).splitlines() or [""])[0]
    if not isinstance(result, Tensor):
        return (repr(result),)
    found = str(result.dtype), tuple(result.shape), result.stride()
    return (*found, _bytes(result)) if values else found


def apart(calls: Sequence[Callable[[], Any]], of: Callable[[Callable[[], Any]], Outcome] = of) -> list[Outcome]:
    """The outcome of each call, in a forked process; one that a call kills counts as ("signal", number).

    The next process takes what is left, so that a crash is one failure and not the end.
    """
    outcomes: list[Outcome] = []
    while len(outcomes) < len(calls):
        outcomes += _child(calls[len(outcomes) :], of)
    return outcomes


def _child(calls: Sequence[Callable[[], Any]], of: Callable[[Callable[[], Any]], Outcome]) -> list[Outcome]:
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.close(reader)
        torch.set_num_threads(1)  # threads do not survive a fork
        with os.fdopen(writer, "wb") as pipe:
            for call in calls:
                data = pickle.dumps(of(call))
                pipe.write(struct.pack("q", len(data)) + data)
                pipe.flush()
        os._exit(0)
    os.close(writer)
    outcomes: list[Outcome] = []
    with os.fdopen(reader, "rb") as pipe:
        while len(header := pipe.read(8)) == 8:
            outcomes.append(pickle.loads(pipe.read(*struct.unpack("q", header))))
    status = os.waitpid(child, 0)[1]
    if len(outcomes) < len(calls):
        outcomes.append(("signal", os.WTERMSIG(status) if os.WIFSIGNALED(status) else -1))
    return outcomes
