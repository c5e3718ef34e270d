"""Configurations that take skinny results only, and the shapes that tests give them."""

from __future__ import annotations

import itertools

from gpukern.selection import Configuration

LONG = [1, 7, 8, 9, 33, 257]
DEPTHS = [0, 1, 7, 8, 31, 32, 33, 255, 256, 257, 1030]


def is_thin(configuration: Configuration) -> bool:
    return configuration.vectors > 0


def side(configuration: Configuration, n: int) -> int:
    """n, or as many vectors as the configuration takes where that is less."""
    return min(n, configuration.vectors) if is_thin(configuration) else n


def shapes(configuration: Configuration) -> list[tuple[int, int, int]]:
    """(m, n, k): every number of vectors, long side and depth, in pairs that all occur; either side is short."""
    vectors = list(range(1, configuration.vectors + 1))
    found = []
    for i, (long, k) in enumerate(itertools.product(LONG, DEPTHS)):
        thin = vectors[(i + i // len(vectors)) % len(vectors)]
        found.append((thin, long, k) if i % 2 else (long, thin, k))
    return found
