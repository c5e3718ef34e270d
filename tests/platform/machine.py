"""The machine model, as the tests call it."""

from __future__ import annotations

from gpukern.model.build import library
from gpukern.model.machine import (
    ACTIVATIONS,
    DTYPES,
    SCHEDULES,
    ModelError,
    Plan,
    Schedule,
    counts,
    elementwise,
    iteration,
    plan,
    product,
    report,
    set_schedule,
)
from gpukern.model.memory import Guarded, watch

__all__ = [
    "ACTIVATIONS",
    "DTYPES",
    "SCHEDULES",
    "Guarded",
    "ModelError",
    "Plan",
    "Schedule",
    "counts",
    "elementwise",
    "iteration",
    "library",
    "plan",
    "product",
    "report",
    "set_schedule",
    "watch",
]
