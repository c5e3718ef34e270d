"""What a bench believes: right results pass, each planted fault is WRONG, and a wrong kernel gets no time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from gpukern import bench, ops, selection
from gpukern.bench import cases, check, suites
from gpukern.bench.operands import Pool

FLOATING = [key for key, entry in suites.catalogue().items() if entry.types != "whole"]
OPS = suites.asked(FLOATING, [(4099,)], ["float16", "bfloat16", "float32", "float64"])
OPS += suites.asked(sorted(set(suites.catalogue()) - set(FLOATING)), [(4099,)], suites.INTEGERS)


def operands(case: cases.Case) -> tuple[Tensor, ...]:
    return Pool("cpu", 2**14).sets(case.wants)[0]


@pytest.mark.parametrize("spec", OPS, ids=lambda s: s.name)
def test_every_op_is_right(spec: suites.Spec) -> None:
    torch.manual_seed(0)
    case = cases.build(spec, "cpu")
    inputs = operands(case)
    verdict = case.judge(case.ours(*inputs), *inputs)
    assert verdict, verdict.text
    assert 0 <= verdict.error <= 1


PRODUCTS = [
    *suites.asked(["mm", "linear"], [(67, 45, 129)], list(suites.DTYPES)),
    *suites.asked(["bmm"], [(3, 17, 33, 65)], list(suites.DTYPES)),
    *suites.asked(["mv"], [(97, 1, 65)], list(suites.DTYPES)),
    *(suites.Spec("s", "product", "mm", "float32", (33, 17, 65), layout, pad=1) for layout in ("nn", "nt", "tn", "tt")),
    *(
        suites.Spec("s", "product", "linear", dtype, (33, 17, 65), "nt", choice=act, residual=more)
        for dtype in ("float32", "bfloat16")
        for act in ("gelu_tanh", "silu", "relu")
        for more in (False, True)
    ),
]


@pytest.mark.parametrize("spec", PRODUCTS, ids=lambda s: s.name)
def test_every_product_is_right(spec: suites.Spec) -> None:
    case = cases.build(spec, "cpu")
    inputs = operands(case)
    got = case.ours(*inputs)
    verdict = case.judge(got, *inputs)
    assert verdict, verdict.text
    assert torch.allclose(got, case.rivals["torch"](*inputs), rtol=0.02, atol=0.05)
    assert selection.named(case.configuration()).on_cpu


def one(at: int, value: float) -> Callable[[Tensor], Tensor]:
    def spoil(t: Tensor) -> Tensor:
        t = t.clone()
        t.view(-1)[at] = value
        return t

    return spoil


FAULTS: dict[str, Callable[[Tensor], Tensor]] = {
    "one element is NaN": one(-1, float("nan")),
    "the first is a little off": lambda t: one(0, float(t.flatten()[0]) * 1.01 + 0.01)(t),
    "the last is zero": one(-1, 0.0),
    "all are TF32's": lambda t: t * (1 + 2**-9),
    "a tail was not written": lambda t: torch.cat([t.flatten()[:-7], torch.zeros(7, dtype=t.dtype)]).view_as(t),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("op", ["mm", "swiglu", "exp", "add", "gelu"])
def test_faults_are_wrong(op: str, fault: str) -> None:
    shape = (65, 64, 33) if op == "mm" else (301,)
    (spec,) = suites.asked([op], [shape], ["float32"])
    case = cases.build(spec, "cpu")
    inputs = operands(case)
    verdict = case.judge(FAULTS[fault](case.ours(*inputs)), *inputs)
    assert not verdict and verdict.text.startswith("WRONG: "), verdict


def test_a_fault_in_the_middle_of_a_large_result_is_wrong() -> None:
    """Where only a sample meets the reference, all of it meets torch in float64; four percent are enough."""
    (spec,) = suites.asked(["silu"], [(1 << 18,)], ["float32"])
    case = cases.build(spec, "cpu")
    inputs = operands(case)
    got = case.ours(*inputs)
    places = check.sample(got.numel())
    unseen = next(i for i in range(got.numel() // 2, got.numel()) if not bool((places == i).any()))
    assert case.judge(got, *inputs)
    for value in (77.0, 1.04 * float(got.flatten()[unseen])):
        verdict = case.judge(one(unseen, value)(got), *inputs)
        assert not verdict and "WRONG: 1 of" in verdict.text


def test_a_large_product_is_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "OPERATIONS", 4.0 * 30 * 64 * 64)
    a, b = torch.randn(256, 64), torch.randn(64, 64)
    good = a @ b
    assert check.product(good, a, b)
    for row in (0, 128, 255):
        assert not check.product(one(row * 64, 99.0)(good), a, b), row


@pytest.mark.parametrize("spec", PRODUCTS[:8] + PRODUCTS[-12:], ids=lambda s: s.name)
def test_a_fault_between_the_parts_of_a_large_product_is_wrong(
    spec: suites.Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bug: rows that no part held were not compared with anything."""
    monkeypatch.setattr(check, "OPERATIONS", 1.0)
    case = cases.build(spec, "cpu")
    inputs = operands(case)
    got = case.ours(*inputs)
    assert case.judge(got, *inputs)
    rows, columns = got.shape[-2:]
    verdict = case.judge(one((rows // 4) * columns + 1, 99.0)(got), *inputs)
    assert not verdict and "torch's" in verdict.text


@pytest.mark.parametrize("op", ["silu", "mm"])
def test_a_planted_wrong_kernel_prints_wrong_and_no_time(
    op: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    right = getattr(ops, op)

    def wrong(*tensors: Tensor, **options: Any) -> Tensor:
        result: Tensor = right(*tensors, **options)
        return one(-1, 1e3)(result)

    monkeypatch.setattr(ops, op, wrong)
    shape = "64,64,64" if op == "mm" else "1000"
    file = tmp_path / "run.json"
    code = bench.main([op, "--shapes", shape, "--dtype", "float32", "--quick", "--json", str(file), "--device", "cpu"])
    out = capsys.readouterr().out
    assert code == 1 and "WRONG: 1 of" in out and "torch us" not in out
    from gpukern.bench.results import load

    (line,) = load(file).lines
    assert line.verdict.startswith("WRONG") and not line.ours and not line.rivals


def test_whole_tensors_by_the_norm() -> None:
    exact = torch.randn(100, dtype=torch.float64)
    assert check.tensors([exact.float()], [exact], 1e-5)
    assert not check.tensors([exact.float() * 1.001], [exact], 1e-5)
    assert not check.tensors([exact.float() * float("nan")], [exact], 1e-5)
    large = torch.randn(1000, dtype=torch.float64)
    assert not check.tensors([one(7, float(large[7]) + 0.05)(large).float()], [large], 2e-5)


def test_integers_are_exact_and_wrapped() -> None:
    a, b = torch.randint(-9, 9, (30, 40), dtype=torch.int8), torch.randint(-9, 9, (40, 20), dtype=torch.int8)
    got = torch.mm(a, b)
    assert check.product(got, a, b)
    assert not check.product(got + (torch.arange(20) == 3).to(torch.int8), a, b)
