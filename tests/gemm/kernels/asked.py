"""What the questions of this folder are asked of: configurations and their types, and operands as each takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

import gpukern
from gpukern.model.configurations import place_of
from gpukern.selection import Configuration
from tests.gemm.kernels.thin import is_skinny, side
from tests.oracle import fills, products
from tests.platform import machine
from tests.sampling import sampled

GPU_CONFIGURATIONS = [c for c in gpukern.available(built=False) if not c.on_cpu]
# Scaled products of 8-bit numbers have tests of their own (test_scaled_kernels.py).
CASES = [(c, getattr(torch, t)) for c in GPU_CONFIGURATIONS for t in c.types if not t.startswith("float8")]
FLOATING = [case for case in CASES if case[1].is_floating_point]
# What each tests in ways of its own: any strides, and what TMA brings (test_hopper_kernels.py).
BY_THREADS = [case for case in CASES if not case[0].tma]
BY_TMA = [case for case in CASES if case[0].tma]
FLOATING_BY_THREADS = [case for case in BY_THREADS if case[1].is_floating_point]


def ids(cases: Sequence[tuple[Any, ...]]) -> list[str]:
    return ["-".join([c.name, *(str(of).removeprefix("torch.") for of in rest)]) for c, *rest in cases]


def by_case(cases: Sequence[tuple[Any, ...]]) -> pytest.MarkDecorator:
    """Asks of each configuration and type."""
    return pytest.mark.parametrize(("configuration", "dtype"), cases, ids=ids(cases))


def by_sampled(question: str, cases: Sequence[tuple[Any, ...]]) -> pytest.MarkDecorator:
    """Asks some of them each day, all at night."""
    return pytest.mark.parametrize(("configuration", "dtype"), sampled(question, cases, alike, ids(cases)))


def alike(case: tuple[Any, ...]) -> tuple[str, int, bool, bool]:
    """Kernels that differ by their tile, and types of one width: one text, in which a type is an argument."""
    configuration, dtype = case[:2]
    kind = configuration.name[: configuration.name.index("/") + 2]  # a folder and the letter of its kernel
    return kind, dtype.itemsize, dtype.is_floating_point, dtype.is_complex


# One text serves every kernel: each configuration with some of the activations, the smallest configuration of each
# folder and type with all.
COMMON = ["none", "relu", "gelu", "gelu_tanh", "silu"]
SMALLEST = {(c.folder, t): c for c, t in sorted(FLOATING, key=lambda case: -case[0].tile[0] * case[0].tile[1])}


def by_activation(question: str, cases: Sequence[tuple[Any, ...]], activations: Sequence[str]) -> pytest.MarkDecorator:
    """Asks of a configuration, a type and an activation; of alike configurations some each day."""
    kinds = [(c, t, f) for c, t in cases for f in activations if f in COMMON or SMALLEST[c.folder, t] is c]
    several = sampled(question, kinds, lambda kind: (*alike(kind), kind[2]), ids(kinds))
    return pytest.mark.parametrize(("configuration", "dtype", "activation"), several)


def to_nearest_even(t: Tensor) -> Tensor:
    """float32 to the 11 significant bits of tf32, by float64, whose steps can be set: no other rounding is involved."""
    wide = t.double()
    step = 2.0 ** (torch.frexp(wide).exponent.double() - 11)
    return ((wide / step).round() * step).float()  # round: ties to even


def multiplied(configuration: Configuration, t: Tensor) -> Tensor:
    """What the configuration multiplies: float32 rounded to 11 bits where it runs on tensor cores."""
    if t.dtype != torch.float32 or "tf32" not in configuration.precisions:
        return t
    return to_nearest_even(t) if configuration.tma else fills.tf32(t)


def place(configuration: Configuration) -> tuple[int, int]:
    """Folder and place in its table."""
    return place_of(configuration.name)


def filled(dtype: torch.dtype, *shape: int, k: int) -> Tensor:
    """Values whose sums over k are exact."""
    if dtype.is_complex:
        part = torch.float32 if dtype == torch.complex64 else torch.float64
        return torch.complex(*(fills.integers(*shape, k=4 * k, dtype=part) for _ in range(2)))
    if dtype.is_floating_point:
        return fills.integers(*shape, k=k, dtype=dtype)
    return torch.randint(0 if dtype == torch.uint8 else -9, 10, shape).to(dtype)


def precise(t: Tensor) -> Tensor:
    """In the type that a reference is computed in."""
    return t.to(torch.complex128 if t.is_complex() else torch.float64 if t.is_floating_point() else torch.int64)


def ragged(configuration: Configuration) -> list[tuple[int, int, int, int]]:
    """(batch, m, n, k): one below, at and above a tile, thin ones, k around a step."""
    bm, bn, bk = configuration.tile
    if is_skinny(configuration):
        return [
            (1, bm + 1, bn, 257), (1, bn, 9, 1030), (1, 1, 33, bk - 1), (1, bm - 1, 1, 1), (2, 35, (bn + 1) // 2, 32),
            (3, 1, 5, 520), (1, bn, 7, 4100),
        ]  # fmt: skip
    shapes = [
        (1, bm, bn, bk), (1, bm + 1, bn - 1, 2 * bk + 1), (1, 1, bn + 3, bk - 1), (1, bm - 1, 1, 1),
        (2, 5, 7, 3 * bk), (1, 2 * bm + 3, bn + 1, bk),
    ]  # fmt: skip
    return [(batch, *oriented(configuration, m, n), k) for batch, m, n, k in shapes]


def laid_out(t: Tensor, kind: str) -> Tensor:
    """The same matrices: row-major, column-major, with gaps, with no unit stride, or one matrix for the whole batch."""
    if kind == "columns":
        return t.transpose(1, 2).contiguous().transpose(1, 2)
    if kind == "gaps":
        wide = torch.zeros(t.shape[0], t.shape[1], t.shape[2] + 3, dtype=t.dtype)
        wide[:, :, : t.shape[2]] = t
        return wide[:, :, : t.shape[2]]
    if kind == "strided":
        wide = torch.zeros(t.shape[0], 2 * t.shape[1], 3 * t.shape[2], dtype=t.dtype)
        wide[:, ::2, ::3] = t
        return wide[:, ::2, ::3]
    return t.contiguous()


def lines(t: Tensor, gap: int = 0) -> Tensor:
    """The same matrices in lines that are multiples of 16 bytes apart, `gap` such multiples more than need be."""
    each = 16 // t.element_size()
    pitch = (-(-t.shape[2] // each) + gap) * each
    wide = torch.full((t.shape[0], t.shape[1], pitch), float("nan") if t.is_floating_point() else 99).to(t.dtype)
    wide[:, :, : t.shape[2]] = t
    return wide[:, :, : t.shape[2]]


def columns(t: Tensor, gap: int = 0) -> Tensor:
    return lines(t.transpose(1, 2), gap).transpose(1, 2)


def laid(t: Tensor, along_row: bool, gap: int = 0) -> Tensor:
    return lines(t, gap) if along_row else columns(t, gap)


def taken(configuration: Configuration, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The operands as every configuration takes them: where TMA brings them, both along k."""
    return (lines(a), columns(b)) if configuration.tma else (a, b)


