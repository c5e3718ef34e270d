"""The cost model beside the floor: computed floors, a line for every case, and no time below the floor."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import gpukern
from gpukern import bench, selection
from gpukern.bench import predict
from gpukern.bench.floors import DEVICES, Device
from gpukern.bench.predict import Prediction
from gpukern.bench.suites import Spec, asked, suite

H200 = DEVICES["h200"]
SUITES = ["fused", "gemm-batched", "gemm-llm", "gemm-odd", "gemm-resnet50", "gemm-square", "gemv"]


@pytest.fixture(autouse=True)
def switches() -> Iterator[None]:
    before = torch.backends.cuda.matmul.allow_tf32
    yield
    torch.backends.cuda.matmul.allow_tf32 = before


def one(op: str, *shape: int, dtype: str = "bfloat16") -> Prediction:
    (spec,) = asked([op], [shape], [dtype])
    return predict.predict(spec, H200)


def fields(line: str) -> list[str]:
    """A printed case's configuration, times, ratio and bound."""
    return line.split()[-5:]


# ---- the floor -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "shape", "dtype", "floor", "computes"),
    [
        # 2 * 8192^3 = 1.0995e12 operations at 8.05e14 a second; a float16 tensor core is the same one
        ("mm", (8192, 8192, 8192), "bfloat16", 1365.85, True),
        ("mm", (8192, 8192, 8192), "float16", 1365.85, True),
        # 2 * 4096^3 = 1.3744e11 operations at 4.75e13 a second
        ("mm", (4096, 4096, 4096), "float32", 2893.45, True),
        # (57344 * 7168 + 7168 + 57344) * 2 = 8.2221e8 bytes at 4.3e12 a second
        ("mv", (57344, 1, 7168), "bfloat16", 191.213, False),
        # 8 * 3 * 1024^2 * 4 = 1.0066e8 bytes are 23.4 us, and 8 * 2 * 1024^3 operations at 4.75e13 are 361.68 us
        ("bmm", (8, 1024, 1024, 1024), "float32", 361.68, True),
    ],
)
def test_floors_by_hand(op: str, shape: tuple[int, ...], dtype: str, floor: float, computes: bool) -> None:
    found = one(op, *shape, dtype=dtype)
    assert found.floor is not None and 1e6 * found.floor == pytest.approx(floor, rel=1e-5)
    assert found.computes is computes


def test_a_residual_is_read_too() -> None:
    (plain, more) = (
        Spec("s", "product", "linear", "bfloat16", (64, 4096, 64), "nt", residual=r) for r in (False, True)
    )
    floors = [predict.predict(spec, H200).floor for spec in (plain, more)]
    assert floors[0] and floors[1]
    assert floors[1] - floors[0] == pytest.approx(64 * 4096 * 2 / 4.3e12)


def test_a_dtype_without_a_documented_rate_has_no_floor(capsys: pytest.CaptureFixture[str]) -> None:
    found = one("mm", 512, 512, 512, dtype="float64")
    assert found.seconds and found.floor is None and found.ratio is None
    assert bench.main(["predict", "mm", "--shapes", "512,512,512", "--dtype", "float64,bfloat16"]) == 0
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if line.startswith("mm 512x512x512 float64")]
    assert fields(line)[2:] == ["-", "-", "-"]
    assert "geometric mean of floor / predicted over 1 cases" in out


# ---- the prediction --------------------------------------------------------------------------------------------------


def test_it_is_what_selection_says_over_the_clock() -> None:
    a = torch.empty(8192, 8192, dtype=torch.bfloat16, device="meta")
    explained = selection.explain_quietly("mm", a, a, device="sm_90a")
    found = one("mm", 8192, 8192, 8192)
    assert (
        found.configuration == explained.would_run
        and gpukern.selection.named(found.configuration).tma
        and explained.cycles
    )
    assert found.seconds == pytest.approx(explained.cycles / 1.7e9)


