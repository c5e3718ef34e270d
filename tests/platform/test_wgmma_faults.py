"""A TMA + mbarrier + wgmma product with faults planted one at a time: the model must find each, and no other."""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.platform.library import model_library

ORDERS = {"fifo": 0, "lifo": 1, "random": 2, "pct": 3}
MARGIN = 4096  # bytes around every matrix that belong to no tensor
SEEDS = 10


@cache
def library() -> ctypes.CDLL:
    found = model_library("wgmma_faults", ("tests/platform/faults/wgmma_product.cu",))
    found.fault_names.restype = found.run_fault.restype = ctypes.c_char_p
    assert found.fault_names().decode().split() == NAMES
    return found


NAMES = re.findall(r"DO\((\w+), \d\)", (Path(__file__).parent / "faults" / "wgmma_faults.h").read_text())
CORRECT = [k for k, name in enumerate(NAMES) if name.startswith("none")]
PLANTED = [k for k in range(len(NAMES)) if k not in CORRECT]


@dataclass(frozen=True)
class Shape:
    m: int
    n: int
    k: int
    clusters: int = 1  # of blocks that run; fewer than tiles: some compute several


class Matrix:
    """(rows, columns) of bfloat16 in the middle of memory that belongs to no tensor."""

    def __init__(self, rows: int, columns: int) -> None:
        self.stride = columns + 8
        elements = rows * self.stride
        self.memory = torch.full((elements + MARGIN,), float("nan"), dtype=torch.bfloat16)
        first = MARGIN // 4 + (-self.memory.data_ptr() // 2 - MARGIN // 4) % 8  # a multiple of 16 bytes
        self.view = self.memory[first : first + elements].view(rows, self.stride)[:, :columns]


def run(fault: int, shape: Shape, order: str, seed: int, cluster: int = 1) -> str:
    """The model's message, or that the result is wrong, or ""."""
    torch.manual_seed(7)
    a, b, d = Matrix(shape.m, shape.k), Matrix(shape.n, shape.k), Matrix(shape.m, shape.n)
    for operand in (a, b):  # small integers: every sum is exact
        operand.view.copy_(torch.randint(-3, 4, operand.view.shape))
    extents = (ctypes.c_int64 * 6)(shape.m, shape.n, shape.k, a.stride, b.stride, d.stride)
    pointers = [ctypes.c_void_p(x.view.data_ptr()) for x in (a, b, d)]
    margin = ctypes.c_int64(MARGIN // 4)
    message = library().run_fault(
        fault, cluster, *pointers, extents, margin, shape.clusters, ORDERS[order], ctypes.c_uint32(seed)
    )
    if message:
        return str(message.decode())
    return "" if torch.equal(d.view, expected(a.view, b.view)) and untouched(d) else "a wrong result"


def expected(a: Tensor, b: Tensor) -> Tensor:
    return (a.float() @ b.float().T).bfloat16()


def untouched(d: Matrix) -> bool:
    """Nothing around the matrix was written."""
    d.view.zero_()
    return int(d.memory.isnan().sum()) == d.memory.numel() - d.view.numel()


FAULTY = Shape(200, 136, 264)


@pytest.mark.parametrize("fault", PLANTED, ids=[NAMES[k] for k in PLANTED])
def test_fault_is_found(fault: int) -> None:
    assert any(run(fault, FAULTY, "pct", seed) for seed in range(1, SEEDS + 1)), NAMES[fault]


# A whole grid, several tiles a block, one element more than a tile, less than a step.
SHAPES = [Shape(200, 136, 264), Shape(8, 8, 8), Shape(136, 72, 200, 2), Shape(128, 128, 64), Shape(72, 136, 192, 2)]
KINDS = [("none", 1), ("none", 2), ("none_by_registers", 1)]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "cluster"), KINDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_no_false_alarm(shape: Shape, kind: str, cluster: int) -> None:
    schedules = [("fifo", 1), ("lifo", 1), *(("random", s) for s in range(10)), *(("pct", s) for s in range(10))]
    for order, seed in schedules:
        assert not run(NAMES.index(kind), shape, order, seed, cluster), (order, seed)


MESSAGES = {
    "never_released": ["deadlock in block (0,0,0)", "mbarrier_wait_parity (parity", "lacks 2 of 2 arrivals"],
    "store_fence_missing": [
        "thread 128 (warp 4, lane 0)",
        "no fence_proxy_async between",
        "tma_store at wgmma_product.h:",
    ],
    "released_before_wait": [
        "race: shared memory at offset",
        "wgmma at wgmma_product.h:",
        "tma_load at wgmma_product.h:",
    ],
    "drain_missing": ["block 0 of the cluster ends", "mbarrier_arrive_cluster at wgmma_product.h:"],
    "descriptor_by_warp": ["warp 1 of the warpgroup executes another wgmma"],
    "registers_too_many": ["deadlock", "setmaxnreg_inc (2304 registers more"],
}


@pytest.mark.parametrize("name", MESSAGES)
def test_message_names_who_and_where(name: str) -> None:
    message = run(NAMES.index(name), FAULTY, "pct", 1)
    assert "faults::product<" in message
    assert all(part in message for part in MESSAGES[name]), message
