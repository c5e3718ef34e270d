"""Buffers for a modelled launch: they end at an unmapped page, and the model knows their names and roles."""

from __future__ import annotations

import ctypes
import itertools
import mmap
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from .build import library
from .far import NEAR, Far, extent_of, poison_of

_libc = ctypes.CDLL(None, use_errno=True)
_PAGE = mmap.PAGESIZE
_NO_ACCESS = 0


class Guarded:
    """A copy of a strided tensor whose memory ends at an unmapped page; `view` is the copy as a tensor."""

    def __init__(self, like: Tensor, *, aligned: bool = False) -> None:
        size = like.element_size()
        extent = extent_of(like)
        room = -(-extent * size // 16) * 16 if aligned else extent * size
        self._map = mmap.mmap(-1, -(-room // _PAGE) * _PAGE + 2 * _PAGE)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        end = base + len(self._map) - _PAGE
        for page in (base, end):
            assert _libc.mprotect(ctypes.c_void_p(page), _PAGE, _NO_ACCESS) == 0
        self._base, self._end = base, end
        start = end - room
        buffer = (ctypes.c_char * max(room, 1)).from_address(start) if room else bytearray(1)
        self.bytes = torch.frombuffer(buffer, dtype=torch.uint8, count=max(room, 1))
        self.bytes.copy_(torch.randint(0, 256, (len(self.bytes),), dtype=torch.uint8))
        self.view_bytes = extent * size
        typed = self.bytes[: extent * size].view(like.dtype) if extent else torch.empty(0, dtype=like.dtype)
        self.view = typed.as_strided(like.shape, like.stride(), 0) if extent else like.clone()

    def __del__(self) -> None:
        for page in (self._base, self._base + len(self._map) - _PAGE):
            _libc.mprotect(ctypes.c_void_p(page), _PAGE, mmap.PROT_READ | mmap.PROT_WRITE)

    def regions(self) -> Iterator[tuple[str, int, int, int, int]]:
        """See Far.regions; here there is one piece."""
        start = self.bytes.data_ptr()
        if self.view.numel():
            yield "", start, start + self.view_bytes, self._base + _PAGE, self._end

    def fill(self, values: Tensor) -> Guarded:
        """Writes the values; those along expanded dimensions once."""
        if values.numel():
            one = tuple(slice(0, 1) if s == 0 else slice(None) for s in self.view.stride())
            self.view[one].copy_(values[one])
        self._before = self.bytes.clone()
        return self

    def poison(self) -> Guarded:
        """Writes NaN, or 1, to every element."""
        if self.view.numel():
            self.view.fill_(poison_of(self.view.dtype))
        self._before = self.bytes.clone()
        return self

    def untouched(self) -> None:
        assert torch.equal(self.bytes, self._before), "an input was written to"

    def check_gaps(self) -> None:
        """Asserts that bytes between elements are unchanged."""
        now = self.bytes.clone()
        if self.view.numel():
            written = self.view.clone()
            self.bytes.copy_(self._before)
            before = self.view.clone()
            self.bytes.copy_(now)
            self.view.copy_(before)
            assert torch.equal(self.bytes, self._before), "bytes between the output's elements were overwritten"
            self.view.copy_(written)


Memory = Guarded | Far


def guarded(like: Tensor, *, aligned: bool = False) -> Memory:
    """A guarded copy of a tensor: Far for large extents, else Guarded."""
    return (Far if extent_of(like) * like.element_size() > NEAR else Guarded)(like, aligned=aligned)


def name_buffer(name: str, memory: Memory, kind: int, shorter: int = 0) -> None:
    """Gives the model the buffer's name and kind: an input (0), a result (1), or both (2)."""
    for where, begin, end, low, high in memory.regions():
        addresses = map(ctypes.c_void_p, (begin, end - shorter, low, high))
        library().gpukern_model_buffer((name + where).encode(), *addresses, kind)


def watch(inputs: Mapping[str, Memory], output: Memory, shorter: int = 0, *, in_place: bool = False) -> None:
    """Sets the buffers of the next launch; the model is told that inputs are `shorter` bytes shorter."""
    library().gpukern_model_forget_buffers()
    for name, buffer in inputs.items():
        name_buffer(name, buffer, 0, shorter)
    name_buffer("output", output, 2 if in_place else 1)


def unwritten(t: Tensor) -> tuple[int, tuple[int, ...]]:
    """The number of elements of a view that no kernel has written since name_buffer, and the index of the first."""
    if not t.numel():
        return 0, ()
    size, dims = t.element_size(), t.dim()
    shape, strides, first = ((ctypes.c_int64 * max(dims, 1))() for _ in range(3))
    for d in range(dims):
        shape[d], strides[d] = t.shape[d], t.stride(d) * size
    count = library().gpukern_model_unwritten(ctypes.c_void_p(t.data_ptr()), dims, shape, strides, size, first)
    return count, tuple(itertools.islice(first, dims))
