"""The host's cost of choosing a kernel: `python -m benchmarks.selection_cost`.

Nanoseconds per choice, the least of several turns of 2,000, for typical products on devices that need not be present.
For comparison it times torch.empty in the same run, which every call with a new result pays for too.  The suite
`overhead` measures whole calls on a GPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy
import torch

from gpukern import _C

COUNT, TURNS = 2000, 9
TYPES = {"float16": 0, "bfloat16": 1, "float32": 2, "float64": 3, "int8": 5}  # as csrc/core/dtype.h numbers them
DEVICES = ("sm_75", "sm_80", "sm_90", "gfx942")
# (name, type, m, n, k, alignment in bytes): A row-major, B column-major.
PRODUCTS = (
    ("a large product", "bfloat16", 4096, 4096, 4096, 16),
    ("16 rows (decoding)", "bfloat16", 16, 4096, 4096, 16),
    ("misaligned operands", "bfloat16", 4096, 4096, 4096, 2),
    ("one row", "float16", 1, 4096, 4096, 16),
    ("strict float32", "float32", 4096, 4096, 4096, 16),
    ("float64", "float64", 4096, 4096, 4096, 16),
)


def nanoseconds(call: Callable[[], object], count: int) -> float:
    """Nanoseconds of one of the `count` operations of a call, in the fastest turn: other load only adds."""
    best = float("inf")
    for _ in range(TURNS):
        started = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - started)
    return best / count * 1e9


def empties() -> None:
    for _ in range(COUNT):
        torch.empty(0)


def main() -> None:
    print(f"{'nanoseconds a choice':24}" + "".join(f"{device:>10}" for device in DEVICES))
    for what, kind, m, n, k, align in PRODUCTS:
        problem = (TYPES[kind], TYPES[kind], 0, 0, 1, m, n, k, 0, 1, align)
        many = numpy.array([problem] * COUNT)
        costs = [nanoseconds(partial(_C.gemm_choose, device, many), COUNT) for device in DEVICES]
        print(f"{what:24}" + "".join(f"{cost:10.0f}" for cost in costs))
    print(f"{'torch.empty(0)':24}{nanoseconds(empties, COUNT):10.0f}")


if __name__ == "__main__":
    main()
