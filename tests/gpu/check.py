"""`make gpu-check`: everything that a GPU can test in this tree, in one command, `python -m tests.gpu.check`.

In this order, ending at the first step that fails:

    bounded     a build whose waits end with a report of who waited for what (csrc/platform/waits.h)
    words       each primitive of device code alone, in that build
    launches    the nine riskiest launches, in that build, each in a process of its own (tests/gpu/launches.py)
    build       the extension as it is shipped
    replay, tests, sanitizers, benchmark

Each step runs under a watchdog (watch.py) that ends it when nothing moves for a while (GPUKERN_GPU_PATIENCE times the
step's own, by default 1), reports the case that hung and the device's record of it, and goes on; of words and launches
the cases after one that hung or crashed are tried too, as long as the device still answers.  A step's output is in
build/gpu-check/<time>/<number>-<step>.log, with its verdict as the last line, before the next step begins;
verdicts.json beside it has all verdicts so far.  A table is printed last, and the facts of a green run go to
benchmarks/results/<device>/, from which docs/validation.md is made.

Exit status: 0 all right, 1 something wrong, hung or crashed, 2 no GPU (in one line, with the list of what would run),
130 interrupted; whatever was running is ended then, and its log closed.
"""

from __future__ import annotations

import datetime
import json
import os
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.gpu import device, launches, watch
from tests.gpu.watch import CRASHED, HUNG, RIGHT, WRONG, Ending, Log
from tests.platform import record

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
LOGS = ROOT / "build" / "gpu-check"
BOUNDED = Path("build") / "bounded"
SUITES = ("gemm-square", "gemm-batched", "gemv", "fused", "overhead", "training")
KERNEL_TESTS = record.SOURCES
NOT_RUN, NOT_APPLICABLE, INTERRUPTED = "not run", "not applicable", "interrupted"
PROBE = (sys.executable, "-c", "import torch; assert (torch.ones(9, device='cuda') + 1).sum().item() == 18")


@dataclass(frozen=True)
class Step:
    """One command; it may write facts for the result to the file that `{facts}` stands for.

    each: it is run once for each of these, which come behind it.  goes_on: where a case of it hangs or crashes it is
    run again without that one (GPUKERN_GPU_SKIP).  patience: seconds in which something must move; 0: none.  unfit: why
    it is not for this device.
    """

    name: str
    what: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    each: tuple[str, ...] = ()
    goes_on: bool = False
    patience: float = 1800
    unfit: str = ""


@dataclass
class Outcome:
    """How a step ended; endings: those of its commands that were not right, with what was run."""

    step: Step
    status: str = NOT_RUN
    seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    endings: list[tuple[str, Ending]] = field(default_factory=list)

    @property
    def fine(self) -> bool:
        return self.status in (RIGHT, NOT_APPLICABLE)


Execute = Callable[[list[str], dict[str, str], Log, float], Ending]


def pytest_step(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "tests.gpu.progress", *words)


def steps(word: str = "") -> list[Step]:
    """The steps, in order; `word` is the target of the present device, "" if there is none."""
    build = {"PYTORCH_ROCM_ARCH": word, "GPUKERN_BUILD": "hip"} if word.startswith("gfx") else {"GPUKERN_BUILD": "cuda"}
    facts = {"GPUKERN_GPU_FACTS": "{facts}"}
    hopper = "" if word in ("", "sm_90") else f"its waits and launches are Hopper's, and this is {word}"
    ampere = f"{word} has none of these words" if word.startswith("gfx") or word == "sm_75" else ""
    package = BOUNDED / "lib"
    return [
        Step("bounded", "a build of the extension whose waits end and say who waited (Hopper)",
             (sys.executable, "setup.py", "-q", "build", "--build-base", str(BOUNDED), "--build-lib", str(package)),
             {**build, "GPUKERN_BOUNDED_WAITS": "1"}, patience=0, unfit=hopper),
        Step("words", "each word of device code alone, against the vendors' manuals (NVIDIA)",
             (sys.executable, "-m", "tests.gpu.words"), goes_on=True, patience=1200, unfit=ampere),
        Step("launches", "the nine riskiest launches, each in a process of its own (Hopper)",
             (sys.executable, "-m", "tests.gpu.launches"), {"GPUKERN_PACKAGE": str(package)}, launches.NAMES,
             patience=300, unfit=hopper),
        Step("build", "the extension, for the GPUs that are here",
             (sys.executable, "setup.py", "-q", "build_ext", "--inplace"), build, patience=0),
        Step("replay", "the machine model's test vectors, on the device and against the same oracle",
             pytest_step("-p", "tests.gpu.replay", *KERNEL_TESTS), facts, patience=600),
        Step("tests", "values, layouts, sizes, streams, devices, graphs, gradients, errors", pytest_step("tests/gpu"),
             facts, patience=600),
        Step("sanitizers", "compute-sanitizer memcheck, racecheck, synccheck, initcheck over everything (NVIDIA)",
             (sys.executable, "-m", "tests.gpu.sanitize", "{facts}"), patience=7200),
        Step("benchmark", "gpukern beside torch: products, fused ops, cost of a call, networks, measured ceilings",
             (sys.executable, "-m", "gpukern", "bench", *SUITES, "--device", "cuda", "--json", "{facts}")),
    ]  # fmt: skip


