"""Stored measurements and selection: an order decides where it can serve, never more, and explain reports that."""

from __future__ import annotations

import ast
import itertools
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import gpukern
from gpukern import _C, tuning

from .test_configurations import GOLDEN, GPUS, TYPES, choices, explain

MEASURED = "a stored measurement prefers another configuration"
PLAIN = "mma_sync/f128x128"  # what no measurement decides
ALL = "2026-11-24 on NVIDIA H200 (mma_sync/f32x32 12.3 us, next mma_sync/f64x64 15.0 us)"


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    before = _C.gemm_ranking()
    _C.gemm_set_ranking([])
    yield
    _C.gemm_set_ranking(before)


def entry(configurations: list[str], m: int = 4096, n: int = 4096, k: int = 4096, **other: Any) -> tuple[Any, ...]:
    facts = {"device": "NVIDIA H200", "target": "sm_90", "dtype": "float32", "batch": 1, "layout": "nn"} | other
    extents = (m, n, k, facts["batch"])
    return (facts["device"], facts["target"], facts["dtype"], extents, facts["layout"], configurations, ALL)


def by(order: str, m: int, n: int, k: int) -> list[tuple[int, int, int, int]]:
    """Layouts as explain takes them: n by rows, t by columns."""
    a = (k, 1, m * k, 16) if order[0] == "n" else (1, m, m * k, 16)
    b = (n, 1, n * k, 16) if order[1] == "n" else (1, k, n * k, 16)
    return [a, b, (0, 0, 0, 1), (n, 1, m * n, 16), (0, 0, 0, 1)]


def would(
    m: int = 4096, n: int = 4096, k: int = 4096, dtype: str = "float32", device: str = "sm_90", **other: Any
) -> str:
    return str(explain(dtype, m, n, k, device, **other)["would_run"])


def test_a_measured_order_decides_and_explain_says_why() -> None:
    assert would() == PLAIN and not explain("float32", 4096, 4096, 4096, "sm_90")["ranked"]
    _C.gemm_set_ranking([entry(["mma_sync/f32x32", "mma_sync/f64x64"])])
    found = explain("float32", 4096, 4096, 4096, "sm_90")
    assert found["would_run"] == "mma_sync/f32x32" and found["ranked"] and found["measurement"] == ALL
    if found["configuration"]:  # this build has code for the device
        refused = dict(found["refusals"])
        assert (
            found["configuration"] == "mma_sync/f32x32"
            and refused["mma_sync/f64x64"] == refused["mma_sync/f16x128"] == MEASURED
        )
        assert refused["mma_sync/h64x64"] == "it is not compiled for this type"  # a reason of its own stays
        assert "mma_sync/f32x32" not in refused
    a = torch.empty(4096, 4096, device="meta")
    explanation = gpukern.explain("mm", a, a, device="sm_90a")  # the same target
    assert explanation.notes == (f"chosen by a stored measurement of {ALL}; GPUKERN_TUNING=off ignores it",)
    assert explanation.notes[0] in str(explanation)


def test_only_the_measured_product_is_decided() -> None:
    _C.gemm_set_ranking([entry(["simt/s32x32"])])
    assert would() == "simt/s32x32"
    others: list[dict[str, Any]] = [
        {"m": 4097}, {"n": 4097}, {"k": 4097}, {"batch": 2}, {"dtype": "bfloat16"}, {"device": "sm_100"},
        {"device": "gfx942"}, {"layouts": by("nt", 4096, 4096, 4096)},
    ]  # fmt: skip
    for other in others:
        assert would(**other) != "simt/s32x32", other
    assert would(activation="relu") == "simt/s32x32"  # whatever follows the product


@pytest.mark.parametrize("layout", tuning.LAYOUTS)
def test_how_the_operands_lie_is_part_of_the_question(layout: str) -> None:
    _C.gemm_set_ranking([entry(["simt/s32x32"], layout=layout)])
    decided = [other for other in tuning.LAYOUTS if would(layouts=by(other, 4096, 4096, 4096)) == "simt/s32x32"]
    assert decided == [layout]


