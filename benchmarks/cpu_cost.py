"""The cost of gpukern on a CPU, as ratios to torch in one run: `python -m benchmarks.cpu_cost [--quick]`.

Ours and torch's calls alternate (A B A B ..), so that a change of the machine's speed affects both; a ratio is the
median over the turns, with its 20th and 80th percentile.  Small calls are timed on one thread, 16M elements on all.
Inputs are random normal numbers.  The figures depend on load: run it on an idle machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

import gpukern

LARGE = 16 * 2**20
Call = Callable[[], object]


@dataclass
class Line:
    """One comparison: microseconds of each, and the ratio that is required (`goal` lines only inform)."""

    name: str
    ours: float
    theirs: float
    low: float
    ratio: float
    high: float
    limit: float
    goal: bool = False

    def __str__(self) -> str:
        if self.limit >= 1.5:  # a speed-up: torch's time over ours
            kept, sign = self.ratio >= self.limit, ">="
        else:
            kept, sign = self.ratio <= self.limit, "<="
        verdict = ("goal met" if kept else "goal missed") if self.goal else ("kept" if kept else "MISSED")
        times = f"{self.name:34} {self.ours:10.2f} {self.theirs:10.2f}"
        spread = f"{self.ratio:5.2f}  ({self.low:5.2f} .. {self.high:4.2f})"
        return f"{times}  {spread}  {sign} {self.limit:<4}  {verdict}"


def seconds(call: Call, count: int) -> float:
    started = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - started) / count


def compare(name: str, ours: Call, theirs: Call, limit: float, count: int, turns: int, goal: bool = False) -> Line:
    """Ratio ours / theirs, or theirs / ours where the limit is a speed-up."""
    for call in (ours, theirs):
        seconds(call, max(1, count // 4))
    mine, other = [], []
    for turn in range(turns):  # the first one alternates too
        first, second = (ours, theirs) if turn % 2 else (theirs, ours)
        a, b = seconds(first, count), seconds(second, count)
        mine.append(a if turn % 2 else b)
        other.append(b if turn % 2 else a)
    ratios = sorted((o / m if limit >= 1.5 else m / o) for m, o in zip(mine, other, strict=True))
    low, high = ratios[len(ratios) // 5], ratios[-1 - len(ratios) // 5]
    return Line(
        name,
        1e6 * statistics.median(mine),
        1e6 * statistics.median(other),
        low,
        statistics.median(ratios),
        high,
        limit,
        goal,
    )


def calls(count: int, turns: int) -> Iterator[Line]:
    """Calls on sixteen elements: the cost of a call."""
    a, b = torch.randn(4, 4), torch.randn(4, 4)
    out = torch.empty(4, 4)
    x, y = torch.randn(4, 4, requires_grad=True), torch.randn(4, 4, requires_grad=True)

    def backward(function: Callable[..., Tensor], *tensors: Tensor) -> Call:
        g = torch.ones(4, 4)
        return lambda: torch.autograd.grad(function(*tensors), tensors, g)

    yield compare("add", lambda: gpukern.add(a, b), lambda: torch.add(a, b), 1.1, count, turns)
    yield compare("add of a number", lambda: gpukern.add(a, 2.0), lambda: torch.add(a, 2.0), 1.1, count, turns)
    yield compare("relu", lambda: gpukern.relu(a), lambda: torch.relu(a), 1.1, count, turns)
    yield compare("mm", lambda: gpukern.mm(a, b), lambda: torch.mm(a, b), 1.1, count, turns)
    yield compare("mm(out=)", lambda: gpukern.mm(a, b, out=out), lambda: torch.mm(a, b, out=out), 1.2, count, turns)
    yield compare("add, with grad", lambda: gpukern.add(x, y), lambda: torch.add(x, y), 1.1, count, turns)
    yield compare("relu, with grad", lambda: gpukern.relu(x), lambda: torch.relu(x), 1.1, count, turns)
    yield compare("mm, with grad", lambda: gpukern.mm(x, y), lambda: torch.mm(x, y), 1.1, count, turns)
    w, bias = torch.randn(4, 4), torch.randn(4)
    plain = lambda: gpukern.linear(a, w, bias)  # noqa: E731
    tanh = lambda: F.gelu(a, approximate="tanh")  # noqa: E731
    yield compare("linear", plain, lambda: F.linear(a, w, bias), 1.1, count, turns, goal=True)
    yield compare("linear, keywords", lambda: gpukern.linear(input=a, weight=w, bias=bias), plain, 1.15, count, turns)
    with_end = lambda: gpukern.linear(a, w, bias, activation="gelu")  # noqa: E731
    yield compare("linear + gelu", with_end, lambda: F.gelu(F.linear(a, w, bias)), 1.1, count, turns)
    yield compare("gelu(approximate=)", lambda: gpukern.gelu(a, approximate="tanh"), tanh, 1.1, count, turns)
    yield compare(
        "add(alpha=)", lambda: gpukern.add(a, b, alpha=2), lambda: torch.add(a, b, alpha=2), 1.1, count, turns
    )
    yield compare("relu_", lambda: gpukern.relu_(a), lambda: torch.relu_(a), 1.1, count, turns, goal=True)
    few = max(1, count // 8)
    yield compare("add, forward + backward", backward(gpukern.add, x, y), backward(torch.add, x, y), 1.1, few, turns)
    yield compare("relu, forward + backward", backward(gpukern.relu, x), backward(torch.relu, x), 1.1, few, turns)
    yield compare("mm, forward + backward", backward(gpukern.mm, x, y), backward(torch.mm, x, y), 1.1, few, turns)


def routes(count: int, turns: int) -> Iterator[Line]:
    """torch's own call with a route on, against the same call with the route off; switched between the turns."""
    a, b = torch.randn(4, 4), torch.randn(4, 4)
    whole = torch.ones(4, 4, dtype=torch.int64)  # the route leaves integers to torch
    for name, left, right in (("route taken, mm", a, b), ("route not taken, mm of int64", whole, whole)):
        on, off = [], []
        for _ in range(turns):
            off.append(seconds(lambda left=left, right=right: torch.mm(left, right), count))  # type: ignore[misc]
            with gpukern.enable():
                on.append(seconds(lambda left=left, right=right: torch.mm(left, right), count))  # type: ignore[misc]
        ratios = sorted(x / y for x, y in zip(on, off, strict=True))
        mine, theirs = 1e6 * statistics.median(on), 1e6 * statistics.median(off)
        low, high = ratios[len(ratios) // 5], ratios[-1 - len(ratios) // 5]
        limit = 1.15 if "route taken" in name else round(1 + 0.15 / theirs, 2)  # 0.15 us more than torch's own
        yield Line(name, mine, theirs, low, statistics.median(ratios), high, limit)


UNARY = [
    "abs",
    "neg",
    "sign",
    "square",
    "sqrt",
    "rsqrt",
    "reciprocal",
    "exp",
    "exp2",
    "expm1",
    "log",
    "log2",
    "log1p",
    "sin",
    "cos",
    "tanh",
    "sigmoid",
    "erf",
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "gelu",
    "gelu-tanh",
    "silu",
    "mish",
    "softplus",
    "hardswish",
    "hardsigmoid",
    "hardtanh",
    "logsigmoid",
]
BINARY = ["add", "sub", "mul", "div", "pow", "maximum", "minimum", "fmax", "fmin"]


def of_torch(name: str) -> Callable[..., Tensor]:
    found: Callable[..., Tensor] = getattr(torch, name, None) or getattr(F, name)
    return getattr(F, name) if name in ("hardtanh", "relu6", "silu", "gelu", "elu") else found  # type: ignore[no-any-return]


def large(turns: int) -> Iterator[Line]:
    """Calls on 16M elements: the cost of memory and arithmetic."""
    x, y, z = (torch.randn(LARGE) for _ in range(3))
    out = torch.empty(LARGE)
    positive = x.abs() + 0.1
    for name in UNARY:
        base, _, form = name.partition("-")
        options = {"approximate": form} if form else {}
        argument = positive if base in ("sqrt", "rsqrt", "log", "log2", "log1p") else x
        mine, theirs = getattr(gpukern, base), of_torch(base)
        yield compare(
            name,
            lambda mine=mine, argument=argument, options=options: mine(argument, **options),  # type: ignore[misc]
            lambda theirs=theirs, argument=argument, options=options: theirs(argument, **options),  # type: ignore[misc]
            1.1, 1, turns, goal=name == "gelu",
        )  # fmt: skip
    for name in BINARY:
        left = positive if name == "pow" else x
        mine, theirs = getattr(gpukern, name), getattr(torch, name)
        yield compare(
            name,
            lambda mine=mine, left=left: mine(left, y),  # type: ignore[misc]
            lambda theirs=theirs, left=left: theirs(left, y),  # type: ignore[misc]
            1.1, 1, turns,
        )  # fmt: skip
    mask, weight = x > 0, torch.rand(LARGE)
    yield compare("where", lambda: gpukern.where(mask, x, y), lambda: torch.where(mask, x, y), 1.1, 1, turns)
    yield compare("clamp", lambda: gpukern.clamp(x, -1, 1), lambda: torch.clamp(x, -1, 1), 1.1, 1, turns)
    yield compare("lerp", lambda: gpukern.lerp(x, y, weight), lambda: torch.lerp(x, y, weight), 1.1, 1, turns)
    yield compare("addcmul", lambda: gpukern.addcmul(x, y, z), lambda: torch.addcmul(x, y, z), 1.1, 1, turns)
    yield compare(
        "addcdiv", lambda: gpukern.addcdiv(x, y, positive), lambda: torch.addcdiv(x, y, positive), 1.1, 1, turns
    )
    yield compare("exp(out=)", lambda: gpukern.exp(x, out=out), lambda: torch.exp(x, out=out), 1.1, 1, turns)


def fused(turns: int) -> Iterator[Line]:
    """One fused pass against torch's two: torch's time over ours."""
    rows = torch.randn(4096, LARGE // 4096)
    bias, x, y = torch.randn(LARGE // 4096), torch.randn(LARGE), torch.randn(LARGE)
    pairs: list[tuple[str, Call, Call]] = [
        (
            "bias_act gelu tanh",
            lambda: gpukern.bias_act(rows, bias, "gelu_tanh"),
            lambda: F.gelu(rows + bias, approximate="tanh"),
        ),
        ("bias_act silu", lambda: gpukern.bias_act(rows, bias, "silu"), lambda: F.silu(rows + bias)),
        ("swiglu", lambda: gpukern.swiglu(x, y), lambda: F.silu(x) * y),
        ("add_act relu", lambda: gpukern.add_act(x, y, "relu"), lambda: F.relu(x + y)),
        ("add_act silu", lambda: gpukern.add_act(x, y, "silu"), lambda: F.silu(x + y)),
    ]
    for name, ours, theirs in pairs:
        yield compare(name, ours, theirs, 1.6, 1, turns)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer turns: a look, not a measurement")
    parser.add_argument("--only", choices=["calls", "large"], help="one half of it")
    options = parser.parse_args()
    threads = torch.get_num_threads()
    capability = torch.backends.cpu.get_cpu_capability()
    print(f"torch {torch.__version__}, gpukern {gpukern.__version__}, {capability}, {threads} threads")
    print(f"{'':34} {'ours us':>10} {'torch us':>10}  ratio  (20 .. 80 %)      limit")
    turns, count = (7, 500) if options.quick else (41, 4000)
    missed = 0
    torch.set_num_threads(1)
    groups: list[Iterator[Line]] = []
    if options.only != "large":
        groups += [calls(count, turns), routes(count, turns)]
    if options.only != "calls":
        groups += [large(3 if options.quick else 15), fused(3 if options.quick else 15)]
    for number, group in enumerate(groups):
        if options.only == "large" or number == 2:
            torch.set_num_threads(threads)
        for line in group:
            print(line, flush=True)
            missed += "MISSED" in str(line)
    print(f"{missed} of the limits missed" if missed else "every limit kept")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