def leaves_facts(step: Step) -> bool:
    return any("{facts}" in word for word in (*step.command, *step.environment.values()))


def environment_of(step: Step, facts: Path) -> dict[str, str]:
    """The user's environment, without variables that would change what runs.  Python flushes its output at once, and
    prints a traceback when a signal ends it."""
    other = ("TORCH_CUDA_ARCH_LIST", "GPUKERN_FORCE", "GPUKERN_RECORD", "GPUKERN_GPU_DEVICE", "PYTEST_ADDOPTS",
             "GPUKERN_BOUNDED_WAITS", "GPUKERN_PACKAGE", "GPUKERN_GPU_SKIP")  # fmt: skip
    own = {name: value for name, value in os.environ.items() if name not in other}
    own |= {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}
    return {**own, **{name: value.format(facts=facts) for name, value in step.environment.items()}}


def patience_of(step: Step) -> float:
    """GPUKERN_GPU_PATIENCE: for a device, or tools, that are slower than was thought; 0 waits for ever."""
    try:
        return step.patience * max(0.0, float(os.environ.get("GPUKERN_GPU_PATIENCE", "1")))
    except ValueError:
        return step.patience


def answers(log: Log, environment: dict[str, str], execute: Execute) -> bool:
    """Whether the device still does anything, after a case of which it is not known."""
    return execute(list(PROBE), environment, log, 120).status == RIGHT


def attempt(step: Step, facts: Path, log: Log, execute: Execute) -> list[tuple[str, Ending]]:
    """All commands of a step, and how each ended that was not right."""
    command, environment = [word.format(facts=facts) for word in step.command], environment_of(step, facts)
    bad: list[tuple[str, Ending]] = []
    begun: list[str] = []
    todo = list(step.each) or [""]
    while todo:
        name = todo.pop(0)
        more = {"GPUKERN_GPU_SKIP": "\n".join(begun)} if begun else {}
        ending = execute([*command, name] if name else command, {**environment, **more}, log, patience_of(step))
        if ending.status == RIGHT:
            continue
        bad.append((name, ending))
        report(step, name, ending, log)
        if ending.status == WRONG and not ending.record:
            continue
        again = step.goes_on and ending.last != "" and ending.last not in begun
        if (todo or again) and not answers(log, environment, execute):
            bad.append(("", Ending(CRASHED, "the device no longer answers, so the rest of this step was not tried")))
            report(step, "", bad[-1][1], log)
            break
        if again:
            begun.append(ending.last)
            todo.insert(0, name)
    return bad


def report(step: Step, name: str, ending: Ending, log: Log) -> None:
    """What went wrong, at once and in the step's own file."""
    text = f"gpukern: {step.name}{' ' + name if name else ''} {ending}"
    for line in [text, *ending.record.splitlines()]:
        print(line, flush=True)
        log.say(line)


def status_of(bad: list[tuple[str, Ending]]) -> str:
    """The worst of a step's endings."""
    found = {ending.status for _, ending in bad}
    return next((status for status in (HUNG, CRASHED, WRONG) if status in found), RIGHT)


def run(todo: list[Step], execute: Execute, folder: Path, logs: Path) -> list[Outcome]:
    """Every step until one goes wrong; the rest stay "not run".  The log of each is complete before the next begins."""
    outcomes = [Outcome(step) for step in todo]
    for number, outcome in enumerate(outcomes, 1):
        step, facts = outcome.step, folder / f"{outcome.step.name}.json"
        print(f"\n==== {step.name}: {step.what}", flush=True)
        log = Log(logs / f"{number:02}-{step.name}.log")
        started = time.monotonic()
        outcome.status = INTERRUPTED  # unless it ends
        try:
            if step.unfit:
                log.say(step.unfit)
                outcome.status = NOT_APPLICABLE
            else:
                outcome.endings = attempt(step, facts, log, execute)
                outcome.status = status_of(outcome.endings)
        finally:
            outcome.seconds = round(time.monotonic() - started, 1)
            log.close(outcome.status)
            record.write_atomically(logs / "verdicts.json", verdicts(outcomes))
        if facts.exists():
            outcome.facts = json.loads(facts.read_text())
        if not outcome.fine:
            break
    return outcomes


def verdicts(outcomes: list[Outcome]) -> dict[str, Any]:
    return {
        o.step.name: {"status": o.status, "seconds": o.seconds, "endings": [f"{n} {e}".strip() for n, e in o.endings]}
        for o in outcomes
    }


# ---- the output ----------------------------------------------------------------------------------------------------


