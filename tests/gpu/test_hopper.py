"""Hopper's configurations on a device: tf32, int8, copies of what TMA cannot load, and float8 with its scales."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch

import gpukern
from tests.gemm.kernels.asked import filled, lines, precise
from tests.gemm.kernels.test_packing import odd, odd_columns, sparse
from tests.gpu import device
from tests.gpu.small import there
from tests.oracle import fills, products
from tests.oracle.float8 import FORMATS, SCALES, exact, scales, values, whole

CONFIGURATIONS = [c for c in device.configurations() if c.tma]
ALONG_K = (torch.float32, torch.int8, torch.uint8)
CASES = [(c, t) for c in CONFIGURATIONS for t in ALONG_K if str(t).removeprefix("torch.") in c.types]
TF32 = [c for c in CONFIGURATIONS if "float32" in c.types and not c.adds_terms]
FLOAT8 = [c for c in CONFIGURATIONS if "float8_e4m3fn" in c.types]
PAIRS = list(itertools.product(FORMATS[:2], repeat=2))[:3]


def shapes(configuration: Any) -> Iterator[tuple[int, int, int]]:
    bm, bn, _ = configuration.tile
    yield from ((bm + 5, bn + 9, 16), (bm, bn, 384), (3 * bm + 1, bn + 9, 2064), (40, 8, 128))


@pytest.mark.parametrize(("configuration", "dtype"), CASES, ids=[f"{c.name}-{t}" for c, t in CASES])
def test_types_along_k(configuration: Any, dtype: torch.dtype) -> None:
    for m, n, k in shapes(configuration):
        if dtype.is_floating_point:
            a, b = fills.integers(m, k, k=k, dtype=dtype), fills.integers(n, k, k=k, dtype=dtype).t()
        else:
            low = 0 if dtype == torch.uint8 else -9
            a, b = torch.randint(low, 10, (m, k)).to(dtype), torch.randint(low, 10, (n, k)).to(dtype).t()
        with gpukern.force(configuration.name):
            got = gpukern.mm(a.cuda(), b.cuda(), **device.how(configuration, dtype)).cpu()
        whole_type = torch.float64 if dtype.is_floating_point else torch.int64
        products.exactly_equal(got, (a.to(whole_type) @ b.to(whole_type)).to(dtype))


COPIED = [(c, t) for c in CONFIGURATIONS for t in device.types(c) if not c.adds_terms]


@pytest.mark.parametrize(("configuration", "dtype"), COPIED, ids=[f"{c.name}-{t}" for c, t in COPIED])
def test_what_tma_does_not_bring_is_copied(configuration: Any, dtype: torch.dtype) -> None:
    """Of whole numbers, so that every sum is exact, and larger than a tile of the pass."""
    m, n, k = 3 * configuration.tile[0] + 5, configuration.tile[1] + 9, 1030
    a, b = filled(dtype, 1, m, k, k=k), filled(dtype, 1, n, k, k=k)
    expected = (precise(a[0]) @ precise(b[0]).t()).to(dtype)
    with gpukern.force(configuration.name):
        for left, right in ((odd, odd), (odd_columns, odd), (sparse, lines), (lines, odd_columns), (lines, lines)):
            x, y = there(left(a)[0]), there(right(b)[0]).t()  # a copy by torch would lie as it likes
            products.exactly_equal(gpukern.mm(x, y, **device.how(configuration, dtype)).cpu(), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_configurations_agree_to_the_last_bit(dtype: torch.dtype) -> None:
    """What batch_invariant promises, also for a transposed product (skinny configurations) and for a copy."""
    a, b = fills.normal(64, 2056, dtype=dtype).cuda(), fills.normal(256, 2056, dtype=dtype).cuda().t()
    late = there(odd(a.cpu()[None])[0])
    results = []
    for configuration in CONFIGURATIONS:
        if str(dtype).removeprefix("torch.") in configuration.types:
            with gpukern.force(f"{configuration.name}*1"):
                results += [gpukern.mm(x[:16], b) for x in (a, late) if device.serves(configuration, "mm", x[:16], b)]
    assert len(results) > 1 and all(torch.equal(got, results[0]) for got in results)


@pytest.mark.parametrize("configuration", TF32, ids=lambda c: c.name)
def test_tf32_is_rounded_not_cut(configuration: Any) -> None:
    a, b = fills.normal(256, 512).cuda(), fills.normal(16, 512).cuda().t()
    with gpukern.force(configuration.name):
        got = gpukern.mm(a, b, precision="tf32").cpu()
    products.check_product(got, fills.tf32(a.cpu()), fills.tf32(b.cpu()), accumulator="truncating")


@pytest.mark.parametrize("kind", SCALES)
@pytest.mark.parametrize("configuration", FLOAT8, ids=lambda c: c.name)
def test_float8_is_exact_on_integers(configuration: Any, kind: str) -> None:
    fast, ran = "bfloat16" in configuration.types, 0
    for (m, n, k), (first, second) in itertools.product(shapes(configuration), PAIRS):
        a, b, (one, two) = whole(first, m, k), whole(second, n, k).t(), scales(kind, m, n, k)
        given = tuple(t.cuda() for t in (a, b, one, two))
        left, right, of_rows, of_columns = given
        call: dict[str, Any] = {"out_dtype": torch.float32, "use_fast_accum": fast}
        if not device.serves(configuration, "scaled_mm", *given, **call):
            continue
        with gpukern.force(configuration.name):
            products.exactly_equal(
                gpukern.scaled_mm(left, right, of_rows, of_columns, **call).cpu(), exact(a, b, one, two)
            )
        ran += 1
    assert ran or (fast and "128" in kind), (
        "scales of blocks alone are refused, and by configurations that do not promote"
    )


@pytest.mark.parametrize("configuration", [c for c in FLOAT8 if "bfloat16" not in c.types], ids=lambda c: c.name)
def test_promoted_sums_are_as_exact_as_the_model_says(configuration: Any) -> None:
    m, n, k = 256, 16, 4096
    a, b = fills.normal(m, k).to(FORMATS[0]), fills.normal(n, k).to(FORMATS[0]).t()
    one = torch.tensor(1.0, device="cuda")
    with gpukern.force(configuration.name):
        got = gpukern.scaled_mm(a.cuda(), b.cuda(), one, one, out_dtype=torch.float32).cpu().double()
    error = (got - values(a) @ values(b)).abs().max()
    assert bool(error < 0.06), float(error)  # the model's, and a bound of tests/gemm/kernels/test_scaled_kernels.py
