"""Skinny products (csrc/gemm/arch/skinny): shapes, layouts and batches of their own, and their choice."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

import gpukern
from gpukern import _C
from gpukern.selection import named
from tests.gemm.kernels.asked import GPU_CONFIGURATIONS, exact, filled, laid_out, place
from tests.gemm.kernels.thin import is_skinny, shapes
from tests.oracle import fills
from tests.platform import machine
from tests.platform.machine import SCHEDULES, Schedule

CONFIGURATIONS = [c for c in GPU_CONFIGURATIONS if is_skinny(c)]
TYPES = [torch.float16, torch.float32, torch.float64, torch.int8]
CASES = [(c, t) for c in CONFIGURATIONS for t in TYPES if str(t).removeprefix("torch.") in c.types]
IDS = [f"{c.name}-{str(t).removeprefix('torch.')}" for c, t in CASES]
CONFIGURATION_IDS = [c.name for c in CONFIGURATIONS]


@pytest.mark.parametrize(("configuration", "dtype"), CASES, ids=IDS)
def test_every_number_of_vectors_length_and_depth(
    configuration: gpukern.selection.Configuration, dtype: torch.dtype
) -> None:
    """Each under the next of eight schedules, the weights by rows and by columns."""
    schedules = itertools.cycle([*SCHEDULES, ("random", 7)])
    for i, (m, n, k) in enumerate(shapes(configuration)):
        a, b = filled(dtype, 1, m, k, k=k), filled(dtype, 1, k, n, k=k)
        left, right = ("rows", "columns") if i // 2 % 2 else ("columns", "rows")
        order, seed = next(schedules)
        wave = 64 if i % 3 == 0 else 32
        exact(
            configuration,
            laid_out(a, left),
            laid_out(b, right),
            schedule=Schedule(order, seed, wave),
            aligned=i % 4 > 0,
        )


@pytest.mark.parametrize("wave", [32, 64])
@pytest.mark.parametrize(("configuration", "dtype"), CASES, ids=IDS)
def test_every_way_to_share_k(configuration: gpukern.selection.Configuration, dtype: torch.dtype, wave: int) -> None:
    """8 to 256 threads a row by rows, 4 to 32 side by side by columns."""
    size, vectors = dtype.itemsize, configuration.tile[1]
    for batch, long, k in ((1, 5, 40 // size), (1, 5, 260 // size), (2, 5, 3000 // size), (1, 20, 9000 // size)):
        w, x = filled(dtype, batch, long, k, k=k), filled(dtype, 1, k, vectors, k=k)
        exact(configuration, w, x.expand(batch, k, vectors), schedule=Schedule("pct", 3, wave), aligned=True)
    w, x = filled(dtype, 1, 9, 48, k=48), filled(dtype, 1, 48, vectors, k=48)  # one matrix, many times
    out = torch.empty(3, 9, vectors, dtype=dtype)
    exact(
        configuration,
        w.expand(3, 9, 48),
        x.expand(3, 48, vectors),
        out,
        schedule=Schedule("pct", 4, wave),
        aligned=True,
    )


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=CONFIGURATION_IDS)
def test_many_matrices_leave_each_of_them_fewer_threads(configuration: gpukern.selection.Configuration) -> None:
    w, x = filled(torch.float32, 530, 5, 300, k=300), filled(torch.float32, 1, 300, configuration.tile[1], k=300)
    exact(
        configuration,
        w,
        x.expand(530, 300, configuration.tile[1]),
        schedule=Schedule("fifo", check=False),
        aligned=True,
    )


@pytest.mark.parametrize(("configuration", "dtype"), CASES, ids=IDS)
def test_rows_that_overlap_and_rows_that_are_not_aligned(
    configuration: gpukern.selection.Configuration, dtype: torch.dtype
) -> None:
    """A window that slides over a signal has two unit strides; a row of 33 elements starts anywhere."""
    signal = filled(dtype, 1, 100, k=48)
    x = filled(dtype, 1, 48, configuration.tile[1], k=48)
    for step in (1, 2, 5):
        windows = signal.unfold(1, 48, step)
        exact(configuration, windows, x, aligned=True)
        exact(configuration, windows, laid_out(x, "columns"), aligned=True)
        exact(configuration, laid_out(x, "columns").transpose(1, 2), windows.transpose(1, 2), aligned=True)
    for k in (33, 47):
        exact(
            configuration,
            filled(dtype, 2, 21, k, k=k),
            laid_out(filled(dtype, 2, k, configuration.tile[1], k=k), "columns"),
        )


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=CONFIGURATION_IDS)
def test_the_order_of_a_sum_is_the_problems_alone(configuration: gpukern.selection.Configuration) -> None:
    """Bitwise the same under every schedule."""
    a, b = fills.normal(1, 37, 1100), fills.normal(1, 1100, configuration.tile[1])
    first: Tensor | None = None
    for order, seed in SCHEDULES:
        got = machine.product(
            *place(configuration), torch.empty(1, 37, configuration.tile[1]), a, b, schedule=Schedule(order, seed)
        )
        first = got if first is None else first
        assert torch.equal(first, got)


def would_run(m: int, n: int, k: int, a: str, b: str, dtype: str = "bfloat16", device: str = "sm_90", **o: Any) -> str:
    """A and B by rows ("n") or columns ("t"), every stride a multiple of 16 bytes."""
    left = (k, 1, m * k, 16) if a == "n" else (1, m, m * k, 16)
    right = (n, 1, n * k, 16) if b == "n" else (1, k, n * k, 16)
    layouts = [left, right, (0, 0, 0, 1), (n, 1, m * n, 16), (0, 0, 0, 1)]
    found = _C.gemm_explain(dtype, (1, m, n, k), layouts, 1.0, 0.0, False, o.get("activation", "none"), False, device)
    return str(found["would_run"])


@pytest.mark.parametrize("device", ["sm_75", "sm_80", "sm_90a", "sm_120", "gfx90a", "gfx942", "gfx1100"])
def test_selection_reads_the_weights_along_their_unit_stride(device: str) -> None:
    for long, k in ((57344, 7168), (7168, 16384), (4096, 4096), (100_000, 512), (300, 1000)):
        for m in range(1, 9):
            few = 1 if m == 1 else 8
            assert would_run(m, long, k, "n", "t", device=device) == f"skinny/r{few}"  # linear
            assert would_run(m, long, k, "n", "n", device=device) == f"skinny/c{few}"  # x @ W
            assert would_run(long, m, k, "n", "t", device=device) == f"skinny/r{few}"
            assert would_run(long, m, k, "t", "n", device=device) == f"skinny/c{few}"
        assert not named(would_run(9, long, k, "n", "t", device=device)).vectors


def test_refusals_say_why() -> None:
    def reasons(dtype: str, m: int, n: int, activation: str = "none") -> dict[str, str]:
        rows = [(64, 1, 64 * m, 16), (n, 1, n * 64, 16), (0, 0, 0, 1), (n, 1, m * n, 16), (0, 0, 0, 1)]
        found = _C.gemm_explain(dtype, (1, m, n, 64), rows, 1.0, 0.0, False, activation, False, "sm_90")
        return dict(found["refusals"])

    not_built = "no code was built for this device"
    tiles = "it serves results of at most 8 rows or columns; for larger ones tiled kernels reuse each load more"
    assert reasons("float32", 9, 9)["skinny"] in (tiles, not_built)
    assert reasons("int32", 8, 9, "relu")["skinny"] in ("an activation needs a floating type", not_built)
    found = reasons("float32", 2, 900)
    one = "it multiplies by one vector only; this product has more"
    assert found.get("skinny") == not_built or found["skinny/r1"] == found["skinny/c1"] == one
