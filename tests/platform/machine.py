"""The machine model from Python: compiled once a change of the sources, called with torch tensors.

Inputs and outputs are copied into memory that ends at an unmapped page, so that an access beyond them faults; outputs
start as NaN (or a pattern) and every byte between their elements must stay as it was.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "csrc"))

import build_rules as rules  # noqa: E402

FOLDER = Path("build") / "model"
MAX_DIMS = 8
ORDERS = {"fifo": 0, "lifo": 1, "random": 2, "pct": 3}
SCHEDULES = [("fifo", 1), ("lifo", 1), *(("pct", seed) for seed in range(1, 6))]


@dataclass(frozen=True)
class Schedule:
    """Which thread runs next, how many lanes a warp has, and what is watched."""

    order: str = "fifo"
    seed: int = 1
    wave: int = 32
    check: bool = True
    count: bool = False


class ModelError(RuntimeError):
    """What the model found: a fault of the kernel."""


# ---- building --------------------------------------------------------------------------------------------------------


def compile_commands() -> dict[str, str]:
    """Object file -> the command that makes it: every .cu as plain C++, and the machine."""
    cxx = os.environ.get("CXX", "c++")
    flags = "-std=c++20 -O1 -g1 -fPIC -Wall -Wno-unknown-pragmas -Wno-maybe-uninitialized -DGPUKERN_MODEL -Icsrc"
    # The compiler announces every access of a kernel; csrc/platform/model/hooks.cpp answers.
    watched = "-fsanitize=thread --param tsan-instrument-func-entry-exit=0 -fno-threadsafe-statics"
    commands = {}
    sources = [p for p in rules.below("*.cu") if p.parent != Path("csrc/platform")]
    sources += sorted(p.relative_to(ROOT) for p in (ROOT / "csrc/platform/model").glob("*.cpp"))
    for source in sources:
        stem = "_".join(source.relative_to("csrc").with_suffix("").parts)
        for family in rules.families() if source == Path("csrc/elementwise/gpu.cu") else [""]:
            named = f"-DGPUKERN_FAMILY={family}" if family else ""
            out = (FOLDER / f"{stem}{'_' + family if family else ''}.o").as_posix()
            own = watched if source.suffix == ".cu" else "-O2"
            commands[out] = f"{cxx} {flags} {own} {named} -MMD -MF {out}.d -x c++ -c {source} -o {out}"
    return commands


@cache
def library() -> ctypes.CDLL:
    """Compiles what changed, and loads it."""
    import ninja

    commands = compile_commands()
    lines = [
        f"builddir = {FOLDER.as_posix()}",
        "rule cc\n  command = $cmd\n  depfile = $out.d\n  deps = gcc\n  description = model $out",
    ]
    for out, command in commands.items():
        source = shlex.split(command)[-3]
        lines.append(f"build {out}: cc {source}\n  cmd = {command}")
    whole = (FOLDER / "libgpukern_model.so").as_posix()
    link = f"{os.environ.get('CXX', 'c++')} -shared {' '.join(commands)} -o {whole} -ldl"
    lines.append(
        f"rule link\n  command = {link}\n  description = model {whole}\nbuild {whole}: link {' '.join(commands)}"
    )
    rules.write_if_changed(ROOT / FOLDER / "build.ninja", "\n".join(lines) + "\n")
    command = [str(Path(ninja.BIN_DIR) / "ninja"), "-f", (FOLDER / "build.ninja").as_posix()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:]
    found = ctypes.CDLL(str(ROOT / whole))
    for name in ("elementwise", "product", "counts"):
        getattr(found, f"gpukern_model_{name}").restype = ctypes.c_char_p
    return found


# ---- memory ----------------------------------------------------------------------------------------------------------

_libc = ctypes.CDLL(None, use_errno=True)
_PAGE = mmap.PAGESIZE


class Guarded:
    """A copy of a strided tensor whose memory ends at an unmapped page; `view` is the tensor there."""

    def __init__(self, like: Tensor, *, aligned: bool = False) -> None:
        size = like.element_size()
        extent = 1 + sum((n - 1) * s for n, s in zip(like.shape, like.stride())) if like.numel() else 0
        room = -(-extent * size // 16) * 16 if aligned else extent * size
        self._map = mmap.mmap(-1, -(-room // _PAGE) * _PAGE + 2 * _PAGE)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        end = base + len(self._map) - _PAGE
        for page in (base, end):
            assert _libc.mprotect(ctypes.c_void_p(page), _PAGE, mmap.PROT_READ * 0) == 0
        self._base, self._end = base, end
        start = end - room
        buffer = (ctypes.c_char * max(room, 1)).from_address(start) if room else bytearray(1)
        self.bytes = torch.frombuffer(buffer, dtype=torch.uint8, count=max(room, 1))
        self.bytes.copy_(torch.randint(0, 256, (len(self.bytes),), dtype=torch.uint8))
        self.view_bytes = extent * size
        typed = self.bytes[: extent * size].view(like.dtype) if extent else torch.empty(0, dtype=like.dtype)
        self.view = typed.as_strided(like.shape, like.stride(), 0) if extent else like.clone()

    def __del__(self) -> None:
        for page in (self._base, self._base + len(self._map) - _PAGE):
            _libc.mprotect(ctypes.c_void_p(page), _PAGE, mmap.PROT_READ | mmap.PROT_WRITE)

    def watch(self, name: str, writable: bool) -> None:
        """Tells the model whose memory this is."""
        if not self.view.numel():
            return
        start = self.bytes.data_ptr()
        pointers = (start, start + self.view_bytes, self._base + _PAGE, self._end)
        addresses = [ctypes.c_void_p(p) for p in pointers]
        library().gpukern_model_buffer(name.encode(), *addresses, int(writable))

    def fill(self, values: Tensor) -> Guarded:
        """Writes the values; expanded dimensions once."""
        if values.numel():
            one = tuple(slice(0, 1) if s == 0 else slice(None) for s in self.view.stride())
            self.view[one].copy_(values[one])
        self._before = self.bytes.clone()
        return self

    def poison(self) -> Guarded:
        """NaN, or -1, in every element."""
        if self.view.numel():
            self.view.fill_(float("nan") if self.view.dtype.is_floating_point else 1)
        self._before = self.bytes.clone()
        return self

    def untouched(self) -> None:
        assert torch.equal(self.bytes, self._before), "an input was written to"

    def check_gaps(self) -> None:
        """Bytes that are no element's are as they were."""
        now = self.bytes.clone()
        if self.view.numel():
            written = self.view.clone()
            self.bytes.copy_(self._before)
            before = self.view.clone()
            self.bytes.copy_(now)
            self.view.copy_(before)
            assert torch.equal(self.bytes, self._before), "bytes between the output's elements were overwritten"
            self.view.copy_(written)


