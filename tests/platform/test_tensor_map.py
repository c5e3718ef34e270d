"""Tensor maps, swizzles and descriptors: what kernels encode and what the model decodes, without common code.

The rules are those that the driver's documentation of cuTensorMapEncodeTiled has, and nothing else.
"""

from __future__ import annotations

import ctypes
import random
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest

from tests.platform.library import model_library

SPANS = {0: 0, 32: 1, 64: 2, 128: 3}  # bytes of a swizzle, and the driver's number of it


@cache
def library() -> ctypes.CDLL:
    return named(model_library("tensor_map", ("tests/platform/tensor_map.cu",)))


def named(found: ctypes.CDLL) -> ctypes.CDLL:
    for name in ("problem_of", "driver_says", "driver_refuses"):
        getattr(found, name).restype = ctypes.c_char_p
    for name in ("descriptor_of", "advanced", "box_bytes_of"):
        getattr(found, name).restype = ctypes.c_uint64
    found.swizzled_of.restype = found.place_of.restype = ctypes.c_uint32
    return found


def numbers(
    extent: Sequence[int], stride: Sequence[int], box: Sequence[int], *, size: int = 2, swizzle: int = 0,
    rank: int | None = None, tf32: bool = False,
) -> list[int]:  # fmt: skip
    """stride: in bytes, from the second dimension on."""
    found = [len(extent) if rank is None else rank, size, swizzle]
    for values in (extent, [0, *stride], box):
        found += [*values, 0, 0, 0, 0, 0][:5]
    return [*found, int(tf32)]


def problem(
    extent: Sequence[int], stride: Sequence[int], box: Sequence[int], *, address: int = 4096, **more: Any
) -> str:
    """The kernels' check."""
    given = (ctypes.c_int64 * 19)(*numbers(extent, stride, box, **more))
    message: bytes = library().problem_of(ctypes.c_uint64(address), given)
    return message.decode()


def driver(
    extent: Sequence[int], stride: Sequence[int], box: Sequence[int], *, address: int = 4096, **more: Any
) -> tuple[str, list[int]]:
    """The message of the model's driver for the map that the kernels encode, and the map."""
    made = (ctypes.c_uint64 * 20)()
    given = (ctypes.c_int64 * 19)(*numbers(extent, stride, box, **more))
    return library().driver_says(ctypes.c_uint64(address), given, made).decode(), list(made)


ACCEPTED = [
    {"extent": [64], "stride": [], "box": [64]},
    {"extent": [100, 7], "stride": [208], "box": [64, 256], "swizzle": 128},
    {"extent": [100, 7], "stride": [208], "box": [32, 1], "swizzle": 64},
    {"extent": [100, 7], "stride": [208], "box": [16, 1], "swizzle": 32},
    {"extent": [100, 7], "stride": [208], "box": [8, 1], "swizzle": 128},
    {"extent": [2**32, 1], "stride": [2**40 - 16], "box": [16, 1], "size": 1, "address": 16},
    {"extent": [8, 2, 2, 2, 2], "stride": [16, 32, 64, 128], "box": [8, 2, 2, 2, 2]},
    {"extent": [2, 3, 5], "stride": [16, 48], "box": [2, 3, 5], "size": 8},
    {"extent": [4, 3], "stride": [16], "box": [256, 3], "size": 4, "tf32": True},
]

