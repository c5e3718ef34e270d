"""Small libraries of kernels under the machine model, or for a device: what the tests of the model itself compile."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "csrc" / "platform" / "model"
FOLDER = Path("build") / "model"  # below the root; the machine's objects are shared with machine.py's library
# As in machine.py: the compiler announces every access of a kernel; csrc/platform/model/hooks.cpp answers.
FLAGS = "-std=c++20 -O1 -g1 -fPIC -Wall -Wno-unknown-pragmas -Wno-maybe-uninitialized -DGPUKERN_MODEL -Icsrc"
WATCHED = "-fsanitize=thread --param tsan-instrument-func-entry-exit=0 -fno-threadsafe-statics"


@cache
def model_library(name: str, sources: tuple[str, ...], flags: str = "") -> ctypes.CDLL:
    """Compiles what changed of `sources` (relative to the root) and of the machine; loads build/model/lib<name>.so."""
    import ninja

    cxx = os.environ.get("CXX", "c++")
    whole = (FOLDER / f"lib{name}.so").as_posix()
    lines = [f"builddir = {(FOLDER / name).as_posix()}", "rule cc", "  command = $cmd"]
    lines += ["  depfile = $out.d", "  deps = gcc", f"rule link\n  command = {cxx} -shared $in -o $out -ldl"]
    objects = []
    for source in [*sources, *machine_sources()]:
        machine = source not in sources
        out = (FOLDER / ("" if machine else name) / f"{stem(source)}.o").as_posix()
        own = "-O2" if machine else f"{WATCHED} {flags}"
        command = f"{cxx} {FLAGS} {own} -MMD -MF {out}.d -x c++ -c {source} -o {out}"
        lines += [f"build {out}: cc {source}", f"  cmd = {command}"]
        objects.append(out)
    lines.append(f"build {whole}: link {' '.join(objects)}")
    listing = ROOT / FOLDER / name / "build.ninja"
    listing.parent.mkdir(parents=True, exist_ok=True)
    listing.write_text("\n".join(lines) + "\n")
    command = [str(Path(ninja.BIN_DIR) / "ninja"), "-f", listing.relative_to(ROOT).as_posix()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:]
    return ctypes.CDLL(str(ROOT / whole))


def machine_sources() -> Sequence[str]:
    """The machine, without the entry points of the project's own kernels."""
    found = [p for p in sorted(MODEL.glob("*.cpp")) if p.name != "harness.cpp"]
    return [p.relative_to(ROOT).as_posix() for p in found]


def stem(source: str) -> str:
    """As machine.py names objects: platform_model_machine."""
    return "_".join(Path(source).with_suffix("").parts[1:])
