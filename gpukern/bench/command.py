"""`python -m gpukern bench SUITE|OP ..`: arguments, checked before anything is measured; progress; files."""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from .. import selection
from ..info import built
from . import ceilings, machine, suites, table
from .arguments import Parser, Refused, check_build, check_file, check_plotting, forced
from .measure import SLOW, Bench
from .operands import Pool
from .results import Line, Run, Unreadable, load, save
from .timing import QUICK, USUAL, DeviceClock, HostClock

RIVALS = ("torch", "compile", "triton")
SAVE_EVERY = 5.0  # seconds


def parser() -> argparse.ArgumentParser:
    p = Parser(
        prog="python -m gpukern bench", description=sys.modules[__package__].__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    p.add_argument("names", nargs="*", metavar="SUITE|OP", help="suites or ops to measure (default: list them)")
    p.add_argument("--device", help='"cpu", "cuda" (default: the GPU if gpukern was built for it, else cpu)')
    p.add_argument("--dtype", default="", help="only these dtypes, separated by commas: float32,bfloat16")
    p.add_argument(
        "--shapes",
        nargs="+",
        default=[],
        metavar="M,N,K",
        help="shapes for an op; elementwise ops take N or ROWS,COLUMNS",
    )
    p.add_argument(
        "--against", default="torch", help="baselines, separated by commas: torch,compile,triton (default: torch)"
    )
    p.add_argument("--quick", action="store_true", help="few sizes and repetitions: a first look, not a measurement")
    p.add_argument("--slow", action="store_true", help=f"also measure cases whose call takes more than {SLOW} s here")
    p.add_argument("--threads", type=int, help="CPU threads (default: torch's)")
    p.add_argument("--json", type=Path, metavar="FILE", help="store the run in this file while it is measured")
    p.add_argument("--resume", type=Path, metavar="FILE", help="continue an interrupted run")
    p.add_argument("--plot", type=Path, metavar="DIR", help="folder for the plots")
    return p


def listing() -> str:
    """The list of suites and ops."""
    rows = [[name, str(len(suites.suite(name))), suites.about(name)] for name in suites.paths()]
    width = max(len(row[0]) for row in rows)
    lines = [f"  {name:{width}}  {count:>4}  {text}" for name, count, text in rows]
    ops = ", ".join([*suites.PRODUCTS, *suites.catalogue()])
    return "\n".join(
        [
            "suites, with their number of cases:",
            *lines,
            "",
            f"ops: {ops}",
            "",
            "for a first look: python -m gpukern bench --quick SUITE",
        ]
    )


def _device(asked: str | None) -> str:
    chosen = selection.default_device() if asked is None else asked
    found = re.fullmatch(r"cpu|cuda(?::(\d+))?", chosen)
    if not found:
        raise Refused(f"--device {chosen}: choose cpu or cuda")
    if chosen == "cpu":
        return chosen
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        raise Refused(f"--device {chosen}: torch {torch.__version__} finds no GPU; choose cpu")
    if int(found[1] or 0) >= count:
        raise Refused(f"--device {chosen}: choose cuda:0 to cuda:{count - 1}")
    torch.cuda.set_device(int(found[1] or 0))
    return "cuda"


def _rivals(text: str) -> list[str]:
    names = list(dict.fromkeys(word for word in text.split(",") if word))
    unknown = [name for name in names if name not in RIVALS]
    if unknown or not names:
        raise Refused(f"--against {','.join(unknown)}: choose from {', '.join(RIVALS)}")
    if "triton" in names and importlib.util.find_spec("triton") is None:
        raise Refused("--against triton: triton is not installed here (it comes with torch's CUDA and ROCm builds)")
    return names


def _settings(options: argparse.Namespace, rivals: list[str]) -> dict[str, Any]:
    return {
        "names": options.names, "dtype": options.dtype, "shapes": options.shapes, "against": rivals,
        "quick": options.quick, "slow": options.slow,
    }  # fmt: skip


def _new_run(options: argparse.Namespace, device: str, rivals: list[str]) -> Run:
    settings = _settings(options, rivals)
    date = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Run(built()["version"], torch.__version__, machine.commit(), date, settings, machine.describe(device))


def _resumed(path: Path, fresh: Run) -> Run:
    """The run in the file, if this machine and installation are the ones it was measured on."""
    try:
        run = load(path)
    except Unreadable as error:
        raise Refused(f"--resume {error}") from None
    nothing = _settings(parser().parse_args([]), ["torch"])
    if any(fresh.settings[k] not in (nothing[k], run.settings.get(k)) for k in fresh.settings):
        raise Refused(f"--resume {path} takes its suites and options from the file; pass no others")
    if missing := [name for name in nothing if name not in run.settings]:
        raise Refused(f"--resume {path}: its settings have no {', '.join(missing)}")
    for what, old, new in (
        ("gpukern", (run.gpukern, run.commit), (fresh.gpukern, fresh.commit)),
        ("torch", run.torch, fresh.torch),
        ("the device", run.machine.get("device"), fresh.machine["device"]),
        ("the thread count", run.machine.get("threads"), fresh.machine["threads"]),
    ):
        if old != new:
            raise Refused(f"--resume {path}: {what} was {old} and is {new}; start a new run")
    return run


@contextmanager
def progress(total: int, done: int) -> Iterator[Callable[[Line], None]]:
    """A progress bar with the time left; one line per case without tqdm or a terminal."""
    if importlib.util.find_spec("tqdm") is not None and sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(total=total, initial=done, unit="case", smoothing=0.05, leave=False) as bar:

            def tick(line: Line) -> None:
                bar.set_postfix_str(line.name, refresh=False)
                bar.update()

            yield tick
        return
    started, count = time.monotonic(), 0

    def say(line: Line) -> None:
        nonlocal count
        count += 1
        left = (time.monotonic() - started) / count * (total - done - count)
        print(f"[{done + count}/{total}, {left:.0f} s left] {line.suite}: {line.name}", file=sys.stderr, flush=True)

    yield say


def cases_of(settings: dict[str, Any]) -> list[suites.Spec]:
    """The cases selected by names, dtype, shapes and quick; Refused for unknown ones."""
    try:
        shapes = [suites.parsed(text) for text in settings["shapes"]]
        dtypes = str(settings["dtype"]).split(",") if settings["dtype"] else []
        found = suites.asked(settings["names"], shapes, dtypes)
    except suites.Unknown as error:
        raise Refused(str(error)) from None
    return suites.quick(found) if settings["quick"] and not shapes else found


def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    if not options.names and not options.resume:
        if options.shapes:
            raise Refused("--shapes goes with an op: bench mm --shapes 4096,4096,4096")
        print(listing())
        return 0
    if options.threads is not None:
        cores = os.cpu_count() or 1
        if not 1 <= options.threads <= cores:
            raise Refused(f"--threads {options.threads}: choose 1 to {cores}")
        torch.set_num_threads(options.threads)
    device, rivals = _device(options.device), _rivals(options.against)
    check_build(device)
    check_plotting(options.plot)
    check_file(options.json, options.resume)
    forced()
    run = _new_run(options, device, rivals)
    if options.resume:
        run = _resumed(options.resume, run)
        check_file(options.resume, options.resume)
    specs = cases_of(run.settings)
    return _measured(run, specs, device, options.json or options.resume, options.plot)


def _busy(device: str) -> str:
    """A sentence if other programs run on this machine, else ""."""
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    if device != "cpu" or load < 0.5 * cores:
        return ""
    return f"the load is {load:.1f} on {cores} cores: other programs will distort the times"


def _prepared(run: Run, specs: list[suites.Spec], device: str) -> Bench:
    quick = bool(run.settings["quick"])
    if not run.ceilings:
        dtypes = dict.fromkeys(s.dtype for s in specs if s.kind == "product")
        run.ceilings = ceilings.measure(device, HostClock() if device == "cpu" else DeviceClock(), dtypes, quick)
    run.clocks.setdefault("before", machine.clocks(device))
    slow = float("inf") if run.settings["slow"] else SLOW / 10 if quick else SLOW
    pool = Pool(device, int(run.machine["cache_bytes"]))
    return Bench(device, run.rivals, QUICK if quick else USUAL, pool, slow, _say)


def _say(text: str) -> None:
    print(f"gpukern bench: {text}", file=sys.stderr, flush=True)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignores a second Ctrl-C while the run is written after the first."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _measured(run: Run, specs: list[suites.Spec], device: str, file: Path | None, plot: Path | None) -> int:
    torch.backends.cuda.matmul.allow_tf32 = False  # strict float32 against strict float32
    if busy := _busy(device):
        _say(busy)
    interrupted = False
    saved = time.monotonic()
    try:
        bench = _prepared(run, specs, device)
        with progress(len(specs), len(run.lines)) as tick:
            for line in bench.measure(specs, run):
                tick(line)
                if file and time.monotonic() - saved > SAVE_EVERY:
                    save(run, file)
                    saved = time.monotonic()
        run.complete = True
    except KeyboardInterrupt:
        interrupted = True
    finally:  # keep what was measured, however the loop ended
        with _undisturbed():
            run.clocks["after"] = machine.clocks(device)
            if file:
                save(run, file)
    print(table.page(run))
    if plot and not interrupted:
        from . import plots

        for path in plots.draw(run, plot):
            print(path)
    if interrupted:
        return 130
    return 1 if run.wrong else 0
