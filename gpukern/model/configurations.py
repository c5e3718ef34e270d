"""Configurations by name, by the indices that the model's library takes, and the precision that one is for."""

from __future__ import annotations

from functools import cache

import torch

from .. import selection


@cache
def _folders() -> dict[str, list[str]]:
    """The configurations of each folder; both in the order of the tables."""
    found: dict[str, list[str]] = {}
    for c in selection.available(built=False):
        found.setdefault(c.folder, []).append(c.name)
    return found


def configuration_at(folder: int, index: int) -> str:
    """The name of a configuration, from the index of its folder and its own."""
    return list(_folders().values())[folder][index]


def place_of(name: str) -> tuple[int, int]:
    """The place of a configuration's folder, and its own in the folder's table: what the model is told."""
    folder = selection.named(name).folder
    return list(_folders()).index(folder), _folders()[folder].index(name)


def precision_for(folder: int, place: int, dtype: torch.dtype) -> str:
    """A precision that the configuration serves, whatever selection would choose."""
    configuration = selection.named(configuration_at(folder, place))
    if dtype != torch.float32:
        return "strict"
    return "bf16x6" if configuration.adds_terms else configuration.precisions[0]
