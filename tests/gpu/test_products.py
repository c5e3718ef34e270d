"""Every configuration of this device, forced, and what selection picks, against the componentwise bound."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

import gpukern
from tests.gemm.kernels.thin import side
from tests.gpu import device
from tests.oracle import fills, products

CONFIGURATIONS = device.configurations()
CASES = [(c, t) for c in CONFIGURATIONS for t in device.types(c)]
FLOATING = [(c, t) for c, t in CASES if t.is_floating_point]


def ids(cases: list[tuple[Any, torch.dtype]]) -> list[str]:
    return [f"{c.name}-{str(t).removeprefix('torch.')}" for c, t in cases]


def filled(dtype: torch.dtype, *shape: int, k: int) -> Tensor:
    """Values whose sums over k are exact."""
    if dtype.is_floating_point:
        return fills.integers(*shape, k=k, dtype=dtype).cuda()
    return torch.randint(0 if dtype == torch.uint8 else -9, 10, shape).to(dtype).cuda()


def exact_product(a: Tensor, b: Tensor) -> Tensor:
    """Of exact values; integers on the CPU, where torch multiplies them."""
    if a.dtype.is_floating_point:
        return a.double() @ b.double()
    return (a.cpu().long() @ b.cpu().long()).to(a.dtype).to(a.device)


def multiplied(configuration: Any, t: Tensor) -> Tensor:
    """What the configuration multiplies: float32 rounded to 11 bits where a call must allow tf32."""
    return fills.tf32(t.cpu()).to(t.device) if device.how(configuration, t.dtype).get("precision") == "tf32" else t


def test_there_are_configurations_for_this_device() -> None:
    assert CONFIGURATIONS, f"nothing built runs on {device.target()}"


@pytest.mark.parametrize("fill", fills.FILLS)
@pytest.mark.parametrize(("configuration", "dtype"), FLOATING, ids=ids(FLOATING))
def test_every_configuration_is_within_the_bound(configuration: Any, dtype: torch.dtype, fill: str) -> None:
    bm, bn, bk = configuration.tile
    for m, n, k in ((257, 131, 300), (bm, bn, bk), (2 * bm + 1, 3 * bn - 1, 4096), (1, 700, 2049), (640, 1, 513)):
        m, n, k = device.lined(configuration, m, side(configuration, n), k)
        a, b = fills.FILLS[fill](m, k, dtype=dtype).cuda(), fills.FILLS[fill](k, n, dtype=dtype).cuda()
        if not device.serves(configuration, "mm", a, b):
            b = b.t().contiguous().t()
        with gpukern.force(configuration.name):
            got = gpukern.mm(a, b, **device.how(configuration, dtype))
        how = {"accumulator": "truncating"} if configuration.tensor_cores else {}
        verdict = products.check_product(got, multiplied(configuration, a), multiplied(configuration, b), **how)
        name = f"{configuration.name} {str(dtype).removeprefix('torch.')}"
        device.RHO[name] = max(device.RHO.get(name, 0.0), round(verdict.rho, 2))


@pytest.mark.parametrize(("configuration", "dtype"), CASES, ids=ids(CASES))
def test_every_configuration_is_exact_on_integers(configuration: Any, dtype: torch.dtype) -> None:
    bm, bn, bk = configuration.tile
    sides = itertools.product((1, bm - 1, bm + 1, 3 * bm), (1, bn - 1, 2 * bn + 1), (1, bk - 1, 5 * bk + 3))
    for m, n, k in sides:
        m, n, k = device.lined(configuration, m, side(configuration, n), k)
        a, b = filled(dtype, m, k, k=k), filled(dtype, k, n, k=k)
        how = device.how(configuration, dtype)
        lays = itertools.product((a, a.t().contiguous().t()), (b, b.t().contiguous().t()))
        served = [(left, right) for left, right in lays if device.serves(configuration, "mm", left, right)]
        assert len(served) >= 2
        with gpukern.force(configuration.name):
            for left, right in served:
                products.exactly_equal(gpukern.mm(left, right, **how), exact_product(a, b))


@pytest.mark.parametrize(("configuration", "dtype"), CASES, ids=ids(CASES))
def test_reruns_are_bitwise_equal(configuration: Any, dtype: torch.dtype) -> None:
    m, n, k = device.lined(configuration, 515, side(configuration, 517), 300)
    a, b = fills.normal(m, k), fills.normal(n, k).t()
    a, b = ((t * (1 if dtype.is_floating_point else 5)).to(dtype).cuda() for t in (a, b))
    with gpukern.force(configuration.name):
        first = gpukern.mm(a, b, **device.how(configuration, dtype))
        for _ in range(100):
            assert torch.equal(gpukern.mm(a, b, **device.how(configuration, dtype)), first)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_what_selection_picks(dtype: torch.dtype) -> None:
    """Skinny, square and deep products, batches, an empty k; the configuration that explain names is the configuration
    that served."""
    for m, n, k in ((1, 1, 1), (16, 4096, 512), (4096, 16, 512), (1000, 1000, 1000), (64, 64, 9000), (129, 257, 65)):
        a, b = fills.normal(m, k, dtype=dtype).cuda(), fills.normal(k, n, dtype=dtype).cuda()
        gpukern.reset_served()
        products.check_product(gpukern.mm(a, b), a, b)
        ran = [c for call, c, _ in gpukern.served() if call == "matrix product"]
        assert ran == [gpukern.explain("mm", a, b).configuration] and not gpukern.selection.named(ran[0]).on_cpu
    assert not gpukern.mm(torch.empty(3, 0, dtype=dtype).cuda(), torch.empty(0, 4, dtype=dtype).cuda()).any()
    assert gpukern.mm(torch.empty(0, 5, dtype=dtype).cuda(), torch.empty(5, 4, dtype=dtype).cuda()).shape == (0, 4)


def test_more_batches_than_a_grid_has_in_y_and_z() -> None:
    a, b = filled(torch.float32, 70_000, 3, 5, k=5), filled(torch.float32, 70_000, 5, 2, k=5)
    products.exactly_equal(gpukern.bmm(a, b), a.double() @ b.double())


def test_offsets_beyond_2_31() -> None:
    """The last row of A lies beyond 2^31: 2.1 GB of int8, of which three rows are read."""
    step = 2**30 + 64
    memory = torch.zeros(2 * step + 64, dtype=torch.int8, device="cuda")
    a = memory.as_strided((3, 40), (step, 1))
    a.copy_(filled(torch.int8, 3, 40, k=40))
    b = filled(torch.int8, 40, 9, k=40)
    assert torch.equal(gpukern.mm(a, b), exact_product(a, b))


@pytest.mark.parametrize("activation", ["relu", "gelu", "gelu_tanh", "silu", "sigmoid", "tanh", "mish", "hardswish"])
def test_fused_tails_agree_with_the_cpu(activation: str) -> None:
    for dtype, tight in ((torch.float32, 2e-5), (torch.float64, 1e-12), (torch.bfloat16, 2e-2), (torch.float16, 2e-3)):
        x, w = fills.normal(130, 70, dtype=dtype) / 4, fills.normal(90, 70, dtype=dtype) / 4
        bias, residual = fills.normal(90, dtype=dtype), fills.normal(130, 90, dtype=dtype)
        expected = gpukern.linear(
            x.double(), w.double(), bias.double(), activation=activation, residual=residual.double()
        )
        got = gpukern.linear(*(t.cuda() for t in (x, w, bias)), activation=activation, residual=residual.cuda())
        torch.testing.assert_close(got.cpu().double(), expected, rtol=tight, atol=tight)


def test_gradients() -> None:
    a, b, c = (fills.normal(*s, dtype=torch.float64).cuda().requires_grad_() for s in ((7, 5), (5, 6), (7, 6)))
    call = lambda c, a, b: gpukern.addmm(c, a, b, beta=0.5, alpha=2, activation="gelu")  # noqa: E731
    assert torch.autograd.gradcheck(call, (c, a, b)) and torch.autograd.gradgradcheck(call, (c, a, b))


def test_autocast() -> None:
    a, b = fills.normal(40, 30).cuda(), fills.normal(30, 20).cuda()
    for dtype in (torch.float16, torch.bfloat16):
        with torch.autocast("cuda", dtype=dtype):
            got, theirs = gpukern.mm(a, b), torch.mm(a, b)
        assert got.dtype == theirs.dtype == dtype
        products.check_product(got, a.to(dtype), b.to(dtype))


def test_out_and_drop_in() -> None:
    a, b, c = fills.normal(33, 20).cuda(), fills.normal(20, 40).cuda(), fills.normal(33, 40).cuda()
    out = torch.full((40, 33), torch.nan, device="cuda").t()
    assert gpukern.mm(a, b, out=out) is out
    products.check_product(out, a, b)
    expected = gpukern.addmm(c, a, b)
    gpukern.reset_served()
    with gpukern.enable():
        assert torch.equal(torch.addmm(c, a, b), expected)
    assert [c for call, c, _ in gpukern.served() if call == "matrix product"]
