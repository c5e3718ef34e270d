"""The demo's tables and its plot."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from gpukern.files import whole

from .train import Result

FIRST = 20


def largest_difference(a: Sequence[float], b: Sequence[float]) -> float:
    """max |a_i - b_i|; NaN if there is a NaN."""
    return max((abs(x - y) for x, y in zip(a, b, strict=True)), key=lambda d: (d != d, d))


def table(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Lines of cells as aligned text; the first is the heading, and the first `left` columns are left-aligned."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(line.rstrip() for line in lines)


def summary(torch_run: Result, ours: Result) -> str:
    """The table of both runs, and the distance of their loss curves."""
    slow, fast = statistics.median(ours.seconds), statistics.median(torch_run.seconds)
    rows = [["", "time per epoch", "test accuracy", "last loss"]]
    for run in (torch_run, ours):
        seconds = statistics.median(run.seconds)
        rows.append([run.name, f"{seconds:.3f} s", f"{100 * run.accuracy:.2f} %", f"{run.losses[-1]:.5f}"])
    first = largest_difference(torch_run.losses[:FIRST], ours.losses[:FIRST])
    whole = largest_difference(torch_run.losses, ours.losses)
    steps = len(ours.losses)
    return (
        f"{table(rows)}\n\n"
        f"gpukern's time / torch's: {slow / fast:.2f}\n"
        f"largest difference of the losses: {first:.1e} over the first {min(FIRST, steps)} steps, "
        f"{whole:.1e} over all {steps}\n"
        "(rounding alone makes two runs drift apart after a while; the plot shows both curves)"
    )


def served_table(served: Iterable[tuple[str, str, int]]) -> str:
    """(call, the configuration that served it, how often) -> text, most frequent first."""
    rows = sorted(served, key=lambda entry: (-entry[2], entry[:2]))
    if not rows:
        return "no gpukern kernel served any call"
    return table([("call", "configuration", "count"), *((call, row, str(count)) for call, row, count in rows)], left=2)


def draw(torch_run: Result, ours: Result, path: Path) -> None:
    """Both loss curves and their difference as one PNG, written whole or not at all."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (top, bottom) = pyplot.subplots(
        2, 1, figsize=(8, 6), sharex=True, height_ratios=(3, 1), layout="constrained"
    )
    steps = range(1, len(ours.losses) + 1)
    top.plot(steps, torch_run.losses, label=f"torch, {100 * torch_run.accuracy:.2f} % on the test images", linewidth=1)
    top.plot(steps, ours.losses, "--", label=f"gpukern, {100 * ours.accuracy:.2f} % on the test images", linewidth=1)
    top.set_yscale("log")
    top.set_ylabel("training loss")
    top.set_title("The same network on handwritten digits, from one seed")
    top.legend()
    floor = 1e-9  # so that a difference of zero can be drawn on a logarithmic axis
    difference = [max(abs(a - b), floor) for a, b in zip(torch_run.losses, ours.losses, strict=True)]
    bottom.plot(steps, difference, color="0.3", linewidth=0.8)
    bottom.set_yscale("log")
    bottom.set_ylabel("|difference|")
    bottom.set_xlabel("step")
    try:
        with whole(path) as beside:
            figure.savefig(beside, dpi=120, format="png")
    finally:
        pyplot.close(figure)
