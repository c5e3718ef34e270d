"""What calls come to, in processes of their own: a result, an exception, or the signal that ended the process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from tests.oracle.forked import Died, results

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


def forked(calls: Sequence[Callable[[], Any]], of: Callable[[Callable[[], Any]], Outcome] = of) -> list[Outcome]:
    """The outcome of each call, in a forked process; one that a call kills counts as ("signal", number)."""
    found = results([partial(of, call) for call in calls])
    return [("signal", result.number) if isinstance(result, Died) else result for result in found]
