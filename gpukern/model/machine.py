"""Launches under the machine model, on torch tensors.

Inputs and outputs are copied into memory that ends at an unmapped page (memory.py); outputs start as NaN (or a pattern)
and every byte between their elements must stay as it was.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from .. import _C
from ..scaled import scale_kind
from .build import library
from .configurations import configuration_at, precision_for
from .memory import Memory, guarded, name_buffer, unwritten, watch

MAX_DIMS = 8
ORDERS = {"fifo": 0, "lifo": 1, "random": 2, "pct": 3}
SCHEDULES = [("fifo", 1), ("lifo", 1), *(("pct", seed) for seed in range(1, 6))]


@dataclass(frozen=True)
class Schedule:
    """The order of threads, the lanes of a warp, and what the model checks.

    order: "fifo", "lifo", "random" or "pct" (random priorities, some of which change now and then).  check: look for
    races and uninitialised reads.  count: count bank conflicts and sectors of global memory.
    """

    order: str = "fifo"
    seed: int = 1
    wave: int = 32
    check: bool = True
    count: bool = False


class ModelError(RuntimeError):
    """The model found a fault of the kernel."""


class Refused(ValueError):
    """The configuration cannot serve this call; the text says why."""


_asking = True


@contextmanager
def unchecked() -> Iterator[None]:
    """Runs configurations for calls that their table refuses, so that tests can compare configurations with each other.
    Refusals of the launcher itself still hold."""
    global _asking
    before, _asking = _asking, False
    try:
        yield
    finally:
        _asking = before


def _check(error: bytes, name: str) -> None:
    """Raises the error of a launch: Refused with the reason, ModelError with the fault, or nothing."""
    text = error.decode()
    if text.startswith("refused: "):
        raise Refused(f"{name} cannot serve this call: {text.removeprefix('refused: ')}")
    if text:
        raise ModelError(text)


def _check_written(what: str, name: str, t: Tensor) -> None:
    count, first = unwritten(t)
    if count:
        raise ModelError(
            f"{name}: {count} of {t.numel()} elements of {what} were never written, the first of them at {first}"
        )


def set_schedule(schedule: Schedule) -> None:
    order, seed = ORDERS[schedule.order], ctypes.c_uint32(schedule.seed)
    library().gpukern_model_schedule(order, seed, schedule.wave, int(schedule.check), int(schedule.count))


def report() -> dict[str, int]:
    """Counts of what ran since the last call."""
    counts = (ctypes.c_uint64 * 5)()
    library().gpukern_model_report(counts)
    return dict(zip(("blocks", "threads", "barriers", "collectives", "switches"), counts))


@dataclass(frozen=True)
class LineCount:
    """The memory traffic of one source line.

    requests: of whole warps.  bytes: of threads.  passes: over the banks of shared memory, or sectors of 32 bytes of
    global memory; ideal: the fewest that would move these bytes.
    """

    line: str
    space: str
    kind: str
    requests: int
    bytes: int
    passes: int
    ideal: int


def counts() -> list[LineCount]:
    """The traffic by line of launches with `Schedule(count=True)` since the last call."""
    found: dict[tuple[str, str, str], list[int]] = {}
    for text in library().gpukern_model_counts().decode().splitlines():
        line, space, kind, *numbers = text.split()
        sums = found.setdefault((line, space, kind), [0, 0, 0, 0])
        for i, number in enumerate(numbers):
            sums[i] += int(number)
    return [LineCount(*key, *sums) for key, sums in sorted(found.items())]


def _array(kind: Any, values: Sequence[Any]) -> Any:
    return (kind * len(values))(*values)


# ---- elementwise -----------------------------------------------------------------------------------------------------

DTYPES = [
    torch.float16, torch.bfloat16, torch.float32, torch.float64,
    torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool,
]  # fmt: skip


def iteration(out: Tensor, inputs: Sequence[Tensor]) -> tuple[list[int], list[list[int]]]:
    """(shape, strides in bytes of each operand), innermost first, neighbours joined: as TensorIterator walks them."""
    operands = [out, *(t.expand(out.shape) for t in inputs)]
    order = sorted(range(out.dim()), key=lambda d: (out.stride(d), -d))
    shape: list[int] = []
    strides: list[list[int]] = [[] for _ in operands]
    for d in order:
        if out.shape[d] == 1:
            continue
        steps = [t.stride(d) * t.element_size() for t in operands]
        if shape and all(s[-1] * shape[-1] == step for s, step in zip(strides, steps)):
            shape[-1] *= out.shape[d]
            continue
        shape.append(out.shape[d])
        for s, step in zip(strides, steps):
            s.append(step)
    return shape, strides


def _compute(dtype: torch.dtype) -> int:
    return 1 if dtype == torch.float64 else 0 if dtype.is_floating_point else 2


def elementwise(
    place: tuple[int, int, int], out: Tensor, inputs: Sequence[Tensor], scalars: Sequence[float | None] = (), *,
    compute: torch.dtype | None = None, schedule: Schedule | None = None, processors: int = 4, aligned: bool = False,
    slice_limit: int = 0, in_place: bool = False, shorter: int = 0,
) -> Tensor:  # fmt: skip
    """Runs variant `place[2]` of op `place[1]` of family `place[0]` over guarded copies; the result, laid out as `out`.

    scalars: None is an absent bound, the lower one first, as in ops/blend.h (`absent`).  compute: the compute type,
    where it is not the output's.  slice_limit: the most elements of one launch (0: 2^31).  in_place: the first input is
    the output.  shorter: the model is told that the inputs end this many bytes earlier than they do, so that it must
    report a fault.  ModelError for a fault of the kernel.
    """
    set_schedule(schedule or Schedule())
    target = guarded(out, aligned=aligned).poison()
    sources = [guarded(t, aligned=aligned).fill(t) for t in inputs]
    if in_place:
        sources[0] = target.fill(inputs[0])
    watch({f"input {k}": s for k, s in enumerate(sources) if s is not target}, target, shorter, in_place=in_place)
    arguments = _call(place, target.view, [s.view for s in sources], compute or out.dtype, processors, slice_limit)
    given = [*scalars, *[0.0] * (3 - len(scalars))]
    numbers = [(-math.inf, math.inf)[k] if v is None else v for k, v in enumerate(given)]
    limits = -(2**63), 2**63 - 1
    whole = [limits[k] if v is None else int(v) if abs(v) < 2**63 else 0 for k, v in enumerate(given)]
    error = library().gpukern_model_elementwise(
        *arguments, _array(ctypes.c_double, numbers), _array(ctypes.c_int64, whole)
    )
    name = f"elementwise/{op_at(*place[:2])}"
    _check(error, name)
    _check_written("the result", name, target.view)
    for s in sources[1 if in_place else 0 :]:
        s.untouched()
    target.check_gaps()
    return target.view.clone()


def _call(
    place: tuple[int, int, int],
    out: Tensor,
    inputs: Sequence[Tensor],
    compute: torch.dtype,
    processors: int,
    limit: int,
) -> list[Any]:
    """The arguments that a launch and a plan share."""
    for t in (out, *inputs):
        if t.dtype not in DTYPES:
            raise Refused(f"no elementwise kernel takes {t.dtype}")
    shape, strides = iteration(out, inputs)
    if len(shape) > MAX_DIMS:
        raise Refused(
            f"a kernel takes at most {MAX_DIMS} dimensions; of these operands {len(shape)} dimensions do not merge"
        )
    padded = [step for s in strides for step in (*s, *[0] * (MAX_DIMS - len(s)))]
    return [
        _array(ctypes.c_int, [*place, _compute(compute), len(shape), len(inputs), processors, limit]),
        _array(ctypes.c_int64, shape or [1]),
        _array(ctypes.c_void_p, [t.data_ptr() for t in (out, *inputs)]),
        _array(ctypes.c_int, [DTYPES.index(t.dtype) for t in (out, *inputs)]),
        _array(ctypes.c_int64, padded),
    ]


@dataclass(frozen=True)
class Plan:
    """The decisions of csrc/elementwise/plan.h; widths in bytes, the output's first."""

    path: str
    unroll: int
    lead: int
    threads: int
    blocks: int
    count: int
    widths: tuple[int, ...]
    across: tuple[bool, ...]