def remark(outcome: Outcome) -> str:
    """A step's facts in a few words, or what went wrong."""
    facts = outcome.facts
    if outcome.endings:
        return "; ".join(f"{name} {ending}".strip() for name, ending in outcome.endings)
    if outcome.step.name == "replay" and facts:
        launches = sum(ran["launches"] for kind in ("rows", "families") for ran in facts[kind].values())
        left = facts.get("rows_of_other_devices", [])
        also = f"; not for this device: {', '.join(left)}" if left else ""
        return f"{len(facts['rows'])} configurations, {len(facts['families'])} families, {launches} launches{also}"
    if outcome.step.name == "tests" and facts:
        worst = max(facts["rho"].values(), default=0.0)
        return f"{facts['tests']} tests, worst rho {worst:.1f}"
    if outcome.step.name == "sanitizers" and facts:
        return "; ".join(f"{tool} {one['verdict']}" + (f" ({one['words']})" if one["verdict"] != "clean" else "")
                         for tool, one in facts["tools"].items())  # fmt: skip
    if outcome.step.name == "benchmark" and facts:
        timed = sum(bool(line["ours"]) for line in facts["lines"])
        return f"{timed} comparisons, copy {facts['ceilings']['bytes_per_s'] / 1e9:.0f} GB/s"
    return outcome.step.unfit if outcome.status == NOT_APPLICABLE else ""


def table(outcomes: list[Outcome]) -> str:
    lines = [f"{'step':12} {'result':14} {'seconds':>8}"]
    for o in outcomes:
        lines.append(f"{o.step.name:12} {o.status:14} {o.seconds:8.1f}  {remark(o)}".rstrip())
    return "\n".join(lines)


def result(outcomes: list[Outcome], about: dict[str, Any], commit: str, date: str) -> dict[str, Any]:
    """What a green run leaves behind; docs/validation.md reads device, driver, commit, date, rows and families."""
    facts = {o.step.name: o.facts for o in outcomes}
    replay = facts["replay"]
    return {
        **about,
        "commit": commit,
        "date": date,
        "clocks": facts["benchmark"].get("clocks", {}),  # its lines are a file of their own
        "seconds": {o.step.name: o.seconds for o in outcomes},
        "rows": replay["rows"],
        "families": replay["families"],
        "rows_of_other_devices": replay.get("rows_of_other_devices", []),
        "tests": facts["tests"],
        "sanitizers": facts["sanitizers"]["tools"],
    }


def without_gpu(why: str) -> None:
    """One line, and what would run."""
    print(f"gpukern: no GPU to check: {why}; with one, `make gpu-check` runs:")
    for number, step in enumerate(steps(), 1):
        words = [Path(word).name if word == sys.executable else word for word in step.command]
        own = [f"{name}={value}" for name, value in step.environment.items()]
        each = f", for each of {', '.join(step.each)}" if step.each else ""
        print(f"  {number}. {step.name:11} {step.what}\n     {' ' * 11} {' '.join([*own, shlex.join(words)])}{each}")


def main(
    *,
    why_none: Callable[[], str] = device.why_none,
    about: Callable[[], dict[str, Any]] = device.describe,
    execute: Execute = watch.run,
    results: Path = RESULTS,
    logs: Path = LOGS,
) -> int:
    if why := why_none():
        without_gpu(why)
        return 2
    facts = about()
    now = datetime.datetime.now(datetime.timezone.utc)
    commit, date = record.commit(), now.date().isoformat()
    here = logs / now.strftime("%Y%m%d-%H%M%S")
    print(f"gpukern: {facts['device']} ({facts['target']}), driver {facts['driver']}, {facts['runtime']}, "
          f"torch {facts['torch']}, commit {commit}, {date}; what each step says is kept in {here}")  # fmt: skip
    try:
        with tempfile.TemporaryDirectory() as folder:
            outcomes = run(steps(facts["target"]), execute, Path(folder), here)
    except KeyboardInterrupt:
        print(f"\ngpukern: interrupted; nothing was written but {here}")
        return 130
    green = all(o.fine for o in outcomes)
    silent = [o.step.name for o in outcomes if green and leaves_facts(o.step) and not o.facts]
    print("\n" + table(outcomes))
    if not green or silent:
        wrong = next((o.step.name for o in outcomes if not o.fine and o.status != NOT_RUN), "")
        print(f"gpukern: {wrong} went wrong; nothing was written but {here}" if wrong else
              f"gpukern: {', '.join(silent)} ended well but left no facts; nothing was written but {here}")  # fmt: skip
        return 1
    folder_of = results / device.folder_name(facts["device"])
    path, run_of = folder_of / f"{date}-{commit}.json", folder_of / f"bench-{date}-{commit}.json"
    record.write_atomically(run_of, next(o.facts for o in outcomes if o.step.name == "benchmark"))
    record.write_atomically(path, result(outcomes, facts, commit, date))
    print(f"gpukern: all right; {path} and {run_of.name} written; docs/validation.md follows by `python -m "
          "tests.validation`, docs/performance.md by `python -m benchmarks.performance`")  # fmt: skip
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what runs under the watchdog is to end with it
    raise SystemExit(main())
