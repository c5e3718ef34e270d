"""gpukern beside torch on a GPU, in one run: `python -m benchmarks.gpu_cost [--quick] [--json FILE]`.

Products of 256 to 8192, elementwise ops of 16 Ki to 1 Gi elements, the host's cost of a call, and a copy's bandwidth as
the ceiling of what memory allows.  Ours and torch's are timed by turns (A B A B ..) with events on the stream, over
inputs that rotate through more than twice the L2; a ratio is the median over the turns, with its 20th and 80th
percentile.  Inputs are random normal numbers.  A result is compared with float64 before its time is taken: a wrong one
prints WRONG, no time, and ends the run with status 1.  torch's float32 products run with TF32 off.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

import gpukern
from tests.oracle import products, ulps
from tests.platform import record

Call = Callable[..., Tensor]
SIDES = (256, 512, 1024, 2048, 4096, 8192)
COUNTS = tuple(2**p for p in (14, 17, 20, 23, 26, 28, 30))
CHUNK = 2**24  # elements that are compared at a time


@dataclass
class Line:
    """One comparison; microseconds and `rate` are of ours, `ratio` is torch's time over ours."""

    name: str
    ours: float = 0.0
    theirs: float = 0.0
    low: float = 0.0
    ratio: float = 0.0
    high: float = 0.0
    rate: str = ""
    verdict: str = "right"

    def __str__(self) -> str:
        if self.verdict != "right":
            return f"{self.name:38} {self.verdict}"
        times = f"{self.name:38} {self.ours:11.2f} {self.theirs:11.2f}"
        return f"{times}  {self.ratio:6.3f}  ({self.low:6.3f} .. {self.high:6.3f})  {self.rate}"