def test_the_clock_is_that_of_the_cost_model() -> None:
    problem = Path(__file__).resolve().parents[2] / "csrc" / "gemm" / "problem.h"
    (found,) = re.findall(r"kClock = ([\d.e]+), kBandwidth = ([\d.e]+);", problem.read_text())
    assert (float(found[0]), float(found[1])) == (H200.clock, H200.bandwidth)
    assert {c.clock for c in gpukern.available(built=False)} == {0, H200.clock}


def test_ranges_of_k_stand_behind_the_configuration() -> None:
    assert one("mm", 64, 64, 65536).configuration.rpartition("*")[2].isdecimal()


def test_strides_are_those_of_the_case() -> None:
    """TMA cannot load a matrix with a leading dimension of 1025."""
    for pad, loaded in ((0, True), (1, False)):
        spec = Spec("s", "product", "mm", "bfloat16", (1024, 1024, 1024), "nn", pad=pad)
        assert gpukern.selection.named(predict.predict(spec, H200).configuration).tma is loaded


def test_no_operand_is_allocated() -> None:
    """Each has 137 gigabytes."""
    found = one("mm", 2**18, 2**18, 2**18)
    assert found.ratio and 0.5 < found.ratio < 1


def test_a_forced_configuration_is_predicted_and_without_one_nothing() -> None:
    with gpukern.force("simt"):
        assert gpukern.selection.named(one("mm", 1024, 1024, 1024).configuration).lanes == 0
    with gpukern.force("host"):
        found = one("mm", 1024, 1024, 1024)
    assert (found.configuration, found.seconds, found.ratio) == ("torch", None, None) and found.floor


@pytest.mark.parametrize("name", SUITES)
def test_no_case_beats_what_bounds_it(name: str) -> None:
    """Of arithmetic the model counts every operation, and Hopper's configurations and those for vectors count every
    byte.  Other configurations count what L2 moves and not what memory does, so cases that memory bounds may lie below
    their floor."""
    found = [predict.predict(s, H200) for s in suite(name) if s.kind == "product"]
    below = [p for p in found if p.ratio is None or p.ratio > 1]
    assert not [(p.spec.name, p.ratio) for p in below if p.computes or p.clocked]


# ---- what is printed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SUITES)
def test_every_product_has_a_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["predict", name]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("predicted, not measured on a GPU")
    names = [s.name for s in suite(name) if s.kind == "product"]
    ratios = {}
    for case in names:
        (line,) = [line for line in lines if line.split("  ")[0] == case]
        configuration, predicted, floor, ratio, bound = fields(line)
        assert "/" in configuration and bound in ("arithmetic", "memory")
        assert float(floor) / float(predicted) == pytest.approx(float(ratio), rel=0.02, abs=0.002)
        ratios[case] = float(ratio)
    (worst,) = [line for line in lines if line.startswith("the worst: ")]
    case, _, value = worst.removeprefix("the worst: ").rpartition(" ")
    assert ratios[case] == float(value) == min(ratios.values())
    assert sum(line.startswith(f"geometric mean of floor / predicted over {len(names)} cases") for line in lines) == 1


def test_without_a_name_every_suite_with_products_is_asked() -> None:
    assert predict.with_products() == SUITES


def test_a_summary_by_hand() -> None:
    def case(op: str, floor: float | None, configuration: str = "wgmma/w128x256") -> Prediction:
        return Prediction(Spec("s", "product", op, "bfloat16", (1, 1, 1)), configuration, 2e-6, floor, False)

    lines = predict.summary([case("mm", 1e-6), case("mv", 4e-6, "simt/s64x64"), case("linear", 0.25e-6)])
    assert lines == [
        "geometric mean of floor / predicted over 3 cases: 0.500",  # of 1/2, 2 and 1/8: the cube root of 1/8
        "the worst: linear 1x1x1 bfloat16 0.125",
        "1 predicted below their floor: the model leaves something out; the most: mv 1x1x1 bfloat16 2.000",
        "1 on configurations whose cost model names no clock; the same clock is assumed",
    ]
    assert predict.summary([case("mm", 1e-6), case("mv", None)])[0].endswith("over 1 cases: 0.500")
    assert predict.summary([case("mm", None)]) == ["no case has both a prediction and a floor"]


