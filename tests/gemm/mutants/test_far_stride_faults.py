"""Faults of far_stride_faults.py: each is seen in every folder that has the line; without them all is quiet."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from itertools import islice

import pytest
import torch

from tests.gemm.kernels.far_strides import (
    FORMATS,
    Subject,
    broadcast_cases,
    far_cases,
    order_cases,
    said_of_sums,
    subject_of,
    wrong,
)
from tests.gemm.mutants import far_stride_faults as faults
from tests.gemm.mutants.switched import Fault, library, running

F32, BF16, F64 = torch.float32, torch.bfloat16, torch.float64
# The configurations of switched.cu.
R1, R8, C1, C8, SIMT, SM80, ORDINARY, DOUBLE, TERMS, HOPPER, ADA, EIGHT = (
    subject_of("skinny/r1", F32, 70, 1, 270), subject_of("skinny/r8", BF16, 70, 5, 150),
    subject_of("skinny/c1", F32, 140, 1, 100), subject_of("skinny/c8", BF16, 70, 5, 100),
    subject_of("simt/s32x32", F32, 35, 33, 20),
    subject_of("mma_sync/h64x64", BF16, 67, 66, 72), subject_of("mma_sync/f32x32", F32, 35, 33, 40),
    subject_of("mma_sync/m32x32", F64, 35, 33, 40), subject_of("mma_sync/e64x64", F32, 67, 66, 72),
    subject_of("wgmma/p64x64", BF16, 67, 66, 140), subject_of("mma_sync/o64x64", FORMATS[0], 67, 66, 140),
    subject_of("simt/q32x32", FORMATS[0], 35, 33, 140),
)  # fmt: skip
SUBJECTS = (R1, R8, C1, C8, SIMT, SM80, ORDINARY, DOUBLE, TERMS, HOPPER, ADA, EIGHT)
ENDED = SUBJECTS[:-2]
RINGS = (SM80, ORDINARY, DOUBLE)
# What of a ring a configuration does not come to: elements of 4 bytes and more are copied one by one, never through
# registers.
REGISTERS = frozenset({"the step of elements in 32 bits"})

Seen = Callable[[Subject], Iterator[str]]


def far(subject: Subject) -> Iterator[str]:
    return (f"{what}: {words}" for what, case in far_cases(subject) if (words := wrong(subject, case)))


def broadcast(subject: Subject) -> Iterator[str]:
    return (f"{what}: {words}" for what, case in broadcast_cases(subject) if (words := wrong(subject, case)))


def order(subject: Subject) -> Iterator[str]:
    return (
        f"{what}: {words}" for what, case, expects in order_cases(subject) if (words := wrong(subject, case, expects))
    )


PARTS = {
    s: s.configuration.part_rows for s in (SM80, TERMS, HOPPER)
}  # rows of a part of columns' sums that a warp makes


def sums(subject: Subject) -> Iterator[str]:
    for part_rows, splits in [(4, 2)] + ([(PARTS[subject], 1)] if subject in PARTS else []):
        if words := said_of_sums(subject, part_rows, splits):
            yield f"{part_rows} rows a part: {words}"


PLANTED: list[tuple[Fault, Subject, Seen]] = []


def plant(kinds: list[Fault], subjects: tuple[Subject, ...], seen: Seen, unless: frozenset[str] = frozenset()) -> None:
    PLANTED.extend((fault, subject, seen) for fault in kinds for subject in subjects if fault.what not in unless)


def in_turn(kinds: list[Fault], subjects: tuple[Subject, ...], seen: Seen) -> None:
    """One text serves every folder: each fault in one of them, so that every folder has some."""
    for i, fault in enumerate(kinds):
        plant([fault], (subjects[i % len(subjects)],), seen)


MANY = tuple(subject for subject in ENDED if subject not in (R1, C1))  # more than one column
PACKETS = tuple(subject for subject in MANY if not subject.configuration.vectors)  # and neighbours of it
FIRST_K = frozenset(f.what for f in faults.BY_ROWS if "first k" in f.what)
plant(faults.BY_ROWS, (R1,), far)
plant(faults.BY_ROWS, (R8,), far, FIRST_K)
plant(faults.BY_ROWS_OF_MANY, (R8,), far)
plant(faults.BY_COLUMNS, (C1, C8), far)
plant(faults.BY_COLUMNS_OF_ONE, (C1,), far)
plant(faults.BY_COLUMNS_OF_MANY, (C8,), far)
plant(faults.ORDINARY, (SIMT,), far)
plant(faults.ORDINARY_SCALES, (EIGHT,), far)
plant(
    faults.RING, (SM80,), far, frozenset({"the step of pieces in 32 bits"})
)  # which are of one line where elements have 2 bytes
plant(faults.RING, (ORDINARY, DOUBLE), far, REGISTERS)
plant([f for f in faults.RING if f.file == faults.TILE and "next" not in f.what][:3], (ADA,), far)
plant(faults.ADA_SCALES, (ADA,), far)
plant(faults.TERMS, (TERMS,), far)
plant(faults.TMA, (HOPPER,), far)
in_turn(faults.D_FAR[:2], ENDED, far)
in_turn(faults.D_FAR[2:3], MANY, far)
in_turn(faults.D_FAR[3:], PACKETS, far)
plant(faults.D_SCALED_FAR, (ADA, EIGHT), far)
in_turn([f for f in faults.ENDS_FAR if "columns" not in f.what and "neighbours" not in f.what], ENDED, far)
in_turn([f for f in faults.ENDS_FAR if "columns" in f.what], MANY, far)
in_turn([f for f in faults.ENDS_FAR if "neighbours" in f.what], PACKETS, far)
in_turn([f for f in faults.WALKED if "column" not in f.what], ENDED, broadcast)
in_turn([f for f in faults.WALKED if "column" in f.what and "packets" not in f.what], MANY, broadcast)
in_turn([f for f in faults.WALKED if "packets" in f.what], PACKETS, broadcast)
plant(faults.ONE_BY_ROWS, (R1, R8), broadcast)
plant(faults.ONE_BY_COLUMNS, (C1, C8), broadcast)
plant(faults.ONE_SIMT, (SIMT,), broadcast)
plant(faults.ONE_RING, RINGS, broadcast)
plant(faults.ONE_TMA, (HOPPER,), broadcast)
plant(faults.LAST_FIRST, SUBJECTS, order)
in_turn(faults.OTHER_ENDS, MANY, order)  # one column with one scale hardly shows a fault
plant(faults.CLUSTER, (HOPPER,), order)
plant(faults.BACKWARDS, (SIMT,), order)
plant(faults.BACKWARDS_F32, (ORDINARY,), order)
plant(faults.GROUPS, (R1, R8), order)
plant(faults.WARPS, (C1, C8), order)
in_turn(faults.SUMS, (R8, SM80, TERMS, SIMT, HOPPER, DOUBLE), sums)

FAULTS = tuple(dict.fromkeys(fault for fault, _, _ in PLANTED))


@pytest.fixture(scope="module")
def switched() -> ctypes.CDLL:
    plain = ("tests/gemm/mutants/switch.cpp", "csrc/platform/model/harness_product.cpp")
    return library("switched", FAULTS, ("tests/gemm/mutants/switched.cu",), plain)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_planted_fault_is_seen(fault: Fault, switched: ctypes.CDLL) -> None:
    with running(switched, FAULTS.index(fault) + 1):
        missed = [subject.id for one, subject, seen in PLANTED if one is fault and next(seen(subject), None) is None]
    assert not missed, f"{fault.what} is not seen in {', '.join(missed)}"


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.id)
def test_no_false_alarm(subject: Subject, switched: ctypes.CDLL) -> None:
    """Among few of them: test_far_strides.py runs all, with the sources as they are."""
    with running(switched, 0):
        found = [words for _, case in islice(far_cases(subject), 2) if (words := wrong(subject, case))]
        found += [*order(subject), *(sums(subject) if subject in ENDED else ())]
        assert not found, found[0]
