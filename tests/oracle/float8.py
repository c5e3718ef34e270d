"""The four formats of 8 bits from their definitions, scales of every kind, and scaled products in float64."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gpukern import selection

FORMATS = [torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz]
# exponent bits, fraction bits, bias, and which patterns are no numbers
LAYOUT = {FORMATS[0]: (4, 3, 7), FORMATS[1]: (5, 2, 15), FORMATS[2]: (4, 3, 8), FORMATS[3]: (5, 2, 16)}
OUT = [torch.float32, torch.bfloat16, torch.float16, *FORMATS]


def value(pattern: int, dtype: torch.dtype) -> float:
    """What a pattern of 8 bits is, from the definition of its format."""
    exponents, fractions, bias = LAYOUT[dtype]
    sign, exponent = -1.0 if pattern >> 7 else 1.0, pattern >> fractions & ((1 << exponents) - 1)
    fraction = pattern & ((1 << fractions) - 1)
    if dtype in FORMATS[2:] and pattern == 0x80:
        return math.nan
    if dtype == torch.float8_e4m3fn and pattern & 0x7F == 0x7F:
        return math.nan
    if dtype == torch.float8_e5m2 and exponent == 31:
        return math.nan if fraction else sign * math.inf
    if exponent == 0:
        return sign * fraction * 2.0 ** (1 - bias - fractions)
    return sign * (1 + fraction * 2.0**-fractions) * 2.0 ** (exponent - bias)


def paired(configuration: str, first: torch.dtype, second: torch.dtype) -> tuple[torch.dtype, torch.dtype]:
    """The formats, or such as the configuration has in their place: Ada's tensor cores have no fnuz, and no e5m2 twice
    here."""
    if not selection.named(configuration).tensor_cores:
        return first, second
    kept = [t if t in FORMATS[:2] else FORMATS[0] for t in (first, second)]
    return (kept[0], FORMATS[0]) if kept == [FORMATS[1]] * 2 else (kept[0], kept[1])


def patterns(dtype: torch.dtype) -> Tensor:
    return torch.arange(256, dtype=torch.uint8).view(dtype)


def values(t: Tensor) -> Tensor:
    """In float64, by the definition."""
    table = torch.tensor([value(p, t.dtype) for p in range(256)], dtype=torch.float64)
    return table[t.contiguous().view(torch.uint8).long()]


def whole(dtype: torch.dtype, *shape: int) -> Tensor:
    """-2 .. 2, whose sums over some thousand are exact."""
    return torch.randint(-2, 3, shape).float().to(dtype)


def powers(*shape: int) -> Tensor:
    """Scales whose products are exact."""
    return 2.0 ** torch.randint(-2, 3, shape).float()


def blocks(n: int) -> int:
    return -(-n // 128)


SCALES = {
    "tensor": ((), ()), "row": ("m1", "1n"), "1x128, 128x128": ("mk", "KN"), "1x128, 1x128": ("mk", "Kn"),
    "128x128, 1x128": ("MK", "Kn"), "row, tensor": ("m1", ()), "tensor, 128x128": ((), "KN"),
}  # fmt: skip


def scales(kind: str, m: int, n: int, k: int) -> tuple[Tensor, Tensor]:
    extents = {"m": m, "n": n, "k": blocks(k), "K": blocks(k), "M": blocks(m), "N": blocks(n), "1": 1}
    first, second = (powers(*(extents[letter] for letter in shape)) for shape in SCALES[kind])
    return first, second


def spread(scale: Tensor, x: int, k: int) -> Tensor:
    """The scale of each element of an (x, k) operand."""
    scale = scale.double()
    if scale.numel() == 1:
        return scale.reshape(1, 1).expand(x, k)
    rows = scale if scale.shape[0] == x else scale.repeat_interleave(128, 0)[:x]
    return rows.expand(x, k) if rows.shape[1] == 1 else rows.repeat_interleave(128, 1)[:, :k]


def exact(a: Tensor, b: Tensor, scale_a: Tensor, scale_b: Tensor) -> Tensor:
    k = a.shape[1]
    return (values(a) * spread(scale_a, a.shape[0], k)) @ (values(b) * spread(scale_b.t(), b.shape[1], k).t())


def cut_in_128(x: Tensor, y: Tensor) -> Tensor:
    """What cutting to 14 bits within each 128 of k can amount to, of a product whose tensor cores add 32 at a time."""
    bound = torch.zeros(x.shape[0], y.shape[1], dtype=torch.float64)
    for first in range(0, x.shape[1], 128):
        magnitude = x[:, first : first + 128].abs() @ y[first : first + 128].abs()
        bound += 4 * 33 * 2.0**-13 * magnitude / 8 + 2.0**-22 * magnitude  # no term is an eighth of 128 of them
    return bound
