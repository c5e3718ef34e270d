"""What `enable` and `force` share: a reentrant context manager that also decorates functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import ContextDecorator
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class FunctionContext(ContextDecorator):
    """A context manager that also decorates functions; then it is active during each call.

    TypeError for a generator or a coroutine, because it would stay active for the caller while they are suspended, and
    for a class, because its methods would not be decorated.
    """

    maker: str  # how a user names it, for messages

    def __call__(self, function: F) -> F:
        inside = f"use `with gpukern.{self.maker}(..):` inside"
        if not callable(function) or inspect.isclass(function):
            raise TypeError(f"gpukern.{self.maker}() decorates functions, not {function!r}; {inside} them")
        suspended = (
            inspect.isgeneratorfunction(function)
            or inspect.isasyncgenfunction(function)
            or inspect.iscoroutinefunction(function)
        )
        if suspended:
            name = getattr(function, "__qualname__", repr(function))
            raise TypeError(
                f"gpukern.{self.maker}() cannot decorate {name}, a generator or coroutine: it would stay on "
                f"while that is suspended; {inside} it, around code that does not yield or await"
            )
        return super().__call__(function)
