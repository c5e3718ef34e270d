"""What ran, counted: launches, schedules and test cases of each configuration and each elementwise family.

The machine model notes every launch here, and so does the replay on a GPU (tests/gpu/replay.py).  A session under
GPUKERN_RECORD=1 writes its counts to modelled.json when it ends green; what it did not run stays as it was recorded,
with the commit of then, and every configuration and family must be there.  The table in docs/validation.md is made
from that file.  Without the variable nothing is written.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MODELLED = Path(__file__).with_name("modelled.json")
# Only these count, so that the record does not depend on what else a session ran.
SOURCES = (
    "tests/elementwise/test_kernels.py",
    "tests/elementwise/test_exact.py",
    *(f"tests/gemm/kernels/test_{name}kernels.py" for name in ("", "hopper_", "hopper_scaled_", "scaled_")),
    "tests/gemm/kernels/test_packing.py",
)


@dataclass
class Ran:
    """One configuration or family."""

    launches: int = 0
    schedules: set[str] = field(default_factory=set)
    cases: set[str] = field(default_factory=set)

    def facts(self) -> dict[str, Any]:
        return {"launches": self.launches, "schedules": sorted(self.schedules), "cases": len(self.cases)}


class Record:
    """The counts of one session."""

    def __init__(self) -> None:
        self.item = ""  # the test that runs now
        self.configurations: dict[str, Ran] = {}
        self.families: dict[str, Ran] = {}

    def note(self, kind: str, name: str, schedule: str = "") -> None:
        """One launch of a configuration or of a kernel of a family: the kind is "configurations" or "families"."""
        if not self.item.startswith(SOURCES):
            return
        table: dict[str, Ran] = getattr(self, kind)
        ran = table.setdefault(name, Ran())
        ran.launches += 1
        ran.cases.add(self.item)
        if schedule:
            ran.schedules.add(schedule)

    def facts(self) -> dict[str, Any]:
        return {
            "rows": {name: self.configurations[name].facts() for name in sorted(self.configurations)},
            "families": {name: self.families[name].facts() for name in sorted(self.families)},
        }

    def joined(self, before: dict[str, Any]) -> dict[str, Any]:
        """These counts, each with its commit, and those of an earlier record that nothing was launched of now."""
        now, at = self.facts(), commit()
        result: dict[str, Any] = {"commit": at}
        for kind, known in (("rows", configurations()), ("families", families())):
            old = {n: {"commit": before.get("commit", ""), **f} for n, f in before.get(kind, {}).items() if n in known}
            result[kind] = dict(sorted((old | {n: {"commit": at, **f} for n, f in now[kind].items()}).items()))
        return result


def missing(facts: dict[str, Any]) -> list[str]:
    """Configurations and families of the tables that a record has nothing of."""
    return [n for n in configurations() if n not in facts["rows"]] + [
        n for n in families() if n not in facts["families"]
    ]


RECORD = Record()


@cache
def configurations() -> list[str]:
    """Every configuration for GPUs, built here or not, in the order of the tables."""
    import gpukern

    return [c.name for c in gpukern.available(built=False) if not c.on_cpu]


@cache
def families() -> list[str]:
    """The elementwise families, in the order of the catalogue."""
    import gpukern

    return list(dict.fromkeys(e["family"] for e in gpukern._C.elementwise_catalogue()))


def commit() -> str:
    """The commit of this tree, `+changes` where files differ from it, "unknown" outside a clone."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short=12", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def write_atomically(path: Path, facts: dict[str, Any]) -> None:
    """A reader finds the whole file or the one before it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(json.dumps(facts, indent=1) + "\n")
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def write_modelled(green: bool, record: Record = RECORD, path: Path = MODELLED) -> str:
    """Writes the record of a green and whole session; what was done, in a sentence."""
    if not green:
        return f"{path.name} is not written: a test failed"
    facts = record.joined(json.loads(path.read_text()) if path.exists() else {})
    if names := missing(facts):
        return f"{path.name} is not written: nothing ran of {', '.join(names)}"
    write_atomically(path, facts)
    return f"{path.name} written; docs/validation.md follows by `python -m tests.validation`"