@pytest.mark.parametrize("layout", tuning.LAYOUTS)
def test_a_vector_lies_by_rows_whichever_way_it_is_written(layout: str) -> None:
    configuration = "simt/s128x128"  # for one column the model takes any other
    _C.gemm_set_ranking([entry([configuration], m=4096, n=1, k=512, layout=layout)])
    one_column = [(1, 0, 0, 16), (1, 1, 512, 16), (0, 512, 512, 16)]  # what mv, mm and a transposed row have
    for b in one_column:
        layouts = by(layout, 4096, 1, 512)
        layouts[1] = b
        assert would(4096, 1, 512, layouts=layouts) == configuration, b
    _C.gemm_set_ranking([])
    assert would(4096, 1, 512, layouts=layouts) != configuration


def test_configurations_that_cannot_serve_are_passed_over() -> None:
    _C.gemm_set_ranking([entry(["simt/w64x64", "host/blas", "simt/d32x32"])])
    found = explain("float32", 4096, 4096, 4096, "sm_90")
    assert found["would_run"] == PLAIN and not found["ranked"] and found["measurement"] == ""
    assert MEASURED not in dict(found["refusals"]).values()
    _C.gemm_set_ranking([entry(["simt/w64x64", "simt/s64x64", "simt/s32x32"])])  # then the next of the order
    assert would() == "simt/s64x64"


def test_a_configuration_that_would_copy_for_nothing_is_passed_over() -> None:
    """A measurement is of aligned operands, and its key has no alignment: once it had misaligned weights copied."""
    _C.gemm_set_ranking([entry(["wgmma/p64x64", "mma_sync/h64x64"], m=64, dtype="bfloat16")])
    layouts = by("nn", 64, 4096, 4096)
    assert would(64, dtype="bfloat16", layouts=layouts) == "wgmma/p64x64"
    layouts[1] = (4097, 1, 0, 2)
    assert would(64, dtype="bfloat16", layouts=layouts) == "mma_sync/h64x64"


def test_what_is_forced_comes_first() -> None:
    _C.gemm_set_ranking([entry(["simt/s32x32", "simt/s128x128"])])
    for forced, configuration in [("simt/s64x64", "simt/s64x64"), ("simt", "simt/s128x128")]:
        with gpukern.force(forced):
            found = explain("float32", 4096, 4096, 4096, "sm_90")
            assert found["would_run"] == configuration and not found["ranked"]
            assert MEASURED not in dict(found["refusals"]).values()
    assert would() == "simt/s32x32"


def test_a_described_device_takes_the_only_device_of_its_target() -> None:
    configurations = ["simt/s32x32"]
    _C.gemm_set_ranking([entry(configurations), entry(configurations, device="NVIDIA A100", target="sm_80")])
    assert would() == would(device="sm_90a") == would(device="sm_80") == "simt/s32x32"
    _C.gemm_set_ranking([entry(configurations), entry(configurations, device="NVIDIA H100 80GB HBM3")])
    assert would() == PLAIN  # two devices have the target sm_90, so it names neither
    _C.gemm_set_ranking([entry(configurations, device="AMD Instinct MI300X", target="gfx942")])
    assert would(device="gfx942") == "simt/s32x32" and would() == PLAIN


def test_an_empty_table_leaves_every_choice_as_it_was() -> None:
    problems = list(itertools.product(TYPES, [1, 33, 1000], [16, 4096], [100, 1024], GPUS))

    def answers() -> list[dict[str, Any]]:
        return [explain(dtype, m, n, k, device) for dtype, m, n, k, device in problems]

    before = answers()
    assert choices() == GOLDEN.read_text()
    _C.gemm_set_ranking([entry(["simt/s32x32"], m=m, n=4096, k=1024) for m in (1, 33, 1000)])
    assert answers() != before
    _C.gemm_set_ranking([])
    assert _C.gemm_ranking() == [] and answers() == before and choices() == GOLDEN.read_text()


