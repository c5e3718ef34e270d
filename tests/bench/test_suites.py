"""Suites as data: what they promise is in them, and every case can be built."""

from __future__ import annotations

import json

import pytest

from gpukern.bench import cases, suites
from gpukern.bench.suites import Unknown, asked, catalogue, suite

NAMES = [
    "elementwise", "fused", "gemm-batched", "gemm-llm", "gemm-odd", "gemm-resnet50", "gemm-square", "gemv", "overhead",
    "training",
]  # fmt: skip


def test_they_are_there() -> None:
    assert list(suites.paths()) == NAMES
    assert all(suites.about(name).endswith(".") for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_names_are_unique_and_cases_can_be_built(name: str) -> None:
    specs = suite(name)
    assert specs and len({s.name for s in specs}) == len(specs)
    for spec in specs:
        if spec.kind in ("product", "elementwise"):
            case = cases.build(spec, "cpu")
            assert case.bytes > 0 and case.wants
            assert (case.flops > 0) == (spec.kind == "product")


def test_squares() -> None:
    sides = {s.shape[0] for s in suite("gemm-square")}
    assert sides == {2**p for p in range(8, 15)}


def test_language_models() -> None:
    specs = suite("gemm-llm")
    assert {s.shape[0] for s in specs} == {1, 16, 64, 128, 512, 4096, 8192}
    for model in ("GPT-2", "Llama-3 8B", "Llama-3 70B", "Mixtral", "DeepSeek-V3"):
        assert any(s.label.startswith(model) for s in specs), model
    (down,) = [s for s in specs if s.label == "Llama-3 70B down" and s.shape[0] == 512]
    assert down.shape == (512, 8192, 28672)


def test_the_convolutions_of_resnet50() -> None:
    """4.09 billion multiply-adds an image, as the literature counts them."""
    one = {s.label: s for s in suite("gemm-resnet50") if s.dtype == "float32"}

    def work(label: str) -> float:
        m, n, k = one[f"ResNet-50 {label}"].shape
        return m * n * k / 32

    total = work("conv1") + work("fc")
    for layer, blocks in (("layer1", 3), ("layer2", 4), ("layer3", 6), ("layer4", 3)):
        total += work(f"{layer}.0.conv1") + work(f"{layer}.downsample")
        total += blocks * (work(f"{layer}.conv2") + work(f"{layer}.conv3")) + (blocks - 1) * work(f"{layer}.1.conv1")
    assert total == pytest.approx(4.09e9, rel=0.01)


def test_every_op_of_the_catalogue_that_torch_has_is_measured() -> None:
    import gpukern

    measured = {s.op.split(".")[0] for s in suite("elementwise")}
    same_kernel = {"clamp_min", "clamp_max"}
    assert {e["name"] for e in gpukern._C.elementwise_catalogue() if e["aten"]} - same_kernel == measured
    elements = {s.shape[0] * s.shape[1] for s in suite("elementwise")}
    assert min(elements) == 2**10 and max(elements) == 2**30
    assert {s.layout for s in suite("elementwise")} == {"dense", "broadcast", "transposed"}


def test_fused_ops_are_those_without_a_torch_name() -> None:
    ours = {e.name for e in catalogue().values() if not e.aten}
    assert {s.op.split(".")[0] for s in suite("fused")} == ours | {"linear"}
    assert {e.key for e in catalogue().values()} == {s.op for name in ("elementwise", "fused") for s in suite(name)} - {
        "linear"
    }


def test_a_suites_file_says_what_it_means(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every key of every group is one that is read."""
    known = {
        "product": {"op", "shapes", "dtypes", "layouts", "pad", "activation", "residual", "model", "weights", "tokens",
                    "products"},
        "elementwise": {"ops", "elements", "layouts", "dtypes"},
        "overhead": {"ops", "modes", "dtypes"},
        "training": {"networks", "dtypes"},
    }  # fmt: skip
    for path in suites.paths().values():
        data = json.loads(path.read_text())
        assert set(data) == {"about", "cases"}
        for group in data["cases"]:
            assert set(group) - {"kind"} <= known[group["kind"]], (path.name, group)


@pytest.mark.parametrize(
    ("names", "shapes", "dtypes", "words"),
    [
        (["gem-square"], [], [], "neither a suite nor an op; did you mean gemm-square"),
        (["gemv"], [], ["int8"], "--dtype int8: choose from float16, bfloat16, float32, float64"),
        (["gemm-llm"], [], ["float64"], "gemm-llm has no case of float64; it has bfloat16"),
        (["gemv"], [(1, 2, 3)], [], "--shapes goes with an op"),
        (["mm"], [(1, 2)], [], "mm takes shapes of 3 numbers"),
        (["bmm"], [(1, 2, 3)], [], r"bmm takes shapes of 4 numbers \(B,M,N,K\)"),
        (["mv"], [(4, 2, 3)], [], "mv takes shapes M,1,K, not 4,2,3"),
        (["silu"], [(1, 2, 3)], [], "silu takes shapes N or ROWS,COLUMNS"),
    ],
)
def test_what_cannot_be_asked(names: list[str], shapes: list[tuple[int, ...]], dtypes: list[str], words: str) -> None:
    with pytest.raises(Unknown, match=words) as caught:
        asked(names, shapes, dtypes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "a,b", "1,,2", "0,1,1", "-1", "4096*4096"])
def test_what_is_no_shape(text: str) -> None:
    with pytest.raises(Unknown, match="write positive numbers separated by commas"):
        suites.parsed(text)


def test_shapes_and_types_of_an_op() -> None:
    assert suites.parsed("4096x64,8") == (4096, 64, 8)
    (spec,) = asked(["mm"], [(3, 5, 7)], ["float64"])
    assert (spec.shape, spec.dtype, spec.name) == ((3, 5, 7), "float64", "mm 3x5x7 float64")
    assert {s.dtype for s in asked(["swiglu"], [(1000,)], [])} == {"float32", "bfloat16"}
    assert asked(["swiglu"], [(1000,)], ["float32"])[0].shape == (1, 1000)


def test_a_quick_look_sees_every_kind_of_case() -> None:
    whole = suite("elementwise")
    few = suites.quick(whole)
    assert {(s.op, s.dtype, s.layout) for s in few} == {(s.op, s.dtype, s.layout) for s in whole}
    assert len(few) < len(whole) / 2
    assert [s for s in whole if s in few] == few
