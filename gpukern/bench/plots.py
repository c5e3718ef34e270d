"""Plots of a run as PNG files: draw(run, folder).  names(run) lists them without matplotlib.

    <suite>-ratios.png      a baseline's time over ours, one bar per case, with its interval
    <suite>-bandwidth.png   GB/s of elementwise ops by size
    roofline.png            what was reached, under the ceilings measured in the same run (Williams et al. 2009)
    overhead.png            what a call costs the host

Only timed lines are drawn.  Colours are from Okabe and Ito's palette, which is safe for colour-blind readers.
"""

from __future__ import annotations

import itertools
import math
import statistics
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import whole
from .results import Line, Run, select
from .statistics import spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 120
MOST = 80  # bars in a plot; more would not be legible
CURVES = 8  # curves with a colour each
ROW = 0.19  # inches of a bar and its gap
FASTER, SLOWER, EVEN = "#0072B2", "#D55E00", "#9A9A9A"
HUES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#882255")
RIVALS = ("#E69F00", "#009E73", "#CC79A7", "#56B4E9")
MARKERS = {"o": "circles", "s": "squares", "^": "triangles", "D": "diamonds"}
INK, QUIET, FAINT = "#222222", "#666666", "#D8D8D8"
STYLE: dict[Any, Any] = {
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a case's name is a dollar sign
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}


class Missing(RuntimeError):
    """matplotlib is not installed; the text says what to run."""


# ---- what is drawn ---------------------------------------------------------------------------------------------------


def names(run: Run) -> list[str]:
    """The files that draw() writes."""
    return list(_pictures(run))


def draw(run: Run, folder: Path) -> list[Path]:
    """Writes the run's plots into the folder, each completely or not at all; raises Missing without matplotlib."""
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ImportError:
        raise Missing('pictures need matplotlib: pip install "gpukern[bench]"') from None
    written = []
    for name, make in _pictures(run).items():
        # The figure has a canvas of its own: the backend that a caller chose for pyplot stays.
        with matplotlib.rc_context(STYLE), whole(folder / name) as temporary:
            figure = make()
            FigureCanvasAgg(figure)
            figure.savefig(
                temporary, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.08, metadata={"Software": None}
            )
        written.append(folder / name)
    return written


def _pictures(run: Run) -> dict[str, Callable[[], Figure]]:
    found: dict[str, Callable[[], Figure]] = {}
    timed = [line for line in run.lines if line.timed]
    for suite in run.suites():
        lines = select(timed, suite)
        # The host's cost of a call has a plot in microseconds; a plot of its ratios would repeat it.
        if compared := [line for line in lines if line.rivals and line.kind != "overhead"]:
            found[f"{stem(suite)}-ratios.png"] = lambda s=suite, c=compared: _ratios(run, s, c)  # type: ignore[misc]
        if moving := [line for line in lines if line.kind == "elementwise" and line.bytes > 0]:
            found[f"{stem(suite)}-bandwidth.png"] = lambda s=suite, m=moving: _bandwidth(run, s, m)  # type: ignore[misc]
    if points := [line for line in timed if line.flops > 0 and line.bytes > 0 and line.kind != "overhead"]:
        found["roofline.png"] = lambda: _roofline(run, points)
    if calls := [line for line in timed if line.kind == "overhead"]:
        found["overhead.png"] = lambda: _overhead(run, calls)
    return found