def plan(out: Tensor, inputs: Sequence[Tensor], *, conditions: int = 0, processors: int = 4) -> Plan:
    """The plan of a call over these tensors, as they lie in memory."""
    found = (ctypes.c_int64 * 16)()
    library().gpukern_model_plan(*_call((0, 0, 0), out, inputs, out.dtype, processors, 0), conditions, found)
    path, unroll, lead, threads, blocks, count = found[:6]
    parts = found[6 : 6 + 2 * (len(inputs) + 1)]
    return Plan(
        ("rows", "tile", "strided")[path],
        unroll,
        lead,
        threads,
        blocks,
        count,
        tuple(parts[::2]),
        tuple(map(bool, parts[1::2])),
    )


# ---- products --------------------------------------------------------------------------------------------------------

FLOAT8 = [torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz]
PRODUCT_TYPES = [*DTYPES, torch.complex64, torch.complex128, *FLOAT8]  # in the order of core/dtype.h; bool has none
PRECISIONS = ("strict", "tf32", "bf16x3", "bf16x6", "bf16x9")  # in the order of problem.h
ACTIVATIONS: list[str] = _C.gemm_activations()  # in the order of problem.h


def _layout(t: Tensor | None) -> list[int]:
    """Row, column and batch stride, and the alignment of the address and of every stride that is not 1."""
    if t is None:
        return [0, 0, 0, 1]
    t = t if t.dim() == 3 else t[None]
    size = t.element_size()
    batch, row, column = (stride if extent > 1 else 0 for extent, stride in zip(t.shape, t.stride()))
    steps = [row * size, column * size]
    if size in steps:
        steps.remove(size)  # one unit stride of the matrix: packets lie along it
    return [row, column, batch, math.gcd(16, t.data_ptr(), batch * size, *steps)]


