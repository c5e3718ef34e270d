"""A run as text: aligned lines, a mean per suite, the five worst cases, and what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from .results import Line, Run, select
from .statistics import geometric_mean, spread

WORST = 5


def microseconds(value: float) -> str:
    """Four digits: 1.234, 12.34, 1234, 12340."""
    return f"{value:.{max(0, 3 - len(str(int(value))) + 1)}f}" if value < 1000 else f"{value:.0f}"


def rate(run: Run, line: Line) -> str:
    """The rate: operations per second where arithmetic bounds the case, bytes per second where memory does."""
    if not line.timed:
        return ""
    seconds = line.spread.p50 / 1e6
    if run.computes(line):
        return f"{line.flops / seconds / 1e12:.3f} TFLOP/s"
    return f"{line.bytes / seconds / 1e9:.1f} GB/s" if line.bytes else ""


def share(run: Run, line: Line) -> str:
    """The roofline's floor as a share of our time."""
    floor = run.floor(line)
    return f"{100 * floor / line.spread.p50:.0f} %" if floor and line.timed else ""


def heading(run: Run) -> list[str]:
    return [
        "", "configuration", "gpukern us", "20..80 %",
        *(word for r in run.rivals for word in (f"{r} us", f"{r} / gpukern")), "rate", "of floor", "error",
    ]  # fmt: skip


def cells(run: Run, line: Line) -> list[str]:
    """A timed line's cells, under `heading`."""
    s = line.spread
    found = [line.name, line.configuration, microseconds(s.p50), f"{microseconds(s.p20)}..{microseconds(s.p80)}"]
    for rival in run.rivals:
        if rival in line.rivals:
            theirs = spread(line.rivals[rival]).p50
            found += [microseconds(theirs), str(line.faster(rival))]
        else:
            found += ["", ""]
    return [*found, rate(run, line), share(run, line), f"{line.error:.2f}"]


def aligned(rows: Sequence[Sequence[str]], left: int = 2) -> list[str]:
    """Lines of cells as aligned text; the first `left` columns flush left; empty columns are dropped."""
    kept = [i for i in range(len(rows[0])) if any(row[i] for row in rows[1:]) or i == 0]
    widths = {i: max(len(row[i]) for row in rows) for i in kept}
    return ["  ".join(f"{row[i]:{'<' if i < left else '>'}{widths[i]}}" for i in kept).rstrip() for row in rows]


def first_rival(run: Run) -> str:
    return run.rivals[0] if run.rivals else ""


def summary(run: Run, lines: Sequence[Line]) -> list[str]:
    """The geometric mean of a suite's ratios per baseline, and the worst cases against the first baseline."""
    found = []
    for rival in run.rivals:
        ratios = [line.faster(rival).value for line in lines if line.timed and rival in line.rivals]
        if ratios:
            mean = geometric_mean(ratios)
            found.append(f"geometric mean of {rival}'s time / gpukern's over {len(ratios)} cases: {mean:.3f}")
    rival = first_rival(run)
    compared = [line for line in lines if line.timed and rival in line.rivals]
    if len(compared) > WORST:
        worst = sorted(compared, key=lambda line: line.faster(rival).value)[:WORST]
        named = ", ".join(f"{line.name} {line.faster(rival).value:.3f}" for line in worst)
        found.append(f"the {WORST} worst: {named}")
    return found


def left_out(lines: Iterable[Line]) -> list[str]:
    """Cases that were not measured, by reason."""
    reasons = Counter(line.verdict.removeprefix("left out: ") for line in lines if line.verdict.startswith("left out"))
    grouped: Counter[str] = Counter()
    for reason, count in reasons.items():  # group reasons that differ in amounts only
        group = "a call would take too long here (--slow measures them)" if "--slow" in reason else reason
        group = "they need more memory than this device has free" if "GiB" in reason else group
        grouped[group] += count
    return [f"{count} left out: {reason}" for reason, count in grouped.items()]


def title(run: Run) -> list[str]:
    """The heading: the machine, the versions and the ceilings."""
    m = run.machine
    runtime = f", {m['runtime']}" if m.get("runtime") else ""
    versions = f"gpukern {run.gpukern}{f' ({run.commit})' if run.commit else ''}, torch {run.torch}"
    lines = [
        f"{m['device']} ({m['target']}), {m['driver']}{runtime}, {m['threads']} threads",
        f"{versions}, {run.date}",
    ]
    if flops := run.ceilings.get("flops"):
        peaks = ", ".join(f"{dtype} {value / 1e12:.3g} TFLOP/s" for dtype, value in flops.items())
        lines.append(
            f"ceilings measured in this run: copy {run.ceilings['bytes_per_s'] / 1e9:.4g} GB/s, torch.mm {peaks}"
        )
    state = "; ".join(
        f"{when}: " + ", ".join(f"{k} {v}" for k, v in run.clocks[when].items())
        for when in run.clocks
        if run.clocks[when]
    )
    return [*lines, state] if state else lines


def page(run: Run) -> str:
    """Everything about a run."""
    blocks = [title(run)]
    for suite in run.suites():
        lines = select(run.lines, suite)
        timed = [line for line in lines if line.timed]
        block = [suite]
        if timed:
            block += aligned([heading(run), *(cells(run, line) for line in timed)])
        block += [f"{line.name}  {line.verdict}" for line in lines if line.verdict.startswith("WRONG")]
        blocks.append([*block, *summary(run, lines), *left_out(lines)])
    if not run.complete:
        blocks.append(["interrupted: the cases above are complete; --resume continues the run"])
    return "\n\n".join("\n".join(block) for block in blocks)
