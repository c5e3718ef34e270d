"""Products of 8-bit numbers on the device: exact on small integers, the same on every run, in a graph, in place."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

import gpukern
from tests.gpu import device
from tests.gpu.test_streams import captured
from tests.oracle import fills
from tests.oracle.float8 import FORMATS, SCALES, exact, paired, scales, whole

CONFIGURATIONS = [c for c in device.configurations() if device.takes_float8(c)]
by_configuration = pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda c: c.name)
ONE = torch.tensor(1.0)


@by_configuration
@pytest.mark.parametrize("kind", SCALES)
def test_every_configuration_is_exact_on_integers(configuration: Any, kind: str) -> None:
    bm, bn, bk = configuration.tile
    for number, (m, n, k) in enumerate(itertools.product((1, bm + 1, 300), (bn - 1, 257), (bk - 1, 128, 517))):
        first, second = paired(configuration.name, FORMATS[number % 4], FORMATS[number // 4 % 4])
        a, b = whole(first, m, k), whole(second, k, n)
        one, two = scales(kind, m, n, k)
        expected = exact(a, b, one, two).float()
        for left, right in itertools.product((a, a.t().contiguous().t()), (b, b.t().contiguous().t())):
            with gpukern.force(configuration.name):
                x, y, s, t = (t.cuda() for t in (left, right, one, two))
                got = gpukern.scaled_mm(x, y, s, t, out_dtype=torch.float32)
            assert torch.equal(got.cpu(), expected), (m, n, k)


@by_configuration
def test_reruns_are_bitwise_equal(configuration: Any) -> None:
    a, b = fills.normal(515, 300).to(FORMATS[0]).cuda(), fills.normal(300, 517).to(FORMATS[1]).cuda()
    one, two = (t.cuda() for t in scales("1x128, 128x128", 515, 517, 300))
    with gpukern.force(configuration.name):
        first = gpukern.scaled_mm(a, b, one, two, out_dtype=torch.bfloat16)
        for _ in range(100):
            assert torch.equal(gpukern.scaled_mm(a, b, one, two, out_dtype=torch.bfloat16), first)


@by_configuration
def test_a_graph(configuration: Any) -> None:
    def call(a: torch.Tensor, b: torch.Tensor, one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
        return gpukern.scaled_mm(a, b, one, two, out_dtype=torch.float32)

    inputs, fresh = (
        [t.cuda() for t in (whole(FORMATS[0], 150, 60), whole(FORMATS[0], 60, 140), *scales("row", 150, 140, 60))]
        for _ in range(2)
    )
    with gpukern.force(configuration.name):
        captured(call, inputs, fresh)


def test_what_selection_picks_writes_in_place() -> None:
    """The configuration that explain names is the configuration that served, in one pass."""
    for m, n, k in ((1, 1, 1), (16, 4096, 512), (64, 64, 9000), (1000, 1000, 1000)):
        a, b, one = whole(FORMATS[0], m, k).cuda(), whole(FORMATS[1], k, n).cuda(), ONE.cuda()
        out = torch.empty(n, m, device="cuda").t()
        gpukern.reset_served()
        assert gpukern.scaled_mm(a, b, one, one, out_dtype=torch.float32, out=out) is out
        ran = [c for call, c, _ in gpukern.served() if call == "matrix product"]
        assert ran == [gpukern.explain("scaled_mm", a, b, one, one, out_dtype=torch.float32).configuration]
        assert torch.equal(out.cpu(), exact(a.cpu(), b.cpu(), ONE, ONE).float())
    with pytest.raises(RuntimeError, match="memory location"):
        gpukern.scaled_mm(a[:1, :1], b[:1, :1], one, one, out_dtype=torch.float32, out=one[None, None])
