"""Drop-in use: gpukern serves torch's own matrix products, in programs that never name gpukern.

While enabled, gpukern serves `torch.mm`, `@`, `torch.nn.Linear`, `einsum` and everything else that ends in aten's mm,
addmm, bmm, baddbmm, mv, addmv, dot, vdot, addr or addbmm (out and in-place forms and backward passes too).  A call that
no gpukern product serves goes to torch's own kernel, so its result or its error is torch's.  Autograd, autocast, vmap
and torch.compile lie above the routes and work as before.  Routes are process-wide, not per thread, and off after
import.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import NamedTuple

from . import _C
from .contexts import F, FunctionContext

__all__ = ["Enabled", "RouteStats", "Stats", "disable", "enable", "enabled_ops", "reset_stats", "stats"]


class RouteStats(NamedTuple):
    """One form of one op ("mm", "mm.out", "addmm_"): calls served by gpukern, and calls left to torch by reason."""

    hits: int
    fallbacks: dict[str, int]


class Stats(dict[str, RouteStats]):
    """Calls by form: how many gpukern served, and how many torch; prints as a table."""

    @property
    def hits(self) -> int:
        return sum(row.hits for row in self.values())

    @property
    def fallbacks(self) -> int:
        return sum(sum(row.fallbacks.values()) for row in self.values())

    def __str__(self) -> str:
        if not self:
            return "no routed op was called"
        lines = [f"{'op':12}  {'gpukern':>9}  {'torch':>9}  why torch served it"]
        for op, row in self.items():
            why = "; ".join(f"{count} x {reason}" for reason, count in row.fallbacks.items())
            lines.append(f"{op:12}  {row.hits:>9}  {sum(row.fallbacks.values()):>9}  {why}".rstrip())
        return "\n".join(lines)


class Enabled(FunctionContext):
    """What `enable` returns: the routes that it switched on, until `disable` or until the context manager exits.

    It is reentrant, also inside itself: each entry enables the ops, each exit undoes one entry.  As a decorator it
    enables them during each call and not before.
    """

    maker = "enable"

    def __init__(self, ops: tuple[str, ...]) -> None:
        self.ops = ops
        self._called = True  # the call of `enable` switched the routes on; the first entry does not do so again

    def __enter__(self) -> Enabled:
        with _switching:
            if not (self._called and self in _stack):
                _stack.append(self)
            self._called = False
            _apply()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _switching:
            # Remove only the latest entry of this object: contexts of other threads may end in any order.
            for k in reversed(range(len(_stack))):
                if _stack[k] is self:
                    del _stack[k]
                    break
            _apply()

    def __call__(self, function: F) -> F:
        decorated = super().__call__(function)
        with _switching:
            if self._called and self in _stack:  # switched on by the call of `enable`
                _stack.remove(self)
            self._called = False
            _apply()
        return decorated

    def __iter__(self) -> Iterator[str]:
        return iter(self.ops)

    def __repr__(self) -> str:
        return f"gpukern.enable: {', '.join(self.ops) or 'nothing'}"


_switching = threading.Lock()
_stack: list[Enabled] = []  # the latest one decides


def _apply() -> None:
    _C.set_routes(list(_stack[-1].ops) if _stack else [])


def enable(*, include: Iterable[str] | None = None, exclude: Iterable[str] = ()) -> Enabled:
    """Routes torch's matrix products to gpukern until `disable()`, or for a `with` block or each call of a function.

    include: the ops to route ("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "dot", "vdot", "addr", "addbmm"; a name
    covers the op's out and in-place forms); None means all.  exclude: ops to leave out.  Blocks nest: the innermost
    decides, and its exit restores the routes before it.  The returned object may be entered any number of times.
    ValueError for an op that has no route.

    >>> with gpukern.enable():
    ...     loss = model(batch).sum()
    >>> @gpukern.enable(include=["mm"])
    ... def step(batch): ...
    """
    routable: list[str] = _C.routable()
    wanted = routable if include is None else _names("include", include)
    unwanted = _names("exclude", exclude)
    for op in (*wanted, *unwanted):
        if op not in routable:
            raise ValueError(f"{op!r} cannot be routed; gpukern routes {', '.join(routable)}")
    entry = Enabled(tuple(op for op in routable if op in wanted and op not in unwanted))
    with _switching:
        _stack.append(entry)
        _apply()
    return entry


def _names(argument: str, ops: Iterable[str]) -> list[str]:
    if isinstance(ops, str):
        raise TypeError(f"{argument} must be a list of op names, as in {argument}=[{ops!r}]")
    return list(ops)


def disable() -> None:
    """Gives all routed ops back to torch's own kernels, whatever was enabled."""
    with _switching:
        _stack.clear()
        _apply()


def enabled_ops() -> tuple[str, ...]:
    """The ops that are routed now."""
    return tuple(_C.routes())


def stats() -> Stats:
    """Hits and fallbacks of every routed form since the start or `reset_stats()`; fallbacks by reason."""
    return Stats((op, RouteStats(hits, dict(fallbacks))) for op, hits, fallbacks in _C.route_stats())


def reset_stats() -> None:
    """Sets all counts of `stats()` to zero."""
    _C.reset_route_stats()
