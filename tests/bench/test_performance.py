"""docs/performance.md is made from the stored runs; every figure has its device, date, commit and rival."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from benchmarks import performance
from gpukern.bench import plots
from gpukern.bench.results import Line, Run, save
from tests.bench.test_plots import COMMIT, DEVICE, everything, product, run_of, without_a_time


def keep(root: Path, run: Run, folder: str = "some gpu", stem: str = "2030-01-02-abc123") -> Path:
    path = root / performance.RUNS / folder / f"{stem}.json"
    save(run, path)
    return path


def rows(text: str, case: str) -> list[list[str]]:
    found = [line for line in text.splitlines() if line.startswith(f"| {case} |")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in found]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files in the place of pictures, which have tests of their own."""

    def draw(run: Run, folder: Path) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        for name in plots.names(run):
            (folder / name).write_bytes(b"picture")
        return [folder / name for name in plots.names(run)]

    monkeypatch.setattr(plots, "draw", draw)


def test_the_document_is_what_the_stored_runs_say() -> None:
    """Write it again with `python -m benchmarks.performance`."""
    nothing = not performance.stored(performance.ROOT) and not (performance.ROOT / performance.DOCUMENT).exists()
    assert nothing or performance.stale() == "", "run: python -m benchmarks.performance"


def test_without_a_run_a_sentence_says_so(tmp_path: Path) -> None:
    assert performance.main([], tmp_path) == 0 == performance.main(["--check"], tmp_path)
    assert (tmp_path / performance.DOCUMENT).read_text().endswith("No run is stored yet.\n")


def test_a_line_has_all_its_figures(tmp_path: Path) -> None:
    line = product(0)
    line.ours, line.rivals, line.flops, line.error = [10.0] * 3, {"torch": [15.0] * 3}, 1e9, 0.25
    keep(tmp_path, run_of([line]))
    assert rows(performance.document(tmp_path), "mm 64x64x64 float32") == [
        [
            "mm 64x64x64 float32", "`simt/128x128`", "10.0", "15.0", "100 TFLOP/s", "200 %", "1.500 [1.500 1.500]",
            "25 %",
        ]
    ]  # fmt: skip


def test_device_date_commit_and_rival_stand_with_the_figures(tmp_path: Path) -> None:
    run = everything()
    keep(tmp_path, run)
    text = performance.document(tmp_path)
    assert f"## {DEVICE}, 2030-01-02, {COMMIT}\n" in text
    assert "2030-01-02 03:04 UTC, commit abc123: gpukern 0.1.0, torch 2.13.0, driver 1.2 (CUDA 13.0), 8 threads" in text
    assert "Ceilings measured in this run: 3.20 TB/s, 800 TFLOP/s in bfloat16, 50.0 TFLOP/s in float32" in text
    assert "against torch, compile" in text and "| torch / gpukern | compile / gpukern |" in text
    shown = re.findall(r"^!\[(.+)\]\(.+\)$", text, re.M)
    assert len(shown) == len(plots.names(run))
    for words in shown:
        assert all(part in words for part in (DEVICE, "2030-01-02", COMMIT, "against torch, compile")), words


def test_wrong_has_no_time_and_left_out_is_counted(tmp_path: Path) -> None:
    run = run_of([product(9), *without_a_time()])
    small = product(3)
    small.ours, small.rivals, small.verdict = [], {}, "left out: it needs 3.5 GiB, which is not free"
    large = Line(**{**small.__dict__, "name": "large", "verdict": "left out: it needs 9 GiB, which is not free"})
    run.lines += [small, large]
    keep(tmp_path, run)
    text = performance.document(tmp_path)
    (wrong,), (both,) = rows(text, "mm 64x64x64 float32"), rows(text, "mm 192x192x192 float32")
    assert wrong == ["mm 64x64x64 float32", "`simt/128x128`", "**WRONG**: 3 of 4", *["-"] * 5]
    assert both[2:] == ["**WRONG**: 1 of 4", *["-"] * 5]
    assert "- **WRONG**: 2 cases, without a time" in text
    assert "- left out: 1 case: no memory" in text
    assert "- left out: 2 cases: it needs .. GiB, which is not free" in text and not rows(text, "large")
    assert "geometric mean of the ratios 1.5" in text and ", 1 case;" in text


