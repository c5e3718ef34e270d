"""Products whose results show the address of each element and the order of additions: strides beyond 32 bits, broadcast
operands of the epilogue, and sums that another order would round otherwise.

`wrong` runs one under the machine model and returns what is wrong with it, or "".  test_far_strides.py runs all on
every folder; test_far_stride_faults.py looks for planted faults with them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy
import torch
from torch import Tensor

import gpukern.model.machine as machine
from gpukern.model.configurations import place_of
from gpukern.model.far import Far
from gpukern.selection import Configuration, named
from tests.oracle import fills
from tests.oracle.float8 import FORMATS, exact, scales, whole

FAR = 2**31  # elements: beyond any 32 bits, of elements or of bytes
PLAN = machine.Schedule(check=False)  # addresses and values; other tests look for races
Case = dict[str, Any]


@dataclass(frozen=True)
class Subject:
    """A configuration, a type of its operands, and a shape that is not a multiple of the tile or of a step of k."""

    name: str
    dtype: torch.dtype
    m: int
    n: int
    k: int
    ends: frozenset[str] = field(default_factory=frozenset)  # the operands that its epilogue may have
    wide: torch.dtype | None = None  # what it adds up in, where that is another type

    @property
    def id(self) -> str:
        return f"{self.name}-{str(self.dtype).removeprefix('torch.')}"

    @property
    def configuration(self) -> Configuration:
        return named(self.name)

    @property
    def sums(self) -> torch.dtype:
        return self.wide or self.dtype


LINEAR = frozenset({"c", "residual"})
ALL = LINEAR | {"saved", "row_scale", "column_scale"}


def subject_of(name: str, dtype: torch.dtype, m: int, n: int, k: int) -> Subject:
    wide = torch.float32 if dtype.is_floating_point and dtype.itemsize < 4 else None
    wide = torch.int32 if not dtype.is_floating_point and dtype.itemsize < 4 and not dtype.is_complex else wide
    ends = frozenset() if dtype in FORMATS else ALL if dtype.is_floating_point else LINEAR
    return Subject(name, dtype, m, n, k, ends, wide)


# ---- how things lie --------------------------------------------------------------------------------------------------


def laid(t: Tensor, kind: str) -> Tensor:
    """A copy of (batch, rows, columns) whose rows, columns, both or matrices are more than 2^31 elements apart.

    lines, columns: the other of rows and columns is dense, and the matrices lie within the lines; odd: not aligned.
    """
    batch, m, n = t.shape
    odd, kind = kind.startswith("odd "), kind.removeprefix("odd ")
    inside = 64 // t.element_size()  # elements to the next multiple of 64 bytes
    across = {"lines": n, "columns": m}.get(kind, n)
    pitch = -(-across // inside) * inside + (1 if odd else 0)
    away = FAR + batch * pitch + (3 if odd else inside - batch * pitch % inside)
    strides: tuple[int, ...] = {
        "lines": (pitch, away, 1),
        "columns": (pitch, 1, away),
        "elements": (32 * (m + n), FAR + 32, FAR + 16),
        "batches": (FAR + inside * 5, pitch, 1),
        "transposed batches": (FAR + inside * 5, 1, -(-m // inside) * inside + (1 if odd else 0)),
        "all": (3 * FAR + 48, FAR + 32, FAR + 16),
        "rows": (n * m, n, 1),
    }[kind]
    if kind == "rows":
        return t.contiguous()
    strides = tuple(s if extent > 1 else 1 for s, extent in zip(strides, t.shape))
    there = Far(torch.empty_strided(t.shape, strides, dtype=t.dtype, device="meta"), aligned=True)
    there.view.copy_(t)
    # another object: of a tensor that holds what holds it only the collector gets rid
    result: Tensor = there.view.detach()
    vars(result)["memory"] = there  # which lives as long as the tensor
    return result


def vector(t: Tensor) -> Tensor:
    """A copy of (batch, n) of which all numbers are far apart."""
    return without(laid(t[:, :, None], "all"), 2)


def without(far: Tensor, dim: int) -> Tensor:
    """The first of a dimension, which keeps the memory."""
    result = far.select(dim, 0)
    vars(result)["memory"] = vars(far)["memory"]
    return result


# ---- one product -----------------------------------------------------------------------------------------------------


def _filled(subject: Subject, *shape: int) -> Tensor:
    if subject.dtype.is_complex:
        return torch.complex(*(torch.randint(-4, 5, shape).float() for _ in range(2))).to(subject.dtype)
    if not subject.dtype.is_floating_point:
        return torch.randint(0, 5, shape).to(subject.dtype)
    return fills.integers(*shape, k=4 * subject.k, dtype=subject.dtype)


def ends_of(subject: Subject, batch: int, number: int) -> Case:
    """Of integers and powers of 2, so that results are exact; `number` chooses which."""
    m, n = subject.m, subject.n
    full = {name: _filled(subject, batch, m, n) for name in ("c", "residual", "saved") if name in subject.ends}
    by = {
        "row_scale": 2.0 ** torch.randint(-1, 2, (batch, m)),
        "column_scale": 2.0 ** torch.randint(-1, 2, (batch, n)),
    }
    by = {name: t.to(subject.sums) for name, t in by.items() if name in subject.ends}
    chosen = (("c", "residual"), ("saved", "row_scale"), ("c", "column_scale", "residual"), ())[number % 4]
    case: Case = {name: t for name, t in (full | by).items() if name in chosen}
    if "c" in case:
        case |= {"alpha": 1, "beta": 2}
    if "saved" in case:
        case["derivative"] = "relu"
    return case


def _wide(t: Tensor) -> Tensor:
    kind = torch.complex128 if t.is_complex() else torch.float64 if t.is_floating_point() else torch.int64
    return t.contiguous().to(kind)


def expected(case: Case) -> Tensor:
    """In the widest type."""
    x: Tensor = case.get("alpha", 1) * (_wide(case["a"]) @ _wide(case["b"]))
    for name, dim in (("row_scale", 2), ("column_scale", 1)):
        if case.get(name) is not None:
            x = x * case[name].double().unsqueeze(dim)
    if case.get("c") is not None:
        x = x + case.get("beta", 1) * _wide(case["c"])
    if case.get("saved") is not None:
        x = torch.where(_wide(case["saved"]) > 0, x, torch.zeros_like(x))
    return x if case.get("residual") is None else x + _wide(case["residual"])


def wrong(subject: Subject, case: Case, expects: Tensor | None = None) -> str:
    """The model's fault, or that the result is not `expects` (or what integers give), or ""."""
    case = dict(case)
    out = case.pop("out", None)
    if "scales" in case:
        return _said_scaled(subject, case, out, expects)
    a, b = case["a"], case["b"]
    out = torch.empty(a.shape[0], a.shape[1], b.shape[2], dtype=subject.dtype) if out is None else out
    expects = expected(case).to(out.dtype) if expects is None else expects
    try:
        got = machine.product(
            *place_of(subject.name), out, case.pop("a"), case.pop("b"), **case, schedule=PLAN, aligned=True
        )
    except (machine.ModelError, machine.Refused, AssertionError) as words:
        return str(words)
    return "" if torch.equal(got, expects) else f"a wrong result, {int((got != expects).sum())} of {got.numel()}"


