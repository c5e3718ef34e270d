"""Memory for a modelled launch: it ends at an unmapped page, and the model is told whose it is."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Mapping

import torch
from torch import Tensor

from .build import library

_libc = ctypes.CDLL(None, use_errno=True)
_PAGE = mmap.PAGESIZE
_NO_ACCESS = 0


class Guarded:
    """A copy of a strided tensor whose memory ends at an unmapped page; `view` is the tensor there."""

    def __init__(self, like: Tensor, *, aligned: bool = False) -> None:
        size = like.element_size()
        extent = 1 + sum((n - 1) * s for n, s in zip(like.shape, like.stride())) if like.numel() else 0
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

    def watch(self, name: str, writable: bool, shorter: int = 0) -> None:
        """Tells the model whose memory this is."""
        if not self.view.numel():
            return
        start = self.bytes.data_ptr()
        pointers = (start, start + self.view_bytes - shorter, self._base + _PAGE, self._end)
        addresses = [ctypes.c_void_p(p) for p in pointers]
        library().gpukern_model_buffer(name.encode(), *addresses, int(writable))

    def fill(self, values: Tensor) -> Guarded:
        """Writes the values; expanded dimensions once."""
        if values.numel():
            one = tuple(slice(0, 1) if s == 0 else slice(None) for s in self.view.stride())
            self.view[one].copy_(values[one])
        self._before = self.bytes.clone()
        return self

    def poison(self) -> Guarded:
        """NaN, or -1, in every element."""
        if self.view.numel():
            number = complex("nan+nanj") if self.view.is_complex() else float("nan")
            self.view.fill_(number if self.view.dtype.is_floating_point or self.view.is_complex() else 1)
        self._before = self.bytes.clone()
        return self

    def untouched(self) -> None:
        assert torch.equal(self.bytes, self._before), "an input was written to"

    def check_gaps(self) -> None:
        """Bytes that are no element's are as they were."""
        now = self.bytes.clone()
        if self.view.numel():
            written = self.view.clone()
            self.bytes.copy_(self._before)
            before = self.view.clone()
            self.bytes.copy_(now)
            self.view.copy_(before)
            assert torch.equal(self.bytes, self._before), "bytes between the output's elements were overwritten"
            self.view.copy_(written)


def watch(inputs: Mapping[str, Guarded], output: Guarded, shorter: int = 0) -> None:
    """These are the buffers of the next launch, and no others; inputs are said to be `shorter` bytes shorter."""
    library().gpukern_model_forget_buffers()
    for name, buffer in inputs.items():
        buffer.watch(name, False, shorter)
    output.watch("output", True)
