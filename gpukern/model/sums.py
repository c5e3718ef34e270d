"""Products whose columns are summed, under the machine model (csrc/gemm/model/harness_sums.cpp)."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from .build import library
from .machine import (
    ACTIVATIONS,
    PRECISIONS,
    PRODUCT_TYPES,
    ModelError,
    Schedule,
    _array,
    _layout,
    _precision_for,
    set_schedule,
)
from .memory import Guarded


def product_with_sums(
    folder: int, row: int, out: Tensor, a: Tensor, b: Tensor, *,
    derivative: str = "none", saved: Tensor | None = None, precision: str | None = None, splits: int = 1,
    schedule: Schedule | None = None, aligned: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(D, the sums of its columns): one row over guarded copies of (m, k), (k, n) and, for saved, (m, n).

    What is said of `product` holds; the sums, their parts and the ranges' sums are watched too, and are NaN
    until they are written.  ModelError where the kernel does what no kernel may.
    """
    set_schedule(schedule or Schedule())
    given = {"a": a, "b": b, "saved": saved}
    memory = {name: Guarded(t, aligned=aligned).fill(t) for name, t in given.items() if t is not None}
    target, sums = (Guarded(t, aligned=aligned).poison() for t in (out, out.new_empty(out.shape[1])))
    views = {name: buffer.view for name, buffer in memory.items()}
    types = [PRODUCT_TYPES.index(t.dtype) for t in (a, out)]
    described = (
        _array(ctypes.c_int, [
            folder, row, *types, PRECISIONS.index(precision or _precision_for(folder, a.dtype)), splits,
            ACTIVATIONS.index(derivative),
        ]),
        _array(ctypes.c_int64, [*out.shape, a.shape[1]]),
        _array(ctypes.c_int64, [
            v for t in (views["a"], views["b"], target.view, views.get("saved")) for v in _layout(t)
        ]),
    )  # fmt: skip
    machine = library()
    rooms = (ctypes.c_int64 * 3)()
    machine.gpukern_model_rooms_sums_product(*described, rooms)
    wide = torch.float64 if a.dtype == torch.float64 else torch.float32
    partial, workspace, parts = (
        Guarded(torch.empty(size, dtype=dtype), aligned=True).poison()
        for size, dtype in ((rooms[0], wide), (rooms[1], torch.uint8), (rooms[2] * out.shape[1], wide))
    )
    machine.gpukern_model_forget_buffers()
    for name, buffer in memory.items():
        buffer.watch(name, False)
    written = {"output": target, "sums": sums, "ranges": partial, "workspace": workspace, "parts": parts}
    for name, buffer in written.items():
        buffer.watch(name, True)
    data = [views["a"], views["b"], target.view, views.get("saved"), *(
        buffer.view if buffer.view.numel() else None for buffer in (partial, workspace, sums, parts)
    )]  # fmt: skip
    pointers = _array(ctypes.c_void_p, [None if t is None else t.data_ptr() for t in data])
    error = machine.gpukern_model_sums_product(*described, pointers)
    if error:
        raise ModelError(error.decode())
    for buffer in memory.values():
        buffer.untouched()
    for buffer in (target, sums):
        buffer.check_gaps()
    return target.view.clone(), sums.view.clone()
