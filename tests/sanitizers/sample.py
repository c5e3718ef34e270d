"""A plugin of pytest: of each test with many cases a few, evenly spaced, so that every kind of call is made."""

from __future__ import annotations

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
        kept.update(cases if whole else (cases[i * len(cases) // CASES] for i in range(CASES)))
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]
