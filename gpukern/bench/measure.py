"""The loop over cases: check, then time, then store."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from .. import selection
from .cases import Case, build
from .machine import free_memory
from .operands import Pool
from .results import Line, Run
from .suites import Spec
from .timing import Clock, DeviceClock, Effort, HostClock, LaunchClock, by_turns, rotating

SLOW = 1.5  # seconds per call at the ceilings; slower cases are left out without --slow


@dataclass
class Bench:
    """The settings that all cases share."""

    device: str
    against: Sequence[str]
    effort: Effort
    pool: Pool
    slow: float = SLOW
    log: Callable[[str], None] = field(default=lambda text: None)

    def clock(self, case: Case) -> Clock:
        if case.host_only and self.device != "cpu":
            return LaunchClock(self.device)
        return HostClock() if self.device == "cpu" else DeviceClock(case.graphs)

    def line(self, spec: Spec, run: Run) -> Line:
        """The line of one case: measured, or with the reason why not."""
        line = Line(spec.suite, spec.name, spec.op, spec.kind, spec.dtype, list(spec.shape), spec.layout)
        try:
            case = build(spec, self.device)
        except RuntimeError as error:
            line.verdict = f"left out: {str(error).splitlines()[0]}"
            return line
        line.flops, line.bytes = case.flops, case.bytes
        floor = run.floor(line) / 1e6
        if floor > self.slow:
            line.verdict = f"left out: a call would take {floor:.2g} s or more here (--slow measures it)"
            return line
        needed = self.pool.bytes_for(case.wants) + case.extra
        if needed > free_memory(self.device):
            line.verdict = f"left out: it needs {needed / 2**30:.1f} GiB, more than this device has free"
            return line
        try:
            self._measure(case, line)
        except torch.OutOfMemoryError:
            line.verdict = "left out: it needs more GiB than this device has free"
        except Exception as error:  # the run goes on; a call that raises counts as wrong
            said = str(error).partition("\n")[0]
            line.verdict, line.ours, line.rivals = f"WRONG: it raised {type(error).__name__}: {said}", [], {}
        return line

    def _measure(self, case: Case, line: Line) -> None:
        sets = [case.fixed] if case.fixed is not None else self.pool.sets(case.wants)
        # Recording for autograd changes what is timed: only the mode "grad" does it.
        with torch.set_grad_enabled(case.spec.choice == "grad"):
            selection.reset_served()
            got = case.ours(*sets[0])
            line.configuration = case.configuration()
            verdict = case.judge(got, *sets[0])
            del got
            if not verdict:
                line.verdict = verdict.text
                return
            line.error = round(verdict.error, 4)
            rivals = self._rivals(case, sets[0])
            calls = [rotating(f, sets) for f in (case.ours, *rivals.values())]
            clock = self.clock(case)
            times = by_turns(calls, clock, self.effort, len(sets))
        line.clock = clock.name
        line.ours = [round(t, 4) for t in times[0]]
        line.rivals = {name: [round(t, 4) for t in taken] for name, taken in zip(rivals, times[1:])}

    def _rivals(self, case: Case, operands: tuple[Any, ...]) -> dict[str, Callable[..., object]]:
        """The baselines that can run the case: one that fails is left out and does not fail the run."""
        found: dict[str, Callable[..., object]] = {}
        for name in self.against:
            try:
                call = self._rival(name, case)
                if call is not None:
                    call(*operands)
                    found[name] = call
            except Exception as error:
                said = str(error).partition("\n")[0]
                self.log(f"{case.spec.name}: {name} is left out: {type(error).__name__}: {said}")
        return found

    @staticmethod
    def _rival(name: str, case: Case) -> Callable[..., object] | None:
        if name == "torch":
            return case.rivals["torch"]
        if name == "compile":
            if case.host_only or case.spec.kind == "training":
                return None
            torch._dynamo.reset()
            compiled: Callable[..., object] = torch.compile(case.rivals["torch"], dynamic=False)
            return compiled
        from . import triton_kernels

        return triton_kernels.rival(case.spec)

    def measure(self, specs: Sequence[Spec], run: Run) -> Iterator[Line]:
        """Yields each line when it is measured, in order; run.lines has it by then."""
        done = {line.key for line in run.lines}
        for number, spec in enumerate(specs):
            if (spec.suite, spec.name) in done:
                continue
            line = self.line(spec, run)
            run.lines.append(line)
            yield line
            if number % 16 == 15:
                gc.collect()