def _said_scaled(subject: Subject, case: Case, out: Tensor | None, expects: Tensor | None) -> str:
    a, b, (one, two) = case.pop("a"), case.pop("b"), case.pop("scales")
    out = torch.empty(a.shape[0], b.shape[1]) if out is None else out
    if expects is None:
        expects = (exact(a, b, one, two) + case.get("bias", torch.zeros(()))).to(out.dtype)
    try:
        got = machine.scaled(*place_of(subject.name), out, a, b, one, two, **case, schedule=PLAN, aligned=True)
    except (machine.ModelError, machine.Refused, AssertionError) as words:
        return str(words)
    return "" if torch.equal(got, expects) else f"a wrong result, {int((got != expects).sum())} of {got.numel()}"


# ---- far apart -------------------------------------------------------------------------------------------------------

PAIRS = [
    ("lines", "lines"), ("columns", "columns"), ("lines", "columns"), ("columns", "lines"), ("elements", "elements"),
    ("odd lines", "odd columns"), ("odd columns", "odd lines"), ("batches", "transposed batches"),
    ("transposed batches", "batches"), ("odd batches", "odd transposed batches"),
]  # fmt: skip


def far_cases(subject: Subject) -> Iterator[tuple[str, Case]]:
    """Each layout of A and B, with D and the epilogue's operands in one of them; an epilogue with every layout."""
    if subject.dtype in FORMATS:
        yield from _far_scaled(subject)
        return
    for number, (left, right) in enumerate(PAIRS):
        batch = 2 if "batches" in left else 1
        a, b = _filled(subject, batch, subject.m, subject.k), _filled(subject, batch, subject.k, subject.n)
        for plain in (False, True) if number < 2 or batch == 2 else (False,):
            kind = (left, right)[number % 2]
            ends: Case = {} if plain else ends_of(subject, batch, number % 3)
            ends = {
                name: t if not isinstance(t, Tensor) else vector(t) if name.endswith("scale") else laid(t, kind)
                for name, t in ends.items()
            }
            out = laid(torch.zeros(batch, subject.m, subject.n, dtype=subject.dtype), kind)
            splits = 2 if number in (3, 5) and not plain else 1
            case = {"a": laid(a, left), "b": laid(b, right), "out": out, "splits": splits, **ends}
            yield f"{left}, {right}{', plain' if plain else ''}", case


