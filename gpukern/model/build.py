"""The machine model's library: the kernel sources as plain C++, compiled on first use.

In a source tree it lies in build/model.  An installed gpukern contains the sources and keeps the library in the user's
cache folder, under a hash of the sources.  Compiling takes about half a minute and needs a C++ compiler.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from types import ModuleType

PACKAGE = Path(__file__).resolve().parents[1]
FLAGS = "-std=c++20 -O1 -g1 -fPIC -Wall -Wno-unknown-pragmas -Wno-maybe-uninitialized -DGPUKERN_MODEL -Icsrc"
# Without this flag, two libraries in one process share the variables of a header, tables of kernels among them.
OF_GCC = "-fno-gnu-unique"
# The compiler inserts a call for every access of a kernel to memory; csrc/platform/model/hooks.cpp has the functions.
WATCHED = "-fsanitize=thread --param tsan-instrument-func-entry-exit=0 -fno-threadsafe-statics"


@cache
def root() -> Path:
    """The folder that holds csrc/: the source tree, else the package."""
    for folder in (PACKAGE.parent, PACKAGE):
        if (folder / "csrc" / "platform" / "model" / "machine.cpp").exists():
            return folder
    raise RuntimeError("gpukern.model: the kernel sources (csrc/) are not beside the package; install gpukern anew")


@cache
def rules() -> ModuleType:
    """The module csrc/build_rules.py, which lists the sources and the families."""
    name = "gpukern_build_rules"
    spec = importlib.util.spec_from_file_location(name, root() / "csrc" / "build_rules.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def compiler() -> str:
    """$CXX, else g++ or clang++; RuntimeError where there is none."""
    found = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++") or shutil.which("c++")
    if not found:
        raise RuntimeError("gpukern.model compiles the kernels for the CPU; install g++ >= 11 or set CXX")
    return found


@cache
def flags() -> str:
    """FLAGS, with OF_GCC for g++; clang++ does not know that flag and does not need it."""
    said = subprocess.run(f"{compiler()} --version", shell=True, capture_output=True, text=True).stdout
    return f"{FLAGS} {OF_GCC}" if "Free Software Foundation" in said else FLAGS


def folder() -> Path:
    """Where objects and the library go."""
    if root() == PACKAGE.parent:
        return root() / "build" / "model"
    digest = hashlib.sha256(compiler().encode())
    for source in sorted((root() / "csrc").rglob("*")):
        if source.is_file():
            digest.update(source.read_bytes())
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "gpukern" / f"model-{digest.hexdigest()[:16]}"


def commands(to: Path) -> dict[str, tuple[str, str]]:
    """Object file -> its source and command: every .cu of the kernels, and the model's own .cpp files."""
    found = {}
    kernels = [p for p in rules().below("*.cu") if p.parent != Path("csrc/platform")]
    machine = sorted(p.relative_to(root()) for p in (root() / "csrc/platform/model").glob("*.cpp"))
    for source in [*kernels, *machine]:
        stem = "_".join(source.relative_to("csrc").with_suffix("").parts)
        for family in rules().families() if source == Path("csrc/elementwise/gpu.cu") else [""]:
            named = f"-DGPUKERN_FAMILY={family}" if family else ""
            own = WATCHED if source.suffix == ".cu" else "-O3"
            out = (to / f"{stem}{'_' + family if family else ''}.o").as_posix()
            line = f"{compiler()} {flags()} {own} {named} -MMD -MF {out}.d -x c++ -c {source} -o {out}"
            found[out] = (source.as_posix(), line)
    return found


def build() -> Path:
    """Compiles what changed and returns the library's path.  RuntimeError with the compiler's output if it fails."""
    to = folder()
    to.mkdir(parents=True, exist_ok=True)
    with (to / "lock").open("w") as lock:  # of two processes that start at once, one compiles and the other waits
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _build(to)


def _build(to: Path) -> Path:
    library = to / "libgpukern_model.so"
    objects = commands(to)
    link = f"{compiler()} -shared {' '.join(objects)} -o {library}.new -ldl && mv {library}.new {library}"
    ninja = shutil.which("ninja", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if ninja is None:
        if library.exists() and root() == PACKAGE:
            return library
        _run_all([line for _, line in objects.values()])
        _run_all([link])
        return library
    lines = [
        f"builddir = {to.as_posix()}",
        "rule cc\n  command = $cmd\n  depfile = $out.d\n  deps = gcc\n  description = model $out",
        f"rule link\n  command = {link}\n  description = model $out",
    ]
    lines += [f"build {out}: cc {source}\n  cmd = {line}" for out, (source, line) in objects.items()]
    lines.append(f"build {library.as_posix()}: link {' '.join(objects)}")
    rules().write_if_changed(to / "build.ninja", "\n".join(lines) + "\n")
    _run_all([f"{shlex.quote(ninja)} -f {(to / 'build.ninja').as_posix()}"])
    return library


def _run_all(lines: list[str]) -> None:
    def one(line: str) -> str:
        done = subprocess.run(line, shell=True, cwd=root(), capture_output=True, text=True)
        return "" if done.returncode == 0 else (done.stdout + done.stderr)[-6000:]

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        failed = [text for text in pool.map(one, lines) if text]
    if failed:
        raise RuntimeError("gpukern.model: the kernels did not compile for the CPU:\n" + failed[0])


@cache
def library() -> ctypes.CDLL:
    """The library, compiled if need be."""
    found = ctypes.CDLL(str(build()))
    for name in ("elementwise", "product", "counts"):
        getattr(found, f"gpukern_model_{name}").restype = ctypes.c_char_p
    found.gpukern_model_unwritten.restype = ctypes.c_int64
    return found
