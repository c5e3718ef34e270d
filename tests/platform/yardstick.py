"""What a compiler's CPU seconds are worth on this machine.

One compiler takes 26 or 46 CPU seconds for one file, by the processor and by what shares it, so a budget in seconds
means nothing by itself.  Here the compiler is timed on a file that never changes (yardstick.cu), as many at a time as a
build runs, and what a build took is divided by its pace.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.platform.toolchains import ROOT, parallel, timed

SOURCE = ROOT / "tests/platform/yardstick.cu"
ROUNDS = 3
# Where the package took 337 seconds of nvcc and 328 of clang, these took 2.45 and 2.88 for the yardstick: its share of
# 595 and 569 on another machine, where both were timed.
NVCC_SECONDS, CLANG_SECONDS = 2.45, 2.88


def once(reference: float, *command: str | Path) -> float:
    """How many of this machine's seconds equal one second of a budget; the output's name is appended."""
    with tempfile.TemporaryDirectory() as folder:
        return timed(*command, SOURCE, "-o", Path(folder) / "out")[1] / reference


def pace(reference: float, *command: str | Path) -> float:
    """The mean of several, as many at a time as a build runs."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    taken: list[float] = parallel(lambda _: once(reference, *command), range(ROUNDS * cores))
    return sum(taken) / len(taken)


def nvcc(compiler: str, measure: Callable[..., float] = pace) -> float:
    return measure(NVCC_SECONDS, compiler, "-std=c++20", "-O3", "-arch=sm_80", "-cubin")


def clang(compiler: str, flags: list[str]) -> float:
    device = ("--offload-arch=gfx942", "--offload-device-only", "--no-gpu-bundle-output")
    return pace(CLANG_SECONDS, compiler, *flags, *device, "-c")