REFUSED: dict[str, tuple[dict, str]] = {
    "rank 0": ({"extent": [], "stride": [], "box": []}, "rank"),
    "rank 6": ({"extent": [8], "stride": [], "box": [8], "rank": 6}, "rank"),
    "element": ({"extent": [8], "stride": [], "box": [8], "size": 3}, "elements"),
    "tf32 of 2 bytes": ({"extent": [8], "stride": [], "box": [8], "tf32": True}, "tf32"),
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
    """By the kernels and by the driver, whose map has every number of the fields."""
    assert problem(**arguments) == ""
    more = {name: value for name, value in arguments.items() if name != "address"}
    rank, size, swizzle, *rest = numbers(**more)
    strides = [rest[5 + d] if d < rank else 0 for d in range(5)]
    expected = [arguments.get("address", 4096), rank, size, SPANS[swizzle], rest[15], *rest[:5], *strides, *rest[10:15]]
    assert driver(**arguments) == ("", expected)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    arguments, words = REFUSED[name]
    assert words in problem(**arguments)


# What the driver's documentation refuses, by the message of the model's driver: each next to what it takes.
DRIVER: dict[str, tuple[dict, str]] = {
    "rank 0": ({"rank": 0}, "tensorRank"),
    "rank 5": ({"rank": 5}, ""),
    "rank 6": ({"rank": 6}, "tensorRank"),
    "address of 8": ({"address": 4104}, "globalAddress"),
    "extent 0": ({"extent": [64, 0, 2, 2, 2]}, "globalDim"),
    "extent 2^32": ({"extent": [64, 2**32, 2, 2, 2]}, ""),
    "extent 2^32 + 1": ({"extent": [64, 2**32 + 1, 2, 2, 2]}, "globalDim"),
    "inner extent 0": ({"extent": [0, 2, 2, 2, 2]}, "globalDim"),
    "outer extent 0": ({"extent": [64, 2, 2, 2, 0]}, "globalDim"),
    "outer extent 0 of rank 4": ({"extent": [64, 2, 2, 2, 0], "rank": 4}, ""),
    "stride 8": ({"stride": [136, 256, 512, 1024]}, "multiples of 16"),
    "outer stride 8": ({"stride": [128, 256, 512, 1032]}, "multiples of 16"),
    "stride 2^40 - 16": ({"stride": [128, 256, 512, 2**40 - 16]}, ""),
    "stride 2^40": ({"stride": [128, 256, 512, 2**40]}, "2^40"),
    "stride 2^40 of rank 4": ({"stride": [128, 256, 512, 2**40], "rank": 4}, ""),
    "box 0": ({"box": [8, 1, 0, 1, 1]}, "boxDim"),
    "box 256": ({"box": [8, 1, 256, 1, 1]}, ""),
    "box 257": ({"box": [8, 1, 257, 1, 1]}, "boxDim"),
    "inner box 256": ({"box": [256, 1, 1, 1, 1]}, ""),
    "inner box 264": ({"box": [264, 1, 1, 1, 1]}, "boxDim"),
    "element stride 2": ({"steps": [1, 2, 1, 1, 1]}, "elementStrides"),
    "interleave": ({"interleave": 1}, "interleaved"),
    "rows of 8 bytes": ({"box": [4, 1, 1, 1, 1]}, "multiple of 16"),
    "bytes in rows of 8": ({"box": [8, 1, 1, 1, 1], "type": 0}, "multiple of 16"),
    "words in rows of 8": ({"box": [2, 1, 1, 1, 1], "type": 2}, "multiple of 16"),
    "doubles in rows of 16": ({"box": [2, 1, 1, 1, 1], "type": 8}, ""),
    "32 in 32": ({"box": [16, 1, 1, 1, 1], "swizzle": 1}, ""),
    "48 in 32": ({"box": [24, 1, 1, 1, 1], "swizzle": 1}, "SWIZZLE_32B"),
    "64 in 64": ({"box": [32, 1, 1, 1, 1], "swizzle": 2}, ""),
    "80 in 64": ({"box": [40, 1, 1, 1, 1], "swizzle": 2}, "SWIZZLE_64B"),
    "128 in 128": ({"box": [64, 1, 1, 1, 1], "swizzle": 3}, ""),
    "144 in 128": ({"box": [72, 1, 1, 1, 1], "swizzle": 3}, "SWIZZLE_128B"),
    "tf32, 128 in 128": ({"box": [32, 1, 1, 1, 1], "swizzle": 3, "type": 11}, ""),
    "tf32, 144 in 128": ({"box": [36, 1, 1, 1, 1], "swizzle": 3, "type": 11}, "SWIZZLE_128B"),
    "swizzle 7": ({"swizzle": 7}, "no such swizzle"),
    "type 99": ({"type": 99}, "tensorDataType"),
    "promotion 4": ({"promotion": 4}, "l2Promotion"),
    "NaN outside": ({"fill": 1}, "outside"),
}


@pytest.mark.parametrize("name", DRIVER)
def test_driver_as_its_documentation_has_it(name: str) -> None:
    change, words = DRIVER[name]
    plain = {"extent": [64, 2, 2, 2, 2], "stride": [128, 256, 512, 1024], "box": [8, 1, 1, 1, 1], "rank": 5,
             "swizzle": 0, "address": 4096, "steps": [1] * 5, "type": 1, "interleave": 0, "promotion": 3,
             "fill": 0}  # fmt: skip
    case = {**plain, **change}
    given = numbers(case["extent"], case["stride"], case["box"], swizzle=case["swizzle"], rank=case["rank"])
    more = [*case["steps"], case["type"], case["interleave"], case["promotion"], case["fill"]]
    message = library().driver_refuses(
        ctypes.c_uint64(case["address"]), (ctypes.c_int64 * 19)(*given), (ctypes.c_int64 * 9)(*more)
    )
    assert words in message.decode() and bool(message) == bool(words)


# What the kernels refuse beyond the driver: no two elements of a map lie in one place, and what has no meaning.
STRICTER = ("grow", "null", "elements are not", "rounded to tf32", "no such swizzle")


def any_map(rng: random.Random) -> dict:
    """A map that is often right, and wrong in at most a few places."""
    rank, size, span = rng.randint(1, 5), rng.choice([1, 2, 4, 8]), rng.choice([0, 32, 64, 128])
    most = (span or 256 * size) // size
    extent = [rng.choice([1, 2, 3, 8, 100, 256]) for _ in range(rank)]
    box = [min(rng.choice([16, 32, 64, 128]) // size or 1, most)]
    box += [rng.choice([1, 2, 8, 255, 256]) for _ in range(rank - 1)]
    stride, least = [], extent[0] * size
    for d in range(1, rank):
        stride.append(-(-least // 16) * 16 + rng.choice([0, 0, 16, 32]))
        least = stride[-1] * extent[d]
    address = 16 * rng.randint(1, 1 << 30)
    for _ in range(rng.choice([0, 0, 1, 1, 2])):
        d = rng.randrange(rank)
        where = rng.choice(["address", "extent", "box", "row", "longer row", "span", *["stride"] * 2])
        if where == "address":
            address += rng.choice([1, 2, 4, 8])
        elif where == "extent":
            extent[d] = rng.choice([0, 1 << 32, (1 << 32) + 1])
        elif where == "box":
            box[d] = rng.choice([0, 1, 3, 256, 257, 272])
        elif where == "row":
            box[0] = rng.choice([8, 24, 48, 80, 144, 256]) // size or 1
        elif where == "longer row":
            box[0] += 1
        elif where == "span":
            span = rng.choice([0, 32, 64, 128])
        elif d > 0:
            stride[d - 1] += rng.choice([-16, 1, 4, 8, 1 << 39, 1 << 40])
    return {"extent": extent, "stride": stride, "box": box, "size": size, "swizzle": span, "address": address,
            "tf32": size == 4 and rng.random() < 0.2}  # fmt: skip


def test_kernels_and_driver_agree_on_every_map() -> None:
    """What the kernels' check takes the driver takes, and what only the kernels refuse they have a reason for."""
    rng = random.Random(3)
    accepted, stricter = 0, 0
    for _ in range(20000):
        case = any_map(rng)
        kernels, (message, made) = problem(**case), driver(**case)
        assert not message or kernels, (case, message)
        assert not kernels or message or any(words in kernels for words in STRICTER), (case, kernels)
        stricter += bool(kernels) and not message
        if kernels:
            continue
        accepted += 1
        given = {name: value for name, value in case.items() if name != "address"}
        rank, size, span, *rest = numbers(**given)
        assert made == [case["address"], rank, size, SPANS[span], rest[15], *rest[:15]], case
        elements = 1
        for width in case["box"]:
            elements *= width
        assert library().box_bytes_of((ctypes.c_int64 * 19)(*numbers(**given))) == elements * size
    assert 5000 < accepted < 15000 and stricter


def test_a_map_that_is_kept_is_that_of_its_numbers(first: int = 8192) -> None:
    """Calls that differ from the first in one number each, alternating with it, twice."""
    plain: dict[str, Any] = {"extent": [8, 4, 2], "stride": [32, 128], "box": [4, 2, 2], "size": 4}
    changes: list[dict[str, Any]] = [
        {}, {}, {"size": 8, "box": [2, 2, 2], "extent": [4, 4, 2]}, {"size": 2, "box": [8, 2, 2]}, {"swizzle": 32},
        {"swizzle": 64}, {"swizzle": 128}, {"tf32": True}, {"rank": 2}, {"rank": 1}, {"extent": [7, 4, 2]},
        {"extent": [8, 3, 2]}, {"extent": [8, 4, 3]}, {"stride": [48, 192]}, {"stride": [32, 144]}, {"box": [8, 2, 2]},
        {"box": [4, 3, 2]}, {"box": [4, 2, 1]}, {"box": [4, 2, 257]}, {"stride": [24, 128]},
    ]  # fmt: skip
    for change in changes:
        for other in changes:
            pair = [plain, {**plain, **change}, {**plain, **other}, plain]
            given = [number for case in pair for number in numbers(**case)]
            differ = library().kept_maps_differ(ctypes.c_uint64(first), (ctypes.c_int64 * len(given))(*given), 4)
            assert differ == 0, (change, other)


# PTX ISA, figures of the swizzling modes: which 16-byte piece of a line of 128 bytes goes where, a line after another.
PATTERNS = {
    0: ["01234567"],
    32: ["01234567", "10325476"],
    64: ["01234567", "10325476", "23016745", "32107654"],
    128: ["01234567", "10325476", "23016745", "32107654", "45670123", "54761032", "67452301", "76543210"],
}


@pytest.mark.parametrize("span", PATTERNS)
def test_swizzles_are_the_manuals_figures(span: int) -> None:
    """Of the kernels and of the model, for every byte of four patterns."""
    rows = PATTERNS[span]
    for address in range(4096):
        line, within = divmod(address, 128)
        expected = 128 * line + 16 * int(rows[line % len(rows)][within // 16]) + within % 16
        assert library().swizzled_of(address, span) == expected
        assert library().place_of(address, SPANS[span]) == expected
    assert library().swizzled_of(0x3FFF0, span) == library().place_of(0x3FFF0, SPANS[span])


def test_matrix_descriptor() -> None:
    """PTX ISA, matrix descriptor format: 14-bit fields in units of 16 bytes, the swizzle in the top two bits."""
    fields = {0: 0, 128: 1, 64: 2, 32: 3}
    for swizzle, code in fields.items():
        expected = 0x40 | 0x10 << 16 | 0x80 << 32 | code << 62
        assert library().descriptor_of(0x400, 0x100, 0x800, swizzle) == expected


@pytest.mark.parametrize("swizzle", PATTERNS)
def test_model_reads_what_kernels_write_into_a_descriptor(swizzle: int) -> None:
    rng = random.Random(4)
    read = (ctypes.c_uint32 * 5)()
    every = [1 << bit for bit in range(4, 18)]
    for n in range(2000):
        start, leading, stride = (rng.choice([*every, 0, 0x3FFF0, 16 * rng.randrange(1 << 14)]) for _ in range(3))
        block = rng.choice([0, 1 << 18, 3 << 24])  # of the address, what lies beyond 2^18 is not a descriptor's
        descriptor = library().descriptor_of(start | block, leading, stride, swizzle)
        step = 32 * rng.randrange(4) if start < 0x3FF00 else 0
        for bytes_on, there in ((0, descriptor), (step, library().advanced(ctypes.c_uint64(descriptor), step))):
            library().descriptor_read(ctypes.c_uint64(there), read)
            assert list(read) == [start + bytes_on, leading, stride, swizzle or 16, 0], (n, hex(there))


@pytest.mark.parametrize("bit", range(64))
def test_bits_of_a_descriptor(bit: int) -> None:
    """Each bit belongs to the field that the manual has, or is refused."""
    read = (ctypes.c_uint32 * 5)()
    library().descriptor_read(ctypes.c_uint64(1 << bit), read)
    expected = [0, 0, 0, 16, 0]
    for field, first in ((0, 0), (1, 16), (2, 32)):
        if first <= bit <= first + 13:
            expected[field] = 16 << bit - first
    if bit >= 62:
        expected[3] = {62: 128, 63: 64}[bit]
    expected[4] = int(bit in (14, 15, 30, 31, *range(46, 62)))
    assert list(read) == expected
