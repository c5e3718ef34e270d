"""References of the ops whose results are bool or whole numbers: numpy's predicates, and Python's integers.

Floating operands go to float64 first, which keeps every value of the shorter types, NaN and the sign of zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy
import torch
from torch import Tensor

from .ops import EXACT, Case

Function = Callable[..., Any]

PREDICATES: dict[str, Function] = {
    "eq": numpy.equal,
    "ne": numpy.not_equal,
    "lt": numpy.less,
    "le": numpy.less_equal,
    "gt": numpy.greater,
    "ge": numpy.greater_equal,
    "logical_and": numpy.logical_and,
    "logical_or": numpy.logical_or,
    "logical_xor": numpy.logical_xor,
    "logical_not": numpy.logical_not,
    "isnan": numpy.isnan,
    "isinf": numpy.isinf,
    "isfinite": numpy.isfinite,
    "isposinf": lambda x: numpy.isinf(x) & (x > 0),
    "isneginf": lambda x: numpy.isinf(x) & (x < 0),
    "signbit": lambda x: numpy.signbit(x) if x.dtype.kind == "f" else x < 0,
}


def _left(x: int, y: int, bits: int) -> int:
    return x << y if 0 <= y < bits else 0


def _right(x: int, y: int, bits: int) -> int:
    return x >> y if 0 <= y < bits else -(x < 0)


# Of Python's integers and the bits of the type; the result is wrapped to the type.
INTEGERS: dict[str, Callable[[int, int, int], int]] = {
    "bitwise_and": lambda x, y, bits: x & y,
    "bitwise_or": lambda x, y, bits: x | y,
    "bitwise_xor": lambda x, y, bits: x ^ y,
    "bitwise_left_shift": _left,
    "bitwise_right_shift": _right,
    "gcd": lambda x, y, bits: math.gcd(x, y),
    "lcm": lambda x, y, bits: math.lcm(x, y),
}
ON_BOOL = {"bitwise_and", "bitwise_or", "bitwise_xor"}
TYPES = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def types_of(case: Case) -> tuple[torch.dtype, ...]:
    """What the op's own kernels take."""
    floats = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    if case.predicate:
        return (*floats, *TYPES, torch.bool)
    return (*TYPES, torch.bool) if case.name in ON_BOOL else TYPES


def reference(case: Case, *tensors: Tensor) -> Tensor:
    """Of tensors of one dtype."""
    tensors = tuple(torch.broadcast_tensors(*tensors))
    dtype = tensors[0].dtype
    if case.predicate:
        wide = [(t.double() if t.is_floating_point() else t).numpy() for t in tensors]
        return torch.from_numpy(numpy.asarray(PREDICATES[case.name](*wide)))
    bits = 1 if dtype == torch.bool else torch.iinfo(dtype).bits
    function = INTEGERS[case.name]
    whole = [function(int(x), int(y), bits) for x, y in zip(*(t.flatten().tolist() for t in tensors))]
    wrapped = [(n + 2**63) % 2**64 - 2**63 for n in whole]  # conversion drops the other high bits
    return torch.tensor(wrapped, dtype=torch.int64).to(dtype).reshape(tensors[0].shape)


assert {c.name for c in EXACT} == {*PREDICATES, *INTEGERS}, "an exact op needs its entry here"
