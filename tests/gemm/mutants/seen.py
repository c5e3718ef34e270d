"""Which case under which schedule sees a planted fault: it is tried first, and what it needs is compiled alone.

seen.json has a line a fault.  It saves time and decides nothing: a fault that is not seen where it was is looked for
in the whole library, as if nothing were written down.

    python -m tests.gemm.mutants.seen [options of pytest]     looks for every fault, and writes down where each is seen
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("seen.json")
RECORDING = os.environ.get("GPUKERN_RECORD_FAULTS") == "1"
MODULES = [f"tests/gemm/mutants/test_{name}mutants.py" for name in ("", "folder_", "hopper_", "sum_", "term_", "type_")]


@dataclass(frozen=True)
class Place:
    """The number of a case, the seed of the schedule, and what that case needs of the library (mutant.h)."""

    case: int
    seed: int
    parts: int


@cache
def recorded() -> dict[str, Place]:
    """By `Plant.key`; nothing while the record is being made."""
    return {} if RECORDING or not FILE.exists() else _read(FILE)


def _read(file: Path) -> dict[str, Place]:
    return {key: Place(**place) for key, place in json.loads(file.read_text()).items()}


def write_down(key: str, place: Place, file: Path = FILE) -> None:
    """Beside what other processes write: one at a time, and a reader finds the whole file or the one before it."""
    lock = file.with_name(f".{file.name}.lock")
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        write((_read(file) if file.exists() else {}) | {key: place}, file)


def write(places: dict[str, Place], file: Path = FILE) -> None:
    lines = [f"  {json.dumps(key)}: {json.dumps(asdict(place))}" for key, place in sorted(places.items())]
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        beside.write_text("{\n" + ",\n".join(lines) + "\n}\n")
        os.replace(beside, file)
    finally:
        beside.unlink(missing_ok=True)


def main() -> int:
    """Keeps what is written of faults that these options leave out, and drops those that are no more."""
    command = [sys.executable, "-m", "pytest", *MODULES, *sys.argv[1:]]
    done = subprocess.run(command, cwd=FILE.parents[3], env={**os.environ, "GPUKERN_RECORD_FAULTS": "1"})
    from tests.gemm.mutants.test_seen import every_key

    if FILE.exists():
        write({key: place for key, place in _read(FILE).items() if key in every_key()})
    FILE.with_name(f".{FILE.name}.lock").unlink(missing_ok=True)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
