"""The primitives of a CUDA device against the syntax lines of the PTX ISA and the CUDA programming guide; no device.

The tables below are written from the manuals: [a] is an address, d the result, {..} a vector.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.platform.includes import CSRC
from tests.platform.instructions import ROOMS, Instruction, bodies, instructions, preprocessed

PLATFORM = CSRC / "platform"


def vector(letter: str, name: str, count: int) -> str:
    return "{" + ", ".join(f"{letter}:{name}[{i}]" for i in range(count)) + "}"


def simple() -> Iterator[tuple[str, list[str]]]:
    """Primitives that order memory: bar, cp.async, mbarrier, fence, barrier.cluster, wgmma's and bulk groups."""
    yield "barrier_sync", ["bar.sync r:id, r:threads;"]
    yield "barrier_arrive", ["bar.arrive r:id, r:threads;"]
    yield "cp_async", ["cp.async.cg.shared.global [r:to], [l:from], 16, r:valid;",
                       "cp.async.ca.shared.global [r:to], [l:from], n:Bytes, r:valid;"]  # fmt: skip
    yield "cp_async_commit", ["cp.async.commit_group;"]
    yield "cp_async_wait", ["cp.async.wait_group n:StillUnderWay;"]
    for suffix, name in (("", ""), (".trans", "_trans")):
        loads, stores = [], []
        for n in (1, 2, 4):
            loads.append(f"ldmatrix.sync.aligned.m8n8.x{n}{suffix}.shared.b16 {vector('=r', 'r', n)}, [r:address];")
            stores.append(f"stmatrix.sync.aligned.m8n8.x{n}{suffix}.shared.b16 [r:address], {vector('r', 'r', n)};")
        yield f"ldmatrix{name}", loads
        yield f"stmatrix{name}", stores
    yield "mbarrier_init", ["mbarrier.init.shared::cta.b64 [r:barrier], r:count;"]
    yield "mbarrier_inval", ["mbarrier.inval.shared::cta.b64 [r:barrier];"]
    yield "mbarrier_arrive", ["mbarrier.arrive.shared::cta.b64 _, [r:barrier];"]
    yield "mbarrier_arrive_expect_tx", ["mbarrier.arrive.expect_tx.shared::cta.b64 _, [r:barrier], r:bytes;"]
    yield "mbarrier_expect_tx", ["mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [r:barrier], r:bytes;"]
    yield "mbarrier_arrive_cluster", ["mbarrier.arrive.release.cluster.shared::cluster.b64 _, [r:barrier];"]
    yield (
        "mbarrier_try_wait_parity",
        [
            "{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [r:barrier], r:parity; "
            "selp.u32 =r:done, 1, 0, p; }"
        ],
    )
    yield "fence_mbarrier_init", ["fence.mbarrier_init.release.cluster;"]
    yield "fence_proxy_async", ["fence.proxy.async;"]
    yield "fence_proxy_async_shared", ["fence.proxy.async.shared::cta;"]
    yield "cluster_arrive", ["barrier.cluster.arrive.release.aligned;"]
    yield "cluster_arrive_relaxed", ["barrier.cluster.arrive.relaxed.aligned;"]
    yield "cluster_wait", ["barrier.cluster.wait.acquire.aligned;"]
    parts = [("u32", "{}:bits[0]")]
    parts += [(f"v{n}.u32", "{{" + ", ".join(f"{{0}}:bits[{i}]" for i in range(n)) + "}}") for n in (2, 4)]
    yield "load_cluster", [f"ld.shared::cluster.{kind} {what.format('=r')}, [r:address];" for kind, what in parts]
    yield "store_cluster", [f"st.shared::cluster.{kind} [r:address], {what.format('r')};" for kind, what in parts]
    ranks = [(r, f"[l:map, {vector('r', 'at', r)}]") for r in range(1, 6)]
    for multicast in (False, True):
        for hint in (False, True):
            kind = "mbarrier::complete_tx::bytes" + ".multicast::cluster" * multicast + ".L2::cache_hint" * hint
            more = ", h:blocks" * multicast + ", l:hint" * hint
            yield (
                "tma_load" + "_multicast" * multicast + "_hint" * hint,
                [
                    f"cp.async.bulk.tensor.{r}d.shared::cluster.global.tile.{kind} [r:to], {box}, [r:barrier]{more};"
                    for r, box in ranks
                ],
            )
    for hint in (False, True):
        kind, more = ".L2::cache_hint" * hint, ", l:hint" * hint
        yield (
            "tma_store" + "_hint" * hint,
            [
                f"cp.async.bulk.tensor.{r}d.global.shared::cta.tile.bulk_group{kind} {box}, [r:from]{more};"
                for r, box in ranks
            ],
        )
    yield "bulk_commit_group", ["cp.async.bulk.commit_group;"]
    yield "bulk_wait_group", ["cp.async.bulk.wait_group n:N;"]
    yield "bulk_wait_group_read", ["cp.async.bulk.wait_group.read n:N;"]
    yield "prefetch_tensormap", ["prefetch.tensormap [l:map];"]
    yield "wgmma_fence", ["wgmma.fence.sync.aligned;"]
    yield "wgmma_fence_operand", ["", ""]
    yield "wgmma_commit_group", ["wgmma.commit_group.sync.aligned;"]
    yield "wgmma_wait_group", ["wgmma.wait_group.sync.aligned n:G;"]
    yield "griddepcontrol_wait", ["griddepcontrol.wait;"]
    yield "griddepcontrol_launch_dependents", ["griddepcontrol.launch_dependents;"]


