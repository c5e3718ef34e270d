"""The demo: its two runs agree, it learns, it repeats itself, and the command prints and draws the result."""

from __future__ import annotations

import importlib.util
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import torch

from gpukern import demo, selection
from gpukern.demo import report, train


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def run(name: str, repeat: int = 0) -> train.Result:
    kit = {"torch": train.TORCH, "gpukern": train.GPUKERN}[name]
    return train.train(kit, train.load_digits(0, torch.device("cpu")), 3, 0, lambda loss: None)


def test_both_runs_start_alike_and_learn() -> None:
    theirs, ours = run("torch"), run("gpukern")
    assert len(ours.losses) == len(theirs.losses) == 3 * 23
    # The learning rate climbs ten times as fast as in the full demo, so the runs part earlier than there.
    assert report.largest_difference(theirs.losses[:8], ours.losses[:8]) < 1e-4
    for result in (theirs, ours):
        assert abs(result.losses[0] - math.log(10)) < 0.7  # ten classes, nothing learnt
        assert result.losses[-1] < 0.3 and result.accuracy > 0.9


def test_a_seed_decides_everything() -> None:
    assert run("gpukern").losses == run("gpukern", repeat=1).losses


def test_gpukern_computes_the_gpukern_run() -> None:
    """The network's products and elementwise ops go through gpukern, counted by the configurations that served them."""
    selection.reset_served()
    model = train.Network(train.GPUKERN)
    model(torch.randn(4, 1, 8, 8)).sum().backward()
    calls = {call for call, _, count in selection.served() if count > 0}
    assert "matrix product" in calls and any("add_act" in call for call in calls)
    selection.reset_served()
    train.Network(train.TORCH)(torch.randn(4, 1, 8, 8)).sum().backward()
    assert not [entry for entry in selection.served() if entry[2]]


def test_the_data_is_split_once_and_for_all() -> None:
    digits = train.load_digits(0, torch.device("cpu"))
    assert (len(digits.train), len(digits.test)) == (1437, 360)
    again = train.load_digits(0, torch.device("cpu"))
    assert torch.equal(digits.test, again.test) and torch.equal(digits.train_labels, again.train_labels)
    seen = {tuple(image.flatten().tolist()) for image in digits.train}
    assert sum(tuple(image.flatten().tolist()) in seen for image in digits.test) == 0


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    picture = tmp_path / "sub" / "curves.png"
    command = [sys.executable, "-m", "gpukern", "demo", "--epochs", "1", "--output", str(picture)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    text = done.stdout
    assert "device: cpu, 1 thread" in text
    for name in ("torch", "gpukern"):
        row = re.search(rf"^{name} +([\d.]+) s +([\d.]+) % +([\d.]+)$", text, re.M)
        assert row and float(row[1]) > 0 and 20 < float(row[2]) <= 100
    found = re.search(r"largest difference of the losses: (\S+) over the first 20 steps, (\S+) over all 23", text)
    assert found and float(found[1]) <= float(found[2]) < 1
    assert re.search(r"^matrix product +host/\S+ +\d+$", text, re.M)
    assert str(picture) in text and picture.read_bytes().startswith(b"\x89PNG\r\n")
    assert [path.name for path in picture.parent.iterdir()] == ["curves.png"]
    assert "gpukern :" in done.stderr and "23/23" in done.stderr  # the progress bar


def test_what_is_missing_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in ("tqdm", "sklearn") else real(name))
    assert demo.main([]) == 2
    message = capsys.readouterr().err
    assert message == 'the demo also needs scikit-learn, tqdm: run  pip install "gpukern[demo]"\n'


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--epochs", "0"], "--epochs"), (["--threads", "0"], "--threads"), (["--device", "nonsense"], "--device")],
)
def test_wrong_options_are_said_in_a_line(options: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main(options) == 2
    message = capsys.readouterr().err
    assert message.startswith(words) and message.count("\n") == 1


def test_the_report_counts_in_order_and_keeps_nan() -> None:
    table = report.served_table([("silu", "host", 3), ("product", "host", 12)]).splitlines()
    assert table[2].split() == ["product", "host", "12"] and table[3].split() == ["silu", "host", "3"]
    assert math.isnan(report.largest_difference([1.0, math.nan, 2.0], [1.0, 1.0, 0.0]))
