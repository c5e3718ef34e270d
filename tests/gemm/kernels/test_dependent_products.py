"""Products in one stream, each of what the one before wrote: Hopper's kernels start before their predecessors have
ended (programmatic dependent launch), be those products, passes that copy or divide, or additions of ranges or of sums.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from gpukern.model.machine import PRODUCT_TYPES
from gpukern.model.memory import Memory
from gpukern.scaled import scale_kind
from tests.gemm.kernels.asked import GPU_CONFIGURATIONS, columns, lines, place
from tests.gemm.kernels.test_packing import odd
from tests.oracle import fills
from tests.platform.machine import Guarded, Schedule, Stream

CONFIGURATIONS = {c.name.partition("/")[2]: place(c) for c in GPU_CONFIGURATIONS if c.tma}
SCHEDULES = [("fifo", 1), ("lifo", 1), ("random", 3), *(("pct", seed) for seed in (1, 2, 3))]  # seeds: how eagerly
M, N, K = 70, 72, 136
Chain = Callable[[Stream], list[tuple[Memory, Tensor]]]


def small(rows: int, depth: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    return fills.integers(1, rows, depth, k=9, dtype=dtype).clamp(-1, 1)


def zeros(*shape: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    return torch.empty(1, *shape, dtype=dtype)


def sparse(rows: int, depth: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """One 1 or -1 in each column, so that a chain of products stays within 8 bits."""
    t = torch.zeros(1, rows, depth)
    t[0, torch.randint(rows, (depth,)), torch.arange(depth)] = torch.randint(0, 2, (depth,)).float() * 2 - 1
    return t.to(dtype)


def product_after_product(s: Stream) -> list[tuple[Memory, Tensor]]:
    """D is the next one's A, B, residual and addend, in pairs and alone, stored by TMA and by threads."""
    a, b, c = small(M, K), sparse(K, N), sparse(N, K)
    given = {name: s.given(t) for name, t in (("a", lines(a)), ("b", lines(b)), ("c", columns(c)))}
    d = s.product(*CONFIGURATIONS["p64x64"], lines(zeros(M, N)), a=given["a"], b=given["b"])
    e = s.product(*CONFIGURATIONS["w128x256"], lines(zeros(M, K)), a=d, b=given["c"], cluster=2)
    f = s.product(*CONFIGURATIONS["p64x64"], lines(zeros(M, N)), a=e, b=given["b"], residual=d, processors=1)
    g = s.product(*CONFIGURATIONS["p64x64"], lines(zeros(M, N)), a=e, b=given["b"], c=f, activation="relu", cluster=2)
    ab = a.double() @ b.double()
    abc = ab @ c.double()
    abcb = abc @ b.double()
    return [(d, ab), (e, abc), (f, abcb + ab), (g, (abcb + abcb + ab).relu())]


def product_after_a_copy(s: Stream) -> list[tuple[Memory, Tensor]]:
    """What a product wrote is copied into lines first, then multiplied."""
    a, b, c = small(M, K), sparse(K, 71), sparse(71, N)
    d = s.product(*CONFIGURATIONS["p64x64"], odd(zeros(M, 71)), a=s.given(lines(a)), b=s.given(columns(b)))
    e = s.product(*CONFIGURATIONS["p64x128"], lines(zeros(M, N)), a=d, b=s.given(odd(c)))
    f = s.product(*CONFIGURATIONS["p64x64"], lines(zeros(M, 71)), a=s.given(lines(a)), b=s.given(odd(b)))
    ab = a.double() @ b.double()
    return [(d, ab), (e, ab @ c.double()), (f, ab)]


def product_after_ranges(s: Stream) -> list[tuple[Memory, Tensor]]:
    """Ranges of k are added by a second kernel, or by the blocks of a cluster; the next product reads the sum."""
    a, b, c = small(M, K * 3), sparse(K * 3, N), sparse(N, K)
    x, y = s.given(lines(a)), s.given(columns(b))
    d = s.product(*CONFIGURATIONS["p64x64"], lines(zeros(M, N)), a=x, b=y, splits=3)
    e = s.product(*CONFIGURATIONS["p64x64"], lines(zeros(M, K)), a=d, b=s.given(columns(c)))
    f = s.product(*CONFIGURATIONS["p64x64"], lines(zeros(M, N)), a=x, b=y, splits=3, cluster=-1, residual=d)
    g = s.product(*CONFIGURATIONS["p64x64"], lines(zeros(M, K)), a=f, b=s.given(columns(c)), splits=2)
    ab = a.double() @ b.double()
    return [(d, ab), (e, ab @ c.double()), (f, 2 * ab), (g, 2 * ab @ c.double())]


