"""Data of hopper.cu, hopper_wgmma.cu and hopper_wgmma_k.cu, from the PTX ISA manual; nothing here calls the model.

Run as `python tests/platform/conformance/make_hopper.py`; tests check that the files are what it makes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from data import Case, case, write
from numpy.typing import NDArray

rng = np.random.default_rng(90)
Cases = list[Case]


def random_words(count: int) -> NDArray:
    return rng.integers(0, 2**32, count, dtype=np.uint32)


def barriers() -> Cases:
    """PTX ISA, mbarrier: phases, their parity, the phase before the first."""
    given = random_words(128)
    thread = np.arange(128)
    phases = np.stack([given[(thread + 33) % 128] + np.uint32(p) for p in range(3)])
    nothing = np.zeros(1, np.uint32)
    peer = random_words(64)
    return [
        case("mbarrier_arrive", "mbarrier.arrive, mbarrier.try_wait.parity", given, phases),
        case("mbarrier_try_wait", "mbarrier.try_wait.parity", nothing, np.array([1, 0, 1, 0], np.uint32)),
        case("mbarrier_inval", "mbarrier.inval", nothing, np.array([0, 1], np.uint32)),
        case("mbarrier_arrive_cluster", "mbarrier.arrive.shared::cluster", peer, peer.reshape(2, 32)[::-1, ::-1]),
    ]


def clusters() -> Cases:
    """PTX ISA, %cluster_ctarank, mapa, ld and st of .shared::cluster, barrier.cluster."""
    nothing = np.zeros(1, np.uint32)
    given, stored = random_words(256), random_words(2 * 32 * 7)
    ranks = np.array([[r, 4] for r in range(4)], np.uint32)
    return [
        case("cluster_rank_and_size", "%cluster_ctarank, %cluster_nctarank", nothing, ranks),
        case("cluster_load", "mapa, ld.shared::cluster", given, np.roll(given.reshape(4, 64), -1, axis=0)),
        case("cluster_store", "mapa, st.shared::cluster", stored, stored.reshape(2, -1)[::-1]),
    ]


# ---- TMA -------------------------------------------------------------------------------------------------------------


def swizzle(image: NDArray, span: int) -> NDArray:
    """PTX ISA, swizzling modes: rows of `span` bytes, 16-byte pieces permuted by the number of their 128-byte line."""
    if span == 0:
        return image
    pieces = image.reshape(-1, span // 16, 16)
    out = np.empty_like(pieces)
    for row in range(len(pieces)):
        line = row * span // 128 % 8
        for piece in range(span // 16):
            out[row, piece ^ line % (span // 16)] = pieces[row, piece]
    return out


def copies(
    name: str, kind: type, extent: Sequence[int], box: Sequence[int], at: Sequence[int], span: int = 0, pitch: int = 0
) -> Cases:
    """A load of the box at `at` and a store to it; extents, boxes and coordinates innermost first."""
    size = np.dtype(kind).itemsize
    row = pitch // size or extent[0]
    outer = extent[:0:-1]
    memory: NDArray = np.frombuffer(rng.bytes(int(np.prod(outer)) * row * size), kind).reshape(*outer, row)
    expected: NDArray = np.zeros(box[::-1], kind)
    image: NDArray = np.frombuffer(rng.bytes(int(np.prod(box)) * size), kind).reshape(box[::-1])
    before: NDArray = np.frombuffer(rng.bytes(memory.nbytes), kind).reshape(memory.shape)
    after = before.copy()
    for where in np.ndindex(*box[::-1]):
        there = tuple(w + a for w, a in zip(where, at[::-1]))
        if all(0 <= x < n for x, n in zip(there, extent[::-1])):
            expected[where] = memory[there]
            after[there] = image[where]
    loaded = swizzle(np.ascontiguousarray(expected).view(np.uint8).reshape(-1), span)
    stored = swizzle(np.ascontiguousarray(image).view(np.uint8).reshape(-1), span)
    return [
        case(f"tma_load_{name}", "cp.async.bulk.tensor, tensors and swizzling modes", memory, loaded),
        case(f"tma_store_{name}", "cp.async.bulk.tensor, tensors and swizzling modes", stored, after, before=before),
    ]


def tma() -> Cases:
    u1, u2, u4 = np.uint8, np.uint16, np.uint32
    cases = [
        *copies("1d", u4, [40], [16], [28]),
        *copies("2d", u2, [24, 10], [16, 8], [-8, 5]),
        *copies("3d", u4, [12, 5, 4], [8, 3, 2], [8, -1, 3]),
        *copies("4d", u4, [8, 3, 4, 3], [4, 2, 2, 2], [4, 2, -1, 2]),
        *copies("5d", u4, [4, 3, 3, 2, 3], [4, 2, 2, 2, 2], [0, 2, -1, 1, 2]),
        *copies("bytes", u1, [32, 5], [32, 6], [3, 1]),
        *copies("swizzle_32", u2, [64, 24], [16, 16], [8, 12], 32, 144),
        *copies("swizzle_64", u2, [64, 24], [32, 16], [40, 12], 64, 144),
        *copies("swizzle_128", u2, [64, 24], [64, 16], [-16, 4], 128, 144),
    ]
    given = random_words(256)
    both = np.stack([given, given])
    stored = random_words(128)
    floats, rounded = tf32()
    return [
        *cases,
        case("tma_load_tf32", "CU_TENSOR_MAP_DATA_TYPE_TFLOAT32", floats, rounded),
        case("tma_load_multicast", ".multicast::cluster", given, both),
        case("tma_load_multicast_hint", ".multicast::cluster.L2::cache_hint", given, both),
        case("bulk_groups", "cp.async.bulk.commit_group, wait_group, .read", stored, stored),
    ]


def tf32() -> tuple[NDArray, NDArray]:
    """Bits of float32, and what a map of tf32 makes of them: the nearest of 11 bits; infinity and NaN are themselves.

    No number lies in the middle between two, and no NaN has bits to lose: how Hopper rounds those is not documented
    (on sm_120 ties were seen to go to even, and NaN to stay the same).
    """
    bits = random_words(64)
    bits[:8] = [0x3F801001, 0x3F802FFF, 0x3F800FFF, 0x3F803001, 0x7F7FFFFF, 0xFF800000, 0x7FC00000, 0x80001001]
    exact = bits.astype(np.uint64)
    down, rest = exact >> 13 << 13, exact & 0x1FFF
    finite = (exact & 0x7F800000) != 0x7F800000
    assert not (finite & (rest == 0x1000)).any() and not (~finite & (rest != 0)).any()
    return bits, np.where(finite, down + np.where(rest > 0x1000, 0x2000, 0), exact).astype(np.uint32)


def threads() -> Cases:
    nothing = np.zeros(1, np.uint32)
    given = random_words(32)
    return [
        case("elect_sync", "elect.sync", nothing, np.array([3, 3], np.uint32)),
        case("setmaxnreg", "setmaxnreg", np.array([5], np.uint32), np.arange(5, 389, dtype=np.uint32)),
        case("griddepcontrol", "griddepcontrol", given, given),
        chain(6),
    ]


def chain(launches: int) -> dict[str, object]:
    """Products modulo 2^32, each of what the one before wrote and the same matrix."""
    b, a = np.random.default_rng(91).integers(0, 2**32, (2, 16, 16), dtype=np.uint32)
    results = [a]
    for _ in range(launches):
        results.append(results[-1] @ b)
    name = "griddepcontrol.wait, .launch_dependents; programmatic stream serialization"
    return case("dependent_launches", name, np.stack([b, a]), np.stack(results[1:]))


# ---- wgmma -----------------------------------------------------------------------------------------------------------


def product(n: int, deep: int = 16) -> NDArray:
    """64 x n, of the matrices that hopper_wgmma.cu makes; `deep` of k."""
    row, column, k = np.arange(64)[:, None], np.arange(n)[:, None], np.arange(deep)[None, :]
    a, b = (row * 5 + k * 3 + 1) % 7 - 3, (column * 3 + k * 2 + 2) % 5 - 2
    whole: NDArray = a @ b.T
    return whole


def held(d: NDArray) -> NDArray:
    """PTX ISA, figure of the fragment of D of wgmma m64nNk16: (thread, register)."""
    n = d.shape[1]
    out = np.empty((128, n // 2), np.float32)
    for warp in range(4):
        for row in range(16):
            for column in range(n):
                lane = row % 8 * 4 + column % 8 // 2
                register = column // 8 * 4 + (2 if row >= 8 else 0) + column % 2
                out[warp * 32 + lane, register] = d[warp * 16 + row, column]
    return out


def summed(n: int, deep: int = 16) -> NDArray:
    fragments = held(product(n, deep))
    sums: NDArray = (fragments * (np.arange(n // 2) % 16 + 1)).sum(1)
    return sums.astype(np.float32)


def wgmma() -> Cases:
    nothing = np.zeros(1, np.uint32)
    manual = "wgmma.mma_async, register fragments and shared memory layout"
    names = [(f"wgmma_{kind}_n{n}", n) for kind in ("bf16", "f16") for n in range(8, 257, 8)]
    for majors in ("k_k", "k_mn", "mn_k", "mn_mn"):
        names += [(f"wgmma_{majors}_{s}", 128) for s in ("none_128", "32_64", "64_32", "128_none")]
    whole = held(product(16))
    return [
        *(case(name, manual, nothing, summed(n)) for name, n in names),
        case("wgmma_fragment", manual, nothing, whole),
        case("wgmma_registers_bf16", manual, nothing, 3 + held(product(32))),
        case("wgmma_registers_f16", manual, nothing, 3 + held(product(32))),
        case("wgmma_accumulate", manual, nothing, np.stack([100 + 2 * whole, whole])),
    ]


def wgmma_along_k() -> Cases:
    """Twice the product: once from zero, once added."""
    nothing = np.zeros(1, np.uint32)
    manual = "wgmma.mma_async of .tf32, .e4m3, .e5m2 and .s8"
    names = [(f"wgmma_tf32_n{n}", n, 8) for n in range(8, 257, 8)]
    names += [(f"wgmma_s8_n{n}", n, 32) for n in (8, 24, *range(16, 257, 16))]
    pairs = [("tf32", 8), ("s8", 32), *((f"{a}_{b}", 32) for a in ("e4m3", "e5m2") for b in ("e4m3", "e5m2"))]
    names += [(f"wgmma_{pair}_{n}", n, deep) for pair, deep in pairs for n in (16, 64, 128, 256)]
    return [case(name, manual, nothing, 2 * summed(n, deep)) for name, n, deep in names]


def stores() -> Cases:
    """cp.async.bulk.wait_group: the writes are made visible to the executing thread."""
    given = np.random.default_rng(91).integers(0, 2**32 - 1, 64, dtype=np.uint32)
    manual = "cp.async.bulk.wait_group"
    return [case("bulk_stores_are_seen", manual, given, np.concatenate([given, given + np.uint32(1)]))]


def marked(cases: Cases) -> Cases:
    return [{**c, "manual": f"sm_90a: {c['manual']}"} for c in cases]


if __name__ == "__main__":
    write("hopper.json", marked([*barriers(), *clusters(), *tma(), *threads(), *stores()]))
    write("hopper_wgmma.json", marked(wgmma()))
    write("hopper_wgmma_k.json", marked(wgmma_along_k()))
