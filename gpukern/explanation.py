"""The result of `explain`, and how tensors are described to selection."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

PREDICTED = "predicted, not measured on a GPU"  # printed beside every figure of the cost model, here and in C++


@dataclass(frozen=True)
class Explanation:
    """What `explain` found; prints as text.

    configuration: the compiled kernel that runs, e.g. "simt/s128x128"; None if this build has none for the
    device.  refused: (kernel folder or configuration, reason) for everything that was ruled out before it, in the order
    of preference.  would_run: the configuration that a full build would run; splits: its split-K count, the ranges of k
    that separate blocks sum.  notes: further facts.  cycles: the cost model's estimate for would_run, made to rank
    configurations and fitted to no device; None on the CPU.  measurement: the stored measurement that decided the
    choice (date, device, times); without one, every figure is predicted and says so.
    """

    op: str
    problem: str
    device: str
    configuration: str | None
    refused: tuple[tuple[str, str], ...] = ()
    would_run: str | None = None
    notes: tuple[str, ...] = ()
    splits: int = 1
    cycles: float | None = None
    measurement: str | None = None

    @property
    def row(self) -> str | None:
        """The name of `configuration` until 0.2."""
        return self.configuration

    def __str__(self) -> str:
        runs = self.configuration or "torch"
        lines = [f"{self.op}: {self.problem}", f"  on        {self.device}", f"  runs      {runs}"]
        if self.configuration is None and self.would_run:
            lines.append(f"  a full build would run {self.would_run}; gpukern.info() says what to run to build it")
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
        return f"<{self.op} on {self.device}: {self.configuration or 'torch'}>"


Layout = tuple[int, int, int, int]  # row, column and batch stride in elements, and alignment in bytes
NO_LAYOUT: Layout = (0, 0, 0, 1)


def layout(t: Tensor | None) -> Layout:
    if t is None:
        return NO_LAYOUT
    batch, row, column = t.stride()
    size = t.element_size()
    start = t.storage_offset() * size if t.is_meta else t.data_ptr()
    # As in gpu_path.cpp: a stride along an extent of 1 is 0, and one unit stride of a matrix does not limit alignment.
    row, column, batch = (
        0 if extent <= 1 else stride for stride, extent in zip((row, column, batch), (*t.shape[1:], t.shape[0]))
    )
    steps = [row * size, column * size]
    if size in steps:
        steps.remove(size)
    return (row, column, batch, math.gcd(16, start, batch * size, *steps))


def on_meta(value: Any) -> Any:
    """A meta tensor with the same sizes and strides, so that torch checks a call and computes nothing."""
    if not isinstance(value, Tensor):
        return value
    there = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
    return there.conj() if value.is_conj() else there


class Recorder(TorchDispatchMode):
    """Records the calls of gpukern's ops that a function makes."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "gpukern":
            self.calls.append((func._schema.name.removeprefix("gpukern::"), args, kwargs or {}))
        return func(*args, **(kwargs or {}))


def cycles(found: dict[str, Any]) -> float | None:
    """The cost of the configuration that would run; None where none would, and on the CPU, which counts no cycles."""
    return None if not found["would_run"] or found["on_cpu"] else float(found["cost"])


def range_notes(found: dict[str, Any]) -> tuple[str, ...]:
    if found["splits"] == 1:
        return ()
    where = ", by the blocks of a cluster through distributed shared memory" if found["inside"] else ""
    return (f"split-K: {found['splits']} ranges of k, summed by separate blocks and added in a fixed order{where}",)


def pass_notes(found: dict[str, Any]) -> tuple[str, ...]:
    """Passes that run before the product: packing, or the split into terms."""
    if not found["workspace"]:
        return ()
    what = "operands are copied into a layout that TMA can load"
    if found["terms"]:
        what = "float32 operands are split into bfloat16 terms"
    return (f"{what} before the product, {found['workspace'] / 1e6:.3g} MB",)


def sum_notes(found: dict[str, Any], summed: bool) -> tuple[str, ...]:
    """Which kernel sums the bias's gradient."""
    if not summed:
        return ()
    if not found["parts"]:
        return ("the bias gradient is torch's sum over the rounded result",)
    where = "a separate epilogue kernel" if found["parts_apart"] else "the product's own kernel"
    parts = "one pass" if found["parts"] == 1 else f"{found['parts']} partial sums, which are added in a fixed order"
    return (f"the bias gradient is summed in {where}, in {parts}",)


def measurement(found: dict[str, Any]) -> str | None:
    return found["measurement"] if found["ranked"] else None


def measured_notes(found: dict[str, Any]) -> tuple[str, ...]:
    if not found["ranked"]:
        return ()
    return (f"chosen by a stored measurement of {found['measurement']}; GPUKERN_TUNING=off ignores it",)
