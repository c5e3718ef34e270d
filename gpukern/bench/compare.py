"""Compares two runs and prints what changed beyond noise.

If both runs timed the same baseline (torch, say), of the same version, on the same device, it is the control: gpukern's
time over the baseline's is compared, turn by turn, so that a slower machine changes nothing.  Otherwise gpukern's times
are compared as they are, and the page says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .results import Line, Run
from .statistics import Ratio, change, differs
from .table import aligned, microseconds

LEAST = 0.02
FEWEST = 5  # turns: of fewer, a median's interval means nothing


@dataclass(frozen=True)
class Change:
    """One case of both runs; `found` is new over old: above 1 is slower."""

    old: Line
    new: Line
    found: Ratio
    beyond_noise: bool

    @property
    def slower(self) -> bool:
        return self.beyond_noise and self.found.value > 1


@dataclass(frozen=True)
class Comparison:
    """changes: for all cases that both runs timed.  wrong: cases of the new run.  control: the baseline, or ""."""

    old: Run
    new: Run
    changes: list[Change]
    wrong: list[Line]
    lost: list[Line]
    control: str

    @property
    def regressions(self) -> list[Change]:
        return [c for c in self.changes if c.slower]

    @property
    def failed(self) -> bool:
        return bool(self.regressions or self.wrong)


def control(old: Run, new: Run) -> str:
    """The baseline that both runs share."""
    if old.torch != new.torch or old.machine.get("device") != new.machine.get("device"):
        return ""
    return next((r for r in new.rivals if r in old.rivals), "")


def confidence(cases: int) -> float:
    """The confidence of one case's interval, so that no false alarm is expected among all cases (Bonferroni), as far as
    the number of bootstrap resamples allows."""
    return min(0.998, max(0.99, 1 - 0.05 / max(1, cases)))


def _against(line: Line, rival: str) -> list[float]:
    return [mine / other for mine, other in zip(line.ours, line.rivals[rival])] if rival else line.ours


def compare(old: Run, new: Run, least: float = LEAST) -> Comparison:
    """Cases by suite and name; `least` is the smallest change that counts (0.02: 2 %)."""
    before = {line.key: line for line in old.lines if line.timed and len(line.ours) >= FEWEST}
    after = {line.key: line for line in new.lines if line.timed and len(line.ours) >= FEWEST}
    both = [(before[key], line) for key, line in after.items() if key in before]
    rival = control(old, new)
    if not all(rival in a.rivals and rival in b.rivals for a, b in both):
        rival = ""
    changes = []
    for a, b in both:
        found = change(_against(a, rival), _against(b, rival), confidence(len(both)))
        changes.append(Change(a, b, found, differs(found, least)))
    gone = before.keys() - after.keys() - {line.key for line in new.wrong}
    lost = [line for key, line in before.items() if key in gone]
    return Comparison(old, new, changes, new.wrong, lost, rival)


def _rows(changes: Sequence[Change]) -> list[str]:
    rows = [["", "old us", "new us", "new / old"]]
    for c in changes:
        old, new = (microseconds(line.spread.p50) for line in (c.old, c.new))
        before, now = c.old.configuration, c.new.configuration
        configuration = "" if before == now else f"  {before} -> {now}"
        rows.append([f"{c.new.suite}: {c.new.name}{configuration}", old, new, str(c.found)])
    return aligned(rows, 1)


def page(found: Comparison) -> str:
    """What changed, the largest first; one sentence where nothing did."""
    old, new = found.old, found.new
    lines = [
        f"old: gpukern {old.gpukern} {old.commit}, torch {old.torch}, {old.machine.get('device')}, {old.date}",
        f"new: gpukern {new.gpukern} {new.commit}, torch {new.torch}, {new.machine.get('device')}, {new.date}",
        f"compared: gpukern's time over {found.control}'s"
        if found.control
        else "compared: times as they are, since the runs have no baseline in common",
    ]
    for title, chosen in (
        ("slower", [c for c in found.changes if c.slower]),
        ("faster", [c for c in found.changes if c.beyond_noise and not c.slower]),
    ):
        if chosen:
            ordered = sorted(chosen, key=lambda c: -abs(math.log(c.found.value)))
            lines += ["", f"{title} beyond noise: {len(chosen)}", *_rows(ordered)]
    lines += [f"{line.suite}: {line.name}  {line.verdict}" for line in found.wrong]
    if found.lost:
        lines.append(f"{len(found.lost)} cases of the old run are not in the new one")
    still = sum(not c.beyond_noise for c in found.changes)
    lines += ["", f"{still} of {len(found.changes)} cases did not change beyond noise"]
    return "\n".join(lines)