def _far_scaled(subject: Subject) -> Iterator[tuple[str, Case]]:
    a, b = whole(subject.dtype, subject.m, subject.k), whole(subject.dtype, subject.k, subject.n)
    for left, right, kind, out in (
        ("lines", "columns", "1x128, 128x128", "lines"), ("odd lines", "odd columns", "row", "columns"),
        ("columns", "lines", "row", "elements"), ("lines", "columns", "1x128, 1x128", "lines"),
    ):  # fmt: skip
        one, two = scales(kind, subject.m, subject.n, subject.k)
        if not subject.configuration.tma:  # which refuses scales whose offsets need more than 32 bits
            one, two = without(laid(one[None], "elements"), 0), without(laid(two[None], "elements"), 0)
        case = {"a": without(laid(a[None], left), 0), "b": without(laid(b[None], right), 0), "scales": (one, two)}
        yield f"{left}, {right}, {kind}", case | {
            "out": without(laid(torch.zeros(1, subject.m, subject.n), out), 0),
            "bias": (torch.arange(subject.n) % 7).float(),
        }  # fmt: skip


# ---- broadcast -------------------------------------------------------------------------------------------------------

MASKS = list(itertools.product((False, True), repeat=3))  # of matrix, row and column: whether it is one for all


def broadcast(t: Tensor, mask: tuple[bool, ...]) -> Tensor:
    one = tuple(slice(0, 1) if same else slice(None) for same in mask)
    return t[one].contiguous().expand(t.shape)