def test_a_stored_measurement_is_printed_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    """With its device and date, and of the other cases that they are predicted."""
    measurement = "2030-01-02 on NVIDIA H200 (mma_sync/f32x32 812.5 us, next mma_sync/f16x128 900.0 us)"
    order = ["mma_sync/f32x32", "mma_sync/f16x128"]
    facts = ("NVIDIA H200", "sm_90", "float32", (1024, 1024, 1024, 1), "nn", order, measurement)
    call = ["predict", "mm", "--dtype", "float32", "--shapes", "1024,1024,1024"]
    predicted = "predicted, not measured on a GPU; `bench tune`"
    try:
        gpukern._C.gemm_set_ranking([facts])
        assert bench.main(call) == 0
        out = capsys.readouterr().out
        assert (
            f"measured, mm 1024x1024x1024 float32: {measurement}" in out
            and predicted not in out
            and " mma_sync/f32x32 " in out
        )
        a = torch.empty(1024, 1024, device="meta")
        text = str(gpukern.explain("mm", a, a, device="sm_90a"))
        assert f"measured  {measurement}" in text and "predicted" not in text
    finally:
        gpukern._C.gemm_set_ranking([])
    assert bench.main(call) == 0
    out = capsys.readouterr().out
    assert f"all 1 are {predicted}" in out and "measured, mm" not in out
    assert "cycles by the cost model: predicted, not measured on a GPU" in str(
        gpukern.explain("mm", a, a, device="sm_90a")
    )


def test_another_device_is_one_entry() -> None:
    slow = Device("sm_80", 1e9, {"bfloat16": 1e12}, 1e12)
    (spec,) = asked(["mm"], [(1024, 1024, 1024)], ["bfloat16"])
    found = predict.predict(spec, slow)
    taken = gpukern.selection.named(found.configuration)
    assert taken.tensor_cores and not taken.tma and found.floor == pytest.approx(2 * 1024**3 / 1e12)
    assert predict.title("slow", slow)[1] == "slow (sm_80): the model's cycles at 1 GHz"


# ---- the arguments ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--device", "sm_80"], "--device sm_80: choose h200, whose clock the cost model has; for others "),
        (["--device", "h100"], "--device h100: choose h200"),
        (["--device", ""], "--device : choose h200"),
        (["gemm-squares"], "gemm-squares is neither a suite nor an op; did you mean gemm-square"),
        (
            ["elementwise"],
            "elementwise has no matrix product, and only products have a cost model; choose from fused, gemm-b",
        ),
        (["gemm-square", "silu"], "silu has no matrix product"),
        (["gemm-llm", "--dtype", "float32"], "gemm-llm has no case of float32; it has bfloat16"),
        (["--shapes", "1,2,3"], "--shapes goes with an op: bench predict mm"),
        (["mm", "--json", "x"], "unrecognized arguments: --json x"),
    ],
)
def test_bad_arguments_are_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["predict", *arguments]) == 2
    printed = capsys.readouterr()
    assert words in printed.err and printed.err.count("\n") == 1 and not printed.out


def test_forced_ranges_have_no_cost(capsys: pytest.CaptureFixture[str]) -> None:
    with gpukern.force("simt/s64x64*4"):
        assert bench.main(["predict", "mm"]) == 2
    assert "the cost model chooses the split-K count itself" in capsys.readouterr().err


def test_float32_is_strict_whatever_torchs_switch_says(capsys: pytest.CaptureFixture[str]) -> None:
    torch.backends.cuda.matmul.allow_tf32 = True
    assert bench.main(["predict", "mm", "--shapes", "1024,1024,1024", "--dtype", "float32"]) == 0
    assert " mma_sync/f" in capsys.readouterr().out
