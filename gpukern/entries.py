"""The C functions of the extension by name, made once; each uses torch's argument parser (csrc/entry)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from .info import load_extension

functions: dict[str, Callable[..., Tensor]] = load_extension().functions()
