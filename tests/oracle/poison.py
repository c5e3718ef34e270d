"""Outputs inside poisoned storage: what a kernel must write, and what it must not touch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

GUARD = 8192  # bytes on each side


@dataclass
class Guarded:
    """A strided view inside a buffer of random bytes; every byte that is not the view's must stay as it is."""

    view: Tensor
    _bytes: Tensor
    _before: Tensor
    _outside: Tensor  # mask of bytes that are not the view's

    def check(self) -> None:
        """Fails where a byte outside the view has changed."""
        changed = (self._bytes != self._before) & self._outside
        assert not bool(changed.any()), f"{int(changed.sum())} bytes outside the tensor were overwritten"

    def untouched(self) -> None:
        """Fails where any byte has changed: for inputs."""
        assert torch.equal(self._bytes, self._before), "an input was written to"


def guarded(
    shape: tuple[int, ...], dtype: torch.dtype, *, strides: tuple[int, ...] | None = None, offset: int = 0
) -> Guarded:
    """A view of `shape` whose elements are NaN (or a pattern, for integers), `offset` elements off alignment."""
    if strides is None:
        strides = torch.empty(shape, device="meta").stride()
    size = torch.empty((), dtype=dtype).element_size()
    extent = 1 + sum((n - 1) * s for n, s in zip(shape, strides)) if all(shape) else 0
    total = 2 * GUARD + (extent + offset) * size
    total += -total % 8
    raw = torch.randint(0, 256, (total,), dtype=torch.uint8)
    start = GUARD // size + offset
    typed = raw[: total // size * size].view(dtype)
    if dtype.is_floating_point:
        typed.fill_(float("nan"))
    view = typed.as_strided(shape, strides, start)
    outside = torch.ones(total, dtype=torch.bool)
    if view.numel():
        index = torch.zeros(shape, dtype=torch.int64)
        for d, (n, s) in enumerate(zip(shape, strides)):
            index += (torch.arange(n) * s).reshape([-1 if e == d else 1 for e in range(len(shape))])
        first = (start + index.flatten().unique()) * size
        outside[(first[:, None] + torch.arange(size)).flatten()] = False
    return Guarded(view, raw, raw.clone(), outside)


def guarded_copy(x: Tensor, offset: int = 0) -> Guarded:
    """The values and strides of x inside a guarded buffer, NaN in every gap (expanded dimensions stay expanded)."""
    strides = x.stride()
    g = guarded(tuple(x.shape), x.dtype, strides=strides, offset=offset)
    if x.numel():
        one = tuple(slice(0, 1) if s == 0 else slice(None) for s in strides)
        g.view[one].copy_(x[one])
    g._before = g._bytes.clone()
    return g
