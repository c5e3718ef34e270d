"""The model's layouts against CuTe's headers (the nvidia-cutlass package), compiled for the host.

Each tests/platform/cute_*.cpp prints a line a table: its name, and in how many elements the two differ.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.platform.library import ROOT

SOURCES = sorted(Path(__file__).parent.glob("cute_*.cpp"))


def package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    assert spec and spec.submodule_search_locations, f"{name} is in requirements-dev.txt"
    return Path(next(iter(spec.submodule_search_locations)))


def include_folders() -> list[str]:
    """CuTe, and what it includes of CUDA 13: the pinned packages have all of it."""
    cuda = package("nvidia.cu13") / "include"
    folders = [package("cutlass_library") / "source" / "include", cuda, cuda / "cccl"]
    return ["-Icsrc", *(word for folder in folders for word in ("-isystem", str(folder)))]


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES, ids=[p.stem for p in SOURCES])
def test_layouts_are_cutes(source: Path, tmp_path: Path) -> None:
    program = tmp_path / source.stem
    compiler = shlex.split(os.environ.get("CXX", "c++"))
    command = [*compiler, "-std=c++20", "-w", *include_folders(), str(source), "-o", str(program)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    lines = subprocess.run([str(program)], capture_output=True, text=True, check=True).stdout.split("\n")
    tables = dict(line.rsplit(" ", 1) for line in lines if line)
    assert tables and set(tables.values()) == {"0"}, tables
