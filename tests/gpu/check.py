"""`make gpu-check`: everything that a GPU can say about this tree, in one command, `python -m tests.gpu.check`.

In this order, ending at the first wrong result: the build for the GPU that is here; the machine model's test vectors
replayed on it; the GPU tests; compute-sanitizer's tools; the benchmark beside torch.  A table is printed last and the
facts of a green run go to benchmarks/results/<device>/, from which docs/validation.md is made.

Exit status: 0 all right, 1 something wrong, 2 no GPU (in one line, with the list of what would run).
"""

from __future__ import annotations

import datetime
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.gpu import device
from tests.platform import record

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
SUITES = ("gemm-square", "gemm-batched", "gemv", "fused", "overhead", "training")
KERNEL_TESTS = record.SOURCES


@dataclass(frozen=True)
class Step:
    """One command; it may write facts for the result to the file that `{facts}` stands for."""

    name: str
    what: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)


@dataclass
class Outcome:
    """How a step ended; `status` is "right", "WRONG" or "not run"."""

    step: Step
    status: str = "not run"
    seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)


Execute = Callable[[list[str], dict[str, str]], int]


def pytest_step(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words)


def steps(word: str = "") -> list[Step]:
    """What is run, in order; `word` is the target of the device that is here, "" where there is none."""
    build = {"PYTORCH_ROCM_ARCH": word, "GPUKERN_BUILD": "hip"} if word.startswith("gfx") else {"GPUKERN_BUILD": "cuda"}
    facts = {"GPUKERN_GPU_FACTS": "{facts}"}
    return [
        Step("build", "the extension, for the GPUs that are here",
             (sys.executable, "setup.py", "-q", "build_ext", "--inplace"), build),
        Step("words", "each word of device code alone, against the vendors' manuals (NVIDIA)",
             pytest_step("tests/platform/test_conformance.py", "tests/platform/test_tensor_map.py")),
        Step("replay", "the machine model's test vectors, on the device and against the same oracle",
             pytest_step("-p", "tests.gpu.replay", *KERNEL_TESTS), facts),
        Step("tests", "values, layouts, sizes, streams, devices, graphs, gradients, errors", pytest_step("tests/gpu"),
             facts),
        Step("sanitizers", "compute-sanitizer memcheck, racecheck, synccheck, initcheck over every row (NVIDIA)",
             (sys.executable, "-m", "tests.gpu.sanitize", "{facts}")),
        Step("benchmark", "gpukern beside torch: products, fused ops, cost of a call, networks, measured ceilings",
             (sys.executable, "-m", "gpukern", "bench", *SUITES, "--device", "cuda", "--json", "{facts}")),
    ]  # fmt: skip


def leaves_facts(step: Step) -> bool:
    return any("{facts}" in word for word in (*step.command, *step.environment.values()))


def environment_of(step: Step, facts: Path) -> dict[str, str]:
    """The user's own, without what would make this run another one."""
    other = ("TORCH_CUDA_ARCH_LIST", "GPUKERN_FORCE", "GPUKERN_RECORD", "GPUKERN_GPU_DEVICE", "PYTEST_ADDOPTS")
    own = {name: value for name, value in os.environ.items() if name not in other}
    return {**own, **{name: value.format(facts=facts) for name, value in step.environment.items()}}


def execute(command: list[str], environment: dict[str, str]) -> int:
    return subprocess.run(command, cwd=ROOT, env=environment).returncode


def run(todo: list[Step], execute: Execute, folder: Path) -> list[Outcome]:
    """Every step until one goes wrong; the rest stay "not run"."""
    outcomes = [Outcome(step) for step in todo]
    for outcome in outcomes:
        step, facts = outcome.step, folder / f"{outcome.step.name}.json"
        print(f"\n==== {step.name}: {step.what}", flush=True)
        started = time.monotonic()
        status = execute([word.format(facts=facts) for word in step.command], environment_of(step, facts))
        outcome.seconds = round(time.monotonic() - started, 1)
        outcome.status = "right" if status == 0 else "WRONG"
        if facts.exists():
            outcome.facts = json.loads(facts.read_text())
        if status:
            break
    return outcomes


# ---- what is said ----------------------------------------------------------------------------------------------------


def remark(outcome: Outcome) -> str:
    """A step's facts in a few words."""
    facts = outcome.facts
    if outcome.step.name == "replay" and facts:
        launches = sum(ran["launches"] for kind in ("rows", "families") for ran in facts[kind].values())
        left = facts.get("rows_of_other_devices", [])
        also = f"; not for this device: {', '.join(left)}" if left else ""
        return f"{len(facts['rows'])} rows, {len(facts['families'])} families, {launches} launches{also}"
    if outcome.step.name == "tests" and facts:
        worst = max(facts["rho"].values(), default=0.0)
        return f"{facts['tests']} tests, worst rho {worst:.1f}"
    if outcome.step.name == "sanitizers" and facts:
        return "; ".join(f"{tool} {said['verdict']}" + (f" ({said['words']})" if said["verdict"] != "clean" else "")
                         for tool, said in facts["tools"].items())  # fmt: skip
    if outcome.step.name == "benchmark" and facts:
        timed = sum(bool(line["ours"]) for line in facts["lines"])
        return f"{timed} comparisons, copy {facts['ceilings']['bytes_per_s'] / 1e9:.0f} GB/s"
    return ""


def table(outcomes: list[Outcome]) -> str:
    lines = [f"{'step':12} {'result':8} {'seconds':>8}"]
    for o in outcomes:
        lines.append(f"{o.step.name:12} {o.status:8} {o.seconds:8.1f}  {remark(o)}".rstrip())
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
        print(f"  {number}. {step.name:11} {step.what}\n     {' ' * 11} {shlex.join(words)}")


def main(
    *,
    why_none: Callable[[], str] = device.why_none,
    about: Callable[[], dict[str, Any]] = device.describe,
    execute: Execute = execute,
    results: Path = RESULTS,
) -> int:
    if why := why_none():
        without_gpu(why)
        return 2
    facts = about()
    commit, date = record.commit(), datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    print(f"gpukern: {facts['device']} ({facts['target']}), driver {facts['driver']}, {facts['runtime']}, "
          f"torch {facts['torch']}, commit {commit}, {date}")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        outcomes = run(steps(facts["target"]), execute, Path(folder))
    green = all(o.status == "right" for o in outcomes)
    silent = [o.step.name for o in outcomes if green and leaves_facts(o.step) and not o.facts]
    print("\n" + table(outcomes))
    if not green or silent:
        wrong = next((o.step.name for o in outcomes if o.status == "WRONG"), "")
        print(f"gpukern: {wrong} went wrong; nothing was written" if wrong else
              f"gpukern: {', '.join(silent)} ended well but left no facts; nothing was written")  # fmt: skip
        return 1
    folder_of = results / device.folder_name(facts["device"])
    path, run_of = folder_of / f"{date}-{commit}.json", folder_of / f"bench-{date}-{commit}.json"
    record.write_atomically(run_of, next(o.facts for o in outcomes if o.step.name == "benchmark"))
    record.write_atomically(path, result(outcomes, facts, commit, date))
    print(f"gpukern: all right; {path} and {run_of.name} written; docs/validation.md follows by `python -m "
          "tests.validation`, docs/performance.md by `python -m benchmarks.performance`")  # fmt: skip
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
