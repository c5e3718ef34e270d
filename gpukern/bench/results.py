"""A run as a file: what was measured, on which machine, at which commit.  All tables and plots are made from it.

Schema 1:

    schema, gpukern, torch, commit, date (ISO 8601, UTC), complete (false after an interruption)
    settings    the options: suites, turns, seconds a turn, baselines, quick
    machine     device, kind ("cpu" or "cuda"), target, driver, runtime, threads, cache_bytes, memory_bytes
    clocks      before and after: clocks, power and temperature, where the driver says them
    ceilings    bytes_per_s, and flops: {dtype: operations a second}, both measured in this run
    lines       one a case (Line); the configuration that served it is "row" in files from before 0.2

Times are microseconds of one call, one number per turn; turn i of ours and of each baseline ran one after the other.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ..files import whole
from .statistics import Ratio, Spread, ratio, spread

SCHEMA = 1
RIGHT = "right"


class Unreadable(ValueError):
    """A file that is not a run of this schema; the text says why."""


@dataclass
class Line:
    """One case.  verdict: "right", "WRONG: .." (then there are no times) or "left out: ..".

    flops and bytes: what the task itself needs, the least that any kernel computes and moves.
    error: the largest error as a share of what is allowed.  clock: "graph", "launches" or "host".
    """

    suite: str
    name: str
    op: str
    kind: str
    dtype: str
    shape: list[int]
    layout: str = ""
    flops: float = 0.0
    bytes: float = 0.0
    configuration: str = ""
    verdict: str = RIGHT
    error: float = 0.0
    clock: str = ""
    ours: list[float] = field(default_factory=list)
    rivals: dict[str, list[float]] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        return self.suite, self.name

    @property
    def timed(self) -> bool:
        return self.verdict == RIGHT and bool(self.ours)

    @property
    def spread(self) -> Spread:
        return spread(self.ours)

    def faster(self, rival: str) -> Ratio:
        """The baseline's time over ours: above 1 ours is faster."""
        return ratio(self.rivals[rival], self.ours)


@dataclass
class Run:
    """A run, complete or not."""

    gpukern: str
    torch: str
    commit: str
    date: str
    settings: dict[str, Any]
    machine: dict[str, Any]
    clocks: dict[str, Any] = field(default_factory=dict)
    ceilings: dict[str, Any] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    complete: bool = False
    schema: int = SCHEMA

    @property
    def rivals(self) -> list[str]:
        return list(self.settings.get("against", []))

    @property
    def wrong(self) -> list[Line]:
        return [line for line in self.lines if line.verdict.startswith("WRONG")]

    def _floors(self, line: Line) -> tuple[float, float]:
        """Seconds at the arithmetic ceiling and at the memory ceiling; 0 where a ceiling is not known."""
        peak, bandwidth = self.ceilings.get("flops", {}).get(line.dtype, 0), self.ceilings.get("bytes_per_s", 0)
        return line.flops / peak if peak else 0.0, line.bytes / bandwidth if bandwidth else 0.0

    def floor(self, line: Line) -> float:
        """The least microseconds that both ceilings allow (the roofline of Williams 2009); 0 where unknown."""
        return 1e6 * max(self._floors(line))

    def computes(self, line: Line) -> bool:
        """Whether arithmetic bounds the case, so that its rate is given in operations per second; else in bytes."""
        computing, moving = self._floors(line)
        return line.flops > 0 and computing >= moving

    def suites(self) -> list[str]:
        return list(dict.fromkeys(line.suite for line in self.lines))


def writable(path: Path) -> str:
    """Why a run cannot be stored there, or "" if it can.  Makes missing folders."""
    if str(path) in ("", "."):
        return "it is not a file name"
    try:
        if path.exists() and not path.is_file():
            return "it exists and is not a regular file"
        folder = path.resolve().parent
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=folder)
    except OSError as error:
        return error.strerror or str(error)
    os.close(handle)
    os.unlink(temporary)
    return ""


def save(run: Run, path: Path) -> None:
    """Writes the run completely or not at all: a reader finds this run or the previous file.

    A link is followed.  FileExistsError for what is not a regular file (/dev/null).
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise FileExistsError(f"{path} is not a regular file")
    with whole(path) as beside, beside.open("w") as file:
        json.dump(asdict(run), file, indent=1)
        file.write("\n")


def _checked(kind: type, value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unreadable(f"{what} is not a JSON object")
    known = {f.name for f in fields(kind)}
    required = {"Run": ("gpukern", "torch", "settings", "machine", "lines"), "Line": ("suite", "name", "op", "shape")}
    kinds = {f.name: str(f.type).partition("[")[0] for f in fields(kind)}
    if missing := [name for name in required[kind.__name__] if name not in value]:
        raise Unreadable(f"{what} has no {', '.join(missing)}")
    if unknown := sorted(value.keys() - known):
        raise Unreadable(f"{what} has {', '.join(unknown)}, which schema {SCHEMA} does not know")
    types: dict[str, Any] = {"str": str, "int": int, "float": (int, float), "bool": bool, "dict": dict, "list": list}
    for name, entry in value.items():
        if not isinstance(entry, types[kinds[name]]):
            raise Unreadable(f"{name} of {what} is not a {kinds[name]}")
    return value


def _numbers(values: Any, what: str) -> None:
    if not isinstance(values, list) or not all(isinstance(v, (int, float)) and 0 < v < math.inf for v in values):
        raise Unreadable(f"{what} are not all positive numbers")


def loads(text: str) -> Run:
    """A run from its text; Unreadable says what is wrong with it."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise Unreadable(f"it is not JSON ({error})") from None
    if not isinstance(data, dict) or "schema" not in data:
        raise Unreadable("it is not a run of gpukern bench: it names no schema")
    if data["schema"] != SCHEMA:
        raise Unreadable(f"its schema is {data['schema']}, but this gpukern reads schema {SCHEMA}")
    facts = _checked(Run, data, "the run")
    if missing := [name for name in ("device", "kind", "target", "driver", "threads") if name not in facts["machine"]]:
        raise Unreadable(f"its machine has no {', '.join(missing)}")
    rivals = facts["settings"].get("against")
    if not isinstance(rivals, list) or not all(isinstance(r, str) for r in rivals):
        raise Unreadable("its settings name no baselines (against)")
    lines = []
    for place, entry in enumerate(facts["lines"]):
        if isinstance(entry, dict) and "row" in entry:  # the name of "configuration" until 0.2
            entry = {("configuration" if key == "row" else key): fact for key, fact in entry.items()}
        line = Line(**_checked(Line, entry, f"line {place}"))
        _numbers(line.ours, f"the times of {line.name}")
        for name, times in line.rivals.items():
            _numbers(times, f"the times of {name} in {line.name}")
            if len(times) != len(line.ours):
                raise Unreadable(f"{line.name} has {len(line.ours)} turns of gpukern and {len(times)} of {name}")
        lines.append(line)
    return Run(**{**facts, "lines": lines})


def load(path: Path) -> Run:
    """The run in a file; Unreadable names the file."""
    try:
        text = path.read_text()
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Unreadable(f"{path}: it is not a text file") from None
    try:
        return loads(text)
    except Unreadable as error:
        raise Unreadable(f"{path}: {error}") from None


def select(lines: Sequence[Line], suite: str) -> list[Line]:
    return [line for line in lines if line.suite == suite]
