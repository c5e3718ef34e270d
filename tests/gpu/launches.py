"""The nine launches that a first card should see before any other: `python -m tests.gpu.launches [NAME ..]`.

Ordered so that each adds one thing that no earlier one had, so the first that fails shows what is wrong.  Each
primitive of device code alone runs before them (tests/gpu/words.py).  All operands are whole numbers, so results are
exact.  `make gpu-check` runs each in a process of its own, in the build whose waits end (GPUKERN_BOUNDED_WAITS) and
under a watchdog; docs/validation.md is written from this table.

GPUKERN_PACKAGE names a folder to take gpukern from, instead of the tree.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

if os.environ.get("GPUKERN_PACKAGE"):
    sys.path.insert(0, os.environ["GPUKERN_PACKAGE"])

import torch
from torch import Tensor

from tests.gpu import progress

SPAN = 64  # k of a stage of 16 bits; of 8 bits 128


@dataclass(frozen=True)
class Launch:
    """m, n, k: of a device with so many processors.  b lies along k, which every configuration takes."""

    name: str
    configuration: str
    shape: Callable[[int], tuple[int, int, int]]
    adds: str  # what no earlier one has
    why: str
    splits: int = 1
    cluster: int = 1  # what the configuration's rule makes of it, or the blocks that add up ranges
    kind: str = "plain"  # "float8", "chain", "graph"

    @property
    def command(self) -> str:
        return f"python -m tests.gpu.launches {self.name}"


LAUNCHES = (
    Launch("one-tile", "wgmma/p64x64", lambda sms: (64, 64, 64), "one block, one tile, one stage",
           "the driver takes the maps; the box, the swizzle, the descriptors and the fragments of D mean to the device "
           "what they mean to the model, and registers change hands (setmaxnreg)"),
    Launch("ring", "wgmma/p64x64", lambda sms: (64, 64, 33 * SPAN), "a ring that wraps, three times",
           "parities, stages released and filled again: the first wait that can go on for ever"),
    Launch("second-tile", "wgmma/w128x256", lambda sms: (128, 256 * (sms + sms // 2), 6 * SPAN),
           "blocks that come back for a second tile",
           "both warpgroups at one tile; the ring goes on across tiles while D leaves by TMA from a box that is filled "
           "again"),
    Launch("turns", "wgmma/p128x128", lambda sms: (128, 3 * 128 * sms, 7 * SPAN), "warpgroups alternate",
           "named barriers that one side only arrives at (bar.arrive): an order of arrivals that the model allows and "
           "a device does not would stop both"),
    Launch("pair", "wgmma/w128x256", lambda sms: (256, 256 * (sms // 2), 9 * SPAN), "clusters of two, multicast",
           "each block loads half for both: remote arrivals, bytes counted that a peer sent, and a block that must "
           "not end before its peer's last arrival", cluster=2),
    Launch("ranges", "wgmma/d128x16", lambda sms: (16, 128, 16 * SPAN),
           "ranges added through distributed shared memory",
           "the cluster's barrier in ranges.cuh, at which threads without accumulators arrive too, so that it counts "
           "no thread that has ended; and reads of the shared memory of a block that must not have ended",
           splits=4, cluster=4),
    Launch("promotion", "wgmma/q256x128", lambda sms: (256, 128, 5 * 128), "two sets of accumulators, 8-bit formats",
           "the most registers (232 a thread), new accumulators each stage while the other warpgroup multiplies",
           kind="float8"),
    Launch("dependent", "wgmma/p64x64", lambda sms: (256, 256, 4 * SPAN), "programmatic dependent launch",
           "each reads what the one before wrote: a load before griddepcontrol.wait is a wrong number now and then, "
           "so 200 in a row", kind="chain"),
    Launch("graph", "wgmma/p64x64", lambda sms: (256, 256, 4 * SPAN),
           "the same pair captured in a graph, a process's first",
           "maps and attributes are made while capturing; the edge between the nodes is a dependent launch's",
           kind="graph"),
)  # fmt: skip
NAMES = tuple(launch.name for launch in LAUNCHES)


def operands(launch: Launch, sms: int) -> tuple[Tensor, Tensor]:
    """A by rows and B by columns, whole numbers whose sums a result of 16 bits holds."""
    m, n, k = launch.shape(sms)
    generator = torch.Generator().manual_seed(20)

    def whole(rows: int, share: float) -> Tensor:
        values = torch.randint(-2, 3, (rows, k), generator=generator).float()
        return values * (torch.rand(rows, k, generator=generator) < share)

    dtype = torch.float8_e4m3fn if launch.kind == "float8" else torch.bfloat16
    few = min(1.0, 60 / k)  # non-zero products of an element: sums stay below 256, which bfloat16 has all of
    return whole(m, 1).to(dtype), whole(n, few).to(dtype).t()


def permutation(n: int) -> Tensor:
    """A matrix that reverses the order of columns: products with it are exact."""
    return torch.eye(n, dtype=torch.bfloat16).flip(1)


def expected(a: Tensor, b: Tensor) -> Tensor:
    return a.double() @ b.double()


def wrong(got: Tensor, want: Tensor) -> str:
    """ "" where every element is right."""
    bad = ~(got.cpu().double() == want)
    return (
        f"{int(bad.sum())} of {bad.numel()} elements are wrong, the first at {bad.nonzero()[0].tolist()}"
        if bad.any()
        else ""
    )


def try_on_device(launch: Launch) -> str:
    """ "" or what is wrong."""
    import gpukern

    sms = torch.cuda.get_device_properties(torch.cuda.current_device()).multi_processor_count
    a, b = operands(launch, sms)
    want = expected(a, b)
    there = a.cuda(), b.t().contiguous().cuda().t()
    turn, flipped = permutation(want.shape[1]).cuda(), want.flip(1)
    torch.cuda.synchronize()
    with gpukern.force(f"{launch.configuration}*{launch.splits}"):
        if launch.kind == "float8":
            one = torch.ones((), device="cuda")
            got = gpukern.scaled_mm(*there, one, one, out_dtype=torch.float32)
        elif launch.kind == "chain":
            for number in range(200):
                got = gpukern.mm(gpukern.mm(*there), turn)
                if number % 20 == 19 and (text := wrong(got, flipped)):
                    return f"pair {number}: {text}"
            want = flipped
        elif launch.kind == "graph":
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                got = gpukern.mm(gpukern.mm(*there), turn)
            for _ in range(3):
                got.zero_()
                graph.replay()
                torch.cuda.synchronize()
                if text := wrong(got, flipped):
                    return text
            want = flipped
        else:
            got = gpukern.mm(*there)
        torch.cuda.synchronize()
    return wrong(got, want)


def main(names: list[str], attempt: Callable[[Launch], str] = try_on_device) -> int:
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        print(f"gpukern: no launch is called {', '.join(unknown)}; choose of {', '.join(NAMES)}", file=sys.stderr)
        return 2
    bad = 0
    for launch in LAUNCHES:
        if names and launch.name not in names:
            continue
        progress.begins(launch.name)
        try:
            text = attempt(launch)
        except RuntimeError as error:  # after a trap every call of the runtime returns this error
            text = f"{type(error).__name__}: {str(error).splitlines()[0]}"
        print(f"{launch.name:12} {'WRONG: ' + text if text else 'right'}", flush=True)
        bad += bool(text)
    return int(bad > 0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
