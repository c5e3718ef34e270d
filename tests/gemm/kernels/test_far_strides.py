"""Every folder, in each of its types and layouts: operands that lie more than 2^31 bytes and elements apart, broadcast
operands of the epilogue, and sums whose bits show the order of additions (far_strides.py)."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch

from gpukern.selection import available
from tests.gemm.kernels.far_strides import (
    FORMATS,
    Subject,
    broadcast_cases,
    far_cases,
    order_cases,
    said_of_sums,
    subject_of,
    vector,
    wrong,
)

F16, BF16, F32, F64 = torch.float16, torch.bfloat16, torch.float32, torch.float64
SUBJECTS = [
    subject_of(*subject)
    for subject in (
        ("skinny/r1", F32, 70, 1, 100), ("skinny/r1", F64, 70, 1, 50), ("skinny/r1", torch.int8, 70, 1, 150),
        ("skinny/r8", BF16, 70, 5, 150), ("skinny/c1", F32, 140, 1, 100), ("skinny/c1", torch.int32, 140, 1, 100),
        ("skinny/c8", F16, 70, 5, 100),
        ("simt/s32x32", F16, 35, 33, 20), ("simt/d32x32", F64, 35, 33, 20),
        ("simt/w64x64", torch.int32, 66, 65, 20), ("simt/w64x64", torch.uint8, 66, 65, 20),
        ("simt/z32x32", torch.complex64, 35, 33, 10), ("simt/q32x32", FORMATS[0], 35, 33, 140),
        ("mma_sync/h64x64", BF16, 67, 66, 72), ("mma_sync/h16x128", F16, 18, 130, 72),
        ("mma_sync/t64x64", F32, 67, 66, 40),
        ("mma_sync/d32x32", F64, 35, 33, 20), ("mma_sync/i64x64", torch.int8, 67, 66, 136),
        ("mma_sync/f32x32", F32, 35, 33, 40), ("mma_sync/f16x128", F32, 18, 130, 40),
        ("mma_sync/m32x32", F64, 35, 33, 20),
        ("mma_sync/e64x64", F32, 67, 66, 72),
        ("wgmma/p64x64", BF16, 67, 66, 140), ("wgmma/p64x64", F32, 67, 66, 40),
        ("wgmma/p64x64", torch.int8, 67, 66, 140),
        ("wgmma/d128x16", BF16, 130, 18, 72), ("wgmma/t128x64", F32, 67, 66, 72),
        ("wgmma/q128x16", FORMATS[0], 35, 18, 140), ("mma_sync/o64x64", FORMATS[0], 67, 66, 140),
    )
]  # fmt: skip
by_subject = pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.id)
FLOATING = [subject for subject in SUBJECTS if subject.dtype.is_floating_point and subject.dtype not in FORMATS]


def test_every_folder_is_here() -> None:
    assert {s.configuration.folder for s in SUBJECTS} == {c.folder for c in available(built=False) if not c.on_cpu}


@by_subject
def test_strides_beyond_32_bits(subject: Subject) -> None:
    """Lines, elements and matrices of A, B, D, C, S, the residual and the scales, and copies that TMA needs of them."""
    for what, case in far_cases(subject):
        words = wrong(subject, case)
        if subject.configuration.tile[1] <= 32 and words.endswith("must be contiguous along k"):
            continue
        assert not words, (what, words)


# Configurations of terms have the epilogue of the other configurations of their folder.
ENDED = [s for s in SUBJECTS if s.ends and not (s.configuration.tma and s.configuration.adds_terms)]


@pytest.mark.parametrize("subject", ENDED, ids=lambda subject: subject.id)
def test_operands_of_the_end_are_broadcast(subject: Subject) -> None:
    for what, case in broadcast_cases(subject):
        words = wrong(subject, case)
        assert not words, (what, words)


ORDERED = [subject for subject in SUBJECTS if subject.dtype.is_floating_point]


@pytest.mark.parametrize("subject", ORDERED, ids=lambda subject: subject.id)
def test_sums_are_added_in_their_order(subject: Subject) -> None:
    for what, case, expects in order_cases(subject):
        words = wrong(subject, case, expects)
        assert not words, (what, words)


@pytest.mark.parametrize("subject", FLOATING, ids=lambda subject: subject.id)
def test_sums_of_columns_are_added_in_their_order(subject: Subject) -> None:
    """Where split/ makes the parts, and where the warps that store D do."""
    assert not said_of_sums(subject, 4, 2)
    part_rows = subject.configuration.part_rows
    if part_rows and subject.n > 60:
        assert not said_of_sums(subject, part_rows, 1)


def test_far_memory_is_given_back_with_its_tensor() -> None:
    """At once: each takes a hundredth of all addresses, and the collector does not know."""
    gc.disable()
    try:
        far = vector(torch.zeros(1, 3))
        memory = weakref.ref(vars(far)["memory"])
        del far
        assert memory() is None
    finally:
        gc.enable()