def test_a_wrong_table_changes_nothing() -> None:
    good = [entry(["simt/s32x32", "simt/s128x128"], batch=3, layout="tn")]
    _C.gemm_set_ranking(good)
    for wrong, message in [
        (entry(["simt/warp9"]), "there is no configuration 'simt/warp9'"),
        (entry(["simt"]), "there is no configuration 'simt'"),
        (entry([], layout="nx"), "no layout 'nx'; known are nn, nt, tn, tt"),
        (entry([], layout="n"), "no layout 'n'"),
        (entry([], dtype="complex32"), "complex32"),
    ]:
        with pytest.raises(ValueError, match=message):
            _C.gemm_set_ranking([*good, wrong])
        assert _C.gemm_ranking() == good


def test_a_cpu_product_asks_no_table() -> None:
    _C.gemm_set_ranking([entry(["host/blas"], m=4, n=4, k=4, device="cpu", target="cpu")])
    a = torch.randn(4, 4)
    assert torch.equal(gpukern.mm(a, a), torch.mm(a, a))


# ---- from the file to the choice -------------------------------------------------------------------------------------


def stored(configurations: list[tuple[str, float]], device: str = "NVIDIA H200", dtype: str = "float32") -> Path:
    one = tuning.Entry(dtype, 4096, 4096, 4096, 1, "nn", tuple(configurations), "2026-11-24")
    path = tuning.store(device, "sm_90", [one])
    assert path is not None
    return path


TWO = [("mma_sync/f32x32", 12.34), ("mma_sync/f64x64", 15.0)]


def test_a_file_reaches_selection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUKERN_TUNING", str(tmp_path))
    stored(TWO)
    assert would() == PLAIN  # not before it is read
    assert tuning.activate() == 1 and would() == "mma_sync/f32x32"
    assert explain("float32", 4096, 4096, 4096, "sm_90")["measurement"] == ALL
    monkeypatch.setenv("GPUKERN_TUNING", "off")
    assert tuning.activate() == 0 and would() == PLAIN


def test_a_single_configuration_decides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUKERN_TUNING", str(tmp_path))
    stored([("mma_sync/f32x32", 12.3)])
    assert tuning.activate() == 0 and would() == PLAIN


def test_a_configuration_that_this_build_does_not_have_makes_a_file_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setenv("GPUKERN_TUNING", str(tmp_path))
    for name, message in [("simt/warp9", "names simt/warp9"), ("simt/w64x64", "names simt/w64x64 for float32")]:
        path = stored(TWO)
        facts = json.loads(path.read_text())
        facts["entries"][0]["ranking"].append([name, 20.0])
        path.write_text(json.dumps(facts))
        found, reason = tuning.load(path)
        assert found is None and message in reason and "stale" in reason
        assert tuning.activate() == 0 and would() == PLAIN
    assert not recwarn.list  # a stale measurement is no mistake of the user's


def test_import_reads_what_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of its own: the table is there, and no CUDA context; without a folder it is empty."""
    code = textwrap.dedent("""
        import torch, gpukern
        print((gpukern._C.gemm_ranking(), torch.cuda.is_initialized()))
    """)

    def table(value: str) -> Any:
        done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "GPUKERN_TUNING": value},
                              capture_output=True, text=True, check=True)  # fmt: skip
        return ast.literal_eval(done.stdout.strip().splitlines()[-1])

    monkeypatch.setenv("GPUKERN_TUNING", str(tmp_path))
    stored(TWO)
    assert table(str(tmp_path)) == ([entry(["mma_sync/f32x32", "mma_sync/f64x64"])], False)
    assert table(str(tmp_path / "nowhere")) == table("off") == table("0") == ([], False)
