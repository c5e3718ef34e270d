"""Operands of cases: random normal numbers from one long buffer per type, so that sets rotate through more than twice
the cache and no case waits for the random generator.

Never zeros: a multiplier that flips no bits draws less power and clocks higher.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

MOST = 4096  # sets of small operands: more would only fill Python's own memory


@dataclass(frozen=True)
class Want:
    """One operand.  fill: "normal", "positive" (at least 0.1) or "bool".  stride: of the buffer's elements, () for
    dense."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    fill: str = "normal"
    stride: tuple[int, ...] = ()

    @property
    def elements(self) -> int:
        """Elements of the buffer that the operand takes, rounded up to a multiple of 64 so that every operand starts
        aligned."""
        if not self.stride:
            extent = math.prod(self.shape)
        else:
            extent = 1 + sum((n - 1) * s for n, s in zip(self.shape, self.stride))
        return max(64, -(-extent // 64) * 64)

    def on_meta(self) -> Tensor:
        """The operand without its data."""
        if not self.stride:
            return torch.empty(self.shape, dtype=self.dtype, device="meta")
        return torch.empty_strided(self.shape, self.stride, dtype=self.dtype, device="meta")


class Pool:
    """Buffers on one device, one per type and fill, which grow on demand."""

    def __init__(self, device: str, cache_bytes: int) -> None:
        self.device, self.least = device, 2 * cache_bytes
        self.buffers: dict[tuple[torch.dtype, str], Tensor] = {}

    def _buffer(self, dtype: torch.dtype, fill: str, elements: int) -> Tensor:
        found = self.buffers.get((dtype, fill))
        if found is None or found.numel() < elements:
            self.buffers.pop((dtype, fill), None)  # free the old buffer before allocating the new one
            found = torch.empty(elements, dtype=dtype, device=self.device)
            for part in found.split(2**24):  # in parts: the float32 random numbers need little extra memory
                if fill == "bool":
                    part.random_(0, 2)
                else:
                    drawn = torch.randn(part.shape, device=self.device)
                    part.copy_(drawn.abs_().add_(0.1) if fill == "positive" else drawn)
            self.buffers[dtype, fill] = found
        return found

    def sets(self, wants: Sequence[Want]) -> list[tuple[Tensor, ...]]:
        """Sets of operands: one more than fit into twice the cache, at most MOST."""
        if not wants:
            return [()]
        size = sum(w.elements * w.dtype.itemsize for w in wants)
        count = min(MOST, 1 + self.least // size)
        if set(self.buffers) - {(w.dtype, w.fill) for w in wants} and self.device != "cpu":
            self.buffers = {k: b for k, b in self.buffers.items() if k in {(w.dtype, w.fill) for w in wants}}
        needed: dict[tuple[torch.dtype, str], int] = {}
        for w in wants:
            needed[w.dtype, w.fill] = needed.get((w.dtype, w.fill), 0) + count * w.elements
        at = dict.fromkeys(needed, 0)
        found = []
        for _ in range(count):
            operands = []
            for w in wants:
                key = (w.dtype, w.fill)
                whole = self._buffer(*key, needed[key])
                start = at[key]
                at[key] += w.elements
                operands.append(whole.as_strided(w.shape, w.on_meta().stride(), start))
            found.append(tuple(operands))
        return found

    def bytes_for(self, wants: Sequence[Want]) -> int:
        """Bytes that `sets` would allocate beyond the present buffers."""
        size = sum(w.elements * w.dtype.itemsize for w in wants)
        held = sum(
            t.numel() * t.itemsize for key, t in self.buffers.items() if key in {(w.dtype, w.fill) for w in wants}
        )
        return max(0, min(MOST, 1 + self.least // size) * size - held) if size else 0