def stem(suite: str) -> str:
    """How the names of a suite's pictures begin."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in suite)


# ---- words and places ------------------------------------------------------------------------------------------------


def about(run: Run) -> str:
    """The origin of a plot, printed on it, because it may be seen without its page."""
    device = run.machine.get("device", "unknown device")
    return f"{device}, torch {run.torch}, gpukern {run.gpukern}, commit {run.commit or 'unknown'}, {moment(run)}"


def moment(run: Run) -> str:
    """ "2026-03-05 14:02 UTC"."""
    return f"{run.date[:16].replace('T', ' ')} UTC" if run.date else "no date"


def digits(value: float) -> str:
    """The number with three digits, or with all digits before the point."""
    return f"{value:#.3g}".rstrip(".") if value < 999.5 else f"{value:,.0f}"


def metric(value: float, unit: str) -> str:
    """ "3.35 TB/s"."""
    for scale, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= scale * (1 - 5e-4):  # a value that rounds to 1000 of a prefix is written as 1 of the next
            return f"{digits(value / scale)} {prefix}{unit}"
    return f"{digits(value)} {unit}"


def binary(count: float) -> str:
    """ "16 Ki"."""
    for power, prefix in ((30, "Gi"), (20, "Mi"), (10, "Ki")):
        if count >= 2**power:
            return f"{count / 2**power:g} {prefix}"
    return f"{count:g}"


def ticks(low: float, high: float) -> list[float]:
    """Round ratios from low to high, 1 among them where it lies between."""
    if high / low > 64:
        steps = [10.0**p for p in range(-9, 10)]
    elif high / low > 4:
        steps = [2.0**p for p in range(-30, 31)]
    else:
        step = next((s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if (high - low) / s <= 7), 1.0)
        steps = [round(k * step, 2) for k in range(1, int(high / step) + 2)]
    return [s for s in steps if low <= s <= high]


def powers(low: float, high: float, most: int = 9) -> list[int]:
    """Powers of two from low to high, at most `most`, evenly spaced in the exponent."""
    first, last = math.ceil(math.log2(low) - 1e-9), math.floor(math.log2(high) + 1e-9)
    return [2**p for p in range(first, last + 1, max(1, math.ceil((last - first + 1) / most)))]


def apart(places: Sequence[float], least: float) -> list[float]:
    """The positions in order, moved as little as needed so that neighbours are `least` apart."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    moved = list(places)
    for _ in range(200):
        for a, b in itertools.pairwise(order):
            if (near := least - (moved[b] - moved[a])) > 0:
                moved[a] -= near / 2
                moved[b] += near / 2
    return moved


def extent(line: Line) -> float:
    """The largest distance of a line's ratios from 1, as a factor in either direction."""
    return max((abs(math.log(line.faster(rival).value)) for rival in line.rivals), default=0.0)


def widest(lines: Sequence[Line], most: int) -> tuple[list[Line], list[str]]:
    """At most `most` lines, those with the largest differences, in their order; and a note if some are left out."""
    if len(lines) <= most:
        return list(lines), []
    kept = set(sorted(range(len(lines)), key=lambda i: -extent(lines[i]))[:most])
    return [line for i, line in enumerate(lines) if i in kept], [
        f"only the {most} of {len(lines)} cases that differ most are drawn"
    ]


def panels(lines: Sequence[Line]) -> dict[str, list[Line]]:
    """Lines by dtype."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line.dtype, []).append(line)
    return found


def labels(lines: Sequence[Line]) -> list[str]:
    """Names without the dtype, which is the title of the panel."""
    short = [" ".join(word for word in line.name.split() if word != line.dtype) or line.name for line in lines]
    return ["\n".join(textwrap.wrap(name, 60)) for name in short]


def colour(low: float, high: float) -> str:
    """The colour of a ratio: grey if its interval contains 1, else for faster or slower."""
    return FASTER if low > 1 else SLOWER if high < 1 else EVEN


def rivals_of(run: Run, lines: Sequence[Line]) -> list[str]:
    """The baselines that were timed in these lines, in the run's order."""
    found = {rival: None for line in lines for rival in line.rivals}
    return sorted(found, key=lambda r: run.rivals.index(r) if r in run.rivals else len(run.rivals))


def elements(line: Line) -> int:
    return math.prod(line.shape)


def curves(lines: Sequence[Line]) -> dict[str, list[Line]]:
    """One curve per op, and per layout where there are several."""
    several = len({line.layout for line in lines}) > 1
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(f"{line.op}, {line.layout}" if several and line.layout else line.op, []).append(line)
    return found


def rates(lines: Sequence[Line], rival: str = "") -> dict[int, float]:
    """GB/s by number of elements, ours or a baseline's: the median of the lines with that number."""
    found: dict[int, list[float]] = {}
    for line in lines:
        if times := line.rivals.get(rival) if rival else line.ours:
            found.setdefault(elements(line), []).append(line.bytes / statistics.median(times) / 1e3)
    return {count: statistics.median(found[count]) for count in sorted(found)}


# ---- pictures --------------------------------------------------------------------------------------------------------


