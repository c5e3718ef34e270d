"""The error of `addr` and `addbmm` beside torch's own: `python -m tests.gemm.behaviour.composed_error` prints the
table of docs/numerics.md.

The reference is float64 of the same operands.  An error is in units of the stored type's roundoff times
|beta C| + |alpha| |A||B| (what one rounding of a result can cost, where nothing cancels, is 1).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

import gpukern
from tests.oracle import fills
from tests.oracle.ulps import UNIT

BETA, ALPHA, SEED = 0.75, 1.25, 0  # both exact in every type
DTYPES = (torch.float16, torch.bfloat16, torch.float32)
BATCHES = (1, 4, 64)

Call = Callable[..., Tensor]


def addr_operands(dtype: torch.dtype, fill: str) -> tuple[Tensor, ...]:
    make = fills.FILLS[fill]
    return make(48, 40, dtype=dtype), make(48, 1, dtype=dtype)[:, 0], make(40, 1, dtype=dtype)[:, 0]


def addbmm_operands(batch: int, dtype: torch.dtype, fill: str) -> tuple[Tensor, ...]:
    make = fills.FILLS[fill]
    a = torch.stack([make(48, 64, dtype=dtype) for _ in range(batch)])
    b = torch.stack([make(64, 40, dtype=dtype) for _ in range(batch)])
    return make(48, 40, dtype=dtype), a, b


def product(name: str, first: Tensor, second: Tensor) -> Tensor:
    if name == "addr":
        return first[:, None] * second[None, :]
    return torch.einsum("bij,bjk->ik", first, second)


def error(call: Call, name: str, operands: tuple[Tensor, ...]) -> float:
    """The largest error of one call; NaN where a number was due counts as infinite."""
    addend, first, second = (t.double() for t in operands)
    reference = BETA * addend + ALPHA * product(name, first, second)
    magnitude = BETA * addend.abs() + ALPHA * product(name, first.abs(), second.abs())
    got = call(*operands, beta=BETA, alpha=ALPHA)
    distance = (got.double() - reference).abs() / (UNIT[got.dtype] * magnitude)
    return float(distance.nan_to_num(float("inf")).max())


def cases() -> list[tuple[str, str, int]]:
    return [("addr", "addr", 0), *((f"addbmm, batch of {n}, k = 64", "addbmm", n) for n in BATCHES)]


def pair(name: str, batch: int, dtype: torch.dtype, fill: str) -> tuple[float, float]:
    """gpukern's error and torch's, of the same operands."""
    torch.manual_seed(SEED)
    operands = addr_operands(dtype, fill) if name == "addr" else addbmm_operands(batch, dtype, fill)
    return error(getattr(gpukern, name), name, operands), error(getattr(torch, name), name, operands)


def table() -> str:
    names = ("normal", "uniform")
    lines = [
        f"| function | dtype | {' | '.join(f'{n}: gpukern | {n}: torch' for n in names)} |",
        "|---|---|---|---|---|---|",
    ]
    for text, name, batch in cases():
        for dtype in DTYPES:
            pairs = [pair(name, batch, dtype, fill) for fill in names]
            cells = " | ".join(f"{value:.3g}" for both in pairs for value in both)
            lines.append(f"| {text} | {str(dtype).removeprefix('torch.')} | {cells} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
