"""Pictures of a run: which there are, what is never drawn, that they are not empty, and that none is half written."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy
import pytest
from matplotlib import image
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gpukern.bench import plots
from gpukern.bench.results import Line, Run

DEVICE, DATE, COMMIT = "Some GPU (4 GB)", "2030-01-02T03:04:05+00:00", "abc123"
OPS = ["add", "silu", "gelu", "exp", "mul", "sub", "relu", "tanh", "sin", "cos"]


def times(base: float, seed: int = 0) -> list[float]:
    draw = random.Random(seed)
    return [base * draw.uniform(0.98, 1.02) for _ in range(7)]


def product(number: int, ratio: float = 1.5, rivals: tuple[str, ...] = ("torch",), dtype: str = "float32") -> Line:
    n = 64 * (1 + number)
    return Line(
        "gemm", f"mm {n}x{n}x{n} {dtype}", "mm", "product", dtype, [n, n, n], "nn", 2.0 * n**3, 12.0 * n * n,
        "simt/128x128", error=0.25, ours=times(10.0 + number, number),
        rivals={rival: times(ratio * (10.0 + number), number + 1) for rival in rivals},
    )  # fmt: skip


def elementwise(op: str, power: int, layout: str = "dense", dtype: str = "float32") -> Line:
    count = 2**power
    return Line(
        "pointwise", f"{op} {count} {layout} {dtype}", op, "elementwise", dtype, [1, count], layout, 2.0 * count,
        8.0 * count, "math/rows", ours=times(2 + count / 1e5), rivals={"torch": times(3 + count / 9e4, 1)},
    )  # fmt: skip


def overhead(op: str) -> Line:
    line = Line("host", f"{op} no grad 4x4 float32", op, "overhead", "float32", [4, 4])
    line.ours, line.rivals = times(4.0), {"torch": times(5.0)}
    return line


def without_a_time() -> list[Line]:
    """One wrong, one left out, one that has times although it is wrong."""
    wrong, left, both = product(0), product(1), product(2)
    wrong.verdict, left.verdict, both.verdict = "WRONG: 3 of 4", "left out: no memory", "WRONG: 1 of 4"
    wrong.ours, wrong.rivals, left.ours, left.rivals = [], {}, [], {}
    return [wrong, left, both]


def run_of(lines: list[Line], **facts: object) -> Run:
    machine = {
        "device": DEVICE,
        "kind": "cuda",
        "target": "sm_90",
        "driver": "1.2",
        "runtime": "CUDA 13.0",
        "threads": 8,
    }
    ceilings = {"bytes_per_s": 3.2e12, "flops": {"float32": 5e13, "bfloat16": 8e14}}
    given = {"against": list(dict.fromkeys(rival for line in lines for rival in line.rivals))}
    whole = {"date": DATE, "settings": given, "ceilings": ceilings, "lines": lines, "complete": True, **facts}
    return Run("0.1.0", "2.13.0", COMMIT, machine=machine, **whole)  # type: ignore[arg-type]


def everything() -> Run:
    lines = [product(i, 0.7 + 0.1 * i, ("torch", "compile"), ("float32", "bfloat16")[i % 2]) for i in range(6)]
    lines += [elementwise(op, power) for op in OPS[:3] for power in (10, 15, 20)]
    lines += [overhead(op) for op in ("mm", "add")]
    return run_of([*lines, *without_a_time()])


def seen(path: Path) -> int:
    """Pixels that are not of the background."""
    pixels = image.imread(path)[..., :3]
    return int((numpy.abs(pixels - pixels[0, 0]).max(axis=-1) > 0.1).sum())


# ---- files -----------------------------------------------------------------------------------------------------------


def test_every_kind_has_its_picture(tmp_path: Path) -> None:
    written = plots.draw(everything(), tmp_path / "new")
    names = {"gemm-ratios.png", "pointwise-ratios.png", "pointwise-bandwidth.png", "roofline.png", "overhead.png"}
    assert {path.name for path in written} == names == set(plots.names(everything()))
    assert {path.name for path in (tmp_path / "new").iterdir()} == names
    for path in written:
        assert path.stat().st_size > 5_000 and seen(path) > 2_000, path


@pytest.mark.parametrize("count", [1, 12, 90])
def test_a_picture_grows_with_its_cases_up_to_a_limit(tmp_path: Path, count: int) -> None:
    (path,) = [p for p in plots.draw(run_of([product(i) for i in range(count)]), tmp_path) if "ratios" in p.name]
    height, width, _ = image.imread(path).shape
    rows = plots.ROW * plots.DPI * min(count, plots.MOST)
    assert rows < height < rows + 260 and 500 < width < 1200


def test_many_ops_are_drawn_in_grey_with_a_median(tmp_path: Path) -> None:
    lines = [elementwise(op, p, layout) for op in OPS for p in (10, 20) for layout in ("dense", "transposed")]
    (path,) = [p for p in plots.draw(run_of(lines), tmp_path) if "bandwidth" in p.name]
    grey = numpy.abs(image.imread(path)[..., :3] - 0xBB / 255).max(axis=-1) < 0.02
    assert grey.sum() > 100


def test_nothing_without_a_time_is_drawn(tmp_path: Path) -> None:
    assert plots.draw(run_of(without_a_time()), tmp_path) == [] == list(tmp_path.iterdir())
    right = [product(5), product(6)]
    for run, folder in ((run_of(right), "alone"), (run_of([*without_a_time(), *right]), "among")):
        plots.draw(run, tmp_path / folder)
    for path in (tmp_path / "alone").iterdir():
        assert path.read_bytes() == (tmp_path / "among" / path.name).read_bytes(), path.name


def test_without_ceilings_or_rivals_there_are_still_pictures(tmp_path: Path) -> None:
    lines = [product(1, rivals=()), product(2, rivals=()), elementwise("add", 10)]
    lines[2].rivals = {}
    names = [path.name for path in plots.draw(run_of(lines, ceilings={}), tmp_path)]
    assert names == ["pointwise-bandwidth.png", "roofline.png"]
    assert seen(tmp_path / "roofline.png") > 2_000


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "roofline.png").write_text("before")

    def half(self: Figure, path: Path, **_: object) -> None:
        path.write_text("half")
        raise OSError("no space left")

    monkeypatch.setattr(Figure, "savefig", half)
    with pytest.raises(OSError, match="no space left"):
        plots.draw(run_of([product(1, rivals=())]), tmp_path)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("roofline.png", "before")]


def test_without_matplotlib_a_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(plots.Missing, match=re.escape('pip install "gpukern[bench]"')):
        plots.draw(everything(), tmp_path)
    assert not list(tmp_path.iterdir()) and plots.names(everything())


def test_a_picture_says_where_it_comes_from_and_cuts_no_word_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Figure] = []
    monkeypatch.setattr(FigureCanvasAgg, "__init__", _remembering(figures))
    long = product(1)
    long.name = "linear +gelu.tanh +residual A model with a long name 72B gate and up 4096x4096x14336 nt pad 8 float32"
    lines = [product(0), long, elementwise("a_very_long_name_of_an_op", 10), overhead("mm")]
    for path in plots.draw(run_of(lines), tmp_path):
        pixels = image.imread(path)[..., :3]
        border = numpy.concatenate([pixels[:3].reshape(-1, 3), pixels[-3:].reshape(-1, 3), pixels[:, :3].reshape(-1, 3),
                                    pixels[:, -3:].reshape(-1, 3)])  # fmt: skip
        assert (border == 1).all(), path
    for figure in dict.fromkeys(figures):
        words = " ".join(text.get_text() for text in figure.texts).replace("\n", " ")
        for part in (DEVICE, "torch 2.13.0", "gpukern 0.1.0", f"commit {COMMIT}", "2030-01-02 03:04 UTC"):
            assert part in words, words


def _remembering(figures: list[Figure]) -> object:
    before = FigureCanvasAgg.__init__

    def init(self: FigureCanvasAgg, figure: Figure | None = None) -> None:
        before(self, figure)
        if figure is not None:
            figures.append(figure)

    return init


# ---- texts and positions ---------------------------------------------------------------------------------------------


def test_numbers_have_three_digits() -> None:
    assert [plots.digits(v) for v in (0.0512, 9.0, 99.96, 780.0, 999.4, 999.6, 12345.6)] == [
        "0.0512", "9.00", "100", "780", "999", "1,000", "12,346"]  # fmt: skip
    assert plots.metric(3.352e12, "B/s") == "3.35 TB/s" and plots.metric(999.9e9, "B/s") == "1.00 TB/s"
    assert plots.metric(12.0, "B/s") == "12.0 B/s"
    assert [plots.binary(2**p) for p in (4, 10, 24, 31)] == ["16", "1 Ki", "16 Mi", "2 Gi"]


@pytest.mark.parametrize(("low", "high"), [(0.94, 1.06), (0.8, 1.4), (0.5, 1.9), (0.2, 3.0), (0.01, 90.0)])
def test_ticks_are_few_and_hold_one(low: float, high: float) -> None:
    found = plots.ticks(low, high)
    assert 1.0 in found and 3 <= len(found) <= 9 and all(low <= t <= high for t in found)
    assert all(re.fullmatch(r"\d*\.?\d{1,3}", f"{t:g}") for t in found), found


def test_powers_are_few() -> None:
    assert plots.powers(1000, 2**20) == [2**p for p in range(10, 21, 2)]
    assert plots.powers(2**20 / 1.3, 2**20 * 1.3) == [2**20]


def test_names_are_kept_apart_in_their_order() -> None:
    moved = plots.apart([0.5, 0.1, 0.51, 0.52], 0.04)
    assert sorted(range(4), key=moved.__getitem__) == [1, 0, 2, 3] and moved[1] == 0.1
    assert min(b - a for a, b in zip(sorted(moved), sorted(moved)[1:])) > 0.039


def test_the_widest_are_kept_in_their_order_and_the_rest_is_counted() -> None:
    lines = [product(i, ratio) for i, ratio in enumerate((1.0, 3.0, 1.1, 0.2))]
    kept, notes = plots.widest(lines, 2)
    assert kept == [lines[1], lines[3]] and notes == ["only the 2 of 4 cases that differ most are drawn"]
    assert plots.widest(lines, 4) == (lines, [])


def test_an_interval_that_holds_one_is_neither() -> None:
    assert plots.colour(1.01, 1.2) == plots.FASTER and plots.colour(0.8, 0.99) == plots.SLOWER
    assert plots.colour(0.99, 1.2) == plots.colour(0.9, 1.0) == plots.EVEN


def test_panels_and_labels() -> None:
    lines = [product(0), product(1, dtype="bfloat16"), product(2)]
    assert plots.panels(lines) == {"float32": [lines[0], lines[2]], "bfloat16": [lines[1]]}
    assert plots.labels(lines) == ["mm 64x64x64", "mm 128x128x128", "mm 192x192x192"]
    assert plots.rivals_of(run_of(lines, settings={"against": ["z", "torch"]}), lines) == ["torch"]


def test_a_curve_is_an_op_in_a_layout() -> None:
    lines = [elementwise("add", 10), elementwise("add", 12), elementwise("silu", 10)]
    assert list(plots.curves(lines)) == ["add", "silu"]
    assert list(plots.curves([*lines, elementwise("add", 10, "transposed")])) == [
        "add, dense", "silu, dense", "add, transposed"]  # fmt: skip


def test_a_rate_is_bytes_over_the_median_time() -> None:
    line = elementwise("add", 10)
    line.ours, line.rivals = [1.0, 2.0, 4.0], {"torch": [4.0, 4.0, 4.0]}
    assert plots.rates([line]) == {1024: pytest.approx(8192 / 2e-6 / 1e9)}
    assert plots.rates([line], "torch") == {1024: pytest.approx(8192 / 4e-6 / 1e9)} and plots.rates([line], "no") == {}
