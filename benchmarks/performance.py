"""docs/performance.md, made from stored runs: `python -m benchmarks.performance [--check]`.

    benchmarks/results/<device>/*.json   runs of `python -m gpukern bench`; files of other formats are passed over
    docs/performance/<device>/<run>/     the pictures of each run; a picture that no run has is removed

--check writes nothing; its exit status is 1 if the document differs from the runs, or a picture is missing.  The same
runs give the same document: it depends neither on the clock nor on the machine.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from urllib.parse import quote

from gpukern.bench import plots
from gpukern.bench.plots import digits, metric
from gpukern.bench.results import Line, Run, Unreadable, load, select
from gpukern.bench.statistics import geometric_mean, spread
from gpukern.files import whole

ROOT = Path(__file__).resolve().parents[1]
RUNS = Path("benchmarks/results")
DOCUMENT = Path("docs/performance.md")
PICTURES = Path("docs/performance")
LONG = 25  # lines of a table that is open from the start
WORST = 5
NONE = "-"

BEGINNING = """# How fast it is

Written by `python -m benchmarks.performance` from the runs in `benchmarks/results/`; a test compares. A run is of one
device, date and commit, which stand at its beginning, and was made by `python -m gpukern bench`.

- times: microseconds of one call, the median over the turns; gpukern's and each baseline's were taken by turns in one
  process
- ratio: the baseline's time over gpukern's, with its 95 % interval; above 1 gpukern is faster
- of the floor: the least time that the measured ceilings allow, as a share of gpukern's time; what stays in a cache can
  be above 100 %
- error: the largest, as a share of what is allowed; what is wrong has no time
"""

Stored = tuple[Path, Run]


# ---- where things are ------------------------------------------------------------------------------------------------


def stored(root: Path) -> list[Stored]:
    """Every run, by device, the newest first.  Unreadable for a damaged file."""
    paths = [path for path in sorted((root / RUNS).glob("*/*.json")) if not _foreign(path)]
    newest = sorted(((path, load(path)) for path in paths), key=lambda entry: (entry[1].date, entry[0]), reverse=True)
    return sorted(newest, key=lambda entry: entry[0].parent)


def _foreign(path: Path) -> bool:
    """Whether a file is a run: `make gpu-check` stores its facts in the same folders, without a schema."""
    try:
        facts = json.loads(path.read_text())
    except ValueError:
        return False  # load() says what is wrong with it
    return isinstance(facts, dict) and "schema" not in facts


def _folder(root: Path, path: Path) -> Path:
    """Of a run's pictures."""
    return root / PICTURES / path.parent.name / path.stem


def pictures(root: Path) -> list[Path]:
    """Every picture that the document shows."""
    return [_folder(root, path) / name for path, run in stored(root) for name in plots.names(run)]


def _link(root: Path, path: Path) -> str:
    return quote(Path(os.path.relpath(path, (root / DOCUMENT).parent)).as_posix())


# ---- cells -----------------------------------------------------------------------------------------------------------


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ") or NONE


def _wrong(line: Line) -> bool:
    return line.verdict.startswith("WRONG")


def rate(run: Run, line: Line) -> str:
    """The work of the task over the time: operations where arithmetic bounds it, bytes where memory does."""
    seconds = 1e-6 * line.spread.p50
    if line.kind == "overhead":  # the time is the host's
        return NONE
    if run.computes(line):
        return f"{digits(line.flops / seconds / 1e12)} TFLOP/s"
    return f"{digits(line.bytes / seconds / 1e9)} GB/s" if line.bytes else NONE


def of_the_floor(run: Run, line: Line) -> str:
    floor = 0.0 if line.kind == "overhead" else run.floor(line)
    return f"{100 * floor / line.spread.p50:.0f} %" if floor else NONE