def _as_stored(t: Tensor) -> Tensor:
    """The values in memory of a tensor with the conjugate bit."""
    return t.conj() if t.is_conj() else t


@cache
def op_at(family: int, place: int) -> str:
    """The name of an op and its choice, from the index of its family and its own."""
    catalogue = _C.elementwise_catalogue()
    families = list(dict.fromkeys(str(e["family"]) for e in catalogue))
    entry = [e for e in catalogue if e["family"] == families[family]][place]
    return str(entry["name"]) + (f"-{entry['choice']}" if entry["choice"] else "")


def product(
    folder: int, index: int, out: Tensor, a: Tensor, b: Tensor, *,
    c: Tensor | None = None, alpha: complex = 1, beta: complex = 1, activation: str = "none",
    residual: Tensor | None = None, schedule: Schedule | None = None, aligned: bool = False, splits: int = 1,
    precision: str | None = None, derivative: str = "none", saved: Tensor | None = None,
    row_scale: Tensor | None = None, column_scale: Tensor | None = None, processors: int = 4, cluster: int = 0,
    batch_invariant: bool = False, aux: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Runs one configuration over guarded copies of a (batch, m, k), b (batch, k, n), and c, saved and residual
    (batch, m, n).

    splits: ranges of k (split-K); the model checks the memory of partial sums too.
    precision: of float32; None is one that the configuration serves.
    derivative: an activation; the result is multiplied by its derivative at `saved`, before the residual.
    row_scale, column_scale: (batch, m) and (batch, n), in the accumulator's type; they multiply the accumulators.
    processors: of the device, for persistent kernels.  cluster: blocks that share an operand, for configurations with
    clusters (0: the configuration's own rule; -1: the blocks of a cluster take the ranges of k).
    batch_invariant: a row of the result may not depend on how many others there are.
    aux: gets what goes into the activation; the kernel writes a guarded copy that lies as it does.

    Refused if the configuration cannot serve the call; ModelError for a fault of the kernel.
    """
    given = {"a": _as_stored(a), "b": _as_stored(b), "c": c, "residual": residual, "saved": saved}
    given["row_scale"] = None if row_scale is None else row_scale.unsqueeze(2)
    given["column_scale"] = None if column_scale is None else column_scale.unsqueeze(1)
    memory = {name: guarded(t, aligned=aligned).fill(t) for name, t in given.items() if t is not None}
    addend = c is not None and beta != 0
    flags = [ACTIVATIONS.index(activation), int(addend), int(residual is not None)]
    conjugated = [int(t.is_conj()) for t in (a, b)]  # the copies are not conjugated; the kernel gets the flag
    precision = precision or precision_for(folder, index, a.dtype)
    return _launch(
        folder, index, out, memory, flags=flags, conjugated=conjugated, factors=(alpha, beta), precision=precision,
        derivative=derivative, schedule=schedule, aligned=aligned, splits=splits, grid=(processors, cluster),
        batch_invariant=batch_invariant, aux=aux,
    )  # fmt: skip


def product_with_sums(
    folder: int, index: int, out: Tensor, a: Tensor, b: Tensor, *,
    derivative: str = "none", saved: Tensor | None = None, precision: str | None = None, splits: int = 1,
    schedule: Schedule | None = None, aligned: bool = False, c: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Runs one configuration over guarded copies of a (m, k), b (k, n) and saved (m, n): returns D and the sums of its
    columns.

    As `product`; the model checks the sums and their partial sums too, which are NaN until they are written.
    splits: 0 is the epilogue of c alone, as the gradient of an activation is computed.
    """
    given = {"a": a, "b": b, "saved": saved, "c": c}
    memory = {name: guarded(t, aligned=aligned).fill(t) for name, t in given.items() if t is not None}
    sums = guarded(out.new_empty(out.shape[1]), aligned=aligned).poison()
    result = _launch(
        folder, index, out, memory, precision=precision or precision_for(folder, index, a.dtype), derivative=derivative,
        schedule=schedule, aligned=aligned, splits=splits, sums=sums, flags=(0, int(c is not None), 0),
        factors=(1, int(c is not None)),
    )  # fmt: skip
    sums.check_gaps()
    return result, sums.view.clone()


def scaled(
    folder: int, index: int, out: Tensor, a: Tensor, b: Tensor, scale_a: Tensor, scale_b: Tensor, *,
    bias: Tensor | None = None, scale_result: Tensor | None = None, schedule: Schedule | None = None,
    aligned: bool = False, splits: int = 1, fast: bool = False, processors: int = 4, cluster: int = 0,
) -> Tensor:  # fmt: skip
    """Runs one configuration for scaled_mm over guarded copies of a (m, k), b (k, n), their scales and a float32 bias
    (n,).

    fast: use_fast_accum.  For the rest see `product`.
    """
    given = {"a": a, "b": b, "scale_a": scale_a, "scale_b": scale_b, "bias": bias, "scale_result": scale_result}
    memory = {name: guarded(t, aligned=aligned).fill(t) for name, t in given.items() if t is not None}
    kinds = [
        *scale_kind(memory["scale_a"].view, *a.shape),
        *scale_kind(memory["scale_b"].view.t(), b.shape[1], b.shape[0]),
    ]
    kinds += [PRODUCT_TYPES.index(b.dtype), int(fast)]
    return _launch(
        folder, index, out, memory, kinds=kinds, schedule=schedule, aligned=aligned, splits=splits,
        grid=(processors, cluster),
    )  # fmt: skip


def _launch(
    folder: int, index: int, out: Tensor, memory: dict[str, Memory], *, flags: Sequence[int] = (0, 0, 0),
    conjugated: Sequence[int] = (0, 0), factors: tuple[complex, complex] = (1, 0), precision: str = "strict",
    derivative: str = "none", kinds: Sequence[int] | None = None, schedule: Schedule | None, aligned: bool, splits: int,
    grid: tuple[int, int] = (4, 0), sums: Memory | None = None, batch_invariant: bool = False,
    stream: Stream | None = None, aux: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """flags: activation, addend, residual.  factors: alpha and beta.  kinds: `scales` of harness_product.cpp.  grid:
    processors and blocks of a cluster.  sums: receives the sums of D's columns.  stream: the launch is queued there,
    and the returned D is written when the stream runs."""
    set_schedule(schedule or Schedule())
    target = guarded(out, aligned=aligned).poison()
    stored = None if aux is None else guarded(aux, aligned=aligned).poison()
    views = {name: buffer.view for name, buffer in memory.items()}
    a, b = views["a"], views["b"]
    ends = [views.get(name) for name in ("saved", "row_scale", "column_scale")]
    layouts = [a, b, views.get("c"), target.view, views.get("residual"), *ends, None if stored is None else stored.view]
    types = [PRODUCT_TYPES.index(t.dtype) for t in (a, out)]
    which = [folder, index, types[0], *flags, types[1], PRECISIONS.index(precision), splits, *conjugated]
    said = [sums is not None, batch_invariant, _asking, stored is not None]
    which += [ACTIVATIONS.index(derivative), *grid, *map(int, said)]
    described = (
        _array(ctypes.c_int, which),
        _array(ctypes.c_int64, [a.shape[0] if a.dim() == 3 else 1, a.shape[-2], b.shape[-1], a.shape[-1]]),
        _array(ctypes.c_int64, [v for t in layouts for v in _layout(t)]),
    )
    needs = (ctypes.c_int64 * 3)()
    library().gpukern_model_needs(*described, needs)
    wide = torch.float32 if a.dtype.itemsize <= 4 and a.dtype.is_floating_point else a.dtype  # of 8 bits too
    wide = torch.int32 if not wide.is_floating_point and wide.itemsize < 8 else wide  # complex ones are 8 or 16
    sizes = ((needs[0], wide), (needs[1], torch.uint8), (needs[2] * b.shape[-1], wide))  # as allocated on a GPU
    partial, workspace, parts = (
        guarded(torch.empty(size, dtype=dtype), aligned=True).poison() if size else None for size, dtype in sizes
    )
    watch(memory, target)
    written = {"ranges": partial, "workspace": workspace, "sums": sums, "parts": parts, "aux": stored}
    for name, buffer in written.items():
        if buffer:
            name_buffer(name, buffer, 1)
    rest = [buffer.view if buffer else None for buffer in (partial, workspace)]
    of_sums = [buffer.view if buffer else None for buffer in (sums, parts, stored)]
    pointers = [a, b, views.get("c"), views.get("residual"), target.view, *rest, *ends, *of_sums]
    of_scales = [views.get(name) for name in ("scale_a", "scale_b", "bias", "scale_result")]
    alpha, beta = factors
    error = library().gpukern_model_product(
        *described,
        _array(ctypes.c_void_p, [None if t is None else t.data_ptr() for t in pointers]),
        ctypes.c_double(alpha.real), ctypes.c_double(beta.real),
        ctypes.c_int64(int(alpha.real)), ctypes.c_int64(int(beta.real)),
        ctypes.c_double(alpha.imag), ctypes.c_double(beta.imag),
        None if kinds is None else _array(ctypes.c_int64, kinds),
        _array(ctypes.c_void_p, [None if t is None else t.data_ptr() for t in of_scales]),
    )  # fmt: skip
    name = configuration_at(folder, index)
    _check(error, name)
    if stream:
        stream.keeps.append((target, memory, partial, workspace, parts))
        return target.view
    _check_written("the result", name, target.view)
    if sums:
        _check_written("the sums of its columns", name, sums.view)
    if aux is not None and stored:
        _check_written("the pre-activation", name, stored.view)
        stored.check_gaps()
        aux.copy_(stored.view)
    for m in memory.values():
        m.untouched()
    target.check_gaps()
    return target.view.clone()


class Stream:
    """Products of one stream: they are queued, and run in order when the `with` ends.  Launches that may overlap do so
    as the schedule decides.  Results are written only then; a fault raises ModelError.

        with Stream(Schedule("pct", 1)) as stream:
            d = stream.product(folder, index, out, a=stream.given(a), b=stream.given(b))
            e = stream.product(folder, index, out, a=d, b=stream.given(c))
        e.view
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.keeps: list[Any] = []

    def given(self, t: Tensor) -> Memory:
        return guarded(t, aligned=True).fill(t)

    def product(
        self, folder: int, index: int, out: Tensor, *, splits: int = 1, cluster: int = 0, processors: int = 4,
        precision: str | None = None, sums: Memory | None = None, kinds: Sequence[int] | None = None,
        activation: str = "none", **memory: Memory,
    ) -> Memory:  # fmt: skip
        """As the function `product`; memory: a, b, c, residual, row_scale .., some of which may be earlier results."""
        flags = [ACTIVATIONS.index(activation), int("c" in memory), int("residual" in memory)]
        precision = precision or precision_for(folder, index, memory["a"].view.dtype)
        _launch(
            folder, index, out, memory, flags=flags, factors=(1, float("c" in memory)), precision=precision,
            kinds=kinds, schedule=self.schedule, aligned=True, splits=splits, grid=(processors, cluster),
            sums=sums, stream=self,
        )  # fmt: skip
        result: Memory = self.keeps[-1][0]
        return result

    def __enter__(self) -> Stream:
        library().gpukern_model_hold()
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        finish = library().gpukern_model_finish
        finish.restype = ctypes.c_char_p
        error = finish().decode()
        if error and kind is None:
            raise ModelError(error)
