"""The machine model, as the tests call it: every launch is noted (record.py)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from gpukern.model import machine as _machine
from gpukern.model.build import library
from gpukern.model.configurations import configuration_at as configuration_at
from gpukern.model.machine import (
    ACTIVATIONS,
    DTYPES,
    SCHEDULES,
    ModelError,
    Plan,
    Schedule,
    Stream,
    counts,
    iteration,
    plan,
    report,
    set_schedule,
)
from gpukern.model.machine import (
    unchecked as unchecked,
)
from gpukern.model.memory import Guarded, watch
from tests.platform import record


def elementwise(
    place: tuple[int, int, int], *arguments: Any, schedule: Schedule | None = None, **options: Any
) -> Tensor:
    """gpukern.model.machine.elementwise."""
    result = _machine.elementwise(place, *arguments, schedule=schedule, **options)
    record.RECORD.note("families", record.families()[place[0]], _name(schedule or Schedule()))
    return result


def product(folder: int, index: int, *arguments: Any, schedule: Schedule | None = None, **options: Any) -> Tensor:
    """gpukern.model.machine.product."""
    result = _machine.product(folder, index, *arguments, schedule=schedule, **options)
    record.RECORD.note("configurations", configuration_at(folder, index), _name(schedule or Schedule()))
    return result


def product_with_sums(
    folder: int, index: int, *arguments: Any, schedule: Schedule | None = None, **options: Any
) -> tuple[Tensor, Tensor]:
    """gpukern.model.machine.product_with_sums."""
    result = _machine.product_with_sums(folder, index, *arguments, schedule=schedule, **options)
    record.RECORD.note("configurations", configuration_at(folder, index), _name(schedule or Schedule()))
    return result


def scaled(folder: int, index: int, *arguments: Any, schedule: Schedule | None = None, **options: Any) -> Tensor:
    """gpukern.model.machine.scaled."""
    result = _machine.scaled(folder, index, *arguments, schedule=schedule, **options)
    record.RECORD.note("configurations", configuration_at(folder, index), _name(schedule or Schedule()))
    return result


def _name(schedule: Schedule) -> str:
    """Of the order of execution; what is watched is no part of it."""
    return f"{schedule.order} {schedule.seed}, {schedule.wave} lanes"


__all__ = [
    "ACTIVATIONS",
    "DTYPES",
    "SCHEDULES",
    "Guarded",
    "ModelError",
    "Plan",
    "Schedule",
    "Stream",
    "counts",
    "elementwise",
    "iteration",
    "library",
    "plan",
    "product",
    "product_with_sums",
    "report",
    "scaled",
    "set_schedule",
    "watch",
]
