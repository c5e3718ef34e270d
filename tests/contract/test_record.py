"""`make record` writes every generated and recorded file, and only from a commit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import record
from tests.gemm.mutants import seen
from tests.platform import kernels
from tests.platform.record import MODELLED
from tests.validation import COMPILED, DOCUMENT

ROOT = Path(__file__).resolve().parents[2]


def test_every_recorded_file_has_a_step() -> None:
    files = {file for step in record.STEPS.values() for file in step.files}
    assert all((ROOT / file).exists() for file in files)
    recorded = (MODELLED, COMPILED, DOCUMENT, seen.FILE, kernels.GOLDEN)
    assert {path.relative_to(ROOT).as_posix() for path in recorded} < files


def test_it_stops_at_the_first_step_that_fails(capsys: pytest.CaptureFixture[str]) -> None:
    ran: list[record.Step] = []

    def run(step: record.Step) -> int:
        ran.append(step)
        return 3 if len(ran) == 2 else 0

    assert record.main([], run, list) == 3 and ran == list(record.STEPS.values())[:2]
    assert "choices failed; nothing after it was written" in capsys.readouterr().out


def test_it_records_a_commit(capsys: pytest.CaptureFixture[str]) -> None:
    def refused(_: record.Step) -> int:
        raise AssertionError("a step ran")

    assert record.main([], refused, lambda: ["csrc/gemm/gemm.cpp"]) == 2
    assert "commit csrc/gemm/gemm.cpp first" in capsys.readouterr().out
    assert record.main(["gold"], refused, list) == 2 and "there is no step 'gold'" in capsys.readouterr().out
    # What an earlier step wrote does not hold up the next.
    assert record.main(["stubs"], lambda _: 0, lambda: ["gpukern/ops.pyi"]) == 0
