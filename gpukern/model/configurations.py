"""Configurations by name, by the indices that the model's library takes, and the precision that one is for."""

from __future__ import annotations

from functools import cache

import torch

from .. import _C, selection


@cache
def configuration_at(folder: int, index: int) -> str:
    """The name of a configuration, from the index of its folder and its own."""
    names = [str(r["name"]) for r in _C.gemm_configurations()]
    folders = list(dict.fromkeys(name.split("/")[0] for name in names))
    return [name for name in names if name.startswith(folders[folder] + "/")][index]


@cache
def place_of(name: str) -> tuple[int, int]:
    """The place of a configuration's folder, and its own in the folder's table: what the model is told."""
    names = [str(r["name"]) for r in _C.gemm_configurations()]
    folder = name.split("/")[0]
    mine = [other for other in names if other.startswith(folder + "/")]
    return list(dict.fromkeys(other.split("/")[0] for other in names)).index(folder), mine.index(name)


def precision_for(folder: int, place: int, dtype: torch.dtype) -> str:
    """A precision that the configuration serves, whatever selection would choose."""
    configuration = selection.named(configuration_at(folder, place))
    if dtype != torch.float32:
        return "strict"
    return "bf16x6" if configuration.adds_terms else configuration.precisions[0]