def set_schedule(schedule: Schedule) -> None:
    order, seed = ORDERS[schedule.order], ctypes.c_uint32(schedule.seed)
    library().gpukern_model_schedule(order, seed, schedule.wave, int(schedule.check), int(schedule.count))


def report() -> dict[str, int]:
    """What ran since the last call."""
    counts = (ctypes.c_uint64 * 5)()
    library().gpukern_model_report(counts)
    return dict(zip(("blocks", "threads", "barriers", "collectives", "switches"), counts))


def watch(inputs: Mapping[str, Guarded], output: Guarded) -> None:
    """These are the buffers of the next launch, and no others."""
    library().gpukern_model_forget_buffers()
    for name, buffer in inputs.items():
        buffer.watch(name, False)
    output.watch("output", True)


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
    place: tuple[int, int, int], out: Tensor, inputs: Sequence[Tensor], scalars: Sequence[float] = (), *,
    compute: torch.dtype | None = None, schedule: Schedule | None = None, processors: int = 4, aligned: bool = False,
    slice_limit: int = 0, in_place: bool = False,
) -> Tensor:  # fmt: skip
    """Runs variant `place[2]` of op `place[1]` of family `place[0]` over guarded copies; the result, laid out as `out`.

    compute: the type whose arithmetic is used, where it is not the output's.  slice_limit: elements a launch takes at
    most (0: 2^31).  in_place: the first input is the output.  ModelError where the kernel does what no kernel may.
    """
    set_schedule(schedule or Schedule())
    target = Guarded(out, aligned=aligned).poison()
    sources = [Guarded(t, aligned=aligned).fill(t) for t in inputs]
    if in_place:
        sources[0] = target.fill(inputs[0])
    watch({f"input {k}": s for k, s in enumerate(sources) if s is not target}, target)
    arguments = _call(place, target.view, [s.view for s in sources], compute or out.dtype, processors, slice_limit)
    numbers = [*scalars, *[0.0] * (3 - len(scalars))]
    whole = [int(v) if abs(v) < 2**63 else (2**63 - 1 if v > 0 else -(2**63)) for v in numbers]
    error = library().gpukern_model_elementwise(
        *arguments, _array(ctypes.c_double, numbers), _array(ctypes.c_int64, whole)
    )
    if error:
        raise ModelError(error.decode())
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
    shape, strides = iteration(out, inputs)
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
    """What csrc/elementwise/plan.h decides; widths in bytes, the output's first."""

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
    path, *facts = found[:6]
    parts = found[6 : 6 + 2 * (len(inputs) + 1)]
    return Plan(("rows", "tile", "strided")[path], *facts, tuple(parts[::2]), tuple(map(bool, parts[1::2])))


