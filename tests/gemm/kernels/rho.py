"""The error of products in float32's units: `python -m tests.gemm.kernels.rho` prints the table of docs/numerics.md.

rho = max |c - r| / (2^-24 |A||B|) beyond the rounding of the store (tests/oracle/products.py), r of the operands as
they are given, in float64.  The GPU configurations run under the machine model, whose tensor cores
truncate sums as publications describe for Ampere (mma.sync) and Hopper (wgmma); the other configurations round to
nearest.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

import gpukern
from tests.gemm.kernels.asked import GPU_CONFIGURATIONS, place
from tests.oracle import fills, products
from tests.platform import machine

ROWS, COLUMNS, SEED = 48, 40, 0
DEPTHS = (64, 256, 1024)


def modelled(name: str, precision: str | None, a: Tensor, b: Tensor) -> Tensor:
    configuration = next(r for r in GPU_CONFIGURATIONS if r.name == name)
    out = torch.empty(1, a.shape[0], b.shape[1])
    return machine.product(*place(configuration), out, a[None], b[None], precision=precision, aligned=True)[0]


def wide(a: Tensor, b: Tensor) -> Tensor:
    return gpukern.mm(a, b, torch.float32)


KINDS: dict[str, tuple[torch.dtype, tuple[int, ...], Callable[[Tensor, Tensor], Tensor]]] = {
    "CPU, float32": (torch.float32, (*DEPTHS, 4096), gpukern.mm),
    "CPU, float32, batch_invariant": (torch.float32, (*DEPTHS, 4096), partial(gpukern.mm, batch_invariant=True)),
    "CPU, bfloat16 to float32": (torch.bfloat16, (*DEPTHS, 4096), wide),
    "model, simt, float32": (torch.float32, DEPTHS, partial(modelled, "simt/s64x64", "strict")),
    "model, mma_sync, float32": (torch.float32, DEPTHS, partial(modelled, "mma_sync/f64x64", "strict")),
    "model, mma_sync, bfloat16 to float32": (torch.bfloat16, DEPTHS, partial(modelled, "mma_sync/h64x64", None)),
    "model, mma_sync, float16 to float32": (torch.float16, DEPTHS, partial(modelled, "mma_sync/h64x64", None)),
    "model, wgmma, bfloat16 to float32": (torch.bfloat16, DEPTHS, partial(modelled, "wgmma/p64x64", None)),
    "model, wgmma, float16 to float32": (torch.float16, DEPTHS, partial(modelled, "wgmma/p64x64", None)),
    "model, mma_sync, bf16x9": (torch.float32, DEPTHS, partial(modelled, "mma_sync/e64x64", "bf16x9")),
    "model, mma_sync, bf16x6": (torch.float32, DEPTHS, partial(modelled, "mma_sync/e64x64", "bf16x6")),
    "model, mma_sync, bf16x3": (torch.float32, DEPTHS, partial(modelled, "mma_sync/e64x64", "bf16x3")),
    "model, wgmma, bf16x9": (torch.float32, DEPTHS, partial(modelled, "wgmma/t128x64", "bf16x9")),
    "model, wgmma, bf16x6": (torch.float32, DEPTHS, partial(modelled, "wgmma/t128x64", "bf16x6")),
    "model, mma_sync, tf32": (torch.float32, DEPTHS, partial(modelled, "mma_sync/t64x64", "tf32")),
    "model, wgmma, tf32": (torch.float32, DEPTHS, partial(modelled, "wgmma/p64x64", "tf32")),
}


def rho(kind: str, fill: str, k: int) -> float:
    dtype, _, multiply = KINDS[kind]
    torch.manual_seed(SEED)
    a, b = fills.FILLS[fill](ROWS, k, dtype=dtype), fills.FILLS[fill](k, COLUMNS, dtype=dtype)
    return products.judge_product(multiply(a, b), a, b).rho


def table() -> str:
    lines = [f"| product | K | {' | '.join(fills.FILLS)} |", "|---|---|" + "---|" * len(fills.FILLS)]
    for kind, (_, depths, _) in KINDS.items():
        for k in depths:
            lines.append(f"| {kind} | {k} | {' | '.join(f'{rho(kind, fill, k):.3g}' for fill in fills.FILLS)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
