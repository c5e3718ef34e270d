"""Configurations that take skinny results only, and the shapes that tests give them."""

from __future__ import annotations

import itertools

from gpukern.selection import Configuration

LONG = [1, 7, 8, 9, 33, 257]
DEPTHS = [0, 1, 7, 8, 31, 32, 33, 255, 256, 257, 1030]


def is_skinny(configuration: Configuration) -> bool:
    return configuration.vectors > 0


def side(configuration: Configuration, n: int) -> int:
    """n, or as many vectors as the configuration takes where that is less."""
    return min(n, configuration.vectors) if is_skinny(configuration) else n


def shapes(configuration: Configuration) -> list[tuple[int, int, int]]:
    """(m, n, k): every number of vectors, long side and depth, in pairs that all occur; either side is short."""
    vectors = list(range(1, configuration.vectors + 1))
    found = []
    for i, (long, k) in enumerate(itertools.product(LONG, DEPTHS)):
        short = vectors[(i + i // len(vectors)) % len(vectors)]
        found.append((short, long, k) if i % 2 else (long, short, k))
    return found
