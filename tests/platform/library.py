"""Small libraries of kernels under the machine model: what the tests of the model itself compile."""

from __future__ import annotations

import ctypes
import fcntl
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from gpukern.model import build

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "csrc" / "platform" / "model"
FOLDER = Path("build") / "model" / "small"  # below the root; the libraries share it, its log and the machine's objects


MACHINE = (FOLDER / "libmachine.so").as_posix()


@cache
def model_library(name: str, sources: tuple[str, ...], flags: str = "") -> ctypes.CDLL:
    """Compiles what changed of `sources` (relative to the root) and of the machine; loads lib<name>.so."""
    whole = (FOLDER / f"lib{name}.so").as_posix()
    lines, objects = machine_rules(), []
    for source in sources:
        out = (FOLDER / name / f"{stem(source)}.o").as_posix()
        command = (
            f"{build.compiler()} {build.flags()} {build.WATCHED} {flags} -MMD -MF {out}.d -x c++ -c {source} -o {out}"
        )
        lines += [f"build {out}: cc {source}", f"  cmd = {command}"]
        objects.append(out)
    lines.append(f"build {whole}: link {' '.join([*objects, MACHINE])}")
    run_ninja(name, lambda: "\n".join(lines) + "\n")
    return load(whole)


def load(library: str) -> ctypes.CDLL:
    """A library that is linked with the machine.

    One machine serves them all: a loader has room for its thread variables only a dozen times.  It is loaded first, so
    that it calls its own functions, and locally, so that libraries with a machine of their own keep theirs.
    """
    ctypes.CDLL(str(ROOT / MACHINE))
    return ctypes.CDLL(str(ROOT / library))


def machine_rules() -> list[str]:
    """Lines for ninja that make MACHINE: the machine and its settings."""
    lines = [f"builddir = {FOLDER.as_posix()}", "rule cc", "  command = $cmd", "  depfile = $out.d", "  deps = gcc"]
    lines.append(f"rule link\n  command = {build.compiler()} -shared $flags $in -o $out.new -ldl && mv $out.new $out")
    objects = []
    for source in [*machine_sources(), "csrc/platform/model/harness.cpp"]:
        out = (FOLDER / f"{stem(source)}.o").as_posix()
        command = f"{build.compiler()} {build.flags()} -O3 -MMD -MF {out}.d -x c++ -c {source} -o {out}"
        lines += [f"build {out}: cc {source}", f"  cmd = {command}"]
        objects.append(out)
    soname = Path(MACHINE).name
    return [*lines, f"build {MACHINE}: link {' '.join(objects)}", f"  flags = -Wl,-soname,{soname} -Wl,-Bsymbolic"]


def run_ninja(name: str, listing: Callable[[], str], targets: Sequence[str] = ()) -> None:
    """Makes what `listing` describes, or these of it; of several processes, one compiles."""
    (ROOT / FOLDER).mkdir(parents=True, exist_ok=True)
    with (ROOT / FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        file = ROOT / FOLDER / f"{name}.ninja"
        build.rules().write_if_changed(file, listing())
        ninja = shutil.which("ninja", path=str(Path(sys.executable).parent)) or "ninja"
        command = [ninja, "-f", file.relative_to(ROOT).as_posix(), *targets]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:]


def sources_read(name: str, out: str) -> frozenset[str]:
    """The files that the compiler read for that object, from ninja's dependencies."""
    ninja = shutil.which("ninja", path=str(Path(sys.executable).parent)) or "ninja"
    command = [ninja, "-f", (FOLDER / f"{name}.ninja").as_posix(), "-t", "deps", out]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return frozenset(line.strip() for line in output.splitlines()[1:])


def machine_sources() -> Sequence[str]:
    """The machine, without the entry points of the project's own kernels."""
    found = [p for p in sorted(MODEL.glob("*.cpp")) if not p.name.startswith("harness")]
    return [p.relative_to(ROOT).as_posix() for p in found]


def stem(source: str) -> str:
    return "_".join(Path(source).with_suffix("").parts[1:])