def test_a_long_suite_is_folded_below_its_mean_and_its_worst(tmp_path: Path) -> None:
    lines = [product(i, 0.5 + 0.05 * i) for i in range(performance.LONG + 1)]
    keep(tmp_path, run_of(lines))
    text = performance.document(tmp_path)
    before, table = text.split("<details>")
    assert DEVICE in table.splitlines()[0] and table.count("| mm ") == len(lines)
    assert re.search(r"</summary>\n\n\| case \|", table) and "\n\n</details>\n" in table, "else it is shown as text"
    (lowest,) = [line for line in before.splitlines() if "lowest" in line]
    assert [name in lowest for name in (x.name for x in lines[:6])] == [True] * 5 + [False]
    assert "against torch: geometric mean of the ratios" in before
    keep(tmp_path, run_of(lines[:-1]))
    assert "<details>" not in performance.document(tmp_path)


def test_a_name_cannot_break_the_table(tmp_path: Path) -> None:
    line = product(0)
    line.name = "a|b\nc"
    keep(tmp_path, run_of([line]))
    assert len(rows(performance.document(tmp_path), r"a\|b c")[0]) == 8


def test_runs_are_by_device_and_the_newest_first(tmp_path: Path) -> None:
    for folder, date in (("b", "2030-01-01T00:00"), ("a", "2030-01-01T00:00"), ("a", "2031-01-01T00:00")):
        keep(tmp_path, run_of([product(0)], date=date), folder, date[:4])
    first, second = performance.document(tmp_path), performance.document(tmp_path)
    assert first == second
    assert re.findall(r"\[(\d+)\.json\]\(\.\./benchmarks/results/(\w)/", first) == [
        ("2031", "a"), ("2030", "a"), ("2030", "b")]  # fmt: skip


def test_an_interrupted_and_a_quick_run_say_so(tmp_path: Path) -> None:
    run = run_of([product(0)], complete=False)
    run.settings["quick"] = True
    keep(tmp_path, run)
    text = performance.document(tmp_path)
    assert "The run was interrupted" in text and "A quick run" in text


def test_links_resolve(tmp_path: Path) -> None:
    """With the real pictures: what draw() writes is what the document shows."""
    keep(tmp_path, everything())
    assert performance.main([], tmp_path) == 0
    document = tmp_path / performance.DOCUMENT
    links = re.findall(r"\]\(([^)]+)\)", document.read_text())
    assert len(links) == 1 + len(plots.names(everything()))
    for link in links:
        assert " " not in link and (document.parent / unquote(link)).is_file(), link


@pytest.mark.usefixtures("drawn")
def test_check_sees_a_stale_document_and_a_missing_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = keep(tmp_path, everything())
    document = tmp_path / performance.DOCUMENT
    assert performance.main(["--check"], tmp_path) == 1 and not document.exists()
    assert performance.main([], tmp_path) == 0 == performance.main(["--check"], tmp_path)
    document.write_text(document.read_text() + "\n")
    assert performance.main(["--check"], tmp_path) == 1
    assert "run: python -m benchmarks.performance" in capsys.readouterr().out
    assert performance.main([], tmp_path) == 0
    pictures = sorted((tmp_path / performance.PICTURES).glob("*/*/*.png"))
    pictures[0].unlink()
    assert performance.main(["--check"], tmp_path) == 1
    assert performance.main([], tmp_path) == 0
    path.unlink()
    assert performance.main(["--check"], tmp_path) == 1
    assert performance.main([], tmp_path) == 0
    assert not any(p.exists() for p in pictures), "a picture of no run stays"


@pytest.mark.usefixtures("drawn")
def test_other_files_are_passed_over_and_damaged_ones_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = keep(tmp_path, run_of([product(0)]))
    text = performance.document(tmp_path)
    path.with_name("check.json").write_text(json.dumps({"device": DEVICE, "rows": {}}))
    assert performance.document(tmp_path) == text
    for damaged in ('{"schema": 1}', '{"schema": 99}', "{"):
        path.with_name("damaged.json").write_text(damaged)
        assert performance.main([], tmp_path) == 1
        assert "damaged.json" in capsys.readouterr().out
        assert not (tmp_path / performance.DOCUMENT).exists()


def test_without_matplotlib_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(tmp_path, everything())
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    assert performance.main([], tmp_path) == 1
    assert 'pip install "gpukern[bench]"' in capsys.readouterr().out
    assert not (tmp_path / "docs").exists()


def test_other_arguments_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert performance.main(["--what"], tmp_path) == 2 and "--check" in capsys.readouterr().out
