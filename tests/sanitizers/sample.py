"""A plugin of pytest: of each test with many cases a few, evenly spaced, so that every kind of call is made.

The first is another one in each test, so that together they meet every case that many tests have.
"""

from __future__ import annotations

import zlib
from collections import defaultdict

import pytest

CASES = 12


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    tests: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        tests[item.nodeid.partition("[")[0]].append(item)
    kept: set[pytest.Item] = set()
    for name, cases in tests.items():
        whole = len(cases) <= CASES or name.startswith("tests/sanitizers/")
        first = zlib.crc32(name.encode()) % len(cases)
        picked = [(first + i * len(cases) // CASES) % len(cases) for i in range(CASES)]
        kept.update(cases if whole else (cases[i] for i in picked))
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]
