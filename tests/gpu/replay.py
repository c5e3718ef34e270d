"""The machine model's test vectors on a real device: a pytest plugin, `pytest -p tests.gpu.replay <tests of kernels>`.

It puts the public functions on GPU tensors in the place of the model's launches, so the same cases, with the same
layouts, alignments and poison, are compared with the same oracle: does the model agree with the device?  A product runs
under `gpukern.force(configuration)`.  A schedule, or a limit on a launch, is the model's own; such a case is repeated.

GPUKERN_GPU_FACTS names a file for what ran; GPUKERN_GPU_DEVICE=cpu replays the calls on CPU tensors, which tries this
file where there is no GPU: products are then ATen's and no configuration is forced.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import gpukern
from gpukern.model.configurations import configuration_at
from gpukern.selection import named
from tests.gpu import device
from tests.oracle.ops import ALL, Case
from tests.platform import machine, record

DEVICE = os.environ.get("GPUKERN_GPU_DEVICE", "cuda")
ON_CPU = next(c.name for c in gpukern.available() if c.on_cpu)
GUARD = 4096  # bytes on each side, which must stay as they are
CATALOGUE = gpukern._C.elementwise_catalogue()
launches = 0


class Placed:
    """A tensor of the same strides in a buffer of random bytes on the device, aligned as the model aligns it."""

    def __init__(self, like: Tensor, values: Tensor | None, *, aligned: bool) -> None:
        size = like.element_size()
        extent = 1 + sum((n - 1) * s for n, s in zip(like.shape, like.stride())) if like.numel() else 0
        room = -(-extent * size // 16) * 16 if aligned else extent * size
        end = GUARD + -(-room // 256) * 256  # the model's end is a page's
        raw = torch.randint(0, 256, (end + GUARD,), dtype=torch.uint8)
        start = end - room
        view = self._view(raw, like, start, extent)
        if view.numel():
            one = tuple(slice(0, 1) if s == 0 else slice(None) for s in view.stride())
            if values is not None:
                view[one].copy_(values[one])
            else:
                view[one].fill_(float("nan") if view.dtype.is_floating_point else 1)
        self._before = raw
        self._bytes = raw.to(DEVICE) if DEVICE != "cpu" else raw.clone()
        self.view = self._view(self._bytes, like, start, extent)

    @staticmethod
    def _view(raw: Tensor, like: Tensor, start: int, extent: int) -> Tensor:
        size = like.element_size()
        if not extent:
            return torch.empty_strided(like.shape, like.stride(), dtype=like.dtype, device=raw.device)
        return raw[start : start + extent * size].view(like.dtype).as_strided(like.shape, like.stride())

    def untouched(self) -> None:
        assert torch.equal(self._bytes.cpu(), self._before), "an input was written to"

    def result(self) -> Tensor:
        """The values, after a look at every byte that is no element's."""
        got = self.view.cpu().clone()  # on a CPU the first of them copies nothing
        if self.view.numel():
            self.view.zero_()
            now = self._bytes.cpu().clone()
            self._bytes.copy_(self._before)
            self.view.zero_()
            assert torch.equal(now, self._bytes.cpu()), "bytes that are no element's were overwritten"
        return got


# ---- elementwise -----------------------------------------------------------------------------------------------------


def entry_at(place: tuple[int, int, int]) -> dict[str, Any]:
    mine = [e for e in CATALOGUE if e["family"] == record.families()[place[0]]]
    return mine[place[1]]  # type: ignore[no-any-return]


def numbers_of(case: Case, entry: dict[str, Any]) -> dict[str, Any]:
    """A case's keywords without its choice of a formula."""
    return {k: v for k, v in case.kwargs.items() if v != entry["choice"]}


def case_at(entry: dict[str, Any], scalars: Sequence[float]) -> Case:
    """The case whose numbers these are; what it does not name is a default, so its own are among them."""
    mine = [c for c in ALL if (c.name, c.choice) == (entry["name"], entry["choice"])]
    fitting = [c for c in mine if all(v in scalars for v in numbers_of(c, entry).values())]
    return max(fitting, key=lambda c: sum(v in scalars for v in numbers_of(c, entry).values()))


