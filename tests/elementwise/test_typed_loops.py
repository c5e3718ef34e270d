"""Loops over the operands' own memory, of half types and integers: the bits that go through blocks of a wider type.

What has gaps between its elements goes through the blocks; what is dense, or one element for a whole row, does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.oracle import strategies, ulps
from tests.oracle.ops import ALL, Case, ids

TYPES = (*ulps.HALVES, torch.float32, *ulps.INTEGERS, torch.bool)
SIZES = (1, 7, 33, 515, 1031)  # within a register, and around a block of 512


def with_gaps(t: Tensor) -> Tensor:
    wide = torch.zeros(*t.shape[:-1], 2 * t.shape[-1], dtype=t.dtype)
    wide[..., ::2] = t
    return wide[..., ::2]


def operands(case: Case, dtype: torch.dtype, shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    tensors = [strategies.laid_out(shape, dtype, "dense") for shape in shapes]
    return case.divisible([tensors[0] > 0, *tensors[1:]] if case.has_condition else tensors)


def equal_bits(got: Tensor, expected: Tensor, *what: Any) -> None:
    assert got.dtype == expected.dtype
    if got.is_floating_point():
        assert bool((ulps.distance(got, expected) == 0).all()), what
    else:
        assert torch.equal(got, expected), what


def same_bits(case: Case, tensors: list[Tensor]) -> None:
    got = case.ours(*tensors)
    through_blocks = case.ours(*[with_gaps(t.expand(got.shape)) for t in tensors])
    equal_bits(got, through_blocks, [(t.dtype, t.shape) for t in tensors])


def taken(case: Case, dtype: torch.dtype) -> bool:
    try:
        case.ours(*operands(case, dtype, [(1,)] * case.inputs))
    except (RuntimeError, TypeError):  # torch refuses this type
        return False
    return True


@pytest.mark.parametrize("case", ALL, ids=ids(ALL))
def test_every_size_and_row(case: Case) -> None:
    for dtype in TYPES:
        if not taken(case, dtype):
            continue
        for n in SIZES:
            same_bits(case, operands(case, dtype, [(n,)] * case.inputs))
        for k in range(case.inputs if case.inputs > 1 else 0):  # a row, a column and one element in each place
            for shape in ((600,), (3, 1), (1, 1)):
                same_bits(case, operands(case, dtype, [shape if e == k else (3, 600) for e in range(case.inputs)]))


@pytest.mark.parametrize("case", [c for c in ALL if c.inputs == 2], ids=ids([c for c in ALL if c.inputs == 2]))
def test_one_element_of_another_type(case: Case) -> None:
    """A number that the operands' type holds goes with them, another through the blocks."""
    for dtype in TYPES:
        x = strategies.laid_out((3, 40), dtype, "dense")
        for value in (3.0, 0.1, -1.0, 70000.0, float("nan")):
            for other in (torch.float64, torch.float32, torch.int64):
                if value != value and other == torch.int64:
                    continue
                number = torch.tensor(value).to(other)
                for tensors in ([x, number], [number, x]):
                    try:
                        got = case.ours(*tensors)
                    except (RuntimeError, TypeError):  # torch refuses it, or finds a 0 to divide by
                        continue
                    equal_bits(got, case.ours(*[with_gaps(t) if t.dim() else t for t in tensors]), dtype, value, other)


@pytest.mark.parametrize("case", [c for c in ALL if c.writes_self], ids=ids([c for c in ALL if c.writes_self]))
def test_in_place_over_an_operand(case: Case) -> None:
    for dtype in TYPES:
        tensors = operands(case, dtype, [(700,)] * case.inputs)
        try:
            got = case.in_place(tensors[0].clone(), *tensors[1:])
        except (RuntimeError, TypeError):
            continue
        apart = case.in_place(with_gaps(tensors[0].clone()), *tensors[1:])
        equal_bits(got, apart, dtype)
