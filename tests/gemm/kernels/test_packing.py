"""Operands that TMA cannot load, or wgmma cannot transpose, on Hopper: a pass copies them first."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor

import gpukern
from gpukern import _C
from gpukern.selection import named
from tests.gemm.behaviour.test_configurations import DTYPES as NAMES
from tests.gemm.behaviour.test_configurations import PLACES
from tests.gemm.kernels.asked import BY_TMA, columns, exact, factors, filled, lines, place, precise, result
from tests.gemm.kernels.asked_scaled import PROMOTING
from tests.gemm.kernels.test_hopper_kernels import ALONG_K, CONFIGURATIONS, TERMS, TYPES, explain
from tests.oracle import fills, products
from tests.oracle.float8 import FORMATS, scales, whole
from tests.oracle.float8 import exact as exact_scaled
from tests.platform import machine
from tests.platform.machine import Guarded, Schedule

ALL = (*TYPES, *ALONG_K)
TURNS = next(c for c in CONFIGURATIONS if c.name == "wgmma/p64x64")
THIN = next(c for c in CONFIGURATIONS if c.name == "wgmma/d128x16")
EIGHT = next(c for c in PROMOTING if c.name == "wgmma/q128x16")
names = [str(t).removeprefix("torch.") for t in ALL]
on_one_configuration = pytest.mark.parametrize("configuration", [TURNS], ids=["p64x64"])
by_type = pytest.mark.parametrize("dtype", ALL, ids=names)

Configuration = gpukern.selection.Configuration
# How (batch, lines, k) may lie so that no box of TMA has it; a column of B is a line too.
Lay = Callable[[Tensor], Tensor]


def odd(t: Tensor) -> Tensor:
    """Lines along k that begin anywhere: one element more than what 16 bytes divide."""
    each = 16 // t.element_size()
    wide = torch.empty(t.shape[0], t.shape[1], -(-t.shape[2] // each) * each + 1).fill_(99).to(t.dtype)
    wide[:, :, : t.shape[2]] = t
    return wide[:, :, : t.shape[2]]


def odd_columns(t: Tensor) -> Tensor:
    return odd(t.transpose(1, 2)).transpose(1, 2)


def sparse(t: Tensor) -> Tensor:
    """No neighbours: every second element."""
    wide = torch.empty(t.shape[0], t.shape[1], 2 * t.shape[2] + 1).fill_(99).to(t.dtype)
    wide[:, :, : 2 * t.shape[2] : 2] = t
    return wide[:, :, : 2 * t.shape[2] : 2]


def one_line(t: Tensor) -> Tensor:
    return t[:, :1].contiguous().expand(t.shape)


def overlapping(t: Tensor) -> Tensor:
    """As of unfold: each line begins one element behind the last."""
    count, k = t.shape[1:]
    flat = t.flatten(1)[:, : count + k]
    flat = flat.repeat(1, -(-(count + k) // flat.shape[1]))[:, : count + k].contiguous()
    return flat.as_strided(t.shape, (count + k, 1, 1))


def one_matrix(t: Tensor) -> Tensor:
    return odd_columns(t[:1]).expand(t.shape)


LAYS: list[Lay] = [lines, columns, odd, odd_columns, sparse, one_line, overlapping, one_matrix]


@pytest.mark.parametrize("lay", LAYS, ids=lambda lay: lay.__name__)
@by_type
@on_one_configuration
def test_any_strides(configuration: Configuration, dtype: torch.dtype, lay: Lay) -> None:
    """Of A, of B, of both; matrices smaller and larger than the pass's tiles, whose last packets are no whole ones."""
    seeds = itertools.count(1)
    for batch, m, n, k in ((1, 5, 9, 3), (2, 70, 37, 150), (3, 33, 140, 33)):
        a, b = filled(dtype, batch, m, k, k=k), filled(dtype, batch, n, k, k=k)
        for left, right in ((lay, lines), (lines, lay), (lay, lay)):
            x, y = left(a), right(b).transpose(1, 2)
            seed = next(seeds)
            schedule = Schedule("pct", seed)
            exact(
                configuration,
                x,
                y,
                lines(result(x, y)) if seed % 2 else None,
                cluster=seed // 2 % 2 + 1,
                schedule=schedule,
            )


@by_type
@on_one_configuration
def test_an_address_that_is_no_multiple_of_16_bytes(configuration: Configuration, dtype: torch.dtype) -> None:
    """Lines of multiples of 16 bytes; the last one ends with the page, short of 16 bytes."""
    a, b = factors(dtype, 1, 40, 24, 63)
    a, b = lines(a), columns(b)
    for t in (a, b):
        assert Guarded(t).view.data_ptr() % 16 and all(s == 1 or s * t.element_size() % 16 == 0 for s in t.stride()[1:])
    got = machine.product(*place(configuration), result(a, b), a, b)
    products.exactly_equal(got, (precise(a) @ precise(b)).to(dtype))


COPIED = [(c, t) for c, t in BY_TMA if c not in TERMS]  # the pass that divides serves the others
IDS = [f"{c.name}-{str(t).removeprefix('torch.')}" for c, t in COPIED]


@pytest.mark.parametrize(("configuration", "dtype"), COPIED, ids=IDS)
def test_every_configuration_takes_what_was_copied(configuration: Configuration, dtype: torch.dtype) -> None:
    """A skinny configuration transposes a product of few rows; ranges of k; pairs."""
    m, n = (configuration.tile[0] + 3, configuration.tile[1] + 5)
    for flat, splits in ((True, 1), (False, 1), (True, 2)):
        shape = (n, m) if flat else (m, n)
        a, b = factors(dtype, 2, *shape, 150)
        along = configuration.tile[1] <= 32 and flat and dtype.itemsize == 2
        exact(configuration, odd_columns(a), columns(b) if along else odd_columns(b), cluster=2, splits=splits)