def value(entry: dict[str, Any], scalars: Sequence[float], out: Tensor, inputs: Sequence[Tensor]) -> None:
    """The public function, into `out`; where torch's rules refuse that type of output, through one it allows."""
    if None in scalars:  # a bound that is absent
        getattr(gpukern, entry["name"])(*inputs, *scalars, out=out)
        return
    case = case_at(entry, scalars)
    like = [torch.ones(t.shape, dtype=t.dtype) for t in (out, *inputs)]
    try:
        case.ours(*like[1:], out=like[0])
    except (RuntimeError, TypeError):
        out.copy_(case.ours(*inputs))
    else:
        case.ours(*inputs, out=out)


def gradient(entry: dict[str, Any], variant: int, scalars: Sequence[float], given: Sequence[Tensor]) -> Tensor:
    """Variants are numbered in csrc/formulas/op.h: first derivatives from 1, second ones from 4."""
    i, j = (variant - 1, -1) if variant < 4 else divmod(variant - 4, 3)
    g, *rest = given
    count = 1 if entry["saves_result"] else entry["inputs"]
    operands: list[Tensor | None] = [rest.pop(0) if entry["saved"][i] >> k & 1 else None for k in range(count)]
    padded = [*operands, None, None, None][:3]
    name = entry["name"] + (f".{entry['choice']}" if entry["choice"] else "")
    result: Tensor = torch.ops.gpukern.elementwise_grad(g, *padded, name, i, j, list(scalars))
    return result


def elementwise(
    place: tuple[int, int, int], out: Tensor, inputs: Sequence[Tensor], scalars: Sequence[float] = (), *,
    compute: torch.dtype | None = None, schedule: object = None, processors: int = 4, aligned: bool = False,
    slice_limit: int = 0, in_place: bool = False,
) -> Tensor:  # fmt: skip
    """As machine.elementwise."""
    global launches
    entry = entry_at(place)
    target = Placed(out, inputs[0] if in_place else None, aligned=aligned)
    sources = [Placed(t, t, aligned=aligned) for t in inputs]
    views = [s.view for s in sources]
    if in_place:
        views[0] = target.view
    if place[2] == 0:
        value(entry, scalars, target.view, views)
    else:
        target.view.copy_(gradient(entry, place[2], scalars, views))
    launches += 1
    record.RECORD.note("families", entry["family"])
    for s in sources:
        s.untouched()
    return target.result()


# ---- products --------------------------------------------------------------------------------------------------------


def product(
    folder: int, index: int, out: Tensor, a: Tensor, b: Tensor, *,
    c: Tensor | None = None, alpha: float = 1, beta: float = 1, activation: str = "none",
    residual: Tensor | None = None, schedule: object = None, aligned: bool = False, splits: int = 1,
    precision: str | None = None, processors: int = 0, cluster: int = 0,
) -> Tensor:  # fmt: skip
    """As machine.product; a device has its own processors, and its configurations their rule for clusters."""
    global launches
    name = configuration_at(folder, index)
    target = Placed(out, None, aligned=aligned)
    given = {"a": a, "b": b, "c": c, "residual": residual}
    placed = {key: Placed(t, t, aligned=aligned) for key, t in given.items() if t is not None}
    left, right = placed["a"].view, placed["b"].view
    tail = {"residual": placed["residual"].view} if residual is not None else {}
    options: dict[str, Any] = {**tail, "out": target.view}
    if activation != "none":
        options["activation"] = activation
    wide = () if out.dtype == a.dtype else (out.dtype,)
    if precision or named(name).adds_terms:
        options["precision"] = precision or "bf16x6"  # as the model takes it
    forced = ON_CPU if DEVICE == "cpu" else f"{name}*{splits}"
    with gpukern.force(forced), tf32_allowed(name):
        if c is None and alpha == 1:
            gpukern.bmm(left, right, *wide, **options)
        else:
            addend = placed["c"].view if c is not None else target.view.new_zeros(())
            gpukern.baddbmm(addend, left, right, *wide, beta=beta if c is not None else 0, alpha=alpha, **options)
    launches += 1
    record.RECORD.note("configurations", name)
    for p in placed.values():
        p.untouched()
    return target.result()


