"""Memory whose lines lie gigabytes apart: addresses are reserved, and only pages with elements are mapped.

An address that a kernel computes in 32 bits then lies outside the mapped pieces.  The model knows every piece and the
reservation around it, and reports the access.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator

import torch
from torch import Tensor

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_PAGE = mmap.PAGESIZE
_NONE, _READ_WRITE = 0, mmap.PROT_READ | mmap.PROT_WRITE
_NORESERVE = 0x4000  # Linux: reserve no swap space
# Reserved on both sides: 2^32 elements of 16 bytes, the largest error of an index of 32 bits.
_MARGIN = 2**36
NEAR = 2**28  # tensors of at most so many bytes are simply allocated


def extent_of(like: Tensor) -> int:
    """Elements from the first to the last."""
    return 1 + sum((n - 1) * s for n, s in zip(like.shape, like.stride())) if like.numel() else 0


class Far:
    """A copy of a strided tensor of any extent; `view` is the copy as a tensor.  The interface is memory.Guarded's."""

    def __init__(self, like: Tensor, *, aligned: bool = False) -> None:
        size = like.element_size()
        offsets = torch.zeros(1, dtype=torch.int64)
        for n, s in zip(like.shape, like.stride()):
            if s and n > 1:
                offsets = (offsets[:, None] + torch.arange(n) * s).flatten()
        first = offsets.sort().values * size
        breaks = (first[1:] - first[:-1] > 2 * _PAGE).nonzero().flatten().tolist()
        begins = [int(first[i]) for i in (0, *(b + 1 for b in breaks))]
        ends = [int(first[i]) + size for i in (*breaks, len(first) - 1)]
        self._length = -(-(ends[-1] + 2 * _MARGIN) // _PAGE) * _PAGE
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE
        self._base = _libc.mmap(None, ctypes.c_size_t(self._length), _NONE, flags, -1, ctypes.c_size_t(0))
        if self._base in (None, ctypes.c_void_p(-1).value):
            raise MemoryError(f"no room to reserve {self._length} bytes of addresses")
        self.start = self._base + _MARGIN + (0 if aligned else size)
        self._pieces = [(self.start + begin, self.start + end) for begin, end in zip(begins, ends)]
        self._pages: list[Tensor] = []
        for begin, end in self._pieces:
            low, high = begin // _PAGE * _PAGE, -(-end // _PAGE) * _PAGE
            assert _libc.mprotect(ctypes.c_void_p(low), ctypes.c_size_t(high - low), _READ_WRITE) == 0
            there = torch.frombuffer((ctypes.c_char * (high - low)).from_address(low), dtype=torch.uint8)
            self._pages.append(there.fill_(0xFF))
        whole = (ctypes.c_char * ends[-1]).from_address(self.start)
        self.view = torch.frombuffer(whole, dtype=torch.uint8).view(like.dtype).as_strided(like.shape, like.stride(), 0)
        self._before: list[Tensor] = []

    def __del__(self) -> None:
        if hasattr(self, "start"):
            _libc.munmap(ctypes.c_void_p(self._base), ctypes.c_size_t(self._length))

    def regions(self) -> Iterator[tuple[str, int, int, int, int]]:
        """For each piece: a suffix for its name, begin and end of its bytes, and low and high of the addresses around
        it that belong to no other piece: half of the way to the next."""
        low = self._base
        for i, (begin, end) in enumerate(self._pieces):
            last = i + 1 == len(self._pieces)
            high = self._base + self._length if last else (end + self._pieces[i + 1][0]) // 2
            yield f", {begin - self.start} bytes on" if i else "", begin, end, low, high
            low = high

    def fill(self, values: Tensor) -> Far:
        """Writes the values; those along expanded dimensions once."""
        one = tuple(slice(0, 1) if s == 0 else slice(None) for s in self.view.stride())
        self.view[one].copy_(values[one])
        return self._remember()

    def poison(self) -> Far:
        """See Guarded.poison."""
        self.view.fill_(poison_of(self.view.dtype))
        return self._remember()

    def _remember(self) -> Far:
        self._before = [page.clone() for page in self._pages]
        return self

    def untouched(self) -> None:
        assert all(map(torch.equal, self._pages, self._before)), "an input was written to"

    def check_gaps(self) -> None:
        """Asserts that bytes between elements are unchanged, on the mapped pages."""
        now, written = [page.clone() for page in self._pages], self.view.clone()
        for page, before in zip(self._pages, self._before):
            page.copy_(before)
        before_view = self.view.clone()
        for page, bytes_now in zip(self._pages, now):
            page.copy_(bytes_now)
        self.view.copy_(before_view)
        assert all(map(torch.equal, self._pages, self._before)), "bytes between the output's elements were overwritten"
        self.view.copy_(written)


def poison_of(dtype: torch.dtype) -> complex:
    """NaN, or 1 for types without NaN."""
    return complex("nan+nanj") if dtype.is_complex else float("nan") if dtype.is_floating_point else 1
