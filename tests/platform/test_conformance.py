"""Every primitive of platform/ against the vendor's manual: cases with data that do not come from the model.

conformance/make_*.py derive the data from the manual's formulas; here the model replays it under several schedules, and
the same sources compile for a device, where `run_case` replays it too.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.platform.library import ROOT, model_library

FOLDER = Path(__file__).parent / "conformance"
SCHEDULES = [("fifo", 0, 1), ("lifo", 1, 1), ("random", 2, 7), *(("pct", 3, seed) for seed in range(1, 6))]
CASES = [case for path in sorted(FOLDER.glob("*.json")) for case in json.loads(path.read_text())]


SOURCES = sorted(p.relative_to(ROOT).as_posix() for p in FOLDER.glob("*.cu"))


@cache
def library() -> ctypes.CDLL:
    return named(model_library("conformance", tuple(SOURCES)))


def named(found: ctypes.CDLL) -> ctypes.CDLL:
    found.run_case.restype = found.case_names.restype = ctypes.c_char_p
    return found


def buffer(words: str) -> tuple[Any, int]:
    """The memory and size of "0000002a 00000001 ..": words of 32 bits."""
    values = [int(word, 16) for word in words.split()]
    return (ctypes.c_uint32 * max(len(values), 1))(*values), 4 * len(values)


def untouched(case: dict[str, Any]) -> str:
    """The output of a case whose primitive the device is too old for: unchanged."""
    return case.get("before") or " ".join(["ffffffff"] * len(case["output"].split()))


def replay(library: ctypes.CDLL, case: dict[str, Any]) -> tuple[str, str]:
    """What went wrong, and the output."""
    given, given_bytes = buffer(case["input"])
    output, output_bytes = buffer(untouched(case))
    error = library.run_case(
        case["case"].encode(), given, ctypes.c_size_t(given_bytes), output, ctypes.c_size_t(output_bytes)
    )
    return error.decode(), " ".join(f"{word:08x}" for word in output[: output_bytes // 4])


@pytest.mark.parametrize("case", CASES, ids=[c["name"] for c in CASES])
def test_word(case: dict[str, Any]) -> None:
    for name, order, seed in SCHEDULES:
        library().set_schedule(order, ctypes.c_uint32(seed), case.get("wave", 32))
        error, output = replay(library(), case)
        assert not error, (name, seed)
        assert output == case["output"], (name, seed, case["manual"])


def test_every_kernel_has_data_and_every_case_a_kernel() -> None:
    assert set(library().case_names().decode().split()) == {c["case"] for c in CASES}


@pytest.mark.parametrize("script", sorted(p.name for p in FOLDER.glob("make_*.py")))
def test_data_is_what_its_script_makes(script: str, tmp_path: Path) -> None:
    for path in FOLDER.glob("*.py"):
        shutil.copy(path, tmp_path)
    subprocess.run([sys.executable, script], cwd=tmp_path, check=True)
    made = list(tmp_path.glob("*.json"))
    assert made and all(json.loads(path.read_text()) == json.loads((FOLDER / path.name).read_text()) for path in made)


def nvcc() -> str:
    """The CUDA compiler, "" where there is none."""
    home = os.environ.get("CUDA_HOME") or "/usr/local/cuda"
    return shutil.which(f"{home}/bin/nvcc") or shutil.which("nvcc") or ""


@pytest.mark.slow
@pytest.mark.parametrize("target", ["80", "89", "90a"])
def test_the_same_kernels_are_a_devices(target: str, tmp_path: Path) -> None:
    """Compiled by nvcc the library has the cases of the target; where there is a device it gives the same words."""
    if not nvcc():
        return
    built = tmp_path / "libconformance.so"
    sources = [s for s in SOURCES if target == "90a" or not Path(s).name.startswith("hopper")]
    flags = ["-std=c++20", "-Icsrc", "-shared", "-cudart=static", "-Xcompiler=-fPIC,-Wall", "-Werror=all-warnings"]
    flags.append("-DGPUKERN_BOUNDED_WAITS")  # a wait that never ends is a message, not a device that hangs
    command = [nvcc(), *flags, f"-gencode=arch=compute_{target},code=sm_{target}", *sources, "-o", str(built)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    device = named(ctypes.CDLL(str(built)))
    names = set(device.case_names().decode().split())
    assert names <= {c["case"] for c in CASES} and (target != "90a" or len(names) == len({c["case"] for c in CASES}))
    for case in CASES:
        if case["case"] not in names or case.get("wave", 32) != 32:
            continue
        error, output = replay(device, case)
        if any(word in error for word in ("driver version is insufficient", "no CUDA-capable", "no kernel image")):
            return
        assert not error, case["name"]
        if not re.search("sm_89|sm_90", case["manual"]) or output != untouched(case):
            assert output == case["output"], case["name"]