def product_after_sums_of_columns(s: Stream) -> list[tuple[Memory, Tensor]]:
    """A second kernel adds the parts of the sums of D's columns, which are the next product's bias."""
    a, b, c = small(M, K), sparse(K, N), sparse(N, N)
    sums = Guarded(torch.empty(1, 1, N, dtype=torch.bfloat16), aligned=True).poison()
    d = s.product(
        *CONFIGURATIONS["p64x64"], lines(zeros(M, N))[0], a=s.given(lines(a)[0]), b=s.given(columns(b)[0]), sums=sums
    )
    bias = Guarded(torch.empty(1, 1, N, dtype=torch.bfloat16).expand(1, M, N), aligned=True)
    bias.view = sums.view.expand(1, M, N)
    e = s.product(*CONFIGURATIONS["p64x64"], lines(zeros(M, N)), a=d, b=s.given(columns(c)), c=bias)
    ab = a.double() @ b.double()
    total = ab.sum(1, keepdim=True)
    return [(d, ab[0]), (sums, total), (e, ab @ c.double() + total)]


def product_of_terms_after_a_product(s: Stream) -> list[tuple[Memory, Tensor]]:
    """A pass divides what a product wrote into terms."""
    kind = torch.float32
    a, b, c = small(M, K, kind), sparse(K, N, kind), sparse(N, K, kind)
    d = s.product(*CONFIGURATIONS["t128x64"], lines(zeros(M, N, dtype=kind)), a=s.given(lines(a)), b=s.given(lines(b)))
    e = s.product(*CONFIGURATIONS["t128x64"], lines(zeros(M, K, dtype=kind)), a=d, b=s.given(lines(c)))
    f = s.product(
        *CONFIGURATIONS["p64x64"], lines(zeros(M, N, dtype=kind)), a=e, b=s.given(columns(b)), precision="tf32"
    )
    ab = a.double() @ b.double()
    return [(d, ab), (e, ab @ c.double()), (f, ab @ c.double() @ b.double())]


def scaled_product_after_a_product(s: Stream) -> list[tuple[Memory, Tensor]]:
    """Scales that a product wrote, read while float8 is multiplied."""
    kind = torch.float8_e4m3fn
    a, b = small(M, 128)[0].to(kind), small(128, N)[0].to(kind)
    row, ones = torch.ones(1, 1, 128), torch.full((1, 128, M), 2.0 / 128)
    ones, row = columns(ones), lines(row)
    out = lines(zeros(1, M, dtype=torch.float32))
    scales = s.product(*CONFIGURATIONS["p64x64"], out, a=s.given(row), b=s.given(ones), precision="tf32")
    of_rows = Guarded(torch.empty(M, 1), aligned=True)
    of_rows.view = scales.view[0, 0, :, None]
    of_columns = s.given(torch.full((1, N), 0.5))
    kinds = [*scale_kind(of_rows.view, M, 128), *scale_kind(of_columns.view.t(), N, 128), PRODUCT_TYPES.index(kind), 0]
    given: dict[str, Any] = {"a": s.given(lines(a[None])[0]), "b": s.given(columns(b[None])[0])}
    d = s.product(
        *CONFIGURATIONS["q128x64"], torch.empty(M, N), precision="strict", kinds=kinds, scale_a=of_rows,
        scale_b=of_columns, **given,
    )  # fmt: skip
    return [(d, a.double() @ b.double())]


CHAINS: list[Chain] = [
    product_after_product,
    product_after_a_copy,
    product_after_ranges,
    product_after_sums_of_columns,
    product_of_terms_after_a_product,
    scaled_product_after_a_product,
]


@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain.__name__)
def test_products_of_one_stream(chain: Chain) -> None:
    for order, seed in SCHEDULES:
        with Stream(Schedule(order, seed)) as stream:
            found = chain(stream)
        for number, (got, expected) in enumerate(found):
            assert torch.equal(got.view.double(), expected), (chain.__name__, order, seed, number)
