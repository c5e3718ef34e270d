"""What only float8 on Hopper's tensor cores is asked, under the machine model: further tiles, clusters, choices.

test_scaled_kernels.py asks of them what it asks of every configuration."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import gpukern
from gpukern.selection import Configuration, named
from tests.gemm.kernels.asked import oriented
from tests.gemm.kernels.asked_scaled import BY_TMA, PROMOTING, kinds, of_each, run
from tests.gemm.kernels.test_hopper_kernels import by_schedule
from tests.oracle import products
from tests.oracle.float8 import FORMATS, exact, scales, whole
from tests.platform.machine import Schedule


@by_schedule
@pytest.mark.parametrize("cluster", [1, 2])
@of_each(BY_TMA)
def test_blocks_go_on_to_further_tiles_under_every_schedule(
    configuration: Configuration, cluster: int, schedules: list[tuple[str, int]]
) -> None:
    bm, bn, _ = configuration.tile
    m, n = oriented(configuration, 3 * bm if bm <= 128 else bm + 1, bn + 1)
    a, b = whole(FORMATS[0], m, 700), whole(FORMATS[1], 700, n)
    one, two = scales(kinds(configuration)[-1], m, n, 700)
    for order, seed in schedules:
        schedule = Schedule(order, seed)
        got = run(configuration, torch.empty(m, n), a, b, one, two, processors=2, cluster=cluster, schedule=schedule)
        products.exactly_equal(got, exact(a, b, one, two))


def chosen(
    a: Tensor, b: Tensor, kind: str = "tensor", device: str = "sm_90a", **options: Any
) -> tuple[Configuration, str, str]:
    """The configuration, the last note about it, and why those of this file were passed over."""
    one, two = scales(kind, a.shape[0], b.shape[1], a.shape[1])
    found = gpukern.explain("scaled_mm", a, b, one, two, out_dtype=torch.bfloat16, device=device, **options)
    runs = named(found.would_run or found.configuration or "")
    return runs, found.notes[0], dict(found.refused).get(BY_TMA[0].folder, "")


def test_choices() -> None:
    """Promotion unless use_fast_accum=True; always with blocks of scales; ordinary cores for what wgmma lacks."""
    a, b = whole(FORMATS[0], 512, 512), whole(FORMATS[0], 512, 512).t()
    configuration, note, _ = chosen(a, b)
    assert configuration in PROMOTING and note.endswith("partial sums over 128 of k are added in float32")
    configuration, note, _ = chosen(a, b, use_fast_accum=True)
    assert configuration.tma and configuration not in PROMOTING
    assert note.endswith("sums have 14 bits, as use_fast_accum allows")
    configuration, note, _ = chosen(a, b, "1x128, 128x128", use_fast_accum=True)
    assert configuration in PROMOTING and "added in float32" in note
    configuration, _, _ = chosen(a[:16], b)
    assert configuration.name == "wgmma/q128x16"
    large = torch.empty(2048, 2048, dtype=FORMATS[0])
    one = torch.tensor(1.0)
    found = gpukern.explain("scaled_mm", large, large, one, one, out_dtype=torch.bfloat16, device="sm_90a")
    assert named(found.would_run or "") in PROMOTING
    assert "operands are copied into a layout that TMA can load before the product, 4.19 MB" in found.notes
    copies = "TMA cannot load the operands in their layout, and copying them first would take longer than it saves"
    for why, (configuration, note, refused) in (
        (
            "NVIDIA tensor cores take float8_e4m3fn and float8_e5m2, not the fnuz formats",
            chosen(a.float().to(FORMATS[2]), b.float().to(FORMATS[2])),
        ),
        (copies, chosen(a, b.contiguous())),
        (copies, chosen(a[:, :500].contiguous(), b[:500])),
        ("it needs wgmma, which only Hopper GPUs have (sm_90a)", chosen(a, b, device="sm_100")),
    ):
        assert not configuration.tensor_cores and note.startswith("emulated"), configuration
        assert refused in (why, "no code was built for this device"), refused
    for device in ("sm_89", "sm_120"):
        configuration, note, _ = chosen(a, b, device=device)
        assert configuration.tensor_cores and not configuration.tma, configuration
        assert note.endswith("partial sums over 128 of k are added in float32"), note
