"""torch's own sample inputs of the matrix products once more, computed by the GPU kernels under the machine model.

Every product that a function calls is executed by the configuration that an H100 would run; whatever is around it
(views, sums, elementwise ops, autograd) is what it is on the CPU.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing._internal.opinfo.core import OpInfo
from torch.utils._python_dispatch import TorchDispatchMode

import gpukern.model
from tests.contract import test_opinfo as torchs
from tests.contract.test_opinfo import OPS, PRODUCTS

TYPES = {getattr(torch, t) for c in gpukern.available(built=False) for t in c.types}
CASES = [(op, dtype) for op in OPS if op.name in PRODUCTS for dtype in sorted(set(op.dtypes) & TYPES, key=str)]
IDS = [f"{op.formatted_name}-{str(dtype).removeprefix('torch.')}" for op, dtype in CASES]
SERVED = {"mm", "bmm", "mv", "addmm", "baddbmm", "addmv"}


class Modelled(TorchDispatchMode):
    """Products run under the machine model, each under another schedule."""

    def __init__(self) -> None:
        super().__init__()
        self.runs = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(kwargs or {})
        name = func._schema.name.removeprefix("gpukern::")
        base = name.removesuffix("_")
        if func.namespace != "gpukern" or base not in SERVED or func._overloadname not in ("default", "out"):
            return func(*args, **given)
        out = given.pop("out", args[0] if name.endswith("_") else None)
        self.runs += 1
        result, _ = gpukern.model.run(base, *args, schedule="pct", seed=self.runs, count=False, **given)
        if out is None:
            return result
        func(*args, **(kwargs or {}))  # out is given its size, and what may not be written to is refused
        out.copy_(result)
        return None


@pytest.mark.slow
@pytest.mark.parametrize(("op", "dtype"), CASES, ids=IDS)
def test_samples_under_the_model(op: OpInfo, dtype: torch.dtype) -> None:
    runs = 0
    mine = torchs.ours(op)
    for reference in (False, True):
        for number, (args, kwargs, _) in enumerate(torchs.samples(op, dtype, reference)):
            what = f"{op.formatted_name} {dtype} sample {number}"

            def in_float64(args: list[Any] = args, kwargs: dict[str, Any] = kwargs) -> tuple[Tensor, Tensor]:
                value, size = (op(*torchs.in_double(args, of), **torchs.in_double(kwargs, of)) for of in (False, True))
                return value, size

            expected = torchs.outcome(partial(op, *args, **kwargs))
            with torchs.counted(op, "modelled"), Modelled() as model:
                got = torchs.outcome(partial(mine, *args, **kwargs))
                runs += model.runs
            torchs.same(got, expected, what, in_float64)
    assert runs or op.name in ("outer", "inner") or not dtype.is_floating_point, "no product came to the model"


@pytest.mark.slow
@pytest.mark.parametrize("op", [op for op in OPS if op.name in PRODUCTS], ids=lambda op: op.formatted_name)
def test_gradients_of_samples_under_the_model(op: OpInfo) -> None:
    """Backward passes too: float64 against torch's."""
    mine = torchs.ours(op)
    for args, kwargs, _ in torchs.samples(op, torch.float64, False):
        results = []
        for function, modelled in ((mine, True), (op, False)):
            arguments, wanted = torchs.leaves_of(args, torch.float64)
            with torchs.counted(op, "modelled gradient") if modelled else torch.enable_grad():
                if modelled:
                    with Modelled():
                        results.append(gradients(function(*arguments, **kwargs), wanted))
                else:
                    results.append(gradients(function(*arguments, **kwargs), wanted))
        torch.testing.assert_close(*results, rtol=1e-7, atol=1e-7, equal_nan=True)


def gradients(result: Tensor, wanted: list[Tensor]) -> Any:
    if not result.requires_grad:
        return ()
    weight = torch.arange(1, result.numel() + 1, dtype=torch.float64).reshape(result.shape)
    loss = (result * weight).sum()
    return torch.autograd.grad(loss, wanted, torch.ones_like(loss), allow_unused=True)
