"""What `make test` leaves to `make test-nightly`: further samples of a question, never a configuration or a fault."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from functools import cache

import pytest

import gpukern
from tests import sampling
from tests.platform.library import ROOT
from tests.sampling import sampled

COLLECT = """
import sys
import pytest


class Collector:
    def pytest_collection_finish(self, session):
        for item in session.items:
            print("item", "nightly" if item.get_closest_marker("nightly") else "daily", item.nodeid)


sys.exit(pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", *sys.argv[1:]], plugins=[Collector()]))
"""


@cache
def collected() -> tuple[list[str], list[str]]:
    """Tests of each day, and those of the night."""
    command = [sys.executable, "-c", COLLECT, "tests/gemm", "tests/elementwise", "tests/platform"]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    lines = [line.split(" ", 2) for line in done.stdout.splitlines() if line.startswith("item ")]
    assert len(lines) > 5000
    daily, nightly = ([name for _, when, name in lines if when == wanted] for wanted in ("daily", "nightly"))
    return daily, nightly


@pytest.mark.slow
def test_every_configuration_and_type_is_tested_daily() -> None:
    daily, _ = collected()
    asked = "\n".join(name for name in daily if name.startswith("tests/gemm/kernels/")).replace("torch.", "")
    wanted = [
        f"[{c.name}-{t}"
        for c in gpukern.available(built=False)
        if not c.on_cpu
        for t in c.types
        if not t.startswith("float8")  # of the 8-bit formats one test of a configuration takes all
    ]
    wanted += [f"[{c.name}" for c in gpukern.available(built=False) if not c.on_cpu]
    assert len(wanted) > 100
    assert not [name for name in wanted if name not in asked]


@pytest.mark.slow
def test_every_planted_fault_is_looked_for_daily() -> None:
    daily, nightly = collected()
    assert sum("test_planted_fault_is_seen" in name for name in daily) > 300
    assert not [name for name in nightly if "fault" in name or "mutant" in name]


@pytest.mark.slow
def test_the_night_takes_no_question_whole() -> None:
    daily, nightly = (Counter(name.partition("[")[0] for name in names) for names in collected())
    assert nightly
    assert not {question: daily[question] for question in nightly if daily[question] < sampling.DAILY}


def test_three_of_each_group_are_daily_whatever_the_order() -> None:
    cases = [(group, number) for group in "ab" for number in range(10)] + [("c", 0)]
    names = [f"{group}{number}" for group, number in cases]

    def daily(question: str, order: int = 1) -> set[str]:
        found = sampled(question, cases[::order], lambda case: case[0], names[::order])
        assert [p.values for p in found] == cases[::order]
        return {str(p.id) for p in found if not p.marks}

    one, other = daily("one"), daily("other")
    assert Counter(name[0] for name in one) == {"a": 3, "b": 3, "c": 1}
    assert one == daily("one", -1) and one != other
