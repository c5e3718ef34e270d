"""What `make gpu-check` runs first on a device, tried without one: the nine launches under the machine model, on a
device of a few processors, and the program that runs each primitive of device code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import gpukern
from gpukern.model.configurations import place_of
from tests.gpu import launches, watch, words
from tests.gpu.launches import LAUNCHES, SPAN, Launch, expected, operands, permutation
from tests.oracle import products
from tests.platform import machine, record
from tests.platform.test_conformance import library

H100 = 132  # processors
SMS = 4
ids = [launch.name for launch in LAUNCHES]


def configuration(launch: Launch) -> gpukern.selection.Configuration:
    return gpukern.selection.named(launch.configuration)


def place(launch: Launch) -> tuple[int, int]:
    """Folder and place in its table."""
    return place_of(launch.configuration)


def tiles(launch: Launch, sms: int) -> tuple[int, int]:
    """Rows and columns of D's tiles; a skinny configuration multiplies the transposed product."""
    m, n, _ = launch.shape(sms)
    bm, bn, _ = configuration(launch).tile
    if bn <= 32:
        m, n = n, m
    return -(-m // bm), -(-n // bn)


def cluster(launch: Launch, sms: int) -> int:
    """The rule of csrc/gemm/arch/wgmma/tiles.h (cluster_of), written again."""
    rows, columns = tiles(launch, sms)
    bm, bn, _ = configuration(launch).tile
    count = rows * columns
    paired = 2 * (-(-rows // 2) * columns if bn >= bm else rows * -(-columns // 2))
    same_waves = -(-paired // sms) == -(-count // sms)
    return 2 if count > sms // 2 and same_waves and paired < count + count // 8 else 1


def test_there_are_nine_and_the_document_names_them() -> None:
    assert len(LAUNCHES) == 9 == len(set(launches.NAMES))
    text = (record.ROOT / "docs" / "validation.md").read_text()
    places = [text.index(f"`{launch.command}`") for launch in LAUNCHES]
    assert places == sorted(places)


@pytest.mark.parametrize("launch", LAUNCHES, ids=ids)
@pytest.mark.parametrize("sms", [SMS, 78, 114, H100])
def test_each_is_what_it_says(launch: Launch, sms: int) -> None:
    """On the cards that there are (78, 114 and 132 processors) and on the model's."""
    rows, columns = tiles(launch, sms)
    steps = launch.shape(sms)[2] // (128 if launch.kind == "float8" else SPAN)
    bm, bn, _ = configuration(launch).tile
    stages = min(10, (227 * 1024 - 32 * 1024 - 256) // ((bm + bn) * 128))
    assert (rows * columns == 1) is (launch.name in ("one-tile", "ring", "ranges", "promotion"))
    assert (steps == 1) is (launch.name == "one-tile") and (steps > 3 * stages) is (launch.name == "ring")
    assert (rows * columns > sms) is (launch.name in ("second-tile", "turns") or (sms < 16 and rows * columns == 16))
    if sms > SMS and launch.kind == "plain" and launch.splits == 1:
        assert cluster(launch, sms) == launch.cluster


@pytest.mark.parametrize("launch", LAUNCHES, ids=ids)
def test_the_configuration_takes_it_as_it_lies(launch: Launch) -> None:
    """On sm_90a, without a copy; ranges by the blocks of a cluster, as no other launch does."""
    m, n, k = launch.shape(H100)
    dtype = torch.float8_e4m3fn if launch.kind == "float8" else torch.bfloat16
    a, b = torch.empty(m, k, dtype=dtype, device="meta"), torch.empty(n, k, dtype=dtype, device="meta").t()
    one = torch.empty((), device="meta")
    with gpukern.force(f"{launch.configuration}*{launch.splits}"):
        if launch.kind == "float8":
            found = gpukern.explain("scaled_mm", a, b, one, one, out_dtype=torch.float32, device="sm_90a")
        else:
            found = gpukern.explain("mm", a, b, device="sm_90a")
    assert found.would_run == launch.configuration and found.splits == launch.splits
    assert not any("copied" in note for note in found.notes)
    assert any("by the blocks of a cluster" in note for note in found.notes) is (launch.name == "ranges")


@pytest.mark.parametrize("launch", LAUNCHES, ids=ids)
def test_its_result_is_exact_under_the_model(launch: Launch) -> None:
    a, b = operands(launch, SMS)
    want = expected(a, b)
    assert bool((want.to(torch.bfloat16).double() == want).all()), "a result that bfloat16 rounds"
    if launch.kind == "float8":
        one = torch.ones(())
        out = torch.empty(want.shape)
        got = machine.scaled(*place(launch), out, a, b, one, one, processors=SMS, aligned=True)
        products.exactly_equal(got, want)
        return
    inside = -1 if launch.name == "ranges" else launch.cluster

    def mm(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        out = torch.empty(1, x.shape[0], y.shape[1], dtype=torch.bfloat16)
        options: dict[str, Any] = {"processors": SMS, "cluster": inside, "splits": launch.splits, "aligned": True}
        return machine.product(*place(launch), out, x[None], y[None], **options)[0]

    got = mm(a, b)
    products.exactly_equal(got, want)
    if launch.kind in ("chain", "graph"):
        products.exactly_equal(mm(got, permutation(want.shape[1])), want.flip(1))


def test_one_that_is_wrong_or_fails_is_said_and_the_others_run(capsys: pytest.CaptureFixture[str]) -> None:
    def attempt(launch: Launch) -> str:
        if launch.name == "pair":
            raise RuntimeError("CUDA error: an illegal memory access was encountered\nmore")
        return "3 of 4 elements are wrong" if launch.name == "ring" else ""

    assert launches.main([], attempt) == 1
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == list(launches.NAMES)
    assert [line for line in printed if not line.endswith(" right")] == [
        "ring         WRONG: 3 of 4 elements are wrong",
        "pair         WRONG: RuntimeError: CUDA error: an illegal memory access was encountered",
    ]
    assert launches.main(["graph"], attempt) == 0 and launches.main(["x"], attempt) == 2


def test_a_wrong_element_is_counted() -> None:
    want = torch.arange(6.0).reshape(2, 3).double()
    assert launches.wrong(want.float(), want) == ""
    bad = want.clone()
    bad[1, 2] = float("nan")
    assert launches.wrong(bad, want) == "1 of 6 elements are wrong, the first at [1, 2]"


# ---- the primitives --------------------------------------------------------------------------------------------------


def test_words_are_said_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the model's library instead of a device's: each is named before it runs, and left out on request."""
    log = tmp_path / "progress"
    monkeypatch.setenv("GPUKERN_GPU_PROGRESS", str(log))
    monkeypatch.setenv("GPUKERN_GPU_SKIP", "mbarrier_inval\ncluster_load")
    chosen = ["mbarrier_arrive", "mbarrier_inval", "cluster_load", "cluster_store"]
    assert words.main(chosen, library()) == 0
    assert log.read_text().split() == ["mbarrier_arrive", "cluster_store"]
    assert "2 cases, 0 wrong" in capsys.readouterr().out


def test_a_wrong_word_is_1_and_a_lost_device_87(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case = next(c for c in words.CASES if c["name"] == "cluster_load")
    monkeypatch.setattr(words, "CASES", [{**case, "output": "0" + case["output"][1:] + " "}])
    assert words.main([], library()) == 1 and "cluster_load: WRONG: the words differ" in capsys.readouterr().out
    monkeypatch.setattr(words, "replay", lambda *_: ("an illegal memory access was encountered", ""))
    assert words.main([], library()) == watch.LOST
    assert "cluster_load: WRONG: an illegal memory access" in capsys.readouterr().out
    monkeypatch.setattr(words, "CASES", [])
    assert words.main([], library()) == 1, "nothing ran"
