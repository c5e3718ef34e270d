"""Values that tests put into tensors; each fill has its purpose."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Digits that a type's product sums keep exactly: the accumulator is float32 for all but float64.
_DIGITS = {torch.float16: 11, torch.bfloat16: 8, torch.float32: 24, torch.float64: 53}
_LARGEST = {torch.float16: 4, torch.bfloat16: 4, torch.float32: 8, torch.float64: 8}


def normal(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Zero-mean: errors and sums grow as the square root."""
    return torch.randn(shape, dtype=torch.float64).to(dtype)


def uniform(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """[0, 1): nothing cancels, so a truncating accumulator shows its bias."""
    return torch.rand(shape, dtype=torch.float64).to(dtype)


def wide(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Exponents over 2^(+-20) (2^(+-6) for float16): a tolerance relative to the largest element sees nothing here."""
    reach = 6 if dtype == torch.float16 else 20
    exponent = torch.randint(-reach, reach + 1, shape).to(torch.float64)
    return (torch.randn(shape, dtype=torch.float64) * 2.0**exponent).to(dtype)


def cancelling(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """[A, -A (1 + 1e-4)] along the last dimension: sums are far smaller than their terms."""
    half = torch.randn(*shape[:-1], (shape[-1] + 1) // 2, dtype=torch.float64)
    return torch.cat([half, -half * (1 + 1e-4)], dim=-1)[..., : shape[-1]].to(dtype)


def integers(*shape: int, k: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Small integers, so sparse that a sum over k of products is exact in the accumulator and in the stored type.

    The rule of oneDNN's tests: SAFE_N_ACC = 2^min(digits, 24) / largest product; the density is SAFE_N_ACC / k.
    """
    largest = _LARGEST[dtype]
    safe = 2.0 ** min(_DIGITS[dtype], 24) / largest**2
    density = math.sqrt(min(1.0, safe / max(k, 1)))  # a product is there where both factors are
    values = torch.randint(1, largest + 1, shape) * (torch.randint(0, 2, shape) * 2 - 1)
    return torch.where(torch.rand(shape) < density, values, torch.zeros_like(values)).to(dtype)


def tf32(t: Tensor) -> Tensor:
    """float32 rounded to tf32's 11 significant bits, ties away from zero, as cvt.rna does; finite values."""
    bits = t.contiguous().view(torch.int32).to(torch.int64) & 0xFFFFFFFF
    rounded = (bits + 0x1000) & 0xFFFFE000
    return torch.where(rounded >= 2**31, rounded - 2**32, rounded).to(torch.int32).view(torch.float32).view(t.shape)


FILLS = {"normal": normal, "uniform": uniform, "wide": wide, "cancelling": cancelling}


def special(dtype: torch.dtype, extra: tuple[float, ...] = ()) -> Tensor:
    """NaN, infinities, both zeros, subnormals, extremes, ones, and branch points with their neighbours."""
    if dtype == torch.bool:
        return torch.tensor([False, True])
    if not dtype.is_floating_point:
        whole = torch.iinfo(dtype)
        numbers = {whole.min, whole.max, whole.max - 1, whole.min + 1, 0, 1, 2, 3, 7, 10}
        if whole.min < 0:
            numbers |= {-1, -2, -3, -7}
        return torch.tensor(sorted(numbers), dtype=dtype)
    info = torch.finfo(dtype)
    tiny = torch.tensor(info.smallest_normal, dtype=dtype)
    lowest = (tiny.to(torch.float64) * info.eps).item()
    points = [math.nan, math.inf, 0.0, lowest, 3 * lowest, info.smallest_normal, info.max, 1.0, 0.5, 2.0, 3.0, 6.0]
    points += [1 / 3, 1.5, 5.5, 8.0, 20.0, 88.0, 1 - info.eps, 1 + info.eps, math.pi, *(abs(e) for e in extra)]
    values = torch.tensor(points, dtype=torch.float64).to(dtype)
    return torch.cat([values, -values])
