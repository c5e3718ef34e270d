"""Streams, devices, captured graphs and launch errors: what a call does besides computing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

import gpukern
from tests.gemm.kernels.thin import side
from tests.gpu import device
from tests.oracle import fills
from tests.oracle.ops import FIRST, Case, ids

ROOT = Path(__file__).resolve().parents[2]
BUSY = 200_000_000  # cycles of the delay before a producer: about a tenth of a second


def on_its_own(program: str) -> subprocess.CompletedProcess[str]:
    """A fresh process, for what only the first call shows, or what no call survives."""
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)


def test_the_current_stream_is_used() -> None:
    """Inputs become right late on a stream of their own, where only work on the same stream sees them right."""
    a, b = fills.normal(300, 300).cuda(), fills.normal(300, 300).cuda()
    expected = gpukern.mm(a, b), gpukern.silu(a), gpukern.add(a, b)
    stream = torch.cuda.Stream()
    torch.cuda.synchronize()
    for _ in range(3):
        late = torch.full_like(a, torch.nan)
        torch.cuda.synchronize()
        with torch.cuda.stream(stream):
            torch.cuda._sleep(BUSY)
            late.copy_(a)
            got = gpukern.mm(late, b), gpukern.silu(late), gpukern.add(late, b)
        stream.synchronize()
        assert all(torch.equal(x, y) for x, y in zip(got, expected))


def test_two_streams_side_by_side() -> None:
    streams = torch.cuda.Stream(), torch.cuda.Stream()
    inputs = [(fills.normal(517, 400).cuda(), fills.normal(400, 300).cuda()) for _ in streams]
    expected = [(gpukern.mm(a, b), gpukern.gelu(a)) for a, b in inputs]
    torch.cuda.synchronize()
    got: list[list[tuple[Tensor, Tensor]]] = [[], []]
    for _ in range(50):
        for k, stream in enumerate(streams):
            with torch.cuda.stream(stream):
                got[k].append((gpukern.mm(*inputs[k]), gpukern.gelu(inputs[k][0])))
    torch.cuda.synchronize()
    for mine, right in zip(got, expected):
        assert all(torch.equal(x, right[0]) and torch.equal(y, right[1]) for x, y in mine)


def test_tensors_of_every_device_whatever_device_is_current() -> None:
    """With one GPU this tests only that the current device stays the same."""
    a, b = fills.normal(70, 50), fills.normal(50, 60)
    expected = gpukern.mm(a.cuda(0), b.cuda(0)).cpu(), gpukern.exp(a.cuda(0)).cpu()
    for where in range(torch.cuda.device_count()):
        for current in range(torch.cuda.device_count()):
            with torch.cuda.device(current):
                got = gpukern.mm(a.cuda(where), b.cuda(where)), gpukern.exp(a.cuda(where))
                assert torch.cuda.current_device() == current
            assert all(t.device.index == where for t in got)
            torch.testing.assert_close(got[0].cpu(), expected[0])
            torch.testing.assert_close(got[1].cpu(), expected[1])


# ---- captured graphs -------------------------------------------------------------------------------------------------


def captured(call: Callable[..., Tensor], inputs: list[Tensor], fresh: list[Tensor]) -> None:
    """The call in a graph, replayed over other values; capture fails on anything that waits for the device."""
    call(*inputs)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        torch.cuda.set_sync_debug_mode("error")
        try:
            out = call(*inputs)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    for t, values in zip(inputs, fresh):
        t.copy_(values)
    out.zero_()
    graph.replay()
    torch.cuda.synchronize()
    assert torch.equal(out, call(*fresh))


@pytest.mark.parametrize("case", FIRST, ids=ids(FIRST))
def test_every_op_in_a_graph(case: Case) -> None:
    inputs = [t.cuda() for t in case.smooth_inputs((40, 30), torch.float32)]
    captured(case.ours, inputs, [t.flip(0) for t in inputs])


@pytest.mark.parametrize("configuration", device.configurations(), ids=lambda r: r.name)
def test_every_configuration_in_a_graph(configuration: gpukern.selection.Configuration) -> None:
    for dtype in device.types(configuration):
        m, n, k = device.lined(configuration, 150, side(configuration, 140), 60)
        a, b = ((4 * fills.normal(*s)).to(dtype).cuda() for s in ((m, k), (n, k)))
        b = b.t()
        with gpukern.force(configuration.name):
            captured(partial(gpukern.mm, **device.how(configuration, dtype)), [a, b], [a.flip(0), b.flip(0)])


FIRST_CALL = """
import torch, gpukern
x, w = torch.randn(64, 64, device="cuda"), torch.randn(64, 64, device="cuda")
a, b = x.clone(), w.clone()
torch.cuda.synchronize()
graph = torch.cuda.CUDAGraph()
with torch.cuda.graph(graph):
    y = {call}
y.zero_()
graph.replay()
torch.cuda.synchronize()
assert torch.equal(y, {call}), "the first call, captured, is not what a later call gives"
"""


@pytest.mark.parametrize("call", ["gpukern.mm(a, b)", "gpukern.silu(a)", "gpukern.linear(a, b, activation='gelu')"])
def test_the_first_call_of_a_process_in_a_graph(call: str) -> None:
    done = on_its_own(FIRST_CALL.format(call=call))
    assert done.returncode == 0, done.stderr[-2000:]


# ---- errors ----------------------------------------------------------------------------------------------------------

AFTER_A_FAULT = """
import torch, gpukern
x, y = torch.randn(64, device="cuda"), torch.empty(64, device="cuda")
try:
    x[torch.tensor([10**6], device="cuda")]
    torch.cuda.synchronize()
except RuntimeError:
    pass
try:
    gpukern.exp(x, out=y)
except RuntimeError as error:
    print("said:", error)
else:
    print("said nothing")
"""

if not torch.version.hip:  # there a device's assertion ends the process

    def test_a_launch_that_fails_says_so_in_words() -> None:
        """On a context that an earlier fault has ended every launch fails; ours must not pass in silence."""
        done = on_its_own(AFTER_A_FAULT)
        assert "said: " in done.stdout, done.stdout + done.stderr[-2000:]
        assert "assert" in done.stdout, done.stdout


def test_a_forced_configuration_that_cannot_serve_says_why() -> None:
    a = torch.zeros(8, 8, dtype=torch.int32, device="cuda")
    floats = next(r.name for r in device.configurations() if "int32" not in r.types)
    with gpukern.force(floats), pytest.raises(RuntimeError, match="cannot serve"):
        gpukern.mm(a, a)