def row(run: Run, line: Line, rivals: list[str]) -> list[str]:
    case = [_cell(line.name), f"`{line.configuration}`" if line.configuration else NONE]
    if not line.timed:
        verdict = "**WRONG**" + _cell(line.verdict.removeprefix("WRONG")) if _wrong(line) else "not timed"
        return [*case, verdict, *[NONE] * (3 + 2 * len(rivals))]
    theirs = [digits(spread(line.rivals[r]).p50) if r in line.rivals else NONE for r in rivals]
    ratios = [str(line.faster(r)) if r in line.rivals else NONE for r in rivals]
    # Two digits: a share of 0.4 % is not "0 %".
    error = f"{100 * line.error:.2g} %" if line.error < 0.995 else f"{100 * line.error:.0f} %"
    return [*case, digits(line.spread.p50), *theirs, rate(run, line), of_the_floor(run, line), *ratios, error]


# ---- parts -----------------------------------------------------------------------------------------------------------


def table(run: Run, lines: list[Line], rivals: list[str]) -> str:
    heading = ["case", "configuration", "gpukern, µs", *(f"{r}, µs" for r in rivals), "rate", "of the floor"]
    heading += [*(f"{r} / gpukern" for r in rivals), "error"]
    marks = ["---", "---", *["---:"] * (len(heading) - 2)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heading, marks, *(row(run, x, rivals) for x in lines)))


def summary(lines: list[Line], rival: str) -> str:
    """ "torch: geometric mean 1.10 of 40 cases; 30 faster, 4 slower, 6 neither": for those the interval has 1."""
    ratios = [line.faster(rival) for line in lines if line.timed and rival in line.rivals]
    faster, slower = sum(r.low > 1 for r in ratios), sum(r.high < 1 for r in ratios)
    mean = geometric_mean([r.value for r in ratios])
    return (
        f"- against {_cell(rival)}: geometric mean of the ratios {mean:.3f}, {_cases(len(ratios))}; gpukern is faster "
        f"in {faster}, slower in {slower}, and in {len(ratios) - faster - slower} the interval holds 1"
    )


def worst(lines: list[Line], rival: str) -> str:
    found = [(line.faster(rival), line.name) for line in lines if line.timed and rival in line.rivals]
    lowest = sorted(found, key=lambda entry: (entry[0].value, entry[1]))[:WORST]
    return f"  - lowest: {'; '.join(f'{_cell(name)} {ratio}' for ratio, name in lowest)}"


def left_out(lines: list[Line]) -> list[str]:
    """Why cases have no line of their own, most frequent reason first; reasons that differ in amounts are grouped."""
    reasons: dict[str, list[str]] = {}
    for line in lines:
        if line.verdict.startswith("left out"):
            text = line.verdict.removeprefix("left out").lstrip(": ") or "no reason given"
            reasons.setdefault(re.sub(r"\d[\d.]*(e[+-]?\d+)?", "..", text), []).append(text)
    said = {kind if len(set(texts)) > 1 else texts[0]: len(texts) for kind, texts in reasons.items()}
    ordered = sorted(said.items(), key=lambda entry: (-entry[1], entry[0]))
    return [f"- left out: {_cases(count)}: {_cell(text)}" for text, count in ordered]


def _cases(count: int) -> str:
    return f"{count} case{'s' * (count != 1)}"


def section(root: Path, stored_run: Stored, suite: str) -> str:
    """A suite: its summary, its pictures, its table."""
    run = stored_run[1]
    lines = select(run.lines, suite)
    shown = [line for line in lines if not line.verdict.startswith("left out")]
    rivals = plots.rivals_of(run, [line for line in shown if line.timed])
    points = []
    if wrong := sum(map(_wrong, shown)):
        points.append(f"- **WRONG**: {_cases(wrong)}, without a time")
    for rival in rivals:
        points += [summary(shown, rival), *([worst(shown, rival)] if len(shown) > LONG else [])]
    parts = [f"### {suite}", "\n".join([*points, *left_out(lines)])]
    mine = [f"{plots.stem(suite)}-ratios.png", f"{plots.stem(suite)}-bandwidth.png"]
    mine += ["overhead.png"] if any(line.kind == "overhead" for line in shown) else []
    parts += [picture(root, stored_run, name) for name in plots.names(run) if name in mine]
    if len(shown) > LONG:
        opening = f"<details><summary>{suite}: {_cases(len(shown))}, {origin(run)}</summary>"
        parts.append(f"{opening}\n\n{table(run, shown, rivals)}\n\n</details>")
    elif shown:
        parts.append(table(run, shown, rivals))
    return "\n\n".join(part for part in parts if part)