# ---- products --------------------------------------------------------------------------------------------------------

PRODUCT_TYPES = DTYPES[:9]
ACTIVATIONS = ["none", "relu", "gelu", "gelu_tanh", "silu", "sigmoid", "tanh", "mish", "hardswish"]


def _layout(t: Tensor | None) -> list[int]:
    """Row, column and batch stride, and the alignment of the address and of every stride that is not 1."""
    if t is None:
        return [0, 0, 0, 1]
    batch, row, column = t.stride()
    bits = t.data_ptr()
    for extent, stride in zip(t.shape, t.stride()):
        if stride != 1 and extent > 1:
            bits |= stride * t.element_size()
    align = 16
    while align > 1 and bits % align:
        align //= 2
    return [row, column, batch, align]


def product(
    folder: int, row: int, out: Tensor, a: Tensor, b: Tensor, *,
    c: Tensor | None = None, alpha: float = 1, beta: float = 1, activation: str = "none",
    residual: Tensor | None = None, schedule: Schedule | None = None, aligned: bool = False,
) -> Tensor:  # fmt: skip
    """Runs one row over guarded copies of (batch, m, k), (batch, k, n) and, for c and the residual, (batch, m, n)."""
    set_schedule(schedule or Schedule())
    target = Guarded(out, aligned=aligned).poison()
    given = {"a": a, "b": b, "c": c, "residual": residual}
    memory = {name: Guarded(t, aligned=aligned).fill(t) for name, t in given.items() if t is not None}
    watch(memory, target)
    views = {name: memory[name].view if name in memory else None for name in given}
    layouts = [views["a"], views["b"], views["c"], target.view, views["residual"]]
    pointers = [views["a"], views["b"], views["c"], views["residual"], target.view]
    kind = PRODUCT_TYPES.index(a.dtype)
    addend = c is not None and beta != 0
    flags = [ACTIVATIONS.index(activation), int(addend), int(residual is not None)]
    error = library().gpukern_model_product(
        _array(ctypes.c_int, [folder, row, kind, *flags]),
        _array(ctypes.c_int64, [a.shape[0], a.shape[1], b.shape[2], a.shape[2]]),
        _array(ctypes.c_int64, [v for t in layouts for v in _layout(t)]),
        _array(ctypes.c_void_p, [None if t is None else t.data_ptr() for t in pointers]),
        ctypes.c_double(alpha), ctypes.c_double(beta), ctypes.c_int64(int(alpha)), ctypes.c_int64(int(beta)),
    )  # fmt: skip
    if error:
        raise ModelError(error.decode())
    for m in memory.values():
        m.untouched()
    target.check_gaps()
    return target.view.clone()
