"""Writes everything that is generated from the sources or recorded by running them: `make record`.

    python -m tests.record [step ..]        the steps below, in this order, or some of them

It needs a clean working tree, so that the records name the commit they were made from, and a commit of their own can
hold them.  It stops at the first step that fails; what the steps before it wrote stays.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.platform import record

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Step:
    """`python -m` command, which writes `files`; minutes: on two cores."""

    command: Sequence[str]
    files: Sequence[str]
    minutes: int
    environment: Mapping[str, str] = field(default_factory=dict)


STEPS = {
    "stubs": Step(["gpukern.stubs"], ["gpukern/ops.pyi"], 1),
    "choices": Step(["tests.gemm.behaviour.test_configurations"], ["tests/gemm/behaviour/choices.txt"], 1),
    "golden": Step(["tests.platform.inspection", "--golden"], ["tests/platform/golden"], 10),
    "modelled": Step(["pytest", "-q", *record.SOURCES], ["tests/platform/modelled.json"], 25, {"GPUKERN_RECORD": "1"}),
    "seen": Step(
        ["tests.gemm.mutants.seen", "-q", "-n", "auto", "--dist", "loadgroup"], ["tests/gemm/mutants/seen.json"], 30
    ),
    "compiled": Step(
        ["tests.validation", "--compiled"], ["tests/platform/compiled.json", "docs/validation.md"], 1
    ),
}  # fmt: skip


def execute(step: Step) -> int:
    command = [sys.executable, "-m", *step.command]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **step.environment}).returncode


def changed() -> list[str]:
    """Paths that differ from the commit, or are not in it."""
    done = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [line[3:] for line in done.stdout.splitlines()]


def main(
    names: Sequence[str], run: Callable[[Step], int] = execute, dirty: Callable[[], list[str]] = changed
) -> int:  # fmt: skip
    unknown = [name for name in names if name not in STEPS]
    if unknown:
        print(f"gpukern: there is no step {unknown[0]!r}; there are {', '.join(STEPS)}")
        return 2
    own = [file for step in STEPS.values() for file in step.files]
    others = [path for path in dirty() if not path.startswith(tuple(own))]
    if others:
        print(f"gpukern: commit {others[0]} first: a record names the commit that it was made from")
        return 2
    for name in names or STEPS:
        step = STEPS[name]
        print(f"gpukern: {name}, about {step.minutes} min: {', '.join(step.files)}", flush=True)
        if status := run(step):
            print(f"gpukern: {name} failed; nothing after it was written")
            return status
    print("gpukern: written; see git diff --stat, and commit it alone")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