def oriented(configuration: Configuration, m: int, n: int) -> tuple[int, int]:
    """As many columns as the configuration takes; a thin row of those by TMA lays the few rows along n."""
    if configuration.tma:
        return (max(m, n), min(m, n)) if configuration.tile[1] <= 32 else (m, n)
    return m, side(configuration, n)


def depth(configuration: Configuration, dtype: torch.dtype) -> int:
    """k of a step: a stage, or what products of terms are promoted by."""
    if not configuration.tma:
        return configuration.tile[2]
    return 128 if configuration.adds_terms else 128 // dtype.itemsize


def factors(dtype: torch.dtype, batch: int, m: int, n: int, k: int) -> tuple[Tensor, Tensor]:
    return filled(dtype, batch, m, k, k=k), filled(dtype, batch, k, n, k=k)


def result(a: Tensor, b: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    return torch.empty(a.shape[0], a.shape[1], b.shape[2], dtype=dtype or a.dtype)


def multiply(configuration: Configuration, a: Tensor, b: Tensor, out: Tensor | None = None, **options: Any) -> Tensor:
    """Under the model; what TMA brings begins at multiples of 16 bytes."""
    options["aligned"] = configuration.tma or options.get("aligned", False)
    return machine.product(*place(configuration), result(a, b) if out is None else out, a, b, **options)


def multiply_and_sum(
    configuration: Configuration, a: Tensor, b: Tensor, out: Tensor | None = None, **options: Any
) -> tuple[Tensor, Tensor]:
    """The product of two matrices and the sums of its columns."""
    if configuration.tma:
        a, b = (t[0] for t in taken(configuration, a[None], b[None]))
    options["aligned"] = configuration.tma or options.get("aligned", False)
    out = torch.empty(a.shape[0], b.shape[1], dtype=a.dtype) if out is None else out
    return machine.product_with_sums(*place(configuration), out, a, b, **options)


def exact(configuration: Configuration, a: Tensor, b: Tensor, out: Tensor | None = None, **options: Any) -> None:
    got = multiply(configuration, a, b, out, **options)
    products.exactly_equal(got, (precise(a) @ precise(b)).to(got.dtype))
