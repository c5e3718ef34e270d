"""What `explain` answers, and how it describes tensors to the selection."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

PREDICTED = "predicted, not measured on a GPU"  # said beside every figure of the cost model, here and in C++


@dataclass(frozen=True)
class Explanation:
    """What `explain` found; prints as text.

    row: the compiled kernel that runs, e.g. "simt/s128x128"; None where this build has none for the device.
    refused: (folder or row, reason) for everything better that was passed over, in the order it was asked.
    would_run: the row that a full build would run; splits: the ranges of k that it adds up, each summed by blocks of
    its own.  notes: what else is to be said.  cycles: what the cost model, made to rank rows and fitted to no device,
    gives would_run; None on the CPU.  measurement: what a stored measurement said that chose the row (date, device,
    times); where there is none, every figure is predicted and says so.
    """

    op: str
    problem: str
    device: str
    row: str | None
    refused: tuple[tuple[str, str], ...] = ()
    would_run: str | None = None
    notes: tuple[str, ...] = ()
    splits: int = 1
    cycles: float | None = None
    measurement: str | None = None

    def __str__(self) -> str:
        lines = [f"{self.op}: {self.problem}", f"  on        {self.device}", f"  runs      {self.row or 'torch'}"]
        if self.row is None and self.would_run:
            lines.append(f"  built, it would run {self.would_run}; gpukern.info() says what to run to build it")
        if self.measurement:
            lines.append(f"  measured  {self.measurement}")
        elif self.cycles is not None:
            lines.append(f"  cost      {self.cycles:,.0f} cycles by the cost model: {PREDICTED}")
        if self.refused:
            width = max(len(name) for name, _ in self.refused)
            lines += [
                f"  {'refused' if i == 0 else '':8}  {name:{width}}  {reason}"
                for i, (name, reason) in enumerate(self.refused)
            ]
        lines += [f"  {'note' if i == 0 else '':8}  {note}" for i, note in enumerate(self.notes)]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<{self.op} on {self.device}: {self.row or 'torch'}>"


def adds_terms(name: str) -> bool:
    """Whether a row multiplies float32 as bfloat16 terms."""
    return name.startswith(("terms/", "sm_90a/t"))


Layout = tuple[int, int, int, int]  # row, column and batch stride in elements, and alignment in bytes
NO_LAYOUT: Layout = (0, 0, 0, 1)


def layout(t: Tensor | None) -> Layout:
    if t is None:
        return NO_LAYOUT
    batch, row, column = t.stride()
    size = t.element_size()
    start = t.storage_offset() * size if t.is_meta else t.data_ptr()
    # As gpu_path.cpp has it: a stride that is never walked is 0, and one unit stride of a matrix is excused.
    row, column, batch = (
        0 if extent <= 1 else stride for stride, extent in zip((row, column, batch), (*t.shape[1:], t.shape[0]))
    )
    steps = [row * size, column * size]
    if size in steps:
        steps.remove(size)
    return (row, column, batch, math.gcd(16, start, batch * size, *steps))


def on_meta(value: Any) -> Any:
    """The same sizes and strides without data; torch then checks a call and computes nothing."""
    if not isinstance(value, Tensor):
        return value
    there = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
    return there.conj() if value.is_conj() else there


class Recorder(TorchDispatchMode):
    """The calls of gpukern's ops that a function is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "gpukern":
            self.calls.append((func._schema.name.removeprefix("gpukern::"), args, kwargs or {}))
        return func(*args, **(kwargs or {}))


def cycles(found: dict[str, Any]) -> float | None:
    """The cost of the row that would run; None where none would, and on the CPU, whose one row counts no cycles."""
    row: str = found["would_run"]
    return None if not row or row.startswith("host/") else float(found["cost"])


def range_notes(found: dict[str, Any]) -> tuple[str, ...]:
    if found["splits"] == 1:
        return ()
    where = ", by the blocks of a cluster through their shared memory" if found["inside"] else ""
    return (f"k is summed in {found['splits']} ranges by blocks of their own, which are added in a fixed order{where}",)


def pass_notes(found: dict[str, Any]) -> tuple[str, ...]:
    """What is written to memory before the product."""
    if not found["workspace"]:
        return ()
    what = "operands are copied into lines that TMA brings"
    if adds_terms(found["would_run"]):
        what = "float32 operands are written as bfloat16 terms"
    return (f"{what} first, {found['workspace'] / 1e6:.3g} MB",)


def sum_notes(found: dict[str, Any], summed: bool) -> tuple[str, ...]:
    """In which pass the bias's gradient is summed."""
    if not summed:
        return ()
    if not found["parts"]:
        return ("the bias's gradient is torch's sum of the rounded result",)
    where = "the pass that ends the product" if found["parts_apart"] else "the product's own pass"
    parts = "one part" if found["parts"] == 1 else f"{found['parts']} parts, which are added in a fixed order"
    return (f"the bias's gradient is summed in {where}, in {parts}",)


def measurement(found: dict[str, Any]) -> str | None:
    return found["measurement"] if found["ranked"] else None


def measured_notes(found: dict[str, Any]) -> tuple[str, ...]:
    if not found["ranked"]:
        return ()
    return (f"chosen by a stored measurement of {found['measurement']}; GPUKERN_TUNING=off ignores it",)
