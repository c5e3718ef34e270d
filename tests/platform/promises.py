"""What the compiled kernels promise, and what the devices have: the one table of the inspection.

A new configuration adds a `Promise` where it is to use an instruction that no rule here names; a new target adds a
`Machine`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from gpukern import _C
from tests.platform.toolchains import ROOT, rules

# Instructions that matter: a label, which is a column of the golden files, and what the disassembler writes.
CUDA = {
    "LDG.128": r"LDG\..*\b128",
    "once": r"LDG\..*\bNA\b.*\b128",  # of these, past L1: load_packet_once
    "LDG": r"LDG",
    "STG.128": r"STG\..*\b128",
    "STG": r"STG",
    "LDS.128": r"LDS\.(U\.)?128",
    "LDS": r"LDS",
    "STS": r"STS",
    "FFMA": r"FFMA",
    "DFMA": r"DFMA",
    "IMAD": r"IMAD(?!\.(MOV|SHL|IADD|U32\.MOV))",
    "MMA": r"[DHIQ]G?MMA",
    "HGMMA": r"[HIQ]GMMA",  # wgmma of 16 bits and tf32, of int8, of float8
    "UTMALDG": r"UTMALDG",
    "UTMASTG": r"UTMASTG",
    "SYNCS": r"SYNCS",
    "STSM": r"STSM",
    "LDSM": r"LDSM",
    "LDGSTS.128": r"LDGSTS\..*\b128",
    "LDGSTS": r"LDGSTS",
    "MUFU": r"MUFU",
    "BAR": r"BAR",
    "CALL": r"CALL",
    "LDL": r"(LDL|STL)\b",
}
HIP = {
    "load128": r"global_load_(dwordx4|b128)\b",
    "load": r"(global|flat)_load",
    "store128": r"global_store_(dwordx4|b128)\b",
    "store": r"(global|flat)_store",
    "flat": r"flat_(load|store)",
    "lds128": r"ds_(read|load)_b128\b",
    "lds": r"ds_(read|load)",
    "ldsst": r"ds_(write|store)",
    "fma32": r"v_(dual_)?(pk_)?fma\w*_f32",
    "fma64": r"v_fma\w*_f64",
    "mul": r"v_(mul_lo|mad)_[iu](32|64)",
    "matrix": r"v_(mfma|wmma|swmmac|smfmac)",
    "trans": r"v_(exp|log|rcp|rsq|sqrt|sin|cos)_",
    "barrier": r"s_barrier(_signal)?(?!_wait)\b",
    "call": r"s_swappc",
    "scratch": r"scratch_|buffer_(load|store)",
}
FORBIDDEN = ("LDL", "scratch")  # memory of a thread's own: an array that an index walks, or a spill


# Stack that is not ours to avoid: CUDA's sin, cos and tan keep the digits of 2 / pi in memory, for arguments beyond
# 105615; a kernel that serves a whole family is named after its ops.
# (a kernel's name, the most bytes): nothing else may have any.
KNOWN_STACK = [(r"\b(math::(Sin|Cos)|transcendental::Tan)\b", "cuda", 40)]


def known_stack(name: str, backend: str) -> int:
    return max(
        (most for pattern, vendor, most in KNOWN_STACK if vendor == backend and re.search(pattern, name)), default=0
    )


# Scalar registers that clang keeps in lanes of a vector register (never in memory): it loads the 60 constants of a
# double erfc out of the loop over the elements.  (a kernel's name, the most): nothing else may have any.
KNOWN_LANES = [(r"rows<.*\bGelu\b.*, double, 8>", 8)]


def known_lanes(name: str) -> int:
    return max((most for pattern, most in KNOWN_LANES if re.search(pattern, name)), default=0)


@cache
def places_of(pattern: str) -> set[Path]:
    """The `targets` files for kernels of that pattern: the folder, or sources of it."""
    folder, _, rest = pattern.partition("/")
    room = next((r for r in ("csrc/gemm/arch", "csrc/gemm", "csrc") if (ROOT / r / folder / "targets").exists()), None)
    if room is None:
        return set()
    names = f"{folder}/{rest.split()[0]}"
    found = [c for c in _C.gemm_configurations() if re.fullmatch(names, c["name"])]
    return {Path(room, folder, c["source"]) for c in found} or {Path(room, folder)}


@dataclass(frozen=True)
class Promise:
    """Kernels whose key matches, and whose name does not match `unless`, have at least so many of each instruction."""

    kernels: str
    cuda: dict[str, int] = field(default_factory=dict)
    hip: dict[str, int] = field(default_factory=dict)
    unless: str = r"(?!)"

    def asked_of(self, target: str) -> bool:
        """Whether what `kernels` names is compiled for the target; a pattern that names no folder applies to all."""
        places = places_of(self.kernels)
        return not places or any(target in rules.words_of(place) for place in places)

    def broken(self, key: str, name: str, backend: str, counts: dict[str, int]) -> list[str]:
        if not re.fullmatch(self.kernels, key) or re.search(self.unless, name):
            return []
        wanted = self.cuda if backend == "cuda" else self.hip
        return [
            f"has {counts.get(label, 0)} of {label}, promises {least}"
            for label, least in wanted.items()
            if counts.get(label, 0) < least
        ]


PROMISES = [
    # Packets of 16 bytes; inputs that the output does not alias go past L1.  Gradients of steps are 0 and read none.
    Promise(
        r"elementwise/\w+ rows<.*>",
        {"LDG.128": 2, "once": 1, "STG.128": 1},
        {"load128": 1, "store128": 1},
        unless=r"Grad<.*::(Sign|DivTrunc|DivFloor)\b",
    ),
    Promise(r"elementwise/\w+ any<.*>", {"LDG": 4, "LDS": 1, "STS": 1, "BAR": 1}, {"load": 4, "lds": 1, "barrier": 1}),
    # 8 steps of k are unrolled; gfx90a and gfx942 pack two multiply-adds, gfx11 and gfx12 issue two at once.
    Promise(r"simt/s128x128 \w+", {"FFMA": 512, "LDS.128": 32, "LDG.128": 2, "BAR": 2}, {"fma32": 256, "lds128": 16}),
    Promise(r"simt/s(64x64|32x32|16x128) \w+", {"FFMA": 128, "LDS.128": 16}, {"fma32": 64, "lds128": 16}),
    Promise(r"simt/s128x16 \w+", {"FFMA": 64, "LDS.128": 8, "LDS": 16}, {"fma32": 32, "lds128": 8}),
    Promise(r"simt/d\w+ f64", {"DFMA": 128, "LDS.128": 32}, {"fma64": 128, "lds128": 32}),
    Promise(r"simt/w\w+ \w+", {"IMAD": 128, "LDS.128": 16}, {"mul": 64, "lds128": 16}),
    # Four multiply-adds for each of 16 sums; the kernel of 8 bytes reads two numbers at a time.
    Promise(r"simt/z\w+ c64", {"FFMA": 512, "LDS.128": 32, "LDG.128": 1, "STG.128": 1}, {"fma32": 256, "lds128": 32}),
    Promise(r"simt/z\w+ c128", {"DFMA": 128, "LDS.128": 16, "LDG.128": 1, "STG.128": 1}, {"fma64": 128, "lds128": 16}),
    # Eight unrolled steps of 16 multiply-adds on what was widened on the way in.
    Promise(r"simt/q\w+ f8", {"FFMA": 128, "LDS.128": 16, "LDG": 8}, {"fma32": 64, "lds128": 16}),
    # A load or store of 16 bytes where a thread has 16 neighbouring bytes to move.
    Promise(r"simt/\w+ (f32|f64|i32|i64)", {"LDG.128": 1}, {"load128": 1}),
    Promise(r"simt/(s128x128|s32x32|s16x128|s128x16) b?f16", {"LDG.128": 1}, {"load128": 1}),
    Promise(r"simt/(?!s128x16)\w+ (f32|f64|i32|i64)", {"STG.128": 1}, {"store128": 1}),
]

# A step of k is 32 bytes: 4 x 8 products of a 64 x 64 part, and an ldmatrix for each 16 rows and each 16 columns.  Two
# steps a tile of 64 bytes, four of 128 (the smallest parts are a loop of two).  Copies of 16 bytes for the prologue's
# tiles and the loop's.
PROMISES += [
    Promise(r"mma_sync/h128x(128|256) b?f16", {"MMA": 64, "LDSM": 16, "LDGSTS.128": 12, "STG": 2}),
    Promise(r"mma_sync/h64x128 b?f16", {"MMA": 32, "LDSM": 12, "LDGSTS.128": 12}),
    Promise(r"mma_sync/h64x64 b?f16", {"MMA": 32, "LDSM": 16, "LDGSTS.128": 16}),
    Promise(r"mma_sync/h16x128 b?f16", {"MMA": 8, "LDSM": 9, "LDGSTS.128": 18}),
    Promise(r"mma_sync/t128x128 f32", {"MMA": 32, "LDGSTS.128": 8}),
    Promise(r"mma_sync/t64x64 f32", {"MMA": 32, "LDGSTS.128": 16}),
    Promise(r"mma_sync/d\w+ f64", {"MMA": 8, "LDGSTS.128": 8}),
    # A warp's 32 x 32 by 16 of k is 8 products, twice a tile; 8 reads of 8 bytes for 16 rows, 4 for 8 columns.
    Promise(r"mma_sync/m(128|64)x64 f64", {"MMA": 16, "LDGSTS.128": 16, "LDS": 96, "BAR": 3}),
    Promise(r"mma_sync/m32x32 f64", {"MMA": 4, "LDGSTS.128": 16, "LDS": 48, "BAR": 3}),
    # A step is four k: 16 multiply-adds for each 16 x 8 of a warp's part; four steps a tile of 64 bytes, of 128 a loop
    # of two.
    Promise(r"mma_sync/f128x128 f32", {"FFMA": 1024, "LDS.128": 32, "LDGSTS.128": 8}),
    Promise(r"mma_sync/f64x64 f32", {"FFMA": 512, "LDS.128": 32, "LDGSTS.128": 8}),
    Promise(r"mma_sync/f(32x32|16x128) f32", {"FFMA": 128, "LDS.128": 16, "LDGSTS.128": 10}),
    Promise(r"mma_sync/f\w+ f32", {"LDGSTS": 8, "BAR": 3, "STG.128": 1, "STS": 2}),
    # Four steps of 32 k a tile, whose sums are scaled and added once.
    Promise(r"mma_sync/o128x128 f8", {"MMA": 64, "LDSM": 24, "LDGSTS.128": 16, "FFMA": 64, "BAR": 3}),
    Promise(r"mma_sync/o64x64 f8", {"MMA": 32, "LDSM": 16, "LDGSTS.128": 16, "FFMA": 32, "BAR": 3}),
    Promise(r"mma_sync/i\w+ i8", {"LDSM": 16, "LDGSTS.128": 16}),
    Promise(r"mma_sync/[htdi]\w+ \w+", {"LDGSTS": 8, "BAR": 3, "LDS.128": 1, "STS": 4}),
    Promise(r"mma_sync/e\w+ f32", {"MMA": 32, "LDSM": 12, "LDGSTS.128": 8, "BAR": 3, "LDS.128": 1, "STS": 4}),
    Promise(r"split/sum <\w+>", {"LDG.128": 1}, {"load128": 1}),
    # The passes before a product: a store of 16 bytes for each term; for copied operands, and for transposed ones.
    Promise(r"mma_sync/divide", {"LDG.128": 2, "once": 2, "STG.128": 3}),
    Promise(r"wgmma/divide", {"LDG.128": 2, "once": 2, "STG.128": 3}),
    Promise(r"wgmma/pack <\d bytes>", {"once": 1, "STG.128": 2, "LDS.128": 1, "BAR": 1}),
    # By rows: four packets past L1 before the loop and four in it, which are on their way together; x through L1.
    Promise(r"skinny/r[18] (?!u8|i8)\w+", {"LDG.128": 9, "once": 8, "BAR": 1}, {"load128": 9, "barrier": 1}),
    Promise(r"skinny/r[18] [ui]8", {"LDG": 9, "BAR": 1}, {"load": 9, "barrier": 1}),
    # By columns: eight at once for one vector, four for 8, and one by one at the end.
    Promise(r"skinny/c1 (?!u8|i8)\w+", {"LDG.128": 9, "once": 9, "BAR": 1}, {"load128": 9, "barrier": 1}),
    Promise(r"skinny/c8 (?!u8|i8)\w+", {"LDG.128": 5, "once": 5, "BAR": 1}, {"load128": 5, "barrier": 1}),
    Promise(r"skinny/c[18] [ui]8", {"LDG": 9, "BAR": 1}, {"load": 8, "barrier": 1}),
    Promise(r"skinny/[rc]8 (f16|bf16|f32)", {"FFMA": 128}, {"fma32": 32}),
]

# A stage of 64 k is four wgmma for each 64 rows of a warpgroup; boxes of A and of B, to one block or both; a store for
# each box of D, and an stmatrix for each 16 of its columns.
PROMISES += [
    Promise(r"wgmma/(w256x128|p128x128) b?f16", {"HGMMA": 8, "UTMASTG": 4, "STSM": 16}),
    Promise(r"wgmma/w128x256 b?f16", {"HGMMA": 4, "UTMASTG": 4, "STSM": 16}),
    Promise(r"wgmma/w128x192 b?f16", {"HGMMA": 4, "UTMASTG": 3, "STSM": 12}),
    Promise(r"wgmma/w128x224 b?f16", {"HGMMA": 4, "UTMASTG": 7, "STSM": 14}),  # boxes of 32 columns
    Promise(r"wgmma/w128x160 b?f16", {"HGMMA": 4, "UTMASTG": 5, "STSM": 10}),
    Promise(r"wgmma/p64x256 b?f16", {"HGMMA": 4, "UTMASTG": 4, "STSM": 16}),
    Promise(
        r"wgmma/\w+ b?f16", {"HGMMA": 4, "UTMALDG": 3, "UTMASTG": 1, "SYNCS": 20, "STSM": 1, "STG.128": 1, "LDS": 5}
    ),
    # Other types: as many bytes of k, and no store by TMA.  A promoting configuration has four for each 64 rows too.
    Promise(r"wgmma/[wpq](256x128|128x256) (f32|i8|f8)", {"HGMMA": 4}),
    Promise(r"wgmma/(w256x128|p128x128|q256x128) (f32|i8|f8)", {"HGMMA": 8}),
    # Terms: two stages a product, with the accumulators of every product from zero.
    Promise(r"wgmma/t256x128 f32", {"HGMMA": 16, "FFMA": 256}),
    Promise(r"wgmma/t\w+ f32", {"HGMMA": 8}),
    Promise(r"wgmma/\w+ (f32|i8|f8)", {"HGMMA": 4, "UTMALDG": 3, "SYNCS": 20, "STG.128": 1, "LDS": 5}),
]

# Kernels that may start before the ones ahead of them have ended (launch_clusters with `overlaps`): griddepcontrol.wait
# (ACQBULK) stands before the first instruction that touches global memory, wherever the source has it.
OVERLAPPING = "(" + "|".join(c["name"] for c in _C.gemm_configurations() if c["overlaps"]) + r") \w+"
WAIT = r"ACQBULK\b"
GLOBAL = r"(LD|LDG|LDGSTS|ST|STG|ATOM|ATOMG|RED|REDG|UTMALDG|UTMAPF|UTMASTG|UTMAREDG|UBLKCP|UBLKPF|UBLKRED)\b"


def ahead_of_wait(opcodes: Sequence[str]) -> list[str]:
    """Instructions that touch global memory before the wait; without a wait all of them, and a complaint."""
    at = next((i for i, opcode in enumerate(opcodes) if re.match(WAIT, opcode)), None)
    missing = ["no wait at all"] if at is None else []
    return missing + [opcode for opcode in opcodes[:at] if re.match(GLOBAL, opcode)]


# All GPU code of one vendor: CPU seconds of the compiler, as yardstick.py counts them; bytes of device code before
# compression.
BUDGET_SECONDS, BUDGET_BYTES = 400, 60_000_000


@dataclass(frozen=True)
class Machine:
    """What bounds the blocks that a processor holds. registers: of a processor (AMD: those of a lane of a SIMD)."""

    warps: int  # of a processor; AMD: of a SIMD
    blocks: int
    registers: int
    granule: int  # registers are given to a warp (AMD: to a lane) in multiples of it
    shared: int
    reserved: int = 0  # shared memory that the system takes of each block
    simds: int = 1
    wave: int = 32


MACHINES = {
    "sm_75": Machine(32, 16, 65536, 256, 64 << 10),
    "sm_80": Machine(64, 32, 65536, 256, 164 << 10, 1 << 10),
    "sm_89": Machine(48, 24, 65536, 256, 100 << 10, 1 << 10),
    "sm_90": Machine(64, 32, 65536, 256, 228 << 10, 1 << 10),
    "sm_100": Machine(64, 32, 65536, 256, 228 << 10, 1 << 10),
    "sm_120": Machine(48, 24, 65536, 256, 100 << 10, 1 << 10),
    "gfx90a": Machine(8, 32, 512, 8, 64 << 10, simds=4, wave=64),
    "gfx942": Machine(8, 32, 512, 8, 64 << 10, simds=4, wave=64),
    "gfx950": Machine(8, 32, 512, 8, 160 << 10, simds=4, wave=64),
    # The generic targets serve devices with 1024 registers a lane too, which is what clang counts with.
    "gfx11-generic": Machine(16, 32, 1024, 16, 64 << 10, simds=2),
    "gfx12-generic": Machine(16, 32, 1536, 24, 64 << 10, simds=2),
}
ALIASES = {"sm_90a": "sm_90", "sm_100a": "sm_100", "sm_120a": "sm_120"}


def machine_of(target: str) -> Machine:
    found = MACHINES.get(ALIASES.get(target, target))
    assert found, f"tests/platform/promises.py does not say what {target} has: add it to MACHINES"
    return found


def blocks_at_once(target: str, registers: int, threads: int, shared: int) -> int:
    """Blocks that a processor holds (CUDA: an SM; AMD: a compute unit)."""
    m = machine_of(target)
    warps = -(-threads // m.wave)
    if m.simds > 1:
        waves = min(m.warps, m.registers // (-(-max(registers, 1) // m.granule) * m.granule))
        by_registers = waves * m.simds // warps
    else:
        each = -(-registers * m.wave // m.granule) * m.granule
        by_registers = min(m.registers // each // 4 * 4, m.warps) // warps  # a fourth of them for each scheduler
    by_shared = m.shared // (shared + m.reserved) if shared + m.reserved else m.blocks
    return min(by_registers, by_shared, m.blocks)
