"""Stored measurements of matrix products: where they are stored, when they are stale, how selection uses them.

`python -m gpukern bench tune` times the configurations for given shapes and stores their order: one JSON file a device
and gpukern version, in the folder that `GPUKERN_TUNING` names, else in `$XDG_CACHE_HOME/gpukern/tuning`, which is
~/.cache/gpukern/tuning where nothing is set.  `GPUKERN_TUNING=off` (or 0) neither reads nor stores.

Importing gpukern reads the files of its own version and touches no device.  An entry has the device's name from the
runtime.  A product queries that name when it runs, and only if something is stored.  A device that is only described
(`explain(.., device="sm_90a")`) has no name: it uses the measurements of its target if all of them come from one
device, and none if they come from several, because the target does not tell which device is meant.

A file is stale, and ignored as a whole, if its schema, gpukern's version or the table of compiled configurations
differs.  Torch and the driver are recorded for the reader only: the kernels do not depend on them.
"""

from __future__ import annotations

import json
import math
import os
import re
import warnings
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from . import _C
from .files import whole
from .info import built

SCHEMA = 1
LAYOUTS = ("nn", "nt", "tn", "tt")


class Stale(Exception):
    """A file is not used; the text says why."""


@dataclass(frozen=True)
class Product:
    """The product that was measured.  layout: of A and B, n row-major, t column-major."""

    dtype: str
    m: int
    n: int
    k: int
    batch: int
    layout: str

    @property
    def key(self) -> tuple[str, int, int, int, int, str]:
        return (self.dtype, self.m, self.n, self.k, self.batch, self.layout)

    def __str__(self) -> str:
        batch = f"{self.batch} x " if self.batch != 1 else ""
        return f"{self.dtype} {batch}{self.m} x {self.n} x {self.k} {self.layout}"


@dataclass(frozen=True)
class Entry(Product):
    """The configurations with correct results and their times in microseconds, fastest first."""

    ranking: tuple[tuple[str, float], ...]
    date: str


@dataclass(frozen=True)
class Stored:
    """The contents of one file."""

    device: str
    target: str
    entries: tuple[Entry, ...]


# ---- where -----------------------------------------------------------------------------------------------------------


def folder() -> Path | None:
    """The folder of measurements; None if GPUKERN_TUNING switches them off or there is no home folder."""
    asked = os.environ.get("GPUKERN_TUNING", "")
    if asked in ("off", "0"):
        return None
    if asked:
        return Path(os.path.expanduser(asked))
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(caches, "gpukern", "tuning") if os.path.isabs(caches) else None


def file_name(device: str) -> str:
    """nvidia-h200-0.1.0.json"""
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-") + f"-{_version()}.json"


@cache
def _version() -> str:
    return str(built()["version"])


@cache
def _types() -> dict[str, list[str]]:
    """Configuration -> the types it takes."""
    return {c["name"]: c["types"] for c in _C.gemm_configurations()}


@cache
def fingerprint() -> str:
    """A hash of the table of configurations.  It does not depend on what was built: selection skips unbuilt ones."""
    import hashlib

    table = [{key: value for key, value in c.items() if key != "targets"} for c in _C.gemm_configurations()]
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()[:16]


# ---- reading ---------------------------------------------------------------------------------------------------------


def load(path: Path) -> tuple[Stored | None, str]:
    """The contents of a file, or None and a sentence that says why it is not used; warns of a damaged file."""
    try:
        return _read(path), ""
    except Stale as stale:
        return None, f"{path} is stale: {stale}"
    except FileNotFoundError:
        return None, f"{path} does not exist"
    except (OSError, ValueError, TypeError, KeyError, ArithmeticError, RecursionError) as error:
        what = "cannot be read" if isinstance(error, OSError) else "is damaged"
        reason = (
            f"{path} {what} ({type(error).__name__}: {error}) and is ignored; "
            "delete it or run 'python -m gpukern bench tune' again"
        )
        warnings.warn(f"gpukern: {reason}", stacklevel=2)
        return None, reason