def products() -> Iterator[tuple[str, list[str]]]:
    """mma: "d, a, b, c" with c in d's registers.  wgmma: "d, a-desc, b-desc, scale-d, imm-scale-a, -b[, ..]"."""
    for word, shape, letter in [
        ("m16n8k16_f16", "m16n8k16.row.col.f32.f16.f16.f32", "f"),
        ("m16n8k16_bf16", "m16n8k16.row.col.f32.bf16.bf16.f32", "f"),
        ("m16n8k8_tf32", "m16n8k8.row.col.f32.tf32.tf32.f32", "f"),
        ("m16n8k32_s8", "m16n8k32.row.col.s32.s8.s8.s32", "r"),
        *((f"m16n8k32_{a}_{b}", f"m16n8k32.row.col.f32.{a}.{b}.f32", "f")
          for a in ("e4m3", "e5m2") for b in ("e4m3", "e5m2")),
    ]:  # fmt: skip
        d = vector(f"+{letter}", "d", 4)
        yield f"mma_{word}", [f"mma.sync.aligned.{shape} {d}, {vector('r', 'a', 4)}, {vector('r', 'b', 2)}, {d};"]
    for word, counts in (("m8n8k4", (2, 1, 1)), ("m16n8k16", (4, 8, 4))):
        d, a, b = (vector(*of) for of in zip(("+d", "d", "d"), "dab", counts))
        yield f"mma_{word}_f64", [f"mma.sync.aligned.{word}.row.col.f64.f64.f64.f64 {d}, {a}, {b}, {d};"]
    predicate = "{ .reg .pred p; setp.ne.b32 p, r:accumulate, 0; wgmma.mma_async.sync.aligned."
    a_registers = vector("r", "a", 4)
    for n in range(8, 257, 8):
        d = vector("+f", "d", n // 2)
        for name, kind in (("bfloat16_t", "bf16"), ("half_t", "f16")):
            start = f"{predicate}m64n{n}k16.f32.{kind}.{kind} {d}, "
            yield f"Wgmma<{name}, {n}>::shared", [f"{start}l:a, l:b, p, 1, 1, n:TransposeA, n:TransposeB; }}"]
            yield f"Wgmma<{name}, {n}>::registers", [f"{start}{a_registers}, l:b, p, 1, 1, n:TransposeB; }}"]
        pairs = [("tf32", "tf32", 8), *((a, b, 32) for a in ("e4m3", "e5m2") for b in ("e4m3", "e5m2"))]
        for a, b, k in pairs:
            yield (
                f"WgmmaAlongK<{a}_t, {b}_t, {n}>::shared",
                [f"{predicate}m64n{n}k{k}.f32.{a}.{b} {d}, l:a, l:b, p, 1, 1; }}"],
            )
        if n in (8, 24) or n % 16 == 0:
            whole = vector("+r", "d", n // 2)
            yield (
                f"WgmmaAlongK<int8_t, int8_t, {n}>::shared",
                [f"{predicate}m64n{n}k32.s32.s8.s8 {whole}, l:a, l:b, p; }}"],
            )


OF_THE_THREAD = {
    "cluster_rank": ["mov.u32 =r:rank, $cluster_ctarank;"],
    "cluster_size": ["mov.u32 =r:size, $cluster_nctarank;"],
    "mapa": ["mapa.shared::cluster.u32 =r:mapped, r:address, r:rank;"],
    "load_streaming": ["ld.global.nc.L1::no_allocate.v4.u32 {=r:v.x, =r:v.y, =r:v.z, =r:v.w}, [l:p];"],
    "setmaxnreg_inc": ["setmaxnreg.inc.sync.aligned.u32 n:N;"],
    "setmaxnreg_dec": ["setmaxnreg.dec.sync.aligned.u32 n:N;"],
    "elect_sync": ["{ .reg .pred p; elect.sync _|p, 0xffffffff; selp.u32 =r:elected, 1, 0, p; }"],
}


def expected() -> dict[str, list[Instruction]]:
    found = {word: [Instruction(text, True, True) for text in texts] for word, texts in simple()}
    for word, texts in [*products(), *OF_THE_THREAD.items()]:
        found[word] = [Instruction(text, True, False) for text in texts]
    return found | {"round_to_tf32": [Instruction("cvt.rna.tf32.f32 =r:bits, f:x;", False, False)]}


# CUDA programming guide: warp shuffle, vote, match and reduce functions, atomics; the mask is of all lanes.
FUNCTIONS = {
    "syncthreads": "__syncthreads()",
    "syncwarp": "__syncwarp(mask)",
    "shfl": "__shfl_sync(kAllLanes, v, lane, group_of(width))",
    "shfl_up": "__shfl_up_sync(kAllLanes, v, lanes, group_of(width))",
    "shfl_down": "__shfl_down_sync(kAllLanes, v, lanes, group_of(width))",
    "shfl_xor": "__shfl_xor_sync(kAllLanes, v, lanes, group_of(width))",
    "ballot": "__ballot_sync(kAllLanes, yes)",
    "vote_any": "__any_sync(kAllLanes, yes)",
    "vote_all": "__all_sync(kAllLanes, yes)",
    "atomic_add": "atomicAdd(p, v)",
    "atomic_max": "atomicMax(p, v)",
    "atomic_min": "atomicMin(p, v)",
    "atomic_exchange": "atomicExch(p, v)",
    "atomic_cas": "atomicCAS(p, expected, v)",
    "reduce_add": "__reduce_add_sync(mask, v)",
    "reduce_min": "__reduce_min_sync(mask, v)",
    "reduce_max": "__reduce_max_sync(mask, v)",
    "match_any": "__match_any_sync(mask, v)",
}


# HIP's C++ language extensions: the same without masks, since lanes run in step; and clang's builtins of AMD GPUs.
HIP_FUNCTIONS = {
    "warp_size": "static_cast<int>(__builtin_amdgcn_wavefrontsize())",
    "syncwarp": "__builtin_amdgcn_wave_barrier()",
    "shfl": "__shfl(v, lane, group_of(width))",
    "shfl_up": "__shfl_up(v, lanes, group_of(width))",
    "shfl_down": "__shfl_down(v, lanes, group_of(width))",
    "shfl_xor": "__shfl_xor(v, lanes, group_of(width))",
    "ballot": "__ballot(yes)",
    "vote_any": "__any(yes)",
    "vote_all": "__all(yes)",
    **{word: says for word, says in FUNCTIONS.items() if word.startswith("atomic_") or word == "syncthreads"},
}


@cache
def model_words() -> str:
    return "".join(p.read_text() for p in sorted((PLATFORM / "model").glob("*.h")))


def different(text: str) -> list[str]:
    """Primitives that differ from the manuals, and those that have a model and no line here."""
    mine, says, manual = instructions(text), bodies(text), expected()
    wrong = [word for word in manual if mine.get(word) != manual[word]]
    wrong += [word for word in FUNCTIONS if says.get(word) != FUNCTIONS[word]]
    return wrong + [word for word in mine if word not in manual and f" {word}(" in model_words()]


def test_words_are_the_manuals_instructions(tmp_path: Path) -> None:
    assert different(preprocessed(CSRC, tmp_path)) == []


FAULTS = [
    ("platform/cuda.h", "__shfl_down_sync(", "__shfl_up_sync(", "shfl_down"),
    ("platform/cuda.h", "atomicMax(p, v)", "atomicMin(p, v)", "atomic_max"),
    ("platform/cuda.h", "atomicCAS(p, expected, v)", "atomicCAS(p, v, expected)", "atomic_cas"),
    ("platform/cuda.h", '"=r"(v.z), "=r"(v.w)', '"=r"(v.w), "=r"(v.z)', "load_streaming"),
    ("platform/cuda/named_barrier.h", "bar.arrive %0", "bar.sync %0", "barrier_arrive"),
    (
        "platform/cuda/named_barrier.h",
        '"r"(id), "r"(threads) : "memory");\n}\n// Does',
        '"r"(id), "r"(threads));\n}\n// Does',
        "barrier_sync",
    ),
    ("platform/cuda/cp_async.h", "[%0], [%1], 16, %2;", "[%0], [%1], 16;", "cp_async"),
    ("platform/cuda/ldmatrix.h", 'ldmatrix_trans, ".trans")', 'ldmatrix_trans, "")', "ldmatrix_trans"),
    ("platform/cuda/ldmatrix.h", "{%1, %2, %3, %4};", "{%1, %3, %2, %4};", "stmatrix"),
    (
        "platform/cuda/mma.h",
        "m16n8k16.row.col.f32.bf16.bf16.f32",
        "m16n8k16.row.col.f32.f16.f16.f32",
        "mma_m16n8k16_bf16",
    ),
    ("platform/cuda/mma.h", "{%4, %5, %6, %7}, {%8, %9}", "{%4, %6, %5, %7}, {%8, %9}", "mma_m16n8k8_tf32"),
    ("platform/cuda/mma.h", "cvt.rna.tf32", "cvt.rz.tf32", "round_to_tf32"),
    (
        "platform/cuda/mbarrier.h",
        "mbarrier.arrive.expect_tx.shared::cta.b64",
        "mbarrier.arrive.shared::cta.b64",
        "mbarrier_arrive_expect_tx",
    ),
    (
        "platform/cuda/mbarrier.h",
        "arrive.release.cluster.shared::cluster",
        "arrive.relaxed.cluster.shared::cluster",
        "mbarrier_arrive_cluster",
    ),
    ("platform/cuda/mbarrier.h", '"r"(barrier), "r"(parity)', '"r"(parity), "r"(barrier)', "mbarrier_try_wait_parity"),
    (
        "platform/cuda/mbarrier.h",
        "fence.proxy.async.shared::cta;",
        "fence.proxy.async.global;",
        "fence_proxy_async_shared",
    ),
    ("platform/cuda/cluster.h", "barrier.cluster.arrive.release", "barrier.cluster.arrive.relaxed", "cluster_arrive"),
    ("platform/cuda/cluster.h", "barrier.cluster.wait.acquire.aligned", "barrier.cluster.wait.aligned", "cluster_wait"),
    ("platform/cuda/cluster.h", "%%cluster_ctarank", "%%cluster_ctaid.x", "cluster_rank"),
    ("platform/cuda/cluster.h", '"r"(address), "r"(rank)', '"r"(rank), "r"(address)', "mapa"),
    ("platform/cuda/tma.h", 'DO(3, "{%2, %3, %4}"', 'DO(3, "{%3, %2, %4}"', "tma_load"),
    ("platform/cuda/tma.h", '"%7", "%8", "%9"', '"%7", "%9", "%8"', "tma_load_multicast_hint"),
    ("platform/cuda/tma.h", "cp.async.bulk.wait_group.read", "cp.async.bulk.wait_group", "bulk_wait_group_read"),
    ("platform/cuda/registers.h", "setmaxnreg.dec", "setmaxnreg.inc", "setmaxnreg_dec"),
    (
        "platform/cuda/dependent_launch.h",
        "griddepcontrol.wait;",
        "griddepcontrol.launch_dependents;",
        "griddepcontrol_wait",
    ),
    (
        "platform/cuda/wgmma_16_bits.h",
        "wgmma.wait_group.sync.aligned %0;",
        "wgmma.wait_group.sync.aligned 0;",
        "wgmma_wait_group",
    ),
    (
        "platform/cuda/wgmma_16_bits.h",
        '"n"(TransposeA), "n"(TransposeB))',
        '"n"(TransposeB), "n"(TransposeA))',
        "Wgmma<half_t, 64>::shared",
    ),
    (
        "platform/cuda/wgmma_16_bits.h",
        "DO(24, 12, 12, 13, 14,",
        "DO(24, 12, 13, 12, 14,",
        "Wgmma<bfloat16_t, 24>::shared",
    ),
    (
        "platform/cuda/wgmma_along_k.h",
        "k32.f32.e4m3.e5m2",
        "k32.f32.e5m2.e4m3",
        "WgmmaAlongK<e4m3_t, e5m2_t, 128>::shared",
    ),
    ("platform/cuda/wgmma_along_k.h", "k32.s32.s8.s8", "k32.s32.u8.s8", "WgmmaAlongK<int8_t, int8_t, 16>::shared"),
]


@pytest.mark.parametrize(("file", "right", "wrong", "word"), FAULTS, ids=[f"{n} {f[3]}" for n, f in enumerate(FAULTS)])
def test_a_fault_of_a_word_is_seen(file: str, right: str, wrong: str, word: str, tmp_path: Path) -> None:
    for room in ROOMS:
        (tmp_path / room).mkdir(exist_ok=True)
        for header in (CSRC / room).glob("*.h"):
            shutil.copy(header, tmp_path / room)
    text = (tmp_path / file).read_text()
    assert text.count(right) == 1
    (tmp_path / file).write_text(text.replace(right, wrong))
    if "wgmma" not in file:  # which would only take time
        for header in (tmp_path / "platform/cuda").glob("wgmma_*.h"):
            header.write_text("")
    assert word in different(preprocessed(tmp_path, tmp_path))


def different_in_hip(text: str) -> list[str]:
    says = bodies(text)
    return [word for word in HIP_FUNCTIONS if says.get(word) != HIP_FUNCTIONS[word]]


def test_hips_primitives_are_the_manuals_functions(tmp_path: Path) -> None:
    assert different_in_hip(preprocessed(CSRC, tmp_path, hip=True)) == []


HIP_FAULTS = [
    ("__shfl_down(v", "__shfl_up(v", "shfl_down"),
    ("__any(yes)", "__all(yes)", "vote_any"),
    ("atomicMax(p, v)", "atomicMin(p, v)", "atomic_max"),
    ("atomicCAS(p, expected, v)", "atomicCAS(p, v, expected)", "atomic_cas"),
    ("__builtin_amdgcn_wave_barrier();", ";", "syncwarp"),
    ("__builtin_amdgcn_wavefrontsize()", "64", "warp_size"),
]


@pytest.mark.parametrize(("right", "wrong", "word"), HIP_FAULTS, ids=[fault[2] for fault in HIP_FAULTS])
def test_a_fault_of_hips_is_seen(right: str, wrong: str, word: str, tmp_path: Path) -> None:
    shutil.copytree(CSRC / "platform", tmp_path / "platform", ignore=shutil.ignore_patterns("model"))
    text = (tmp_path / "platform/hip.h").read_text()
    assert text.count(right) == 1
    (tmp_path / "platform/hip.h").write_text(text.replace(right, wrong))
    assert word in different_in_hip(preprocessed(tmp_path, tmp_path, hip=True))
