"""The machine model: runs the GPU kernels on a CPU, thread by thread, and checks every access to memory.

    result, report = gpukern.model.run("matmul", a, b, configuration="simt/s64x64", schedule="pct", seed=7)

A fault of the kernel (a race, a read of unwritten memory, an access out of bounds, a deadlock, a misaligned packet)
raises a `ModelError` that names kernel, block, thread and source line.  docs/model.md tells how to debug a kernel with
the model, and what it cannot show.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .. import _C, ops, selection
from ..explanation import on_meta
from . import machine
from .configurations import place_of
from .machine import LineCount, ModelError, Refused, Schedule

__all__ = ["LineCount", "ModelError", "Refused", "Report", "Schedule", "run"]


@dataclass(frozen=True)
class Report:
    """Counts of a run; prints as a table.

    kernel: the configuration or path that ran.  blocks, threads, barriers (arrivals), collectives (of warps), switches
    (between threads).  lines: requests, bytes and passes by source line, empty with count=False.
    """

    kernel: str
    blocks: int
    threads: int
    barriers: int
    collectives: int
    switches: int
    lines: tuple[LineCount, ...] = ()

    def moved(self, space: str, kind: str) -> int:
        """Bytes that threads read or wrote ("read", "write") in "shared" or "global" memory."""
        return sum(line.bytes for line in self.lines if (line.space, line.kind) == (space, kind))

    @property
    def bank_conflicts(self) -> int:
        """Passes over the banks of shared memory beyond the fewest possible."""
        return sum(line.passes - line.ideal for line in self.lines if line.space == "shared")

    @property
    def sectors_per_request(self) -> float:
        """Sectors of 32 bytes that a warp's request of global memory touches, on average."""
        requests = [line for line in self.lines if line.space == "global"]
        return sum(line.passes for line in requests) / max(1, sum(line.requests for line in requests))

    def __str__(self) -> str:
        text = [
            f"{self.kernel}: {self.blocks} blocks, {self.threads} threads, {self.barriers} arrivals at barriers, "
            f"{self.collectives} warp collectives, {self.switches} switches"
        ]
        if self.lines:
            for space in ("global", "shared"):
                read, written = self.moved(space, "read"), self.moved(space, "write")
                text.append(f"  {space} memory: {read} bytes read, {written} bytes written")
            text.append(f"  shared memory: {self.bank_conflicts} passes lost to bank conflicts")
            text.append(f"  global memory: {self.sectors_per_request:.2f} sectors a request")
            text.append(f"  {'line':28} {'space':6} {'':5} {'requests':>9} {'bytes':>11} {'passes':>9} {'fewest':>9}")
            for c in self.lines:
                text.append(
                    f"  {c.line:28} {c.space:6} {c.kind:5} {c.requests:9} {c.bytes:11} {c.passes:9} {c.ideal:9}"
                )
        return "\n".join(text)


def run(
    op: str,
    *args: Any,
    configuration: str | None = None,
    schedule: str = "pct",
    seed: int = 7,
    wave: int = 32,
    check: bool = True,
    count: bool = True,
    **kwargs: Any,
) -> tuple[Any, Report]:
    """Runs a GPU kernel under the machine model; returns the result as a CPU tensor (two where the op has two), and a
    Report.

    op: the name of a gpukern product (matmul, addmm, ..) or elementwise function (silu, ..), then its arguments.
    configuration: of a product ("simt/s64x64"; `gpukern.available(built=False)` lists them), else an H100's choice.
    schedule: "fifo", "lifo", "random" or "pct", which with the seed decides the order of the threads.  wave: lanes of a
    warp, 32 or 64.  check: look for races and uninitialised reads.  count: count bytes, bank conflicts and sectors by
    source line (for small shapes: every request is kept until its block ends).

    ModelError for a fault of the kernel; Refused, a ValueError, if the configuration cannot serve the call, with the
    reason that explain() would give; torch's errors for wrong arguments; ValueError for an unknown op, configuration or
    schedule.
    """
    if schedule not in machine.ORDERS:
        raise ValueError(f"there is no schedule {schedule!r}; choose one of {', '.join(machine.ORDERS)}")
    if "row" in kwargs:  # the name of `configuration` until 0.2; no op has an argument of that name
        if configuration is not None:
            raise TypeError("run() got both configuration= and row=, its name until 0.2; pass configuration= alone")
        configuration = kwargs.pop("row")
    plan = Schedule(schedule, seed, wave, check, count)
    machine.report()
    machine.counts()
    if op in selection._PRODUCTS:
        result, kernel = _product(op, args, kwargs, configuration, plan)
    elif op in selection._elementwise_names():
        if configuration is not None:
            raise ValueError(f"{op} has no configurations to choose from; the layout of its arguments decides")
        result, kernel = _elementwise(op, args, kwargs, plan)
    else:
        known = ", ".join([*selection._PRODUCTS, *sorted(selection._elementwise_names())])
        raise ValueError(f"there is no op {op!r} to run; known are {known}")
    return result, Report(kernel, **machine.report(), lines=tuple(machine.counts()) if count else ())


