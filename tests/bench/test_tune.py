"""bench tune: what was measured and right is stored, stale files are not used, and no write leaves half a file."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from gpukern import _C, tuning
from gpukern.bench import check, tune

CONFIGURATIONS = [("simt/s64x64", 12.5), ("simt/s128x128", 15.0)]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    where = tmp_path / "caches" / "tuning"
    monkeypatch.setenv("GPUKERN_TUNING", str(where))
    before = _C.gemm_ranking()
    yield where
    _C.gemm_set_ranking(before)


def entry(
    m: int = 512, configurations: list[tuple[str, float]] = CONFIGURATIONS, date: str = "2026-11-24", **other: Any
) -> tuning.Entry:
    facts: dict[str, Any] = {"dtype": "float32", "n": 256, "k": 128, "batch": 1, "layout": "nn"} | other
    return tuning.Entry(m=m, ranking=tuple(configurations), date=date, **facts)


def stored(*entries: tuning.Entry, device: str = "NVIDIA H200") -> Path:
    path = tuning.store(device, "sm_90", entries or [entry()], "580.65")
    assert path is not None
    return path


# ---- the file --------------------------------------------------------------------------------------------------------


def test_what_is_stored_is_loaded(place: Path) -> None:
    entries = (
        entry(),
        entry(layout="tn", batch=3),
        entry(dtype="bfloat16", configurations=[*CONFIGURATIONS, ("simt/s32x32", 99.0)]),
    )
    path = stored(*entries)
    assert path == place / f"nvidia-h200-{tuning._version()}.json"
    found, reason = tuning.load(path)
    assert found is not None and reason == ""
    assert (found.device, found.target) == ("NVIDIA H200", "sm_90")
    assert sorted(found.entries, key=lambda e: e.key) == sorted(entries, key=lambda e: e.key)
    facts = json.loads(path.read_text())
    assert facts["schema"] == 1 and facts["torch"] == torch.__version__ and facts["driver"] == "580.65"
    assert facts["date"] == "2026-11-24" and facts["gpukern"] == tuning._version()
    (place / "beside").touch()
    assert path.stat().st_mode == (place / "beside").stat().st_mode  # as readable as any other new file


def test_entries_are_added_and_replaced() -> None:
    stored(entry(512), entry(64))
    newer = entry(512, configurations=CONFIGURATIONS[::-1], date="2026-12-01")
    found, _ = tuning.load(stored(newer, entry(32)))
    assert found is not None and {e.m: e for e in found.entries} == {512: newer, 64: entry(64), 32: entry(32)}
    other, _ = tuning.load(stored(device="NVIDIA H100 80GB HBM3"))
    assert other is not None and other.entries == (entry(),)


@pytest.mark.parametrize(
    ("value", "where"),
    [("off", None), ("0", None), ("", "/caches/gpukern/tuning"), ("/some/folder", "/some/folder")],
)
def test_where_files_lie(value: str, where: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUKERN_TUNING", value)
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert tuning.folder() == (Path(where) if where else None)
    if where is None:
        assert tuning.store("NVIDIA H200", "sm_90", [entry()]) is None
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    if value == "":
        assert tuning.folder() == Path("/home/someone/.cache/gpukern/tuning")


def changed(**facts: Any) -> Callable[[str], str]:
    return lambda text: json.dumps(json.loads(text) | facts)


def without(key: str) -> Callable[[str], str]:
    return lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != key})


def with_entry(**facts: Any) -> Callable[[str], str]:
    def change(text: str) -> str:
        whole = json.loads(text)
        whole["entries"][0] |= facts
        return json.dumps(whole)

    return change


STALE = {
    "version": (changed(gpukern="0.0.9"), "gpukern's version was '0.0.9'"),
    "table": (
        changed(configurations="0123456789abcdef"),
        "the table of compiled configurations was '0123456789abcdef'",
    ),
    "schema": (changed(schema=2), "its schema was 2 and is 1"),
}
DAMAGED = {
    "truncated": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "no JSON": lambda text: "ranking: none",
    "no object": lambda text: "[1]",
    "deep": lambda text: "[" * 200_000,
    "no table": without("configurations"),
    "no entries": without("entries"),
    "entries of another kind": changed(entries=[3]),
    "no device": changed(device=""),
    "more words": with_entry(colour="red"),
    "a negative extent": with_entry(m=-1),
    "an extent too large": with_entry(k=2**63),
    "an extent that is none": with_entry(n="256"),
    "an extent with a fraction": with_entry(n=256.0),
    "a layout that is none": with_entry(layout="nx"),
    "no ranking": with_entry(ranking=[]),
    "a time that is none": with_entry(ranking=[["simt/s64x64", math.nan]]),
    "a time without end": with_entry(ranking=[["simt/s64x64", math.inf]]),
    "a time beyond numbers": with_entry(ranking=[["simt/s64x64", 10**400]]),
    "half a letter": changed(device="NVIDIA \ud800"),
    "a time of nothing": with_entry(ranking=[["simt/s64x64", 0]]),
    "a row without a time": with_entry(ranking=[["simt/s64x64"]]),
}


@pytest.mark.parametrize("kind", STALE)
def test_stale_files_are_not_used(kind: str, recwarn: pytest.WarningsRecorder) -> None:
    change, message = STALE[kind]
    path = stored()
    assert tuning.activate() == 1
    path.write_text(change(path.read_text()))
    found, reason = tuning.load(path)
    assert found is None and message in reason and "stale" in reason and "\n" not in reason
    assert tuning.activate() == 0 and _C.gemm_ranking() == []
    assert not recwarn.list
    again, _ = tuning.load(stored(entry(64)))
    assert again is not None and again.entries == (entry(64),)  # measured again, nothing of the old kept


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_files_are_warned_of_and_not_used(kind: str) -> None:
    path = stored()
    path.write_text(DAMAGED[kind](path.read_text()))
    with pytest.warns(
        UserWarning, match="is damaged .* and is ignored; delete it or run 'python -m gpukern bench tune' again"
    ) as told:
        assert tuning.activate() == 0
    assert len(told) == 1 and _C.gemm_ranking() == []
    with pytest.warns(UserWarning, match="is damaged"):
        stored(entry(64))
    found, _ = tuning.load(path)
    assert found is not None and found.entries == (entry(64),)


def test_other_files_are_not_opened(place: Path, recwarn: pytest.WarningsRecorder) -> None:
    stored()
    (place / "nvidia-h200-0.0.1.json").write_text("{")
    (place / f"notes-{tuning._version()}.txt").write_text("{")
    assert tuning.activate() == 1 and not recwarn.list


class HalfWay(Exception):
    pass


@pytest.mark.parametrize("where", ["write", "replace"])
def test_a_write_that_fails_leaves_the_old_file(where: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stored()
    old = path.read_text()

    def fail(*_: Any) -> None:
        raise HalfWay

    def half(self: Path, text: str, **_: Any) -> None:
        with self.open("w") as file:
            file.write(text[: len(text) // 2])
        raise HalfWay

    if where == "write":
        monkeypatch.setattr(Path, "write_text", half)
    else:
        monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(HalfWay):
        stored(entry(64))
    monkeypatch.undo()
    assert path.read_text() == old
    assert sorted(p.name for p in place.iterdir()) == [".lock", path.name]  # and nothing half-written lies about


@pytest.mark.slow
def test_those_who_store_at_once_all_keep_theirs(place: Path) -> None:
    code = textwrap.dedent("""
        import sys
        from gpukern import tuning
        rows = (("simt/s64x64", 12.5), ("simt/s128x128", 15.0))
        print("ready", flush=True)
        sys.stdin.readline()
        for m in range(int(sys.argv[1]), 100, 4):
            tuning.store("NVIDIA H200", "sm_90", [tuning.Entry("float32", m, 1, 1, 1, "nn", rows, "2026-11-24")])
    """)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(k)],
            env={**os.environ, "GPUKERN_TUNING": str(place)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for k in range(4)
    ]
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.close()
    while any(writer.poll() is None for writer in writers):  # whoever reads meanwhile finds whole files
        for path in tuning._files():
            found, reason = tuning.load(path)
            assert found is not None, reason
    assert [writer.returncode for writer in writers] == [0] * 4
    (path,) = tuning._files()
    found, _ = tuning.load(path)
    assert found is not None and sorted(e.m for e in found.entries) == list(range(100))


# ---- the command -----------------------------------------------------------------------------------------------------


def run(words: str) -> int:
    return tune.main(words.split())


def test_on_a_cpu_there_is_nothing_to_choose_from(capsys: pytest.CaptureFixture[str]) -> None:
    words = "--shapes 16,24,8 5,1,7 --dtype float32,int8,bfloat16,float64 --layout nn,nt,tn,tt --turns 2 --device cpu"
    assert run(words) == 0
    printed = capsys.readouterr().out
    assert "there was nothing to choose from" in printed and "WRONG" not in printed
    assert printed.count("host/blas") == 32 and "bfloat16 16 x 24 x 8 tn" in printed
    (path,) = tuning._files()
    found, reason = tuning.load(path)
    assert found is not None, reason
    assert (found.device, found.target, len(found.entries)) == ("cpu", "cpu", 32)
    assert all([c for c, _ in e.ranking] == ["host/blas"] for e in found.entries)
    assert f"stored in {path}" in printed


def test_a_batch_is_measured_as_one_product() -> None:
    assert run("--shapes 6,5,4 --batch 3 --turns 1 --device cpu --layout tt") == 0
    found, _ = tuning.load(tuning._files()[0])
    assert found is not None and [e.key for e in found.entries] == [("float32", 6, 5, 4, 3, "tt")]


def test_nothing_is_stored_where_that_is_asked(
    monkeypatch: pytest.MonkeyPatch, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GPUKERN_TUNING", "off")
    assert run("--shapes 6,5,4 --turns 1 --device cpu") == 0
    assert "nothing is stored: GPUKERN_TUNING=off" in capsys.readouterr().out and not place.exists()


def test_a_folder_that_cannot_be_written_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GPUKERN_TUNING", str(tmp_path / "file" / "below"))
    assert run("--shapes 6,5,4 --turns 1 --device cpu") == 1
    assert capsys.readouterr().err.count("\n") == 1


# Configurations that a CPU has not: what each writes into `out`, for an exact product.
PLANTED: dict[str, Callable[[torch.Tensor], torch.Tensor | None]] = {
    "simt/s64x64": lambda exact: exact,
    "simt/s128x128": lambda exact: exact,
    "simt/s32x32": lambda exact: exact.index_fill(0, torch.tensor([0]), 0.0),  # a row of the result left out
    "simt/s16x128": lambda exact: exact * (1 + 1e-4),
    "simt/s128x16": lambda exact: exact / 0 * 0,
    "host/blas": lambda exact: None,  # writes nothing: what stood there must not pass for its result
}
TIMES = {"simt/s128x128": 20.0, "simt/s64x64": 10.0}  # neither the order of names nor that of the table


def plant(monkeypatch: pytest.MonkeyPatch, configurations: list[str]) -> list[list[str]]:
    """Has `tune` find these configurations; returns what is timed, call by call."""
    timed: list[list[str]] = []

    def call_of(configuration: str, a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> Callable[[], object]:
        def call() -> None:
            made = PLANTED[configuration]((a.double() @ b.double()).to(out.dtype))
            if made is not None:
                out.copy_(made)

        call.configuration = configuration  # type: ignore[attr-defined]
        return call

    def measure(calls: list[Any], turns: int, device: str) -> list[float]:
        timed.append([call.configuration for call in calls])
        return [TIMES[call.configuration] for call in calls]

    monkeypatch.setattr(tune, "able", lambda a, b, device: configurations)
    monkeypatch.setattr(tune, "call_of", call_of)
    monkeypatch.setattr(tune, "measure", measure)
    return timed


def test_the_fastest_right_configuration_comes_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plant(monkeypatch, list(TIMES))
    assert run("--shapes 64,48,32 --device cpu") == 0
    found, _ = tuning.load(tuning._files()[0])
    assert found is not None and found.entries[0].ranking == (("simt/s64x64", 10.0), ("simt/s128x128", 20.0))
    lines = capsys.readouterr().out.splitlines()
    assert len({len(line) for line in lines[:3]}) == 1 and lines[2].split()[-2:] == ["20.0", "2.00"]
    assert not any("nothing to choose" in line for line in lines)
    assert [c[5] for c in _C.gemm_ranking()] == [["simt/s64x64", "simt/s128x128"]]  # and is in use


@pytest.mark.parametrize("wrong", [c for c in PLANTED if c not in TIMES])
def test_a_wrong_configuration_is_said_and_not_stored(
    wrong: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    timed = plant(monkeypatch, ["simt/s128x128", wrong, "simt/s64x64"])
    assert run("--shapes 64,48,32 --device cpu") == 1
    assert timed == [["simt/s128x128", "simt/s64x64"]]  # its time is not even taken
    found, _ = tuning.load(tuning._files()[0])
    assert found is not None and [c for c, _ in found.entries[0].ranking] == ["simt/s64x64", "simt/s128x128"]
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "WRONG" in line]
    assert wrong in line


def test_where_every_configuration_is_wrong_nothing_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, ["simt/s32x32"])
    assert run("--shapes 64,48,32 --device cpu") == 1
    assert not tuning._files()


def test_right_is_exact_for_integers_and_tight_for_the_rest() -> None:
    for dtype in tune.types():
        a, b = tune.operands(tuning.Product(dtype, 48, 40, 96, 1, "nt"), "cpu")
        out = torch.mm(a, b)
        assert bool(check.product(out, a, b)), dtype
        step = 1 if not out.dtype.is_floating_point else float(out.abs().max()) * 400 * check.UNIT[out.dtype]
        out[47, 39] += step
        assert not check.product(out, a, b), dtype


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "the following arguments are required: --shapes"),
        ("--shapes 64,64", "'64,64' is not a shape M,N,K of positive numbers"),
        ("--shapes 64,64,0", "is not a shape"),
        ("--shapes 8,8,8 --dtype float31", "'float31' is not known; choose from bfloat16, float16"),
        ("--shapes 8,8,8 --layout nz", "choose from nn, nt, tn, tt"),
        ("--shapes 8,8,8 --turns 0", "'0' is not a number of at least 1"),
        ("--shapes 8,8,8 --device sm_90", "choose cpu, cuda or cuda:N"),
        ("--shapes 8,8,8 --device cuda:999", "here are cpu"),
        ("--shapes 8,8,8 --colour red", "unrecognized arguments: --colour red"),
    ],
)
def test_wrong_arguments_are_answered_in_one_line(
    words: str, message: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    printed = capsys.readouterr()
    assert message in printed.err and printed.err.count("\n") == 1 and printed.out == "" and not place.exists()


def test_configurations_are_timed_by_turns() -> None:
    order: list[int] = []
    times = tune.measure([lambda: order.append(0), lambda: order.append(1)], 8, "cpu")
    assert len(times) == 2 and all(time > 0 for time in times)
    runs = [k for k, before in zip(order, [None, *order]) if k != before]
    assert len(runs) >= 8  # alternately, not first all runs of one call
