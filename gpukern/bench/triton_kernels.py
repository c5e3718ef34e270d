"""A matrix product in Triton (Tillet et al. 2019) as a baseline: tiled, with a grouped order of tiles.

Elementwise ops have no kernel here: on a GPU `--against compile` measures Triton code already.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import triton
import triton.language as tl
from torch import Tensor

from .suites import Spec

TILES = (  # block_m, block_n, block_k, stages, warps
    (128, 256, 64, 3, 8),
    (128, 128, 64, 4, 4),
    (128, 64, 64, 4, 4),
    (64, 128, 64, 4, 4),
    (64, 64, 64, 5, 4),
    (32, 64, 128, 5, 4),
    (16, 64, 128, 5, 4),
)


CONFIGS = [
    triton.Config({"BM": bm, "BN": bn, "BK": bk, "GROUP": 8}, num_stages=stages, num_warps=warps)
    for bm, bn, bk, stages, warps in TILES
]


@triton.autotune(configs=CONFIGS, key=["m", "n", "k", "ak", "bn_"])  # type: ignore[untyped-decorator]
@triton.jit  # type: ignore[untyped-decorator]
def product(  # type: ignore[no-untyped-def]
    a, b, c, m, n, k, am, ak, bk_, bn_, cm, cn,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, GROUP: tl.constexpr, EXACT: tl.constexpr,
):  # fmt: skip
    block = tl.program_id(0)
    down, across = tl.cdiv(m, BM), tl.cdiv(n, BN)
    # Blocks of a group of rows share columns of B in L2.
    group = block // (GROUP * across)
    first = group * GROUP
    height = min(down - first, GROUP)
    i = first + (block % (GROUP * across)) % height
    j = (block % (GROUP * across)) // height
    rows, columns, inner = i * BM + tl.arange(0, BM), j * BN + tl.arange(0, BN), tl.arange(0, BK)
    at_a = a + rows.to(tl.int64)[:, None] * am + inner[None, :] * ak
    at_b = b + inner[:, None] * bk_ + columns.to(tl.int64)[None, :] * bn_
    total = tl.zeros((BM, BN), dtype=tl.float32)
    for start in range(tl.cdiv(k, BK)):
        left = k - start * BK
        x = tl.load(at_a, mask=(rows[:, None] < m) & (inner[None, :] < left), other=0.0)
        y = tl.load(at_b, mask=(inner[:, None] < left) & (columns[None, :] < n), other=0.0)
        if EXACT:
            total = tl.dot(x, y, total, input_precision="ieee")
        else:
            total = tl.dot(x, y, total)
        at_a += BK * ak
        at_b += BK * bk_
    at_c = c + rows.to(tl.int64)[:, None] * cm + columns.to(tl.int64)[None, :] * cn
    tl.store(at_c, total.to(c.dtype.element_ty), mask=(rows[:, None] < m) & (columns[None, :] < n))


def mm(a: Tensor, b: Tensor) -> Tensor:
    """a @ b; float32 in strict float32, the others accumulated in float32."""
    (m, k), n = a.shape, b.shape[1]
    c = torch.empty((m, n), dtype=a.dtype, device=a.device)
    exact = a.dtype == torch.float32

    def grid(tile: dict[str, int]) -> tuple[int]:
        return (triton.cdiv(m, tile["BM"]) * triton.cdiv(n, tile["BN"]),)

    product[grid](a, b, c, m, n, k, *a.stride(), *b.stride(), *c.stride(), EXACT=exact)
    return c


def rival(spec: Spec) -> Callable[..., Tensor] | None:
    """Triton's call for a case; None where this file has none."""
    plain = spec.kind == "product" and spec.op in ("mm", "linear") and not spec.choice and not spec.residual
    return mm if plain and spec.dtype in ("float16", "bfloat16", "float32") else None
