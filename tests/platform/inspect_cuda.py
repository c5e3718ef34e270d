"""Reads the objects of the CUDA build: every kernel of every target, what it takes and what it is made of."""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import ninja

from tests.platform import promises, yardstick
from tests.platform.kernels import Kernel, count
from tests.platform.toolchains import ROOT, Missing, cuda_gpu, cuda_tools, demangle, parallel, rules, run, timed

INSTRUCTION = re.compile(r"\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)")
USAGE = re.compile(r" Function ([\w$.]+):\s+REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)")
INSTRUCTION_BYTES = 16


@dataclass
class Inspection:
    """One vendor's code: kernels by target, and the compiler's output and seconds."""

    compiler: str
    kernels: dict[str, list[Kernel]] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    # CPU seconds by object or by object and target, and by target; of the yardstick's machine (yardstick.py).
    seconds: dict[str, float] = field(default_factory=dict)
    by_target: dict[str, float] = field(default_factory=dict)
    pace: float = 1.0  # this machine's seconds in one of those, when it compiled
    code_bytes: int = 0


def tool(name: str, *arguments: str | Path, folder: Path | None = None) -> str:
    """Runs cuobjdump, which looks for nvdisasm on PATH, or nvdisasm."""
    environment = {**os.environ, "PATH": f"{cuda_tools()}{os.pathsep}{os.environ.get('PATH', '')}"}
    return run(cuda_tools() / name, *arguments, cwd=folder or ROOT, env=environment)


def objects() -> list[Path]:
    """The objects of the build, which must be there and newer than their sources."""
    plan = rules.plan_objects(cuda_gpu())
    names = [f"{o.name}.o" for o in plan.objects if o.rule == "gpu"]
    builds = sorted((ROOT / "build").glob("temp*/build.ninja"), key=lambda p: p.stat().st_mtime)
    if not builds or any(not (builds[-1].parent / "objects" / name).exists() for name in names):
        raise Missing("the objects of a CUDA build are not there, so they cannot be inspected; run: make build")
    folder = builds[-1].parent / "objects"
    ours = [(folder / name).relative_to(ROOT).as_posix() for name in names]
    state = run(Path(ninja.BIN_DIR) / "ninja", "-n", "-f", builds[-1].relative_to(ROOT), *ours, cwd=ROOT)
    if "no work to do" not in state:
        raise Missing("the objects of the CUDA build are older than their sources; run: make build")
    return [folder / name for name in names]


def cpu_seconds(log: str) -> float:
    """The last output of the shell's `times`: the user and system seconds of its children."""
    found = re.findall(r"^(\d+)m([\d.]+)s (\d+)m([\d.]+)s$", log, re.M)
    return sum(60 * float(m) + float(s) for m, s in (found[-1][:2], found[-1][2:])) if found else 0.0


def compile_command(log: Path, out: Path) -> list[str]:
    """What the build ran for an object (its log lies beside it), with another output and no dependency file."""
    build = log.parent.parent / "build.ninja"
    target = log.with_suffix("").relative_to(ROOT).as_posix()
    text = run(Path(ninja.BIN_DIR) / "ninja", "-f", build.relative_to(ROOT), "-t", "commands", "-s", target, cwd=ROOT)
    words = shlex.split(text.partition("{ ")[2].partition("; }")[0])
    at = words.index("-MMD")  # -MMD -MF file, then -c source -o object
    return [*words[:at], *words[at + 3 : -1], str(out)]


def pace_of_build(seconds: dict[Path, float]) -> float:
    """This machine's pace while it built the objects: it may have been another than it is now.

    Each is compiled again beside the yardstick. seconds: of each build, by its log.
    """
    nvcc = cuda_gpu().compiler
    with tempfile.TemporaryDirectory() as folder:
        work = [c for log in seconds for c in (compile_command(log, Path(folder) / log.stem), None)]
        taken: list[float] = parallel(lambda c: timed(*c)[1] if c else yardstick.nvcc(nvcc, yardstick.once), work)
    now = sum(taken[1::2]) / len(seconds)
    return now * sum(seconds.values()) / sum(taken[::2])


def disassembled(text: str) -> Iterator[tuple[str, list[str]]]:
    """(mangled name, opcodes) of each kernel, with the out-of-line functions that lie in its section."""
    name = ""
    opcodes: list[str] = []
    for line in text.splitlines():
        if line.startswith("//-----"):
            if name:
                yield name, opcodes
            section = re.search(r" \.text\.(\S+) ", line)
            name, opcodes = section[1] if section else "", []
        elif name and (found := INSTRUCTION.match(line)):
            opcodes.append(found[1])
    if name:
        yield name, opcodes


def read_cubin(cubin: Path) -> list[Kernel]:
    target = re.findall(r"sm_\w+", cubin.name)[-1]
    text = tool("nvdisasm", "-c", cubin)
    code = dict(disassembled(text))
    arch = re.search(r"\.target\s+(sm_\w+)", text)
    usage = {name: numbers for name, *numbers in USAGE.findall(tool("cuobjdump", "-res-usage", cubin))}
    named = demangle(list(code))
    kernels = []
    for name, opcodes in code.items():
        registers, stack, shared, local = (int(x) for x in usage[name])
        if int(re.sub(r"\D", "", target)) >= 90:  # there the system's own part is counted
            shared -= promises.machine_of(target).reserved
        kernels.append(
            Kernel(
                target,
                named[name],
                registers,
                stack=stack + local,
                shared=shared,
                code_bytes=len(opcodes) * INSTRUCTION_BYTES,
                arch=arch[1] if arch else "",
                counts=count("cuda", opcodes),
                early=promises.ahead_of_wait(opcodes),
            )
        )
    return kernels


def read_object(path: Path) -> dict[str, list[Kernel]]:
    """Kernels by target of an object file or a cubin."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tool("cuobjdump", "-xelf", "all", path.resolve(), folder=folder)
        found: dict[str, list[Kernel]] = {}
        for cubin in sorted(folder.glob("*.cubin")):
            kernels = read_cubin(cubin)
            found.setdefault(re.findall(r"sm_\w+", cubin.name)[-1], []).extend(kernels)
        return found


def inspect() -> Inspection:
    found = Inspection(f"nvcc {cuda_gpu().version}")
    wanted = [w for words in rules.plan_objects(cuda_gpu()).targets.values() for w in words if w.startswith("sm_")]
    found.kernels = {target: [] for target in dict.fromkeys(wanted)}
    paths = objects()
    logs = {path: Path(f"{path}.log") for path in paths}
    found.logs = {path.name: log.read_text() if log.exists() else "" for path, log in logs.items()}
    taken = {log: cpu_seconds(found.logs[path.name]) for path, log in logs.items()}
    found.pace = yardstick.nvcc(cuda_gpu().compiler)
    if sum(taken.values()) > found.pace * promises.BUDGET_SECONDS:  # by what a compiler takes now
        found.pace = pace_of_build(taken)
    found.seconds = {path.name: taken[log] / found.pace for path, log in logs.items()}
    for kernels in parallel(read_object, paths):
        for target, group in kernels.items():
            found.kernels.setdefault(target, []).extend(group)
    total = sum(found.seconds.values())
    found.code_bytes = sum(k.code_bytes for group in found.kernels.values() for k in group)
    # One run of nvcc serves all targets: each has its share by bytes.
    found.by_target = {
        target: total * sum(k.code_bytes for k in group) / max(found.code_bytes, 1)
        for target, group in found.kernels.items()
    }
    return found
