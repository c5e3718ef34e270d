"""What questions about 8-bit numbers are asked of: configurations, their formats and scales, and their operands."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from gpukern.selection import Configuration
from tests.gemm.kernels.asked import GPU_CONFIGURATIONS, ids, place
from tests.oracle.float8 import SCALES
from tests.platform import machine
from tests.sampling import sampled

CONFIGURATIONS = [c for c in GPU_CONFIGURATIONS if "float8_e4m3fn" in c.types]
TENSOR_CORES = [c for c in CONFIGURATIONS if c.tensor_cores]
BY_THREADS = [c for c in CONFIGURATIONS if not c.tma]
BY_TMA = [c for c in CONFIGURATIONS if c.tma]
# wgmma's own sums, of what it multiplies in other types too: use_fast_accum alone allows them.
FAST = [c for c in CONFIGURATIONS if c.tma and "bfloat16" in c.types]
EXACT = [c for c in CONFIGURATIONS if c not in FAST]
PROMOTING = [c for c in EXACT if c.tensor_cores]


def of_each(configurations: list[Configuration]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("configuration", configurations, ids=lambda c: c.name)


def formats(configuration: Configuration) -> list[torch.dtype]:
    return [getattr(torch, t) for t in configuration.types if t.startswith("float8")]


def kinds(configuration: Configuration) -> list[str]:
    """Scales that it takes: 128 rows a warpgroup leave no registers for a scale of each column and block."""
    each = not configuration.tma or configuration.tile[0] < 256
    return [k for k in SCALES if (configuration in EXACT or "128" not in k) and (each or not k.endswith(", 1x128"))]


def by_kind(question: str, configurations: list[Configuration]) -> pytest.MarkDecorator:
    """Asks of a configuration and a kind of scales; of alike configurations some each day."""
    cases = [(c, kind) for c in configurations for kind in kinds(c)]
    several = sampled(question, cases, lambda case: (case[0].folder, case[0].multiplier, case[1]), ids(cases))
    return pytest.mark.parametrize(("configuration", "kind"), several)


def padded(t: Tensor) -> Tensor:
    """In lines of multiples of 16 bytes, 16 more than need be, of which nothing may be read."""
    wide = torch.full((t.shape[0], -(-t.shape[1] // 16) * 16 + 16), 99.0).to(t.dtype)
    wide[:, : t.shape[1]] = t
    return wide[:, : t.shape[1]]


def run(
    configuration: Configuration, out: Tensor, a: Tensor, b: Tensor, one: Tensor, two: Tensor, **options: Any
) -> Tensor:
    """Under the model; where TMA brings the operands, both along k."""
    options.setdefault("fast", configuration in FAST)
    if configuration.tma:
        a, b, options["aligned"] = padded(a), padded(b.t()).t(), True
    return machine.scaled(*place(configuration), out, a, b, one, two, **options)
