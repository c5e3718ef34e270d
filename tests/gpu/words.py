"""Each primitive of device code alone, on the device: `python -m tests.gpu.words [CASE ..]`.

The conformance cases of tests/platform, whose data come from the vendors' manuals, compiled for the present device
with waits that end.  Each case is named before it runs (progress.py), so that the watchdog knows which one hung.
GPUKERN_GPU_SKIP: cases to leave out, a line each.  Exit status: 0 all right, 1 a wrong one, 87 the runtime returned
an error and does not recover in this process.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.gpu import progress, watch
from tests.platform.library import ROOT
from tests.platform.test_conformance import CASES, SOURCES, named, nvcc, replay, untouched

BUILT = ROOT / "build" / "gpu-check" / "libconformance.so"


def compiled(target: str) -> ctypes.CDLL:
    """The cases that a device of this target ("sm_90") has; RuntimeError with the compiler's output."""
    number = target.removeprefix("sm_")
    word = "90a" if number == "90" else number
    sources = [s for s in SOURCES if word == "90a" or not Path(s).name.startswith("hopper")]
    flags = ["-std=c++20", "-Icsrc", "-shared", "-cudart=static", "-Xcompiler=-fPIC", "-DGPUKERN_BOUNDED_WAITS"]
    BUILT.parent.mkdir(parents=True, exist_ok=True)
    command = [nvcc(), *flags, f"-gencode=arch=compute_{word},code=sm_{word}", *sources, "-o", str(BUILT)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-4000:])
    return named(ctypes.CDLL(str(BUILT)))


def wrong(case: dict[str, Any], output: str) -> str:
    """Nothing, or what is wrong with the output of a case."""
    if re.search("sm_89|sm_90", case["manual"]) and output == untouched(case):
        return ""  # a primitive that this device is too old for
    return "" if output == case["output"] else f"the words differ from the manual's ({case['manual']})"


def main(names: list[str], library: ctypes.CDLL) -> int:
    left_out = {*os.environ.get("GPUKERN_GPU_SKIP", "").split("\n")}
    there = {*library.case_names().decode().split()}
    cases = [c for c in CASES if c["case"] in there and c.get("wave", 32) == 32 and c["name"] not in left_out]
    cases = [c for c in cases if not names or c["name"] in names]
    bad = 0
    for case in cases:
        progress.begins(case["name"])
        error, output = replay(library, case)
        if error:
            print(f"{case['name']}: WRONG: {error}", flush=True)
            return watch.LOST
        if text := wrong(case, output):
            print(f"{case['name']}: WRONG: {text}", flush=True)
        bad += bool(text)
    print(f"{len(cases)} cases, {bad} wrong", flush=True)
    return int(bad > 0 or not cases)


if __name__ == "__main__":
    from tests.gpu import device

    progress.begins("(compiling)")
    raise SystemExit(main(sys.argv[1:], compiled(device.target())))
