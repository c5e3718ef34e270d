"""How time is measured; docs/benchmarking.md gives the reasons.

alternating     ours, theirs, ours, theirs .. in one process, and the first one alternates too: both see the same drift
                of clock rate, temperature and other load
long enough     a turn repeats a call until it takes `least` seconds, so that the clock's resolution is negligible
cold            operands rotate through more than twice the last-level cache, so a call finds none of its inputs there
on a GPU        a turn is one CUDA graph of its calls between two events, so that the host's speed is not measured;
                calls that cannot be captured are launched one by one
on a CPU        torch.utils.benchmark.Timer, with its own warm-up and thread count
"""

from __future__ import annotations

import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.benchmark import Timer

Call = Callable[[], object]


class Clock(ABC):
    """Seconds of one call, the mean of `count` in a row."""

    @abstractmethod
    def seconds(self, call: Call, count: int) -> float: ...

    name = ""

    def prepared(self, call: Call, count: int) -> Callable[[], float]:
        """Prepares a turn of `count` calls now, and returns a function that runs it and returns seconds per call."""
        return lambda: self.seconds(call, count)


class HostClock(Clock):
    """torch.utils.benchmark with torch's number of threads."""

    name = "host"

    def seconds(self, call: Call, count: int) -> float:
        timer = Timer("call()", globals={"call": call}, num_threads=torch.get_num_threads())
        return float(timer.timeit(count).mean)


class DeviceClock(Clock):
    """Events on the current stream, around one graph where the calls can be captured."""

    def __init__(self, graphs: bool = True) -> None:
        self.graphs = graphs
        self.name = "graph" if graphs else "launches"

    @staticmethod
    def _between_events(work: Call) -> float:
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        work()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end)) / 1e3

    def seconds(self, call: Call, count: int) -> float:
        return self._between_events(lambda: [call() for _ in range(count)]) / count

    def prepared(self, call: Call, count: int) -> Callable[[], float]:
        graph = self._captured(call, count) if self.graphs else None
        if graph is None:
            self.name = "launches"
            return lambda: self.seconds(call, count)
        return lambda: self._between_events(graph.replay) / count

    @staticmethod
    def _captured(call: Call, count: int) -> Any:
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                for _ in range(count):
                    call()
        except RuntimeError:  # a call that waits for the device, or allocates by other means
            torch.cuda.synchronize()
            return None
        graph.replay()
        torch.cuda.synchronize()
        return graph


class LaunchClock(Clock):
    """The host's time of a call: the clock stops before waiting for the device."""

    name = "host"

    def __init__(self, device: str) -> None:
        self.device = device

    def seconds(self, call: Call, count: int) -> float:
        started = time.perf_counter()
        for _ in range(count):
            call()
        spent = time.perf_counter() - started
        if self.device != "cpu":
            torch.cuda.synchronize()
        return spent / count


@dataclass(frozen=True)
class Effort:
    """least: seconds per turn.  turns: the most.  budget: seconds per case; long calls get fewer turns."""

    least: float
    turns: int
    budget: float
    fewest: int = 5
    most: int = 10_000  # calls a turn


USUAL = Effort(4e-3, 21, 3.0)
QUICK = Effort(2e-3, 11, 0.6, most=2000)


def by_turns(calls: Sequence[Call], clock: Clock, effort: Effort, sets: int = 1) -> list[list[float]]:
    """Microseconds per call: for each of `calls` a list with one number per turn.

    sets: of operands; a turn uses each at least once where the budget allows it, since a graph repeats its own.
    """
    for call in calls:  # warm up: compiles, allocates, fills caches
        clock.seconds(call, 1)
    once = [min(clock.seconds(call, 1) for _ in range(2)) for call in calls]
    count = max(1, min(effort.most, round(effort.least / max(once))))
    if sum(once) * sets * effort.fewest < effort.budget:
        count = min(effort.most, max(count, sets))
    ready = [clock.prepared(call, count) for call in calls]
    spent = max(take() for take in ready)
    if spent * count < effort.least / 2 and count < effort.most:  # in a graph a call costs less than alone
        count = min(effort.most, max(count, round(effort.least / max(spent, 1e-9))))
        ready = [clock.prepared(call, count) for call in calls]
    # Timer warms up with a hundredth of the calls, at least two.
    turn = sum(once) * (count + max(2, count // 100))
    turns = max(effort.fewest, min(effort.turns, int(effort.budget / turn)))
    times: list[list[float]] = [[] for _ in calls]
    for number in range(turns):
        order = list(range(len(calls)))
        for place in order if number % 2 == 0 else reversed(order):
            times[place].append(1e6 * ready[place]())
    return times


def rotating(function: Callable[..., object], sets: Sequence[tuple[Any, ...]]) -> Call:
    """Calls the function with each set in turn."""
    if len(sets) == 1:
        only = sets[0]
        return lambda: function(*only)
    next_set = itertools.cycle(sets).__next__
    return lambda: function(*next_set())
