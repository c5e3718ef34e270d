"""Tensors as users have them: sliced, transposed, expanded, offset, 0-dim, empty, seven-dimensional."""

from __future__ import annotations

import hypothesis.strategies as st
import torch
from torch import Tensor

from .ulps import FLOATS, INTEGERS

LAYOUTS = ("dense", "transposed", "sliced", "expanded", "offset", "permuted", "channels_last")


def filled(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    if dtype == torch.bool:
        return torch.randint(0, 2, shape).to(torch.bool)
    if not dtype.is_floating_point:
        return torch.randint(0 if dtype == torch.uint8 else -9, 10, shape).to(dtype)
    return (torch.randn(shape, dtype=torch.float64) * 2).to(dtype)


def laid_out(shape: tuple[int, ...], dtype: torch.dtype, layout: str) -> Tensor:
    """A tensor of that shape with that layout."""
    if layout == "transposed" and len(shape) >= 2:
        return filled((*shape[:-2], shape[-1], shape[-2]), dtype).transpose(-1, -2)
    if layout == "sliced" and shape:
        return filled((*shape[:-1], 2 * shape[-1] + 1), dtype)[..., 1 : 2 * shape[-1] + 1 : 2]
    if layout == "expanded" and shape:
        dims = tuple(1 if d % 2 == 0 else n for d, n in enumerate(shape))
        return filled(dims, dtype).expand(shape)
    if layout == "offset":
        count = 1
        for n in shape:
            count *= n
        return filled((count + 1,), dtype)[1:].view(shape)
    if layout == "permuted" and len(shape) >= 3:
        return filled(tuple(reversed(shape)), dtype).permute(*reversed(range(len(shape))))
    if layout == "channels_last" and len(shape) == 4:
        return filled(shape, dtype).contiguous(memory_format=torch.channels_last)
    return filled(shape, dtype)


def arranged(x: Tensor, layout: str) -> Tensor:
    """A dense tensor's values in memory of that layout; "expanded" keeps the first along every even dimension."""
    if layout == "transposed" and x.dim() >= 2:
        return x.transpose(-1, -2).contiguous().transpose(-1, -2)
    if layout == "sliced" and x.dim():
        return torch.stack([x, torch.full_like(x, torch.nan)], dim=-1).flatten(-2)[..., ::2]
    if layout == "expanded" and x.dim():
        return x[tuple(slice(0, 1) if d % 2 == 0 else slice(None) for d in range(x.dim()))].expand(x.shape)
    if layout == "offset":
        return torch.cat([x.new_full((1,), torch.nan), x.flatten()])[1:].view(x.shape)
    if layout == "permuted" and x.dim() >= 3:
        back = tuple(reversed(range(x.dim())))
        return x.permute(back).contiguous().permute(back)
    if layout == "channels_last" and x.dim() == 4:
        return x.contiguous(memory_format=torch.channels_last)
    return x


def shapes(max_dims: int = 7, max_side: int = 9) -> st.SearchStrategy[tuple[int, ...]]:
    """Rank 0 to 7; long rows and empty tensors among them."""
    small = st.lists(st.integers(0, max_side), max_size=4)
    long = st.tuples(st.integers(1, 3), st.integers(200, 1100))
    deep = st.lists(st.integers(1, 3), min_size=5, max_size=max_dims)
    return st.one_of(small, long, deep).map(tuple)


layouts = st.sampled_from(LAYOUTS)
float_types = st.sampled_from(FLOATS)
all_types = st.sampled_from((*FLOATS, *INTEGERS, torch.bool))


@st.composite
def broadcastable(draw: st.DrawFn, count: int, types: st.SearchStrategy[torch.dtype]) -> list[Tensor]:
    """`count` tensors whose shapes broadcast, each with a type and a layout of its own."""
    shape = draw(shapes())
    torch.manual_seed(draw(st.integers(0, 2**32 - 1)))  # a failing example comes again with the same values
    result = []
    for _ in range(count):
        kept = tuple(1 if draw(st.integers(0, 3)) == 0 else n for n in shape)
        kept = kept[draw(st.integers(0, len(kept))) if draw(st.booleans()) else 0 :]
        result.append(laid_out(kept, draw(types), draw(layouts)))
    return result