def origin(run: Run) -> str:
    """Device, date, commit and baselines."""
    against = f"against {', '.join(run.rivals)}" if run.rivals else "against nobody"
    device = run.machine.get("device", "unknown device")
    return f"{device}, {plots.moment(run)}, commit {run.commit or 'unknown'}, {against}"


def picture(root: Path, stored_run: Stored, name: str) -> str:
    path, run = stored_run
    what = name.removesuffix(".png").replace("-", " ")
    return f"![{what}: {origin(run)}]({_link(root, _folder(root, path) / name)})".replace("\n", " ")


def conditions(root: Path, stored_run: Stored) -> str:
    path, run = stored_run
    machine, flops = run.machine, run.ceilings.get("flops", {})
    ceilings = [metric(run.ceilings["bytes_per_s"], "B/s")] if run.ceilings.get("bytes_per_s") else []
    ceilings += [f"{metric(flops[dtype], 'FLOP/s')} in {dtype}" for dtype in sorted(flops) if flops[dtype]]
    runtime = f" ({machine['runtime']})" if machine.get("runtime") else ""
    turns = sorted({len(line.ours) for line in run.lines if line.timed})
    facts = [
        f"gpukern {run.gpukern}", f"torch {run.torch}", f"driver {machine.get('driver') or 'unknown'}{runtime}",
        f"{machine.get('threads', '?')} threads", f"against {', '.join(run.rivals) or 'nobody'}",
        f"{' to '.join(str(n) for n in dict.fromkeys((turns[0], turns[-1])))} turns" if turns else "nothing timed",
    ]  # fmt: skip
    points = [
        f"{plots.moment(run)}, commit {run.commit or 'unknown'}: {', '.join(facts)}.",
        f"Ceilings measured in this run: {', '.join(ceilings) or 'none'}.",
        f"All times: [{path.name}]({_link(root, path)}).",
    ]
    if run.settings.get("quick"):
        points.append("A quick run: a part of each suite.")
    if not run.complete:
        points.append("**The run was interrupted: it is not complete.**")
    return "\n".join(points)


def chapter(root: Path, stored_run: Stored) -> str:
    path, run = stored_run
    heading = (
        f"## {run.machine.get('device', path.parent.name)}, {run.date[:10] or 'no date'}, {run.commit or 'no commit'}"
    )
    whole = [picture(root, stored_run, "roofline.png")] if "roofline.png" in plots.names(run) else []
    parts = [heading, conditions(root, stored_run), *whole, *(section(root, stored_run, s) for s in run.suites())]
    return "\n\n".join(parts) + "\n"


def document(root: Path = ROOT) -> str:
    runs = stored(root)
    return "\n".join([BEGINNING, *(chapter(root, r) for r in runs)] if runs else [BEGINNING, "No run is stored yet.\n"])


# ---- the command -----------------------------------------------------------------------------------------------------


def write(root: Path = ROOT) -> None:
    """Writes the pictures before the document, so that it never refers to a missing one."""
    text, wanted = document(root), set(pictures(root))
    for path, run in stored(root):
        plots.draw(run, _folder(root, path))
    with whole(root / DOCUMENT) as temporary:
        temporary.write_text(text)
    for old in set((root / PICTURES).glob("*/*/*.png")) - wanted:
        old.unlink()


def stale(root: Path = ROOT) -> str:
    """What differs from the runs, or ""."""
    target = root / DOCUMENT
    if not target.exists() or target.read_text() != document(root):
        return f"{DOCUMENT} is not what the runs say"
    missing = [path for path in pictures(root) if not path.exists()]
    return f"{missing[0].relative_to(root)} is not there" if missing else ""


def main(arguments: list[str], root: Path = ROOT) -> int:
    if arguments not in ([], ["--check"]):
        print(__doc__)
        return 2
    try:
        if arguments:
            if found := stale(root):
                print(f"gpukern: {found}; run: python -m benchmarks.performance")
            return int(bool(found))
        write(root)
    except (Unreadable, plots.Missing) as error:
        print(f"gpukern: {error}")
        return 1
    print(f"gpukern: {DOCUMENT} written")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