@pytest.mark.parametrize("configuration", [EIGHT, THIN], ids=lambda c: c.name)
def test_float8_of_any_layout(configuration: Configuration) -> None:
    """Formats, scales and copies change places where the few are rows."""
    lays, formats = ((columns, odd), (odd, columns), (sparse, lines)), itertools.cycle((FORMATS[:2], FORMATS[1::-1]))
    for (lay, other), kind, (m, n) in itertools.product(lays, ("tensor", "row"), ((150, 20), (20, 150))):
        k, (first, second) = 300, next(formats)
        a, b, (one, two) = whole(first, m, k), whole(second, k, n), scales(kind, m, n, k)
        x, y = lay(a[None])[0], other(b.t()[None])[0].t()
        got = machine.scaled(
            *place(configuration), torch.empty(m, n), x, y, one, two, aligned=True, fast=configuration is THIN
        )
        products.exactly_equal(got, exact_scaled(a, b, one, two))


@by_type
@on_one_configuration
def test_no_access_to_shared_memory_meets_a_bank_twice(configuration: Configuration, dtype: torch.dtype) -> None:
    a, b = factors(dtype, 1, 128, 128, 128)
    gap = 1 if dtype.itemsize == 2 else 0  # 16-bit columns are copied where they begin anywhere only
    x, y = (odd_columns(a) if gap else columns(a)), columns(b)
    machine.counts()
    exact(configuration, x, y, schedule=Schedule("fifo", count=True))
    counted = [c for c in machine.counts() if c.space == "shared" and "pack.cuh" in c.line]
    assert counted
    for count in counted:
        assert count.passes == count.ideal, count


@pytest.mark.parametrize("dtype", [*TYPES, torch.float32], ids=["float16", "bfloat16", "float32"])
@on_one_configuration
def test_a_copied_row_is_the_same_to_the_last_bit(configuration: Configuration, dtype: torch.dtype) -> None:
    """What batch_invariant promises: a row is the same if TMA loads the operand or a copy, with others or alone."""
    a, b = fills.normal(1, 40, 200, dtype=dtype), columns(fills.normal(1, 200, 72, dtype=dtype))
    whole_product = machine.product(*place(configuration), lines(result(a, b)), a, b, aligned=True)
    for lay in (odd, odd_columns, sparse):
        for few in (a, a[:, 7:8], a[:, 3:12]):
            x = lay(few)
            got = machine.product(*place(configuration), result(x, b), x, b, aligned=True)
            first = 0 if few is a else 7 if few.shape[1] == 1 else 3
            assert torch.equal(got, whole_product[:, first : first + few.shape[1]])


@pytest.mark.parametrize(
    ("dtype", "rows", "layouts", "served"),
    [
        ("bfloat16", 4096, {"a": (4097, 1, 0, 2)}, True),
        ("bfloat16", 4096, {"b": (4097, 1, 0, 2)}, True),
        ("bfloat16", 64, {"b": (4097, 1, 0, 2)}, False),
        ("int8", 512, {"b": (4096, 1, 0, 16)}, True),
        ("int8", 16, {"b": (4096, 1, 0, 16)}, False),
    ],
)
def test_copies_are_made_where_they_pay(dtype: str, rows: int, layouts: dict[str, Any], served: bool) -> None:
    """Large products; bytes already with fewer rows; never the weights of a few rows."""
    found = explain(rows, 4096, 4096, dtype=dtype, **layouts)
    assert named(found["would_run"]).tma == served, found["would_run"]
    reason = dict(found["refusals"]).get(TURNS.folder, "")
    assert served or reason.startswith(("TMA cannot load the operands in their layout", "no code was built"))


@pytest.mark.parametrize(
    "layouts",
    [
        {},
        {"a": (0, 1, 0, 16)},  # one line for all rows
        {"b": (256, 1, 0, 16)},  # lines that overlap
        {"b": (-512, 1, 0, 16)},  # backwards
        {"b": (1024, 2, 0, 16)},  # no neighbours
        {"batch": 3, "a": (512, 1, -512 * 512, 16)},
        {"batch": 3, "a": (512, 1, 128, 16)},  # matrices that overlap
        {"dtype": "int8"},
        {"dtype": "int8", "b": (1, 512, 0, 16), "a": (1, 512, 0, 16)},
        {"dtype": "int8", "k": 1, "a": (1, 0, 0, 16), "b": (0, 1, 0, 16)},  # once a column of bytes was a line of k
    ],
    ids=str,
)
def test_what_tma_does_not_bring_is_copied_or_another_folder_s(layouts: dict[str, Any]) -> None:
    """Each is one difference from a product that is loaded without a copy."""
    found = explain(512, 512, **({"k": 512} | layouts))
    reason = dict(found["refusals"]).get(TURNS.folder, "")
    if not layouts:
        assert named(found["would_run"]).tma
    elif not named(found["would_run"]).tma:
        assert reason.startswith(("TMA cannot load the operands in their layout", "no code was built")), reason
    assert (found["workspace"] > 0) == (bool(layouts) and named(found["would_run"]).tma)


def test_a_batch_invariant_product_is_one_folder_s_whatever_lies_where() -> None:
    number = NAMES.index("bfloat16")
    problems = [
        (number, number, 0, 1, 1, m, 4096, 16384, a, b, align)
        for m, a, b, align in itertools.product((1, 2, 8, 9, 64, 4096), (0, 1, 2), (0, 1, 2), (2, 16))
    ]
    for problem, (where, splits) in zip(problems, _C.gemm_choose("sm_90", numpy.array(problems))):
        assert named(PLACES[where]).tma and splits == 1, (problem, PLACES[where])