@dataclass
class Bench:
    """A device, and how its time is taken; on "cpu" by the host's clock, for trying this file without a GPU."""

    device: str = "cuda"
    turns: int = 21
    least: float = 4e-3  # seconds a turn

    def seconds(self, call: Callable[[int], object], count: int) -> float:
        """Of one of `count` calls; the argument is a running number."""
        if self.device == "cpu":
            started = time.perf_counter()
            for i in range(count):
                call(i)
            return (time.perf_counter() - started) / count
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for i in range(count):
            call(i)
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end)) / 1e3 / count

    @property
    def l2(self) -> int:
        if self.device == "cpu":
            return 2**20
        return int(getattr(torch.cuda.get_device_properties(0), "L2_cache_size", 0)) or 64 * 2**20

    @property
    def free(self) -> int:
        return 2**30 if self.device == "cpu" else torch.cuda.mem_get_info()[0]

    def sets(self, shapes: Sequence[tuple[int, ...]], dtype: torch.dtype) -> list[tuple[Tensor, ...]]:
        """As many sets of operands as fill the L2 more than twice, each set once in one buffer."""
        size = sum(torch.Size(s).numel() for s in shapes) * dtype.itemsize
        count = 1 + 2 * self.l2 // size
        whole = [torch.randn((count, *s), dtype=dtype, device=self.device) for s in shapes]
        return [tuple(t[i] for t in whole) for i in range(count)]

    def compare(self, name: str, ours: Call, theirs: Call, sets: list[tuple[Tensor, ...]]) -> Line:
        """By turns, who goes first alternating; each turn long enough for the clock."""
        step = itertools.count()

        def run(call: Call) -> Callable[[int], object]:
            return lambda _: call(*sets[next(step) % len(sets)])

        once = max(self.seconds(run(c), 3) for c in (ours, theirs, ours, theirs))
        count = max(1, min(2000, round(self.least / once)))
        mine, other = [], []
        for turn in range(self.turns):
            first = turn % 2 == 0
            a, b = (self.seconds(run(c), count) for c in ((ours, theirs) if first else (theirs, ours)))
            mine.append(a if first else b)
            other.append(b if first else a)
        ratios = sorted(o / m for m, o in zip(mine, other))
        spread = ratios[len(ratios) // 5], statistics.median(ratios), ratios[-1 - len(ratios) // 5]
        return Line(name, 1e6 * statistics.median(mine), 1e6 * statistics.median(other), *spread)


# ---- right before fast -----------------------------------------------------------------------------------------------


def wrong_product(got: Tensor, a: Tensor, b: Tensor) -> str:
    """ "" or what is wrong, by the componentwise bound, some rows at a time."""
    rows = max(1, CHUNK // max(1, b.shape[1]))
    for at in range(0, a.shape[0], rows):
        verdict = products.judge_product(got[at : at + rows], a[at : at + rows], b)
        if not verdict:
            return f"WRONG: {verdict.text}"
    return ""


def wrong_values(got: Tensor, call: Call, inputs: Sequence[Tensor], places: int) -> str:
    """ "" or what is wrong, in units in the last place of the value that float64 gives."""
    for at in range(0, got.numel(), CHUNK):
        part = [t[at : at + CHUNK].double() for t in inputs]
        expected = call(*part).to(got.dtype)
        near = (got[at : at + CHUNK].double() - expected.double()).abs() <= 1e-6
        steps = ulps.distance(got[at : at + CHUNK], expected).masked_fill(near, 0)
        if not int(steps.max()) <= places:
            return f"WRONG: {int(steps.max())} places off near element {at + int(steps.argmax())}"
    return ""


# ---- the suites ------------------------------------------------------------------------------------------------------


def short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def served_by(a: Tensor, b: Tensor) -> str:
    """The row that a product ran on."""
    gpukern.reset_served()
    gpukern.mm(a, b)
    return next((row for call, row, _ in gpukern.served() if call == "matrix product"), "torch")


def squares(bench: Bench, sides: Sequence[int]) -> Iterator[Line]:
    for dtype, n in itertools.product((torch.float32, torch.bfloat16), sides):
        name = f"mm {short(dtype)} {n}"
        if 40 * n * n * dtype.itemsize > bench.free:
            yield Line(name, verdict="does not fit this device's memory")
            continue
        sets = bench.sets([(n, n), (n, n)], dtype)
        a, b = sets[0]
        if wrong := wrong_product(gpukern.mm(a, b), a, b):
            yield Line(name, verdict=wrong)
            return
        line = bench.compare(name, gpukern.mm, torch.mm, sets)
        line.rate = f"{2 * n**3 / line.ours / 1e6:.2f} TFLOP/s, {served_by(a, b)}"
        yield line
        del sets, a, b


OPS: list[tuple[str, Call, Call, int]] = [
    ("silu", gpukern.silu, F.silu, 1),
    ("add", gpukern.add, torch.add, 2),
    ("swiglu", gpukern.swiglu, lambda x, y: F.silu(x) * y, 2),
]


def elementwise(bench: Bench, counts: Sequence[int], ceiling: float) -> Iterator[Line]:
    for (op, ours, theirs, inputs), dtype, n in itertools.product(OPS, (torch.float32, torch.bfloat16), counts):
        name = f"{op} {short(dtype)} {n}"
        size = (inputs + 1) * n * dtype.itemsize
        if 3 * size + 4 * CHUNK * 8 > bench.free:
            yield Line(name, verdict="does not fit this device's memory")
            continue
        sets = bench.sets([(n,)] * inputs, dtype)
        # bfloat16's swiglu is one rounding here and two in torch: the reference is float64 for both.
        if wrong := wrong_values(ours(*sets[0]), theirs, sets[0], 4 if dtype == torch.float32 else 1):
            yield Line(name, verdict=wrong)
            return
        line = bench.compare(name, ours, theirs, sets)
        rate = size / line.ours / 1e3
        line.rate = f"{rate:.0f} GB/s" + (f", {100 * rate / ceiling:.0f} % of a copy" if ceiling else "")
        yield line
        del sets


def copy_bandwidth(bench: Bench, size: int) -> float:
    """GB/s of a device's copy to itself, bytes read and written."""
    size = min(size, bench.free // 4)
    source = torch.empty(size, dtype=torch.uint8, device=bench.device).fill_(1)
    target = torch.empty_like(source)
    bench.seconds(lambda _: target.copy_(source), 3)
    return statistics.median(2 * size / bench.seconds(lambda _: target.copy_(source), 5) / 1e9 for _ in range(7))


def overhead(bench: Bench, count: int) -> Iterator[Line]:
    """What a call costs the host: sixteen elements, the clock stopped before the device is waited for."""
    x, y, m = (torch.randn(s, device=bench.device) for s in (16, 16, (4, 4)))
    calls: list[tuple[str, Callable[[], Tensor], Callable[[], Tensor]]] = [
        ("call silu", lambda: gpukern.silu(x), lambda: F.silu(x)),
        ("call add", lambda: gpukern.add(x, y), lambda: torch.add(x, y)),
        ("call mm", lambda: gpukern.mm(m, m), lambda: torch.mm(m, m)),
    ]

    def host(call: Callable[[], Tensor]) -> float:
        started = time.perf_counter()
        for _ in range(count):
            call()
        spent = (time.perf_counter() - started) / count
        if bench.device != "cpu":
            torch.cuda.synchronize()
        return spent

    for name, ours, theirs in calls:
        if not torch.allclose(ours(), theirs(), rtol=1e-5, atol=1e-5):
            yield Line(name, verdict="WRONG: not what torch gives")
            return
        pairs = [(host(ours), host(theirs)) for _ in range(bench.turns + 2)][2:]
        ratios = sorted(o / m for m, o in pairs)
        low, high = ratios[len(ratios) // 5], ratios[-1 - len(ratios) // 5]
        mine, other = (1e6 * statistics.median(p[k] for p in pairs) for k in (0, 1))
        yield Line(name, mine, other, low, statistics.median(ratios), high, "host time a call")


def run(bench: Bench, quick: bool) -> tuple[list[Line], float]:
    """Every line, printed as it comes; a wrong one is the last."""
    small = bench.device == "cpu"
    ceiling = copy_bandwidth(bench, 2**24 if small else 2**30)
    print(f"{'copy, device to itself':38} {ceiling:.0f} GB/s", flush=True)
    sides = SIDES[:1] if small else SIDES[:4] if quick else SIDES
    counts = COUNTS[:1] if small else COUNTS[:5] if quick else COUNTS
    lines: list[Line] = []
    for suite in (overhead(bench, 20 if small else 500), elementwise(bench, counts, ceiling), squares(bench, sides)):
        for line in suite:
            print(line, flush=True)
            lines.append(line)
            if line.verdict.startswith("WRONG"):
                return lines, ceiling
    return lines, ceiling


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes, few turns: a look, not a measurement")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu only tries the program")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        print(f"gpukern: torch {torch.__version__} finds no GPU")
        return 2
    torch.backends.cuda.matmul.allow_tf32 = False
    turns = 3 if options.device == "cpu" else 7 if options.quick else 21
    bench = Bench(options.device, turns, 1e-4 if options.device == "cpu" else 4e-3)
    print(f"torch {torch.__version__}, gpukern {gpukern.__version__}, by turns; the ratio is torch's time over ours")
    print(f"{'':38} {'ours us':>11} {'torch us':>11}   ratio  (  20 ..   80 %)")
    with torch.no_grad():
        lines, ceiling = run(bench, options.quick)
    wrong = [line for line in lines if line.verdict.startswith("WRONG")]
    if options.json and not wrong:
        loaded = {}
        if options.device == "cuda":
            from tests.gpu import device

            loaded = device.clocks()
        facts = {"copy_gb_per_s": round(ceiling, 1), "clocks": loaded, "lines": [asdict(x) for x in lines]}
        record.write_atomically(options.json, facts)
    print(f"WRONG: {wrong[0].name}" if wrong else "every result right")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