def _read(path: Path) -> Stored:
    facts = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(facts, dict):
        raise ValueError("it is not a JSON object")
    if "rows" in facts:  # the name of "configurations" until 0.2
        facts = {"configurations": facts["rows"], **facts}
    for key, here in (("schema", SCHEMA), ("gpukern", _version()), ("configurations", fingerprint())):
        if facts[key] != here:
            what = {"gpukern": "gpukern's version", "configurations": "the table of compiled configurations"}.get(
                key, f"its {key}"
            )
            raise Stale(f"{what} was {facts[key]!r} and is {here!r}")
    return Stored(_text(facts["device"]), _text(facts["target"]), tuple(map(_entry, facts["entries"])))


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError(f"{value!r} is not a name")
    return value


def _entry(facts: dict[str, Any]) -> Entry:
    ranking = tuple((_text(name), float(microseconds)) for name, microseconds in facts["ranking"])
    entry = Entry(**{**facts, "ranking": ranking})
    if entry.layout not in LAYOUTS or not _text(entry.date):
        raise ValueError(f"{entry.layout!r} is not a layout")
    if not all(type(extent) is int and 0 <= extent < 2**63 for extent in (entry.m, entry.n, entry.k, entry.batch)):
        raise ValueError(f"{entry.key} is not a product")
    if not ranking or not all(math.isfinite(time) and time > 0 for _, time in ranking):
        raise ValueError(f"the times of {entry.key} are not all positive numbers")
    for name, _ in ranking:
        if entry.dtype not in _types().get(name, ()):
            raise Stale(f"it names {name} for {entry.dtype}, which this build does not have")
    return entry


# ---- writing ---------------------------------------------------------------------------------------------------------


def store(device: str, target: str, entries: Iterable[Entry], driver: str = "") -> Path | None:
    """Adds entries to those of the device and this version, in place of older ones of the same products.

    The file is written whole or not at all, and two processes that store at once both keep theirs.  None where
    `GPUKERN_TUNING` says that nothing is stored; OSError where the folder cannot be written.
    """
    import fcntl

    where = folder()
    if where is None:
        return None
    where.mkdir(parents=True, exist_ok=True)
    path = where / file_name(device)
    with open(where / ".lock", "a") as lock:
        with suppress(OSError):  # a file system without locks: of two processes that store at once, one may be lost
            fcntl.flock(lock, fcntl.LOCK_EX)
        before, _ = load(path)
        kept = {entry.key: entry for entry in before.entries} if before and before.device == device else {}
        kept |= {entry.key: entry for entry in entries}
        facts = {
            "schema": SCHEMA,
            "device": device,
            "target": target,
            "gpukern": _version(),
            "configurations": fingerprint(),
            "torch": torch.__version__,
            "driver": driver,
            "date": max((entry.date for entry in kept.values()), default=""),
            "entries": [asdict(kept[key]) for key in sorted(kept)],
        }
        with whole(path) as beside:
            beside.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return path


# ---- use -------------------------------------------------------------------------------------------------------------


def said(entry: Entry, device: str) -> str:
    """2026-11-24 on NVIDIA H200 (simt/s64x64 12.3 us, next simt/s128x128 15.0 us)"""
    places = [f"{name} {time:.1f} us" for name, time in entry.ranking[:2]]
    return f"{entry.date} on {device} ({', next '.join(places)})"


def activate() -> int:
    """Passes the stored measurements to selection, which forgets earlier ones; returns the number of products.

    `import gpukern` does this once.  Call it again after changing the folder or `GPUKERN_TUNING`.
    """
    table = []
    for path in _files():
        stored, _ = load(path)
        if stored is None:
            continue
        device, target = stored.device, stored.target
        for entry in stored.entries:
            if len(entry.ranking) < 2:
                continue  # only one configuration was measured: there is no choice
            extents = (entry.m, entry.n, entry.k, entry.batch)
            names = [name for name, _ in entry.ranking]
            table.append((device, target, entry.dtype, extents, entry.layout, names, said(entry, device)))
    _C.gemm_set_ranking(table)
    return len(table)


def _files() -> list[Path]:
    """The files of this version.  Usually the folder does not exist; then an import does no more than this."""
    where = folder()
    if where is None:
        return []
    try:
        names = [entry.name for entry in os.scandir(where) if entry.name.endswith(".json")]
    except OSError:
        return []
    return [where / name for name in sorted(names) if name.endswith(f"-{_version()}.json")]
