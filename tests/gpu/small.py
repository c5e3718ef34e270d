"""Every configuration and every elementwise kernel once on small shapes, `python -m tests.gpu.small`: what the
sanitizers run.

Tensors are made on the CPU and copied whole, so that only kernels of gpukern run between the copies, and initcheck
knows every byte that the copies wrote.  Results are compared, because a tool that stops a kernel early finds nothing.
GPUKERN_GPU_DEVICE=cpu tries this file where there is no GPU.
"""

from __future__ import annotations

import math
import os
from dataclasses import replace

import torch
from torch import Tensor

import gpukern
from tests.gpu import device, progress
from tests.oracle import fills, float8, products, strategies, ulps
from tests.oracle.ops import FIRST

DEVICE = os.environ.get("GPUKERN_GPU_DEVICE", "cuda")


def there(t: Tensor) -> Tensor:
    """On the device with the strides it has, without a kernel of torch's."""
    extent = 1 + sum((n - 1) * s for n, s in zip(t.shape, t.stride())) if t.numel() else 0
    start = t.storage_offset()
    return t.as_strided((start + extent,), (1,), 0).to(DEVICE).as_strided(t.shape, t.stride(), start)


def filled(dtype: torch.dtype, *shape: int, k: int) -> Tensor:
    if dtype.is_floating_point:
        return fills.integers(*shape, k=k, dtype=dtype)
    return torch.randint(0 if dtype == torch.uint8 else -9, 10, shape).to(dtype)


def runs_of(configuration: gpukern.selection.Configuration) -> int:
    """Ragged shapes in all four layouts, with and without an addend, and with the sums of columns."""
    count = 0
    bm, bn, bk = configuration.tile
    for dtype in device.types(configuration):
        for m, n, k in ((bm + 1, bn - 1, bk + 1), (1, 3, 2 * bk), (bm, bn, bk)):
            m, n, k = device.lined(configuration, m, n, k)
            a, b, c = filled(dtype, m, k, k=k), filled(dtype, k, n, k=k), filled(dtype, m, n, k=1)
            if dtype.is_floating_point:
                expected = a.double() @ b.double()
            else:
                expected = (a.long() @ b.long()).to(dtype)
            for left, right in ((a, b), (a.t().contiguous().t(), b.t().contiguous().t()), (a, b.t().contiguous().t())):
                how = device.how(configuration, dtype)
                if not device.serves(configuration, "mm", there(left), there(right)):
                    continue
                products.exactly_equal(gpukern.mm(there(left), there(right), **how).cpu(), expected)
                products.exactly_equal(gpukern.addmm(there(c), there(left), there(right), **how).cpu(), (expected + c))
                count += 2
                if dtype.is_floating_point:
                    grad, weight, saved = map(there, (left, right, c))
                    d, sums = gpukern.mm_activation_backward(grad, weight, saved, "none", bias_grad=True, **how)
                    products.exactly_equal(d.cpu(), expected)
                    products.exactly_equal(sums.cpu(), expected.sum(0))
                    count += 1
    return count


def scaled_runs(configuration: gpukern.selection.Configuration) -> int:
    """Every format, every kind of scale, a bias, results of 8 bits."""
    count = 0
    bm, bn, bk = configuration.tile
    for number, kind in enumerate(float8.SCALES):
        first, second = float8.paired(configuration.name, float8.FORMATS[number % 4], float8.FORMATS[number // 4])
        for m, n, k in ((bm + 1, bn - 1, 128 + bk + 1), (1, 3, 2 * bk), (bm, bn, bk)):
            a, b, bias = float8.whole(first, m, k), float8.whole(second, k, n), torch.randint(-3, 4, (n,)).float()
            one, two = float8.scales(kind, m, n, k)
            expected = float8.exact(a, b, one, two) + bias.double()
            for operand in (b, b.t().contiguous().t()):
                for out in (torch.float32, first):
                    left, right, *scales, addend = (there(t) for t in (a, operand, one, two, bias))
                    got = gpukern.scaled_mm(left, right, scales[0], scales[1], addend, out_dtype=out).cpu()
                    rounded = expected.float().to(out).float()  # NaN or infinite where it is beyond 8 bits
                    assert torch.equal(got.float().nan_to_num(math.pi), rounded.nan_to_num(math.pi)), (
                        configuration.name,
                        kind,
                        m,
                        n,
                        k,
                        out,
                    )
                    count += 1
    return count


def along_k_runs(configuration: gpukern.selection.Configuration) -> int:
    """Hopper's types that lie along k only: tf32, int8, float8 with the scales that the configuration takes."""
    count = 0
    m, n, k = configuration.tile[0] + 1, configuration.tile[1] + 3, 2 * 128 + 16
    for dtype in (torch.float32, torch.int8):
        if str(dtype).removeprefix("torch.") in configuration.types:
            a, b = fills.integers(m, k, k=k).to(dtype), fills.integers(n, k, k=k).to(dtype).t()
            got = gpukern.mm(there(a), there(b), **device.how(configuration, dtype)).cpu()
            products.exactly_equal(got, (a.double() @ b.double()).to(dtype))
            count += 1
    for kind in float8.SCALES if "float8_e4m3fn" in configuration.types else ():
        a, b = float8.whole(float8.FORMATS[0], m, k), float8.whole(float8.FORMATS[1], n, k).t()
        left, right, one, two = map(there, (a, b, *float8.scales(kind, m, n, k)))
        fast = "bfloat16" in configuration.types
        if device.serves(
            configuration, "scaled_mm", left, right, one, two, out_dtype=torch.float32, use_fast_accum=fast
        ):
            got = gpukern.scaled_mm(left, right, one, two, out_dtype=torch.float32, use_fast_accum=fast).cpu()
            products.exactly_equal(got, float8.exact(a, b, one.cpu(), two.cpu()))
            count += 1
    return count


def elementwise_runs() -> int:
    """Each op dense, broadcast, transposed and with gaps, first derivatives of the dense one."""
    count = 0
    for case in FIRST:
        progress.begins(case.name)
        for dtype in ulps.FLOATS:
            for layout in ("dense", "transposed", "sliced", "offset"):
                inputs = [strategies.arranged(t, layout) for t in case.smooth_inputs((37, 41), dtype)]
                got, expected = case.ours(*map(there, inputs)).cpu(), case.ours(*inputs)
                tight = 1e-2 if dtype in ulps.HALVES else 1e-5
                torch.testing.assert_close(got, expected, rtol=tight, atol=tight)
                count += 1
        if case.differentiable:
            inputs = case.smooth_inputs((533,), torch.float32)
            here = [there(t).requires_grad_(t.is_floating_point()) for t in inputs]
            torch.autograd.grad(case.ours(*here), [t for t in here if t.requires_grad], there(torch.ones(533)))
            count += 1
    return count


def main() -> int:
    torch.manual_seed(20)
    count = 0
    for configuration in device.configurations() if DEVICE != "cpu" else [c for c in gpukern.available() if c.on_cpu]:
        if DEVICE == "cpu":
            configuration = replace(configuration, tile=(8, 8, 8))
        progress.begins(configuration.name)
        with gpukern.force(configuration.name):
            count += runs_of(configuration) + (scaled_runs(configuration) if device.takes_float8(configuration) else 0)
            count += along_k_runs(configuration) if configuration.tma else 0
    count += elementwise_runs()
    print(f"{count} runs on small shapes, every result right")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
