"""What `enable` and `force` share: a context that may be entered again, and that decorates functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import ContextDecorator
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class FunctionContext(ContextDecorator):
    """A context manager that also decorates functions, for the length of each call.

    What a suspended body would leave switched on for its caller is refused: TypeError for a generator and a coroutine,
    and for a class, whose methods would not be decorated.
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
