"""A compiled kernel as the inspection sees it, what is wrong with it, and the golden file of a target."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

import gpukern
from tests.platform import promises
from tests.platform.toolchains import ROOT

GOLDEN = ROOT / "tests" / "platform" / "golden"
TYPES = {
    "float": "f32", "double": "f64", "__half": "f16", "__nv_bfloat16": "bf16", "__hip_bfloat16": "bf16",
    "unsigned char": "u8", "signed char": "i8", "short": "i16", "int": "i32", "long": "i64",
    "gpukern::Complex<float>": "c64", "gpukern::Complex<double>": "c128", "gpukern::float8_t": "f8",
}  # fmt: skip


@dataclass
class Kernel:
    """One function of a target's code; registers are vector registers on AMD, scalar ones stand beside."""

    target: str
    name: str  # demangled
    registers: int = 0
    scalar: int = 0
    stack: int = 0
    spills: int = 0
    scalar_spills: int = 0  # AMD: into lanes of a vector register
    shared: int = 0  # static; what a launch adds is in `dynamic`
    threads: int = 0
    code_bytes: int = 0
    arch: str = ""  # the target in the code object
    counts: Counter[str] = field(default_factory=Counter)
    early: list[str] = field(default_factory=list)  # what touches global memory ahead of griddepcontrol.wait
    entry: bool = True  # a kernel; else a function that kernels call

    @property
    def backend(self) -> str:
        return "cuda" if self.target.startswith("sm_") else "hip"

    @property
    def key(self) -> str:
        return key_of(self.name) if self.entry else f"{room_of(self.name)} out-of-line"


def count(backend: str, opcodes: Iterable[str]) -> Counter[str]:
    """Opcodes by label."""
    patterns = {k: re.compile(v) for k, v in (promises.CUDA if backend == "cuda" else promises.HIP).items()}
    counts: Counter[str] = Counter()
    for opcode, n in Counter(opcodes).items():
        for label, pattern in patterns.items():
            if pattern.match(opcode):
                counts[label] += n
    return counts


# ---- names -----------------------------------------------------------------------------------------------------------


def room_of(name: str) -> str:
    family = re.search(r"elementwise::common::(?:List<gpukern::elementwise::common::)?(\w+)::", name)
    folder = re.search(r"gemm::(\w+)::", name)
    return f"elementwise/{family[1]}" if family else folder[1] if folder else "elsewhere"


def key_of(name: str) -> str:
    """`simt/s128x128 f16`, `elementwise/blend rows<Value,f32,4>`, or the name where it is neither."""
    named = re.search(r"gemm::(\w+)::\w+<gpukern::gemm::\1::(\w+), ([\w :]+(?:<\w+>)?) ?[,>]", name)
    if named:  # a kernel with its configuration in its name
        return f"{named[1]}/{named[2]} {TYPES[named[3]]}"
    divided = re.search(r"divide_operands<gpukern::gemm::(\w+)::Here>", name)
    copied = re.search(r"gemm::(\w+)::pack_operands<([\w ]+)>", name)
    if divided:
        return f"{divided[1]}/divide"
    if copied:
        words = {"unsigned char": 1, "unsigned short": 2, "unsigned int": 4}
        return f"{copied[1]}/pack <{words[copied[2]]} bytes>"
    ranges = re.search(r"split::sum_ranges<([\w :]+(?:<\w+>)?) ?>", name)
    if ranges:
        kind = TYPES[ranges[1]]
        return f"split/sum <{'whole' if kind[0] in 'iu' else kind}>"
    rows = re.search(r"::rows<.*?common::(Own<.*Value|Own|Shared)<.*?common::(\w+)::.*>, ([\w ]+), (\d)>", name)
    if rows:  # values of floating types have kernels of their own; the rest, with few exceptions, shares some
        what = "Value" if "Value" in rows[1] and rows[3] != "long" else "Rest"
        return f"elementwise/{rows[2]} rows<{what},{TYPES[rows[3]]},{rows[4]}>"
    other = re.search(r"::any<.*List<gpukern::elementwise::common::(\w+)::.*>, ([\w ]+), (\d)>", name)
    return f"elementwise/{other[1]} any<{TYPES[other[2]]},{other[3]}>" if other else name


