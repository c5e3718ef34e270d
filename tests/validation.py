"""docs/validation.md, made from recorded facts: `python -m tests.validation [--compiled]`.

    tests/platform/compiled.json      what compilers accepted; --compiled adds the build that is here
    tests/platform/modelled.json      what the machine model ran; written by `make record`
    benchmarks/results/*/*.json       what `make gpu-check` ran on a device
    tests/platform/environments.json  which versions of torch were tried; edited, not recorded

The lines come from the tables themselves (gpukern.available), so a new configuration is "not yet" until something is
recorded.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpukern import _C, selection
from tests.gpu import launches
from tests.platform import record
from tests.platform.toolchains import rules

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "validation.md"
COMPILED = ROOT / "tests" / "platform" / "compiled.json"
ENVIRONMENTS = ROOT / "tests" / "platform" / "environments.json"
RESULTS = ROOT / "benchmarks" / "results"
NOT_YET = "not yet"

BEGINNING = """# What has been compiled, executed and measured

Written by `python -m tests.validation` from recorded facts; a test compares. Four different things, never to be mixed:
**compiled** (a compiler accepted it for that target), **modelled** (the kernel source was executed, with its threads
and barriers, by the machine model on a CPU), **run on hardware** (which, when, at which commit) and **measured** (a
figure, with its command).
"""

CPU = """## On the CPU
| part | compiled | run on hardware | measured |
|---|---|---|---|
| CPU loops, baseline and AVX2 | {cxx} | x86-64 with AVX2 | `python -m benchmarks.cpu_cost` |
| CPU loops, AVX-512 | {cxx} | x86-64 with AVX-512 | `python -m benchmarks.cpu_cost` |
| `gemm/arch/host` (ATen's BLAS and an epilogue) | {cxx} | x86-64 with AVX2 | `python -m benchmarks.cpu_cost` |
"""

LIMITS = """## What the model cannot show
It executes the C++ source, not the machine code: registers, memory ordering weaker than sequential consistency, the
driver, launch limits of a real device, speed. A kernel that only the model has run is to be called untested on
hardware, and is.
"""

QUESTIONS = """## What only a Hopper device can answer
No model can; each is to be looked at once the launches above have run.
- `tma_load_tf32` of the test vectors: that a map of TFLOAT32 rounds to the nearest of 11 bits. It was seen on sm_120,
  ties to even, not on Hopper yet; if it cuts there, tf32 products have twice the error that `docs/numerics.md` has.
- `dependent_launches` of the same vectors: that a wait makes visible what the launch before wrote, by TMA both. Only
  without `compute-sanitizer` do launches overlap, so its silence says nothing of them.
- The barriers of ranges that a cluster adds: every thread comes to both, those of the producer's warpgroup too. No
  kernel relies on a barrier that counts threads which have ended (the PTX ISA says that a cluster's does).
- rho of `python -m tests.gemm.kernels.rho` on the device beside the model's: how far sums are cut is taken from
  publications.
"""

RISKIEST = """## What a first card should run first
`make gpu-check` does this by itself, before anything else, in a build whose waits end (`GPUKERN_BOUNDED_WAITS=1`) and
under a watchdog that names what hung. First each word of device code alone, against the vendors' manuals: `python -m
tests.gpu.words [CASE ..]`. Then these nine launches, each of which adds one thing that no earlier one had; the first
that goes wrong says what is wrong. Each command runs one alone, on whatever build is here; with the build whose waits
end, `GPUKERN_PACKAGE=build/bounded/lib` goes before it.

| | launch | adds | why it is risky | command |
|---|---|---|---|---|
{lines}

A wait that is given up ends in a store to address 0, which the runtime calls an illegal memory access. Named barriers,
the cluster's barrier and griddepcontrol.wait are bounded by the host, which ends the process with status 86. A wait may
take `GPUKERN_WAIT_SECONDS` (10); under compute-sanitizer it is to be 100 times that. racecheck names no writer for
TMA's copies of tensors and memcheck has had false reports of wgmma, so a tool counts only where a planted fault fires.
"""

HOW = """## How a fact is recorded
- compiled: `python -m tests.validation --compiled`, after a build with the compiler in question
- modelled: `GPUKERN_RECORD=1 python -m pytest -n 0 tests/elementwise/test_kernels.py tests/elementwise/test_exact.py
  tests/gemm/kernels/test_kernels.py tests/gemm/kernels/test_hopper_kernels.py
  tests/gemm/kernels/test_hopper_scaled_kernels.py tests/gemm/kernels/test_scaled_kernels.py`, or some of them, in one
  process; it counts where every test is green, and what did not run stays as it was recorded
- run on hardware, and measured: `make gpu-check` on a machine with the GPU; it runs what is above first, then builds,
  replays the model's test vectors on the device, runs the tests that need one, the sanitizers and a benchmark beside
  torch, and writes `benchmarks/results/<device>/` only if all is right. What each step said, with its verdict as the
  last line, lies in `build/gpu-check/<time>/` before the next step begins. Exit status: 0 all right, 1 something wrong,
  hung or crashed, 2 no GPU, 130 interrupted
"""


def read(path: Path, otherwise: Any) -> Any:
    return json.loads(path.read_text()) if path.exists() else otherwise


def results() -> list[dict[str, Any]]:
    """The newest run of each device."""
    newest: dict[str, dict[str, Any]] = {}
    for path in sorted(RESULTS.glob("*/*.json")):
        facts = json.loads(path.read_text())
        if "schema" in facts:  # a run of gpukern bench, which docs/performance.md speaks of
            continue
        before = newest.get(facts["device"])
        if before is None or facts["date"] >= before["date"]:
            newest[facts["device"]] = {**facts, "path": path.relative_to(ROOT).as_posix()}
    return [newest[device] for device in sorted(newest)]


# ---- cells -----------------------------------------------------------------------------------------------------------


def compiled_for(place: str, compiled: dict[str, Any]) -> str:
    """Compilers and targets; HIP is named where the folder (or source) wants it and no compiler of it is among them."""
    cells = [f"{compiler}: {' '.join(words)}"
             for compiler, folders in compiled["gpu"].items() if (words := folders.get(place))]  # fmt: skip
    wanted = rules.words_of(rules.CSRC / place)
    if any(word.startswith("gfx") for word in wanted) and not any("gfx" in cell for cell in cells):
        cells.append(f"HIP: **{NOT_YET}**")
    return "; ".join(cells) or f"**{NOT_YET}**"


def modelled(ran: dict[str, Any] | None) -> str:
    """ "450 launches in 54 cases; fifo, lifo, 6 pct; 32 and 64 lanes a wave; at 0123abcd"."""
    if not ran:
        return f"**{NOT_YET}**"
    found = [re.fullmatch(r"(\w+) (\d+), (\d+) lanes", s) for s in ran["schedules"]]
    known = [m for m in found if m]
    if len(known) < len(found):
        raise ValueError(f"the record has schedules that are none: {ran['schedules']}")
    orders: dict[str, set[str]] = {}
    for word in known:
        orders.setdefault(word[1], set()).add(word[2])
    names = [order if len(seeds) == 1 else f"{len(seeds)} {order}" for order, seeds in sorted(orders.items())]
    waves = " and ".join(sorted({m[3] for m in known}))
    at = f"; at {ran['commit']}" if "commit" in ran else ""
    return f"{ran['launches']:,} launches in {ran['cases']} cases; {', '.join(names)}; {waves} lanes a wave{at}"


def on_hardware(kind: str, name: str, runs: list[dict[str, Any]]) -> str:
    cells = [f"{r['device']}, driver {r['driver']}, commit {r['commit']}, {r['date']}" for r in runs if name in r[kind]]
    return "; ".join(cells) or f"**{NOT_YET}**"


def measured(kind: str, name: str, runs: list[dict[str, Any]]) -> str:
    cells = [f"`{r['path']}`" for r in runs if name in r[kind]]
    return "; ".join(dict.fromkeys(cells)) or f"**{NOT_YET}**"


# ---- the document ----------------------------------------------------------------------------------------------------


def table(
    title: str, kind: str, names: list[str], folder: Callable[[str], str], compiled: dict[str, Any],
    ran: dict[str, Any], runs: list[dict[str, Any]],
) -> str:  # fmt: skip
    lines = [f"| {title} | compiled | modelled | run on hardware | measured |", "|---|---|---|---|---|"]
    for name in names:
        ran_by_model, words = modelled(ran.get(kind, {}).get(name)), compiled_for(folder(name), compiled)
        cells = words, ran_by_model, on_hardware(kind, name, runs), measured(kind, name, runs)
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def device_section(runs: list[dict[str, Any]]) -> str:
    """What the tools reported in each device's run, and which configurations it has no code for."""
    if not runs:
        return "No device has run any of this.\n"
    lines = []
    for r in runs:
        tools = ", ".join(f"{tool} {result['verdict']}" for tool, result in r["sanitizers"].items())
        left = r["rows_of_other_devices"]
        also = f"; configurations of other devices: {', '.join(left)}" if left else ""
        lines.append(f"- {r['device']} ({r['target']}, {r['runtime']}, torch {r['torch']}): "
                     f"{r['tests']['tests']} tests; {tools}{also}")  # fmt: skip
    return "\n".join(lines) + "\n"


def environments() -> str:
    lines = ["| torch | Python | compilers | what was done |", "|---|---|---|---|"]
    for e in read(ENVIRONMENTS, []):
        lines.append(f"| {e['torch']} | {e['python'] or '-'} | {e['compilers'] or '-'} | {e['done']} |")
    return "\n".join(lines) + "\n"


def place_of(name: str) -> str:
    """The folder of a configuration, or the source of it that has targets of its own."""
    sources = {r["name"]: r["source"] for r in _C.gemm_configurations()}
    return "/".join(filter(None, ("gemm/arch", selection.named(name).folder, sources[name])))


def riskiest() -> str:
    """The launches of tests/gpu/launches.py, in their order."""
    lines = [
        f"| {number} | `{launch.name}` on `{launch.configuration}` | {launch.adds} | {launch.why} "
        f"| `{launch.command}` |"
        for number, launch in enumerate(launches.LAUNCHES, 1)
    ]
    return RISKIEST.format(lines="\n".join(lines))


def document() -> str:
    compiled, ran, runs = read(COMPILED, {"cxx": [], "gpu": {}}), read(record.MODELLED, {}), results()
    at = " The model's counts say at which commit they were made." if ran else ""
    parts = [
        BEGINNING,
        CPU.format(cxx=", ".join(compiled["cxx"]) or f"**{NOT_YET}**"),
        f"## Matrix products on GPUs\nOne line a compiled configuration.{at}\n\n"
        + table("configuration", "rows", record.configurations(), place_of, compiled, ran, runs),
        "## Elementwise ops on GPUs\nOne line a family; its kernels serve each op, type, layout and gradient.\n\n"
        + table("family", "families", record.families(), lambda n: "elementwise", compiled, ran, runs),
        "## Devices\n" + device_section(runs),
        LIMITS,
        riskiest(),
        QUESTIONS,
        HOW,
        "## Environments\n" + environments(),
    ]
    return "\n".join(parts)


def record_build() -> None:
    """Adds what the build that is here compiled; another compiler's facts stay."""
    from gpukern.info import built

    facts, here = read(COMPILED, {"cxx": [], "gpu": {}}), built()
    facts["cxx"] = sorted({*facts["cxx"], here["compilers"]["cxx"]})
    if "gpu" in here["compilers"]:
        facts["gpu"][here["compilers"]["gpu"]] = here["targets"]
    record.write_atomically(COMPILED, facts)


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--compiled"]):
        print(__doc__)
        return 2
    if arguments:
        record_build()
    DOCUMENT.write_text(document())
    print(f"gpukern: {DOCUMENT.relative_to(ROOT)} written")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
