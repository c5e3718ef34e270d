"""`bench compare` and `bench show`: what changed beyond noise, and the exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpukern import bench
from gpukern.bench.compare import compare, confidence, page
from gpukern.bench.results import Line, Run, save
from tests.bench.synthetic import MACHINE, line, run

SIDES = (256, 512, 1024, 2048, 4096)


def both(factor: float, *, machine: float = 1.0, drift: float = 0.0) -> tuple[Run, Run]:
    """Two runs; in the second our 1024 takes `factor` times as long, and the whole machine `machine` times."""
    old = run([line(n, n, 100.0, 110.0, drift=drift) for n in SIDES])
    new = [
        line(n, n + 7, 100.0 * machine * (factor if n == 1024 else 1.0), 110.0 * machine, drift=drift) for n in SIDES
    ]
    return old, run(new, commit="ba9876543210")


def test_a_planted_regression_of_five_percent_is_found() -> None:
    found = compare(*both(1.05))
    assert [c.new.name for c in found.regressions] == ["mm 1024x1024x1024 float32"]
    assert found.failed and "slower beyond noise: 1" in page(found) and "1024" in page(found)


def test_noise_is_no_regression() -> None:
    for drift in (0.0, 0.2):
        found = compare(*both(1.0, drift=drift))
        assert not found.failed and not any(c.beyond_noise for c in found.changes)
        assert "5 of 5 cases did not change beyond noise" in page(found)


def test_a_slower_machine_is_no_regression() -> None:
    assert not compare(*both(1.0, machine=1.4)).failed
    assert len(compare(*both(1.05, machine=1.4)).regressions) == 1


def test_what_became_faster_is_said_and_does_not_fail() -> None:
    found = compare(*both(0.8))
    assert not found.failed and "faster beyond noise: 1" in page(found)


def test_without_a_common_rival_times_are_compared_as_they_are() -> None:
    old, new = both(1.0, machine=1.4)
    new.torch = "2.15.0"
    found = compare(old, new)
    assert found.control == "" and len(found.regressions) == len(SIDES) and "no baseline in common" in page(found)
    old, new = both(1.0)
    new.machine = {**MACHINE, "device": "Model 2"}
    assert compare(old, new).control == ""


def test_a_result_that_became_wrong_fails() -> None:
    old, new = both(1.0)
    new.lines[0].verdict, new.lines[0].ours, new.lines[0].rivals = "WRONG: 3 of 4 elements", [], {}
    found = compare(old, new)
    assert found.failed and "WRONG: 3 of 4 elements" in page(found)


def test_lost_cases_are_counted() -> None:
    old, new = both(1.0)
    del new.lines[0]
    new.lines[0].verdict, new.lines[0].ours, new.lines[0].rivals = "left out: --slow", [], {}
    assert "2 cases of the old run are not in the new one" in page(compare(old, new))


def test_a_single_turn_proves_nothing() -> None:
    old, new = both(1.0)
    for one in new.lines:
        one.ours, one.rivals = [one.ours[0] * 2], {"torch": one.rivals["torch"][:1]}
    assert not compare(old, new).changes


def test_many_cases_ask_for_more_certainty() -> None:
    assert confidence(1) == 0.99 and confidence(10) == pytest.approx(0.995) and confidence(1000) == 0.998


@pytest.mark.parametrize(("factor", "code"), [(1.0, 0), (1.05, 1), (0.8, 0)])
def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str], factor: float, code: int) -> None:
    paths = [tmp_path / "old.json", tmp_path / "new.json"]
    for r, path in zip(both(factor), paths):
        save(r, path)
    assert bench.main(["compare", *map(str, paths)]) == code
    assert "did not change beyond noise" in capsys.readouterr().out


def test_files_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, other, bad = (tmp_path / name for name in ("good.json", "other.json", "bad.json"))
    save(run([line(256, 1)]), good)
    save(run([line(512, 1)]), other)
    bad.write_text("{")
    for pair, words in (((good, bad), "it is not JSON"), ((good, other), "no case in common")):
        assert bench.main(["compare", *map(str, pair)]) == 2
        printed = capsys.readouterr().err
        assert words in printed and printed.count("\n") == 1


def test_show_prints_the_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left = Line("gemm-square", "mm 16384", "mm", "product", "float32", [16384] * 3, verdict="left out: --slow")
    wrong = Line("gemm-square", "mm 3x3x3", "mm", "product", "float32", [3] * 3, verdict="WRONG: 1 of 9 elements")
    save(run([*(line(n, n, 100.0, 50.0 + n / 64) for n in (*SIDES, 8192)), left, wrong]), tmp_path / "run.json")
    assert bench.main(["show", str(tmp_path / "run.json")]) == 1
    out = capsys.readouterr().out
    for words in (
        "Model 1 (sm_90), 1.2, CUDA 13.0", "0123456789ab", "mm 1024x1024x1024 float32", "simt/s128x128", "TFLOP/s",
        "geometric mean of torch's time / gpukern's over 6 cases", "the 5 worst: mm 256x256x256 float32",
        "mm 3x3x3  WRONG: 1 of 9 elements", "1 left out", "copy 4000 GB/s",
    ):  # fmt: skip
        assert words in out, words
    assert "16384" not in out.replace("left out", "")