def _product(
    op: str, args: tuple[Any, ...], kwargs: dict[str, Any], configuration: str | None, plan: Schedule
) -> tuple[Any, str]:
    rest = dict(kwargs)
    activation, residual = rest.pop("activation", None) or "none", rest.pop("residual", None)
    if op == "mm_activation_backward":  # here `activation` is an argument of the op, not one of the epilogue
        rest |= {"activation": activation} if "activation" in kwargs else {}
        activation = "none"
    precision, batch_invariant = rest.pop("precision", None), bool(rest.pop("batch_invariant", None))
    build, check, names = selection._PRODUCTS[op]
    checked = check(*map(on_meta, args), **{key: on_meta(value) for key, value in rest.items()})
    shape = (checked[0] if isinstance(checked, tuple) else checked).shape
    given = dict(zip(names, args)) | rest
    positional = [given.pop(name) for name in names if name in given]
    p = build(*positional, **given)
    configurations = [c for c in selection.available(built=False) if not c.on_cpu]
    splits = 1
    if configuration is None:
        device = "sm_90" if plan.wave == 32 else "gfx942"
        chosen = selection.explain_quietly(op, *args, device=device, **kwargs)
        if chosen.would_run is None:
            raise Refused(f"no GPU configuration serves {chosen.problem}")
        configuration, splits = chosen.would_run, chosen.splits
    named = next((r for r in configurations if r.name == configuration), None)
    if named is None:
        known = ", ".join(r.name for r in configurations)
        raise ValueError(f"there is no configuration {configuration!r}; known are {known}")
    if str(p.a.dtype).removeprefix("torch.") not in named.types:
        raise Refused(f"{configuration} takes {', '.join(named.types)}, not {p.a.dtype}")
    place = place_of(named.name)
    out = torch.empty(p.a.shape[0], p.a.shape[1], p.b.shape[2], dtype=p.a.dtype)
    if p.summed:
        saved = None if p.saved is None else p.saved[0]
        d, sums = machine.product_with_sums(
            *place, out[0], p.a[0], p.b[0], derivative=p.derivative, saved=saved, schedule=plan, splits=splits,
            precision=precision,
        )  # fmt: skip
        return (d.reshape(shape), sums), named.name
    if residual is not None:
        residual = residual.expand(shape).reshape(out.shape)
    scales = [None if s is None else s.select(dim, 0) for s, dim in ((p.row_scale, 2), (p.column_scale, 1))]
    result = machine.product(
        *place, out, p.a, p.b, c=p.c, alpha=p.alpha, beta=p.beta if p.c is not None else 0,
        activation=activation, residual=residual, schedule=plan, splits=splits, precision=precision,
        derivative=p.derivative, saved=p.saved, row_scale=scales[0], column_scale=scales[1],
        batch_invariant=batch_invariant,
    )  # fmt: skip
    return result.reshape(shape), named.name


def _beside(args: tuple[Any, ...], like: Tensor, number: Any, name: str) -> Tensor:
    """A Python number in an operand's place, in the dtype that it is computed in."""
    if name == "condition":
        return torch.tensor(number, dtype=torch.bool)
    other = next((a for a in args if isinstance(a, Tensor)), like)
    return torch.tensor(number, dtype=torch.result_type(other, number) if like.dtype == torch.bool else like.dtype)


def _elementwise(op: str, args: tuple[Any, ...], kwargs: dict[str, Any], plan: Schedule) -> tuple[Tensor, str]:
    if not any(e["name"] == op for e in _C.elementwise_catalogue()):
        raise ValueError(f"{op} is made of other ops; run those")
    like = getattr(ops, op)(*map(on_meta, args), **{k: on_meta(v) for k, v in kwargs.items()})
    entries = [e for e in _C.elementwise_catalogue() if e["name"] == op]
    parameters = [w.strip() for w in entries[0]["args"].replace("*,", "").split(",")]
    tensors: list[Tensor] = []
    numbers: list[float] = []
    choice = None
    positional = list(args)
    for parameter in parameters:
        kind, name, default = re.match(r"(\w+\??) (\w+)(?:=(.*))?", parameter).groups()  # type: ignore[union-attr]
        value = positional.pop(0) if positional else kwargs.get(name, default)
        if kind == "Tensor":
            tensors.append(value if isinstance(value, Tensor) else _beside(args, like, value, name))
        elif kind.startswith("Scalar"):
            bound = {"min": -float("inf"), "max": float("inf")}.get(name, 0.0)
            numbers.append(bound if value in (None, "None") else float(value))
        else:
            choice = None if value in (None, "None") else value.strip("'\"")
    entry = next((e for e in entries if choice is None or e["choice"] == choice), None)
    if entry is None:
        raise ValueError(f"{op} has no choice {choice!r}; known are {', '.join(e['choice'] for e in entries)}")
    common = functools.reduce(torch.promote_types, [t.dtype for t in tensors if t.dtype != torch.bool] or [torch.bool])
    floating = common.is_floating_point or (like.dtype.is_floating_point and entry["types"] == "to_float")
    whole = not (floating or common.is_complex)
    takes = {"floating": floating, "number": common != torch.bool, "whole": whole}.get(entry["types"], True)
    if not takes or common.is_complex:
        what = {"number": "numbers", "whole": "integers"}.get(entry["types"], "floating types")
        raise Refused(f"elementwise/{op} cannot serve this call: it takes {what}, not {common}")
    catalogue = _C.elementwise_catalogue()
    families = list(dict.fromkeys(e["family"] for e in catalogue))
    mine = [(e["name"], e["choice"]) for e in catalogue if e["family"] == entry["family"]]
    place = families.index(entry["family"]), mine.index((entry["name"], entry["choice"])), 0
    out = torch.empty_like(like, device="cpu")
    compute = common if entry["predicate"] else None
    result = machine.elementwise(place, out, tensors, numbers, compute=compute, schedule=plan)
    if not out.numel():
        return result, f"elementwise/{op}, nothing"
    conditions = int(parameters[0] == "Tensor condition")
    path = machine.plan(out, tensors, conditions=conditions).path
    return result, f"elementwise/{op}, {path}"