@cache
def plan_constants() -> dict[str, int]:
    text = (ROOT / "csrc" / "elementwise" / "plan.h").read_text()
    found = {k: int(v) for k, v in re.findall(r"constexpr int (k\w+) = (\d+);", text)}
    return {**found, "kTileThreads": found["kTile"] ** 2 // found["kEach"]}


def launch_of(kernel: Kernel) -> tuple[int, int]:
    """Threads of a block, and the most bytes of shared memory that a launch requests."""
    product = re.match(r"(\w+)/(\w+) (\w+)", kernel.key)
    found = [c for c in gpukern.available(built=False) if product and c.name == f"{product[1]}/{product[2]}"]
    if found:
        return found[0].threads, found[0].shared_bytes
    constants = plan_constants()
    other = re.search(r" any<(\w+),(\d)>", kernel.key)
    if other:
        side = constants["kTile"]
        return constants["kTileThreads"], int(other[2]) * side * (side + 1) * (4 if other[1] == "f32" else 8)
    if " rows<" in kernel.key:
        return constants["kThreads"], 0
    return kernel.threads or 256, 0


def occupancy(kernel: Kernel) -> int:
    """Warps (AMD: waves) that a processor holds."""
    threads, dynamic = launch_of(kernel)
    blocks = promises.blocks_at_once(kernel.target, kernel.registers, threads, kernel.shared + dynamic)
    return blocks * -(-threads // promises.machine_of(kernel.target).wave)


# ---- what is wrong ---------------------------------------------------------------------------------------------------


def complaints(kernel: Kernel) -> list[str]:
    """Sentences; none where the kernel keeps what it promises."""
    wrong = []
    allowed = promises.known_stack(kernel.name, kernel.backend)
    if kernel.stack > allowed:
        wrong.append(f"has a stack frame of {kernel.stack} bytes")
    if kernel.spills:
        wrong.append(f"spills {kernel.spills} registers")
    if kernel.scalar_spills > promises.known_lanes(kernel.name):
        wrong.append(f"spills {kernel.scalar_spills} scalar registers")
    if not allowed:
        wrong += [f"has {kernel.counts[label]} of {label}" for label in promises.FORBIDDEN if kernel.counts[label]]
    if kernel.arch != kernel.target:
        wrong.append(f"is code for {kernel.arch or 'nothing known'}")
    if kernel.entry:
        threads, _ = launch_of(kernel)
        if not occupancy(kernel):
            wrong.append(f"cannot be launched with {threads} threads: {kernel.registers} registers")
        if kernel.early and re.fullmatch(promises.OVERLAPPING, kernel.key):
            wrong.append(f"may overlap the kernel before it, and has {', '.join(kernel.early[:4])} ahead of its wait")
        for promise in promises.PROMISES:
            wrong += promise.broken(kernel.key, kernel.name, kernel.backend, kernel.counts)
    return [f"{kernel.target} {kernel.key}: {text}  [{kernel.name[:120]}]" for text in wrong]


LOSS = re.compile(r"C75\d\d|Potential Performance Loss|\bwarning\b", re.IGNORECASE)


def complaints_of_log(name: str, log: str) -> list[str]:
    """Warnings of a compiler's log."""
    return [f"{name}: {line.strip()}" for line in log.splitlines() if LOSS.search(line)]


# ---- the golden file -------------------------------------------------------------------------------------------------


def golden(target: str, compiler: str, kernels: list[Kernel]) -> str:
    """One line a key: the most registers, the fewest warps, sums of bytes and instructions."""
    groups: dict[str, list[Kernel]] = {}
    for kernel in kernels:  # products of float16 and of bfloat16 differ by one conversion
        groups.setdefault(re.sub(r"\bb?f16\b", "16-bit", kernel.key), []).append(kernel)
    entries = [k for k in kernels if k.entry]
    total = sum(k.code_bytes for k in kernels)
    lines = [
        f"# {target} by {compiler}; written by `make inspect-golden`, compared by tests/platform/test_inspection.py",
        f"# {len(entries)} kernels, {total} bytes of instructions; a line is a kernel or all that differ by formula or",
        "# 16-bit type: most registers, most shared bytes, fewest warps a processor holds, sums of bytes, instructions",
    ]
    for key, group in sorted(groups.items()):
        first = [k for k in group if k.entry]
        facts = [f"kernels {len(group)}", f"regs {max(k.registers for k in group)}"] if first else []
        if first and any(k.scalar for k in group):
            facts.append(f"sregs {max(k.scalar for k in group)}")
        if first:
            shared = max(k.shared + launch_of(k)[1] for k in first)
            facts += [f"shared {shared}", f"warps {min(occupancy(k) for k in first)}"]
        facts.append(f"bytes {sum(k.code_bytes for k in group)}")
        sums: Counter[str] = sum((k.counts for k in group), Counter())
        order = promises.CUDA if group[0].backend == "cuda" else promises.HIP
        facts += [f"{label} {sums[label]}" for label in order if sums[label]]
        lines.append(f"{key}: {', '.join(facts)}")
    return "\n".join(lines) + "\n"
