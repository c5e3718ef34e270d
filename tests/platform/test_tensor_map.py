"""The validator of tensor maps: what the driver's documentation of cuTensorMapEncodeTiled refuses, and nothing else."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache

import pytest

from tests.platform.library import model_library


@cache
def library() -> ctypes.CDLL:
    found = model_library("tensor_map", ("tests/platform/tensor_map.cu",))
    found.problem_of.restype = ctypes.c_char_p
    found.descriptor_of.restype = ctypes.c_uint64
    return found


def problem(
    extent: Sequence[int], stride: Sequence[int], box: Sequence[int], *, size: int = 2, swizzle: int = 0,
    address: int = 4096, rank: int | None = None,
) -> str:  # fmt: skip
    """stride: in bytes, from the second dimension on."""
    pad = [0] * 5
    strides = [0, *stride]
    numbers = [len(extent) if rank is None else rank, size, swizzle]
    for values in (extent, strides, box):
        numbers += [*values, *pad][:5]
    return library().problem_of(ctypes.c_uint64(address), (ctypes.c_int64 * 18)(*numbers)).decode()


ACCEPTED = [
    {"extent": [64], "stride": [], "box": [64]},
    {"extent": [100, 7], "stride": [208], "box": [64, 256], "swizzle": 128},
    {"extent": [100, 7], "stride": [208], "box": [32, 1], "swizzle": 64},
    {"extent": [100, 7], "stride": [208], "box": [16, 1], "swizzle": 32},
    {"extent": [100, 7], "stride": [208], "box": [8, 1], "swizzle": 128},
    {"extent": [2**32, 1], "stride": [2**40 - 16], "box": [16, 1], "size": 1, "address": 16},
    {"extent": [8, 2, 2, 2, 2], "stride": [16, 32, 64, 128], "box": [8, 2, 2, 2, 2]},
    {"extent": [2, 3, 5], "stride": [16, 48], "box": [2, 3, 5], "size": 8},
]

REFUSED = {
    "rank 0": ({"extent": [], "stride": [], "box": []}, "rank"),
    "rank 6": ({"extent": [8], "stride": [], "box": [8], "rank": 6}, "rank"),
    "element": ({"extent": [8], "stride": [], "box": [8], "size": 3}, "elements"),
    "null": ({"extent": [8], "stride": [], "box": [8], "address": 0}, "null"),
    "address": ({"extent": [8], "stride": [], "box": [8], "address": 4104}, "address"),
    "extent 0": ({"extent": [8, 0], "stride": [16], "box": [8, 1]}, "extent"),
    "extent large": ({"extent": [8, 2**32 + 1], "stride": [16], "box": [8, 1]}, "extent"),
    "box 0": ({"extent": [8, 2], "stride": [16], "box": [8, 0]}, "box"),
    "box 257": ({"extent": [8, 2], "stride": [16], "box": [8, 257]}, "box"),
    "stride 24": ({"extent": [8, 2], "stride": [24], "box": [8, 1]}, "16 bytes"),
    "stride large": ({"extent": [8, 2], "stride": [2**40], "box": [8, 1]}, "2^40"),
    "stride less than a row": ({"extent": [64, 2], "stride": [64], "box": [8, 1]}, "grow"),
    "strides not sorted": ({"extent": [8, 4, 4], "stride": [256, 64], "box": [8, 1, 1]}, "grow"),
    "row of 8 bytes": ({"extent": [8, 2], "stride": [16], "box": [4, 1]}, "16 bytes"),
    "row over 128": ({"extent": [100, 2], "stride": [208], "box": [72, 1], "swizzle": 128}, "span"),
    "row over 64": ({"extent": [100, 2], "stride": [208], "box": [64, 1], "swizzle": 64}, "span"),
    "row over 32": ({"extent": [100, 2], "stride": [208], "box": [32, 1], "swizzle": 32}, "span"),
    "swizzle 96": ({"extent": [100, 2], "stride": [208], "box": [8, 1], "swizzle": 96}, "swizzle"),
}


@pytest.mark.parametrize("arguments", ACCEPTED, ids=str)
def test_accepted(arguments: dict) -> None:
    assert problem(**arguments) == ""


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    arguments, words = REFUSED[name]
    assert words in problem(**arguments)


def test_matrix_descriptor() -> None:
    """PTX ISA, matrix descriptor format: 14-bit fields in units of 16 bytes, the swizzle in the top two bits."""
    fields = {0: 0, 128: 1, 64: 2, 32: 3}
    for swizzle, code in fields.items():
        expected = 0x40 | 0x10 << 16 | 0x80 << 32 | code << 62
        assert library().descriptor_of(0x400, 0x100, 0x800, swizzle) == expected