def _sheet(run: Run, title: str, width: float, height: float, notes: Sequence[str] = ()) -> Figure:
    """An empty figure under its heading; `height` does not include the heading."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    large = textwrap.wrap(title, int(width / 0.085))
    small = [part for text in (*notes, about(run)) for part in textwrap.wrap(text, int(width / 0.058))]
    head = 0.16 + 0.18 * len(large) + 0.14 * len(small)
    below = ConstrainedLayoutEngine(rect=(0, 0, 1, height / (height + head)))
    figure = Figure(figsize=(width, height + head), layout=below)
    inch = 1 / (height + head)
    place: dict[str, Any] = {"va": "top", "linespacing": 1.35}
    figure.text(0.06 / width, 1 - 0.04 * inch, "\n".join(large), fontsize=10, **place)
    figure.text(0.06 / width, 1 - (0.08 + 0.18 * len(large)) * inch, "\n".join(small), fontsize=7, color=QUIET, **place)
    return figure


def _ratios(run: Run, suite: str, lines: list[Line]) -> Figure:
    """Bars per case, with one panel per dtype (below each other) and baseline (side by side)."""
    drawn, notes = widest(lines, MOST)
    rivals, rows = rivals_of(run, drawn), panels(drawn)
    bars = [
        [[line.faster(r) if r in line.rivals else None for line in group] for r in rivals] for group in rows.values()
    ]
    found = [ratio for panel in bars for column in panel for ratio in column if ratio]
    low, high = min(1 / 1.05, *(r.low for r in found)), max(1.05, *(r.high for r in found))
    room = (high / low) ** 0.17  # for the numbers at the bars' ends
    low, high = low / room, high * room

    names = [labels(group) for group in rows.values()]
    left = 0.06 * max(len(part) for group in names for name in group for part in name.split("\n"))
    counts = [max(sum(name.count("\n") + 1 for name in group), 2) for group in names]
    width = max(left + 0.4 + 3.3 * len(rivals), 6.0)
    title = f"{suite}: gpukern against {' and '.join(rivals) if len(rivals) < 3 else 'others'}"
    how = "bars: medians; lines: 95 % intervals; grey: the interval contains 1"
    figure = _sheet(run, title, width, ROW * sum(counts) + 0.6 + 0.3 * len(rows), [*notes, how])
    grid = figure.subplots(
        len(rows), len(rivals), squeeze=False, sharex=True, sharey="row", gridspec_kw={"height_ratios": counts}
    )
    for axes_of_row, dtype, group, panel in zip(grid, rows, names, bars):
        for axes, rival, column in zip(axes_of_row, rivals, panel):
            _bars_of_ratios(axes, column, (low, high))
            axes.set_yticks(range(len(group)), group)
            spare = (2 - len(group)) / 2 if len(group) < 2 else 0  # keeps a single bar as thick as others
            axes.set_ylim(len(group) - 0.4 + spare, -0.6 - spare)
            axes.set_title(f"{dtype}, against {rival}" if len(rivals) > 1 else dtype)
            if len(group) > 25:  # a second scale at the top of a long panel
                axes.tick_params(axis="x", top=True, labeltop=True, length=2)
    for axes, rival in zip(grid[-1], rivals):
        axes.set_xlabel(f"{rival}'s time / gpukern's\n← gpukern slower        gpukern faster →")
    return figure


def _bars_of_ratios(axes: Axes, ratios: Sequence[Any], limits: tuple[float, float]) -> None:
    axes.semilogx()
    axes.set_xlim(*limits)
    marks = ticks(*limits)
    axes.set_xticks(marks, [f"{m:g}" for m in marks])
    axes.minorticks_off()
    axes.grid(axis="x", color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    for place, ratio in enumerate(ratios):
        if ratio is None:
            continue
        axes.barh(place, ratio.value - 1, left=1, height=0.62, color=colour(ratio.low, ratio.high))
        axes.plot([ratio.low, ratio.high], [place, place], color=INK, linewidth=0.8, solid_capstyle="butt")
        right = ratio.value >= 1
        axes.annotate(
            f"{ratio.value:.2f}" if ratio.value < 10 else digits(ratio.value),
            (max(ratio.high, 1) if right else min(ratio.low, 1), place),
            xytext=(3 if right else -3, 0), textcoords="offset points", ha="left" if right else "right",
            va="center_baseline", fontsize=6.5,
        )  # fmt: skip
    axes.axvline(1, color=INK, linewidth=0.8)


def _roofline(run: Run, lines: list[Line]) -> Figure:
    """Ours filled, theirs hollow, in one column: the task, and so its intensity, is the same."""
    rivals, groups = rivals_of(run, lines), panels(lines)
    bandwidth, peaks = run.ceilings.get("bytes_per_s", 0), run.ceilings.get("flops", {})
    tops = {dtype: peaks[dtype] for dtype in groups if peaks.get(dtype)}
    shapes = dict(zip(rivals, itertools.cycle(MARKERS)))
    hollow = [f"{rival} ({MARKERS[shapes[rival]]})" for rival in rivals] if len(rivals) > 1 else rivals
    notes = ["filled: gpukern", f"hollow: {', '.join(hollow)}" if rivals else ""]
    notes += ["lines: ceilings measured in this run"] if tops or bandwidth else []
    figure = _sheet(run, "Roofline", 7.6, 4.6, ["; ".join(n for n in notes if n)])
    axes = figure.subplots()
    axes.loglog()
    xs, ys = [], list(tops.values())
    for group, hue in zip(groups.values(), _hues(groups)):
        for line in group:
            x = line.flops / line.bytes
            times = [line.spread.p50, *(statistics.median(t) for t in line.rivals.values())]
            reached = [line.flops / (1e-6 * t) for t in times]
            axes.plot([x, x], [min(reached), max(reached)], color=hue, linewidth=0.5, alpha=0.5, zorder=2)
            for rival, y in zip(line.rivals, reached[1:]):
                axes.plot(x, y, shapes[rival], color=hue, markerfacecolor="white", markersize=4, markeredgewidth=0.8)
            axes.plot(x, reached[0], "o", color=hue, markersize=4.8, markeredgewidth=0, zorder=4)
            xs.append(x)
            ys += reached
    if bandwidth:  # show the ridges of the roofline
        xs += [top / bandwidth for top in tops.values()]
    left, right, bottom, above = min(xs) / 2, max(xs) * 2, min(ys) / 2, max(ys) * 2
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, above)
    if bandwidth:
        end = min(right, max(tops.values(), default=above) / bandwidth)
        axes.plot([left, end], [bandwidth * left, bandwidth * end], color=QUIET, linewidth=1, zorder=1)
        start = max(left, bottom / bandwidth)
        x = start * (end / start) ** 0.6  # above the line and left of it there are no points
        axes.annotate(
            metric(bandwidth, "B/s"), (x, bandwidth * x), xytext=(-6, 2), textcoords="offset points", ha="right",
            color=QUIET,
        )  # fmt: skip
    for dtype, hue in zip(groups, _hues(groups)):
        if top := tops.get(dtype):
            axes.plot([top / bandwidth if bandwidth else left, right], [top, top], color=hue, linewidth=1, zorder=1)
    places = {dtype: math.log(top / bottom) / math.log(above / bottom) for dtype, top in tops.items()}
    without = [dtype for dtype in groups if dtype not in tops]
    texts = [f"{dtype}, {metric(top, 'FLOP/s')}" for dtype, top in tops.items()]
    places |= {dtype: 0.05 + 0.05 * i for i, dtype in enumerate(without)}
    hues = dict(zip(groups, _hues(groups)))
    _beside(axes, [*texts, *(f"{d}, no ceiling" for d in without)], [hues[d] for d in places], list(places.values()))
    axes.set_xlabel("arithmetic intensity, FLOP / byte")
    axes.set_ylabel("FLOP/s")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_major_formatter(lambda value, _: metric(value, "").replace(".00", "").replace(".0", ""))
    axes.grid(color=FAINT, linewidth=0.4)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", length=0)
    return figure


def _bandwidth(run: Run, suite: str, lines: list[Line]) -> Figure:
    """One curve per op; of many ops grey curves and the median in bold."""
    groups, ceiling = panels(lines), run.ceilings.get("bytes_per_s", 0) / 1e9
    rival = next(iter(rivals_of(run, lines)), "")
    notes = [f"solid: gpukern{f'; dashed: {rival}' if rival else ''}"]
    if any(len(curves(group)) > CURVES for group in groups.values()):
        notes.append("grey: one op of gpukern each")
    figure = _sheet(run, f"{suite}: bandwidth by size", 7.6, 0.3 + 2.9 * len(groups), ["; ".join(notes)])
    counts = [elements(line) for line in lines]
    low, high = min(counts) / 1.3, max(counts) * 1.3
    for axes, (dtype, group) in zip(figure.subplots(len(groups), squeeze=False, sharex=True).flat, groups.items()):
        highest = ceiling
        found = curves(group)
        drawn = [(n, rates(c), rates(c, rival) if rival else {}, h) for (n, c), h in zip(found.items(), _hues(found))]
        if len(found) > CURVES:
            for _, ours, _, _ in drawn:
                axes.plot(list(ours), list(ours.values()), color="#BBBBBB", linewidth=0.6, zorder=1)
                highest = max(highest, *ours.values())
            layouts = {line.layout: [other for other in group if other.layout == line.layout] for line in group}
            drawn = [
                (f"median of {len(curves(c))}{layout and ', ' + layout}", rates(c), rates(c, rival) if rival else {}, h)
                for (layout, c), h in zip(layouts.items(), HUES)
            ]
        style: dict[str, Any] = {"linewidth": 2 if len(found) > CURVES else 1.2, "markersize": 3}
        for _, ours, theirs, hue in drawn:
            if theirs:
                axes.plot(list(theirs), list(theirs.values()), "o--", color=hue, markerfacecolor="white", **style)
            axes.plot(list(ours), list(ours.values()), "o-", color=hue, **style)
            highest = max([highest, *ours.values(), *theirs.values()])
        axes.semilogx(base=2)
        axes.set_xlim(low, high)
        axes.set_ylim(0, highest * 1.12)
        marks = powers(low, high)
        axes.set_xticks(marks, [binary(m) for m in marks])
        axes.minorticks_off()
        if ceiling:
            axes.axhline(ceiling, color=QUIET, linewidth=1, zorder=0)
            axes.annotate(
                f"measured ceiling, {metric(1e9 * ceiling, 'B/s')}", (0, ceiling), xycoords=("axes fraction", "data"),
                xytext=(3, 2), textcoords="offset points", color=QUIET,
            )  # fmt: skip
        ends = [list(ours.values())[-1] / (highest * 1.12) for _, ours, _, _ in drawn]
        _beside(axes, [name for name, *_ in drawn], [hue for *_, hue in drawn], ends, 0.055)
        axes.set_title(dtype)
        axes.set_ylabel("GB/s")
        axes.grid(axis="y", color=FAINT, linewidth=0.4)
        axes.set_axisbelow(True)
        axes.tick_params(length=2)
    axes.set_xlabel("elements")
    return figure


def _overhead(run: Run, lines: list[Line]) -> Figure:
    """For each case a bar for gpukern and each baseline, with a thin line from the 20th to the 80th percentile."""
    rivals = rivals_of(run, lines)
    drawn, notes = widest(lines, MOST // (1 + len(rivals)))
    names = ["\n".join(textwrap.wrap(line.name, 60)) for line in drawn]
    left = 0.06 * max(len(part) for name in names for part in name.split("\n"))
    bars = len(rivals) + 1
    height = 0.55 + len(drawn) * (0.15 * bars + 0.12)
    figure = _sheet(run, "Host time of a call", max(left + 4.6, 6.0), height, notes)
    axes = figure.subplots()
    step, longest = 0.8 / bars, 0.0
    for place, name in enumerate(["gpukern", *rivals]):
        hue = FASTER if not place else RIVALS[(place - 1) % len(RIVALS)]
        times = [line.rivals.get(name, []) if place else line.ours for line in drawn]
        found = {row + step * (place - (bars - 1) / 2): spread(t) for row, t in enumerate(times) if t}
        axes.barh(list(found), [s.p50 for s in found.values()], height=step * 0.86, color=hue, label=name)
        for y, s in found.items():
            axes.plot([s.p20, s.p80], [y, y], color=INK, linewidth=0.8)
            axes.annotate(
                digits(s.p50), (s.p80, y), xytext=(3, 0), textcoords="offset points", va="center_baseline", fontsize=6.5
            )
            longest = max(longest, s.p80)
    axes.set_yticks(range(len(drawn)), names)
    axes.set_ylim(len(drawn) - 0.5, -0.5)
    axes.set_xlim(0, 1.1 * longest)
    axes.set_xlabel("host time per call, microseconds")
    axes.grid(axis="x", color=FAINT, linewidth=0.4)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    figure.legend(loc="outside lower left", ncols=bars, frameon=False, handlelength=0.9)
    return figure


def _hues(things: Sequence[Any] | dict[str, Any]) -> list[str]:
    return [HUES[i % len(HUES)] for i in range(len(things))]


def _beside(
    axes: Axes, texts: Sequence[str], hues: Sequence[str], places: Sequence[float], least: float = 0.04
) -> None:
    """Names at the right of the axes, each as near to its height (a fraction of the axes) as its neighbours allow."""
    for text, hue, place in zip(texts, hues, apart(places, least)):
        axes.annotate(
            text, (1, place), xycoords="axes fraction", xytext=(5, 0), textcoords="offset points", color=hue,
            va="center", annotation_clip=False,
        )  # fmt: skip