def broadcast_cases(subject: Subject) -> Iterator[tuple[str, Case]]:
    """Each operand of the epilogue, broadcast along matrices, rows and columns and any of these; D by rows and by
    columns; one range of k and two."""
    batch = 2
    if not subject.ends:
        return
    small = Subject(subject.name, subject.dtype, min(subject.m, 13), min(subject.n, 19), 9, subject.ends, subject.wide)
    a, b = _filled(small, batch, small.m, small.k), _filled(small, batch, small.k, small.n)
    for number, mask in enumerate(MASKS):
        for which in (0, 1, 2):
            transposed, ends = (number + which + number // 4) % 2 == 1, ends_of(small, batch, which)
            if which == 1 and "saved" not in ends:
                continue
            for at, (name, t) in enumerate(list(ends.items())):
                if not isinstance(t, Tensor):
                    continue
                given = MASKS[(number + 3 * at) % 8] if at else mask
                if name.endswith("scale"):
                    given = (given[0], given[1] if name == "row_scale" else given[2])
                ends[name] = broadcast(t, given)
            shape = (batch, small.n, small.m) if transposed else (batch, small.m, small.n)
            out = torch.zeros(shape, dtype=subject.dtype)
            splits = 1 + (number // 2 + which) % 2
            case = {"a": a, "b": b, "out": out.transpose(1, 2) if transposed else out, "splits": splits, **ends}
            yield f"{mask}, {which}{', transposed' if transposed else ''}", case
    yield "one matrix for all", {"a": a[:1].expand(batch, -1, -1), "b": b}
    yield "one matrix for all, of B", {"a": a, "b": b[:1].expand(batch, -1, -1)}


# ---- in their order --------------------------------------------------------------------------------------------------


def numbers(subject: Subject, *shape: int) -> Tensor:
    """Of 7 bits and of sizes so far apart that what they are summed in does not hold their sums."""
    reach = 25 if subject.sums == torch.float64 else 9 if subject.dtype == torch.float16 else 12
    exponent = torch.randint(-reach, reach, shape).double()
    return torch.randint(-127, 128, shape).double() * 2.0**exponent


def in_order(terms: Tensor, dtype: torch.dtype) -> Tensor:
    """The sums along the first dimension, one after another from 0 on, in numpy's arithmetic of that type."""
    kind = numpy.float64 if dtype == torch.float64 else numpy.float32
    total = numpy.zeros(terms.shape[1:], kind)
    for term in terms.numpy().astype(kind):
        total = (total + term).astype(kind)
    return torch.from_numpy(total)


def placed(subject: Subject, k: int, places: list[int], **more: Any) -> tuple[Case, Tensor]:
    """A product of one number a result at each of these k, to be added in their order."""
    while True:  # until the order makes a difference
        terms = numbers(subject, len(places), subject.m, 1)
        by = 2.0 ** torch.randint(-9, 10, (len(places), 1, subject.n)).double()
        expects, other = (in_order(t, subject.sums)[None] for t in (terms * by, (terms * by).flip(0)))
        if not torch.equal(expects, other):
            break
    a, b = torch.zeros(1, subject.m, k, dtype=torch.float64), torch.zeros(1, k, subject.n, dtype=torch.float64)
    for i, at in enumerate(places):
        a[0, :, at], b[0, at] = terms[i, :, 0], by[i, 0]
    case = {
        "a": a.to(subject.dtype),
        "b": b.to(subject.dtype),
        "out": torch.empty(1, subject.m, subject.n, dtype=subject.sums),
    }
    return case | more, expects


RANGES = 5


def order_cases(subject: Subject) -> Iterator[tuple[str, Case, Tensor]]:
    """Sums whose order is documented: of ranges of k (split/kernel.cuh, wgmma/ranges.cuh), of k on ordinary cores
    (mma_sync/multiply_add.cuh), of groups of lanes (skinny/kernel.cuh), of blocks of scales, and in the epilogue
    (problem.h)."""
    if subject.dtype in FORMATS:
        yield from _blocks_in_order(subject)
        return
    if not subject.dtype.is_floating_point:
        return
    of = subject.configuration
    step = 2048 if of.vectors else 128
    few = Subject(subject.name, subject.dtype, min(subject.m, 21), min(subject.n, 18), 0, subject.ends, subject.wide)
    middles = [step * i + step // 2 for i in range(RANGES)]
    yield "ranges", *placed(few, step * RANGES, middles, splits=RANGES)
    if of.tma:
        yield "ranges of a cluster", *placed(few, step * RANGES, middles, splits=RANGES, cluster=-1)
    if of.multiplier == "multiply-add":
        yield "k", *placed(few, 75, list(range(75)))
    if of.multiplier == "multiply-add along rows":  # a thread has a packet, and 32 of them a warp
        width = 16 // subject.dtype.itemsize
        case, expects = placed(few, 256 * width + width, [32 * width * g + 5 for g in range(8)])
        case["b"] = case["b"].transpose(1, 2).contiguous().transpose(1, 2)
        yield "groups of lanes", case, expects
    if of.multiplier == "multiply-add along columns":
        case, expects = placed(few, 64, [8 * (w % 3) + w for w in range(8)])
        case["a"] = case["a"].transpose(1, 2).contiguous().transpose(1, 2)
        yield "warps", case, expects
    yield "the end", *end_case(few)


def _blocks_in_order(subject: Subject) -> Iterator[tuple[str, Case, Tensor]]:
    """Each block of 128 has one product, 1, and a scale that is the number."""
    m, n, blocks = 21, 18, 6
    a, b = torch.zeros(m, 128 * blocks), torch.zeros(128 * blocks, n)
    a[:, 7::128], b[7::128] = 1, 1
    two = torch.ones(blocks, 1)
    while True:  # until the order of the blocks makes a difference, and that of the ranges
        one = numbers(subject, blocks, m, 1).float()
        pairs = in_order(one.view(3, 2, m, 1).double().transpose(0, 1), torch.float32).double()
        sums = [in_order(terms, torch.float32) for terms in (one.double(), pairs)]
        if not any(torch.equal(x, in_order(t.flip(0), torch.float32)) for x, t in zip(sums, (one.double(), pairs))):
            break
    case = {"a": a.to(subject.dtype), "b": b.to(subject.dtype).t().contiguous().t(), "scales": (one[:, :, 0].t(), two)}
    for what, splits, expects in (("blocks", 1, sums[0]), ("ranges of blocks", 3, sums[1])):
        yield what, {**case, "splits": splits, "out": torch.empty(m, n)}, expects.expand(-1, n)


def end_case(subject: Subject) -> tuple[Case, Tensor]:
    """alpha, the row's factor, the column's, beta C, the derivative's, the residual: each rounded once."""
    kind = numpy.float64 if subject.sums == torch.float64 else numpy.float32
    m, n = subject.m, subject.n
    a, b = torch.zeros(1, m, 8), torch.zeros(1, 8, n)
    a[0, :, 3], b[0, 3] = torch.randint(1, 16, (m,)).float(), torch.randint(1, 16, (n,)).float()
    c, residual = (fills.normal(1, m, n, dtype=subject.sums) for _ in range(2))
    by_row, by_column = fills.normal(1, m, dtype=subject.sums), fills.normal(1, n, dtype=subject.sums)
    saved = (torch.randint(0, 2, (1, m, n)) * 2 - 1).to(subject.sums)
    x = (a.double() @ b.double()).numpy().astype(kind) * kind(0.3)
    x = x * by_row.numpy()[:, :, None]
    x = x * by_column.numpy()[:, None]
    x = x + kind(0.7) * c.numpy()
    x = numpy.where(saved.numpy() > 0, x, kind(0)) + residual.numpy()
    ends: Case = {"c": c, "alpha": 0.3, "beta": 0.7, "row_scale": by_row, "column_scale": by_column}
    ends |= {"derivative": "relu", "saved": saved, "residual": residual}
    out = torch.empty(1, m, n, dtype=subject.sums)
    return {"a": a.to(subject.dtype), "b": b.to(subject.dtype), "out": out, **ends}, torch.from_numpy(x)


# ---- sums of columns -------------------------------------------------------------------------------------------------


def said_of_sums(subject: Subject, part_rows: int, splits: int) -> str:
    """Sums of columns: of each part's rows in their order, then of every 32nd part, then of those in theirs.

    Where a warp makes the parts, each has one row that is not 0.
    """
    parts, n = 131, min(subject.n, 5)
    m = parts * part_rows
    d = numbers(subject, m, n)
    if splits == 1:
        d[torch.arange(m) % part_rows != part_rows // 2] = 0
    a, b = torch.zeros(m, 8, dtype=torch.float64), torch.zeros(8, n, dtype=torch.float64)
    a[:, :n], b[:n] = d, torch.eye(n)
    one = in_order(d.view(parts, part_rows, n).transpose(0, 1), subject.sums)
    lines = torch.stack([in_order(one[line::32].double(), subject.sums) for line in range(32)])
    expects = in_order(lines.double(), subject.sums)
    out = torch.empty(m, n, dtype=subject.sums)
    try:
        _, got = machine.product_with_sums(
            *place_of(subject.name),
            out,
            a.to(subject.dtype),
            b.to(subject.dtype),
            splits=splits,
            schedule=PLAN,
            aligned=True,
        )
    except (machine.ModelError, machine.Refused, AssertionError) as words:
        return str(words)
    return "" if torch.equal(got, expects) else f"other sums of {int((got != expects).sum())} columns of {n}"
