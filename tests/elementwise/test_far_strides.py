"""Elementwise operands that lie more than 2^31 bytes and elements apart, or are broadcast over any dimensions, on every
path of the kernels; and faults of these kinds, each of which is seen."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor

from gpukern import _C
from gpukern.model import machine
from tests.gemm.kernels.far_strides import PLAN, laid
from tests.gemm.mutants.switched import Fault, library, running

ADD = (0, next(i for i, e in enumerate(_C.elementwise_catalogue()) if e["name"] == "add"), 0)
SHAPE = (2, 37, 41)


def filled(shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randint(-40, 41, shape).to(dtype)


def far_calls() -> Iterator[tuple[str, Tensor, list[Tensor]]]:
    """Rows, tiles and single elements; each operand far in one of its dimensions, in both, and by matrices."""
    kinds = [
        ("rows", "lines", ("lines", "lines"), "float32"),
        ("rows", "lines", ("odd lines", "lines"), "float16"),
        ("rows", "batches", ("batches", "batches"), "float64"),
        ("tile", "lines", ("columns", "lines"), "float32"),
        ("tile", "lines", ("lines", "columns"), "float16"),
        ("tile", "batches", ("transposed batches", "batches"), "float32"),
        ("strided", "elements", ("elements", "elements"), "float32"),
        ("strided", "lines", ("elements", "lines"), "int32"),
    ]
    for path, out, inputs, name in kinds:
        dtype = getattr(torch, name)
        tensors = [laid(filled(SHAPE, dtype), kind) for kind in inputs]
        yield path, laid(torch.zeros(SHAPE, dtype=dtype), out), tensors
    mixed = [laid(filled(SHAPE, torch.float16), "lines"), laid(filled(SHAPE, torch.float32), "columns")]
    yield "strided", laid(torch.zeros(SHAPE), "elements"), mixed
    row, column = laid(filled((1, 1, 41)), "elements"), laid(filled((1, 37, 1)), "elements")
    for one in (row, column):
        yield "", laid(torch.zeros(SHAPE), "lines"), [laid(filled(SHAPE), "lines"), one]
        yield "", laid(torch.zeros(SHAPE), "lines"), [one, laid(filled(SHAPE), "columns")]


def broadcast_calls() -> Iterator[tuple[str, Tensor, list[Tensor]]]:
    """Either operand the same for all matrices, rows and columns and for any of these, beside each way to lie."""
    for mask in itertools.product((False, True), repeat=3):
        small = filled([1 if same else n for n, same in zip(SHAPE, mask)])
        full = filled(SHAPE)
        for other in (full, full.transpose(1, 2).contiguous().transpose(1, 2), filled((4, 74, 82))[::2, ::2, ::2]):
            yield "", torch.zeros(SHAPE), [small, other]
            yield "", torch.zeros(SHAPE), [other, small]


def wrong(path: str, out: Tensor, inputs: list[Tensor], place: tuple[int, int, int] = ADD, alpha: float = 1) -> str:
    try:
        got = machine.elementwise(place, out, inputs, [alpha], schedule=PLAN, aligned=True)
    except (machine.ModelError, AssertionError) as words:
        return str(words)
    found = machine.plan(out, [t.expand(out.shape) for t in inputs]).path
    assert path in ("", found), (path, found)
    expects = inputs[0].contiguous().double() + alpha * inputs[1].contiguous().double()
    return "" if torch.equal(got.double(), expects) else "a wrong result"


def test_operands_that_lie_far_apart() -> None:
    for path, out, inputs in far_calls():
        for alpha, limit in ((1, 0), (2, 97)):
            got = machine.elementwise(ADD, out, inputs, [alpha], schedule=PLAN, slice_limit=limit)
            expects = inputs[0].contiguous().double() + alpha * inputs[1].contiguous().double()
            assert torch.equal(got.double(), expects), (path, alpha)
        assert not wrong(path, out, inputs)


def test_operands_that_are_broadcast() -> None:
    for call in broadcast_calls():
        assert not wrong(*call)


PLAN_H, KERNEL, ROWS = "elementwise/plan.h", "elementwise/kernel.cuh", "elementwise/rows.cuh"
STRIDE = "p.part[k].stride[d]"
FAULTS = (
    Fault("offsets of elements in 32 bits", KERNEL, f"+= «digit * {STRIDE}»;", f"static_cast<int>(digit * {STRIDE})"),
    Fault("offsets of rows in 32 bits", ROWS, f"+= «index * {STRIDE}»;", f"static_cast<int>(index * {STRIDE})"),
    Fault("strides of a plan in 32 bits", PLAN_H, "part.stride[d] = «x.stride[d]»;", "static_cast<int>(x.stride[d])"),
    Fault("the second slice's output in 32 bits", PLAN_H, "+ «half * second.out.stride[longest]»;",
          "static_cast<int>(half * second.out.stride[longest])"),
    Fault("the second slice's inputs in 32 bits", PLAN_H, "+ «half * second.in[k].stride[longest]»;",
          "static_cast<int>(half * second.in[k].stride[longest])"),
    Fault("what is one for all is walked, element by element", KERNEL, f"+= «digit * {STRIDE}»;",
          f"digit * ({STRIDE} ? {STRIDE} : p.part[k].size)"),
    Fault("what is one for all is walked, row by row", ROWS, f"+= «index * {STRIDE}»;",
          f"index * ({STRIDE} ? {STRIDE} : p.part[k].size)"),
    Fault("what is one for all columns is read in packets", PLAN_H, "if («part.stride[0] == 0» && k > 0)", "false"),
    Fault("a number of its own for each element of a row", ROWS, "if («part.width == 0») return spread",
          "false && part.width"),
)  # fmt: skip


@pytest.fixture(scope="module")
def switched() -> ctypes.CDLL:
    plain = (
        "tests/gemm/mutants/switch.cpp", "csrc/platform/model/harness.cpp",
        "csrc/platform/model/harness_elementwise.cpp", "tests/elementwise/no_families.cpp",
    )  # fmt: skip
    return library("switched-elementwise", FAULTS, ("tests/elementwise/switched.cu",), plain)


def found(number: int, switched: ctypes.CDLL) -> str:
    """The arguments that begin every call; the library's one op is the first of its family."""
    with running(switched, number):
        for path, out, inputs in itertools.chain(far_calls(), broadcast_calls()):
            for alpha in (1, 2):
                if words := wrong(path, out, inputs, (0, 0, 0), alpha):
                    return words
    return ""


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_planted_fault_is_seen(fault: Fault, switched: ctypes.CDLL) -> None:
    assert found(FAULTS.index(fault) + 1, switched)


def test_no_false_alarm(switched: ctypes.CDLL) -> None:
    assert not found(0, switched)