def scaled(
    folder: int, index: int, out: Tensor, a: Tensor, b: Tensor, scale_a: Tensor, scale_b: Tensor, *,
    bias: Tensor | None = None, scale_result: Tensor | None = None, schedule: object = None,
    aligned: bool = False, splits: int = 1, fast: bool = False, processors: int = 0, cluster: int = 0,
) -> Tensor:  # fmt: skip
    """As machine.scaled; processors and clusters are the device's."""
    global launches
    name = configuration_at(folder, index)
    given = [Placed(t, t, aligned=aligned) for t in (a, b, scale_a, scale_b)]
    left, right, one, two = (p.view for p in given)
    addend, last = (None if t is None else t.to(DEVICE) for t in (bias, scale_result))
    target = Placed(out, None, aligned=aligned)
    with gpukern.force(ON_CPU if DEVICE == "cpu" else f"{name}*{splits}"):
        gpukern.scaled_mm(left, right, one, two, addend, last, out.dtype, fast, out=target.view)
    launches += 1
    record.RECORD.note("configurations", name)
    for p in given:
        p.untouched()
    return target.result()


@contextmanager
def tf32_allowed(configuration: str) -> Iterator[None]:
    """Tensor cores multiply float32 only where torch's switch lets them round it."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = "tf32" in named(configuration).precisions
    yield
    torch.backends.cuda.matmul.allow_tf32 = before


def report() -> dict[str, int]:
    """A device counts nothing inside a kernel; callers only test whether something ran since the last call."""
    global launches
    ran, launches = launches, 0
    return dict.fromkeys(("blocks", "threads", "barriers", "collectives", "switches"), ran)


# ---- the plugin ------------------------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    if DEVICE != "cpu" and (why := device.why_none()):
        raise pytest.UsageError(f"gpukern: {why}; the replay needs one")
    os.environ.pop("GPUKERN_RECORD", None)  # what a device runs is no record of the model
    for function in (elementwise, product, scaled, report):
        setattr(machine, function.__name__, function)


def rounds(item: pytest.Item) -> bool:
    """Whether a case multiplies float32 that is rounded first, or comes as terms by TMA."""
    configuration = configuration_of(item)
    single = item.callspec.params.get("dtype") == torch.float32  # type: ignore[attr-defined]
    return single and (configuration.tma or "tf32" in configuration.precisions)


def left_to_devices(item: pytest.Item) -> bool:
    """What ATen's products do not promise: an order of sums, tf32, an activation before the sum is rounded."""
    asked = getattr(item, "callspec", None)
    activation = asked.params.get("activation", "none") if asked else "none"  # type: ignore[attr-defined]
    steep = activation not in ("none", "relu", "gelu", "gelu_tanh", "silu")
    return (
        "to_the_last_bit" in item.name
        or item.name.startswith(("test_float32_is_rounded", "test_only_fast_sums"))
        or (item.name.startswith("test_rounding_is_within_the_bound[") and rounds(item))
        or (item.name.startswith("test_epilogues[") and steep)
    )


# What only the model counts, and epilogues of ops that are not replayed (test_fused.py has them).
ONLY_MODELLED = (
    "test_no_access_to_shared_memory",
    "test_tiles_keep_off_each_others_banks",
    "test_ends_of_backward_and_scales",
)


def configuration_of(item: pytest.Item) -> Any:
    asked = getattr(item, "callspec", None)
    return asked.params.get("configuration") if asked else None


def some_of_each_test(items: list[pytest.Item]) -> list[pytest.Item]:
    """Of each test and configuration every eighth case: on a CPU they show that the test can be replayed, and ATen's
    product is the same whatever the configuration."""
    seen: Counter[tuple[str, str | None]] = Counter()
    kept = []
    for item in items:
        test = item.nodeid.split("[")[0], configuration_of(item)
        if seen[test] % 8 == 0:
            kept.append(item)
        seen[test] += 1
    return kept


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Rows for other devices are left out; check.py lists them."""
    items[:] = [item for item in items if not item.name.startswith(ONLY_MODELLED)]
    if DEVICE == "cpu":
        items[:] = some_of_each_test([item for item in items if not left_to_devices(item)])
        return
    there = {c.name for c in device.configurations()}
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item in items:
        configuration = configuration_of(item)
        (kept if configuration is None or configuration.name in there else left).append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    path = os.environ.get("GPUKERN_GPU_FACTS")
    if path and exitstatus == 0:
        left_out = device.others() if DEVICE != "cpu" else []
        record.write_atomically(Path(path), {**record.RECORD.facts(), "rows_of_other_devices": left_out})
