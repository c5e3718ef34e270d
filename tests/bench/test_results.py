"""Runs as files: nothing is lost, nothing is half-written, nothing foreign is believed."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from gpukern.bench import results
from gpukern.bench.results import Unreadable, load, loads, save
from tests.bench.synthetic import line, run


def test_round_trip(tmp_path: Path) -> None:
    wrong = line(64, 3)
    wrong.verdict, wrong.ours, wrong.rivals = "WRONG: one element", [], {}
    before = run([line(256, 1), line(512, 2), wrong], complete=False, clocks={"before": {"sm": "1980 MHz"}})
    save(before, tmp_path / "deep" / "run.json")
    assert load(tmp_path / "deep" / "run.json") == before
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["run.json"]
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "deep" / "run.json").stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.json"
    save(run([line(256, 1)]), path)
    before = path.read_bytes()

    def full(*_: Any, **__: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(results.json, "dump", full)
    with pytest.raises(OSError, match="No space"):
        save(run([line(512, 2)]), path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def changed(**fields: Any) -> str:
    data = json.loads(json.dumps(run([line(256, 1)]), default=lambda o: o.__dict__))
    data.update(fields)
    return json.dumps(data)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is not JSON"),
        ('{"schema": 1, "gpukern": "0.1', "it is not JSON"),
        ("[]", "names no schema"),
        ('{"lines": []}', "names no schema"),
        ('{"schema": 2}', "its schema is 2, but this gpukern reads schema 1"),
        (changed(lines=3), "lines of the run is not a list"),
        (changed(settings=[]), "settings of the run is not a dict"),
        (changed(settings={}), "its settings name no baselines"),
        (changed(machine={}), "its machine has no device, kind, target, driver, threads"),
        ('{"schema": 1}', "the run has no gpukern, torch, settings, machine, lines"),
        (changed(colour="red"), "colour, which schema 1 does not know"),
        (changed(lines=[{"suite": "s"}]), "line 0 has no name, op, shape"),
        (changed(lines=[7]), "line 0 is not a JSON object"),
    ],
)
def test_what_is_no_run(text: str, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        loads(text)


@pytest.mark.parametrize("times", [[1.0, -2.0], [0.0], [math.inf], [math.nan], ["1"]])
def test_times_are_positive_numbers(times: Any) -> None:
    data = json.loads(changed())
    data["lines"][0]["ours"] = times
    with pytest.raises(Unreadable, match=r"not all positive numbers"):
        loads(json.dumps(data))


def test_turns_pair() -> None:
    data = json.loads(changed())
    data["lines"][0]["rivals"]["torch"].pop()
    with pytest.raises(Unreadable, match="21 turns of gpukern and 20 of torch"):
        loads(json.dumps(data))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"nowhere\.json: No such file"):
        load(tmp_path / "nowhere.json")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Unreadable, match="not a text file"):
        load(tmp_path / "run.json")


def test_what_is_no_regular_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileExistsError):
        save(run([]), tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()
    assert results.writable(tmp_path / "pipe") and not results.writable(tmp_path / "new" / "run.json")
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == []


def test_the_floor_is_the_higher_of_two() -> None:
    r = run([])
    large, small = line(8192, 1), line(64, 1)
    assert r.floor(large) == pytest.approx(1e6 * 2 * 8192**3 / 5e13)
    assert r.floor(small) == pytest.approx(1e6 * 12 * 64**2 / 4e12)
    r.ceilings = {}
    assert r.floor(large) == 0 and not math.isnan(r.floor(small))
