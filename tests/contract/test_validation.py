"""docs/validation.md is made from the recorded facts, and recording keeps the facts apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import gpukern
from gpukern.info import built
from tests import validation
from tests.platform import record
from tests.platform.toolchains import rules

ITEM = "tests/gemm/kernels/test_kernels.py::test_layouts"
RUN = {
    "device": "Some GPU", "target": "sm_90", "driver": "1.2", "runtime": "CUDA 13.0", "torch": "2.13.0",
    "commit": "abc", "date": "2030-01-02", "rows": {}, "families": {"math": {"launches": 1}},
    "rows_of_other_devices": ["simt/z"], "tests": {"tests": 9},
    "sanitizers": {"memcheck": {"verdict": "clean", "words": ""}},
}  # fmt: skip


def test_the_document_is_what_the_facts_say() -> None:
    """Write it again with `python -m tests.validation`."""
    assert validation.document() == validation.DOCUMENT.read_text(), "run: python -m tests.validation"


def test_every_configuration_and_family_has_its_line() -> None:
    text = validation.DOCUMENT.read_text()
    for name in (*record.configurations(), *record.families()):
        assert f"| `{name}` |" in text
    assert set(record.configurations()) < {c.name for c in gpukern.available(built=False)}


def test_schedules_and_compilers_are_said() -> None:
    """The record wrote schedules that the document could not read ("; ;  lanes a wave"), and folders of products that
    are compiled stood as not yet compiled."""
    lines = [line for line in validation.DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    rows = [line for line in lines if line.split("`")[1] in record.configurations()]
    assert rows and all(" fifo, " in line and " lanes a wave" in line for line in rows)
    with pytest.raises(ValueError, match="schedules that are none"):
        validation.modelled({"launches": 1, "cases": 1, "schedules": ["Schedule(order='fifo')"]})
    compiled = json.loads(validation.COMPILED.read_text())["gpu"]
    for vendor in ("nvcc", "clang"):
        word = "sm_" if vendor == "nvcc" else "gfx"
        targets = rules.plan_objects(None).targets
        wanted = {p for p in targets if any(w.startswith(word) for w in rules.words_of(rules.CSRC / p))}
        known = set().union(*(folders for name, folders in compiled.items() if name.startswith(vendor)))
        assert wanted <= known, (vendor, wanted - known)


def test_without_facts_everything_is_not_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((validation, "COMPILED"), (record, "MODELLED"), (validation, "RESULTS")):
        monkeypatch.setattr(module, name, tmp_path / name)
    text = validation.document()
    lines = [line for line in text.splitlines() if line.startswith(("| `simt/", "| `math`"))]
    assert lines and all(line.count("not yet") == 4 for line in lines), lines
    assert "No device has run any of this." in text


def test_a_run_on_hardware_is_device_driver_commit_and_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the newest run of a device; a configuration it did not run stays as it was."""
    results = tmp_path / "results"
    monkeypatch.setattr(validation, "RESULTS", results)
    monkeypatch.setattr(validation, "ROOT", tmp_path)
    (tmp_path / "csrc").symlink_to(Path(record.ROOT) / "csrc")
    first = record.configurations()[0]
    for date, commit in (("2030-01-02", "newer"), ("2029-12-31", "older")):
        facts = {**RUN, "date": date, "commit": commit, "rows": {first: {"launches": 1}}}
        record.write_atomically(results / "some-gpu" / f"{date}.json", facts)
    lines = {line.split("`")[1]: line for line in validation.document().splitlines() if line.startswith("| `")}
    assert "Some GPU, driver 1.2, commit newer, 2030-01-02" in lines[first] and "older" not in lines[first]
    assert "results/some-gpu/2030-01-02.json" in lines[first]
    assert all("Some GPU" not in lines[name] for name in record.configurations()[1:])
    assert "memcheck clean; configurations of other devices: simt/z" in validation.document()


def test_a_build_is_added_to_those_of_other_compilers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "COMPILED", tmp_path / "compiled.json")
    before: dict[str, Any] = {
        "cxx": ["clang++ 1"],
        "gpu": {"hipcc 7": {"elementwise": ["gfx942"], "gemm/arch/simt": ["gfx942"]}},
    }
    record.write_atomically(validation.COMPILED, before)
    validation.record_build()
    found = json.loads(validation.COMPILED.read_text())
    assert "clang++ 1" in found["cxx"] and built()["compilers"]["cxx"] in found["cxx"]
    assert found["gpu"]["hipcc 7"] == before["gpu"]["hipcc 7"]
    assert "HIP" not in validation.compiled_for("elementwise", found)


def test_only_a_green_and_whole_session_is_recorded(tmp_path: Path) -> None:
    path, ran = tmp_path / "modelled.json", record.Record()
    ran.note("configurations", record.configurations()[0])
    assert not ran.configurations, "launches outside the tests of kernels do not count"
    ran.item = ITEM
    for configuration in record.configurations():
        ran.note("configurations", configuration, "fifo 1, 32 lanes")
    message = record.write_modelled(True, ran, path)
    assert "nothing ran of" in message and not path.exists()
    for family in record.families():
        ran.note("families", family, "pct 3, 64 lanes")
    assert "a test failed" in record.write_modelled(False, ran, path) and not path.exists()
    assert "written" in record.write_modelled(True, ran, path)
    found = json.loads(path.read_text())
    counts, at = {"launches": 1, "schedules": ["fifo 1, 32 lanes"], "cases": 1}, record.commit()
    assert found["rows"][record.configurations()[0]] == {"commit": at, **counts}
    assert validation.modelled(found["families"]["math"]) == f"1 launches in 1 cases; pct; 64 lanes a wave; at {at}"


def test_what_a_session_does_not_run_stays_as_it_was_recorded(tmp_path: Path) -> None:
    path, ran = tmp_path / "modelled.json", record.Record()
    old = {"launches": 7, "schedules": ["fifo 1, 32 lanes"], "cases": 2}
    facts = {
        "rows": dict.fromkeys((*record.configurations(), "simt/gone"), old),
        "families": dict.fromkeys(record.families(), old),
    }
    record.write_atomically(path, {"commit": "abc", **facts})
    ran.item, first = ITEM, record.configurations()[0]
    ran.note("configurations", first, "lifo 1, 32 lanes")
    assert "written" in record.write_modelled(True, ran, path)
    found = json.loads(path.read_text())["rows"]
    assert found[first]["launches"] == 1 and found[first]["commit"] == record.commit()
    assert set(found) == set(record.configurations()) and all(
        found[name] == {"commit": "abc", **old} for name in record.configurations()[1:]
    )
