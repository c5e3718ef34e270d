# ruff: noqa: B023  (every lambda is called before its loop goes on)
"""torch's own sample inputs (OpInfo) of every op that gpukern has by the same name, in every form and when refused.

The samples are those of torch's test suite: 0-dim, empty, broadcast, strided and mixed operands, numbers in every
place.  `make test` prints how many were compared.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.opinfo.core import OpInfo

import gpukern

NAMES = """
    matmul mm bmm addmm baddbmm mv addmv nn.functional.linear
    abs neg sign square sqrt rsqrt reciprocal exp exp2 expm1 log log2 log1p sin cos tanh sigmoid erf
    nn.functional.relu nn.functional.relu6 nn.functional.leaky_relu nn.functional.elu nn.functional.gelu
    nn.functional.silu nn.functional.mish nn.functional.softplus nn.functional.hardswish nn.functional.hardsigmoid
    nn.functional.hardtanh nn.functional.logsigmoid
    add sub mul div pow maximum minimum fmax fmin where clamp clamp_min clamp_max lerp addcmul addcdiv
""".split()  # noqa: SIM905  (a list a line would be 56 lines)
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool]

# Variants that are other implementations of torch's, with the samples of the plain one.
_OTHERS = {"decomposed", "triton_optimized", "complex"}
OPS: list[OpInfo] = [op for op in op_db if op.name in NAMES and op.variant_test_name not in _OTHERS]
CASES = [(op, dtype) for op in OPS for dtype in DTYPES if dtype in op.dtypes]
IDS = [f"{op.formatted_name}-{str(dtype).removeprefix('torch.')}" for op, dtype in CASES]

# Samples compared, by form; read by conftest at the end of the session.
compared: Counter[str] = Counter()

Function = Callable[..., Any]


def ours(op: OpInfo) -> Function:
    function: Function = getattr(gpukern, op.name.rpartition(".")[2])
    if op.name == "where":  # OpInfo puts the condition second
        return lambda value, condition, other, **kwargs: function(condition, value, other, **kwargs)
    return function


def outcome(call: Callable[[], Any]) -> Any:
    """The result, or the exception's type and first line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return call()
        except Exception as error:
            return type(error).__name__, (str(error).splitlines() or [""])[0]


def exact(op: OpInfo, dtype: torch.dtype, args: list[Any], kwargs: dict[str, Any], theirs: Any) -> Any:
    """torch's result, except where it rounds twice: a 16-bit quotient before it is cut to an integer (17.95 to 18)."""
    if op.name != "div" or dtype != torch.bfloat16 or not kwargs.get("rounding_mode") or not isinstance(theirs, Tensor):
        return theirs
    return op(*[a.double() if isinstance(a, Tensor) else a for a in args], **kwargs).to(theirs.dtype)


def same(got: Any, expected: Any, what: str) -> None:
    if not isinstance(expected, Tensor):
        assert got == expected, what
        return
    assert isinstance(got, Tensor), (what, got)
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape), what
    torch.testing.assert_close(got, expected, equal_nan=True, msg=lambda m: f"{what}: {m}")


def samples(op: OpInfo, dtype: torch.dtype, reference: bool) -> Iterator[tuple[list[Any], dict[str, Any], bool]]:
    """Arguments, keywords, and whether the first argument is broadcast (then there is no in-place form)."""
    make = op.reference_inputs if reference else op.sample_inputs
    for sample in islice(make("cpu", dtype, requires_grad=False), 40):
        yield [sample.input, *sample.args], sample.kwargs, sample.broadcasts_input


def copies(values: list[Any]) -> list[Any]:
    return [v.clone() if isinstance(v, Tensor) else v for v in values]


def compare(op: OpInfo, dtype: torch.dtype, reference: bool = False) -> None:
    mine = ours(op)
    in_place = getattr(gpukern, op.name.rpartition(".")[2] + "_", None)
    for number, (args, kwargs, broadcast) in enumerate(samples(op, dtype, reference)):
        what = f"{op.formatted_name} {dtype} sample {number}"
        expected = exact(op, dtype, args, kwargs, outcome(lambda: op(*args, **kwargs)))
        same(outcome(lambda: mine(*args, **kwargs)), expected, what)
        compared["result"] += 1
        if op.supports_out and isinstance(expected, Tensor):
            poison = float("nan") if expected.is_floating_point() else 1
            out = torch.full_like(expected, poison)
            got = mine(*args, out=out, **kwargs)
            assert got is out
            same(out, expected, f"{what} out=")
            compared["out="] += 1
        if in_place and op.inplace_variant and not broadcast and isinstance(args[0], Tensor):
            target, theirs = args[0].clone(), args[0].clone()
            expected = outcome(lambda: op.inplace_variant(theirs, *args[1:], **kwargs))
            expected = exact(op, dtype, args, kwargs, expected)
            got = outcome(lambda: in_place(target, *args[1:], **kwargs))
            same(got, expected, f"{what} in place")
            assert not isinstance(expected, Tensor) or got is target
            compared["in place"] += 1


@pytest.mark.parametrize(("op", "dtype"), CASES, ids=IDS)
def test_samples(op: OpInfo, dtype: torch.dtype) -> None:
    compare(op, dtype)


@pytest.mark.slow
@pytest.mark.parametrize(("op", "dtype"), CASES, ids=IDS)
def test_reference_samples(op: OpInfo, dtype: torch.dtype) -> None:
    """The head of the longer list: extremal values, non-contiguous operands, mixed types."""
    compare(op, dtype, reference=True)


@pytest.mark.parametrize("op", OPS, ids=[op.formatted_name for op in OPS])
def test_gradients_of_samples(op: OpInfo) -> None:
    mine = ours(op)
    for number, (args, kwargs, _) in enumerate(samples(op, torch.float64, False)):
        results = []
        for function in (mine, op):
            leaves = [
                a.detach().clone().requires_grad_() if isinstance(a, Tensor) and a.is_floating_point() else a
                for a in args
            ]
            wanted = [a for a in leaves if isinstance(a, Tensor) and a.requires_grad]
            result = function(*leaves, **kwargs)
            if not result.requires_grad:
                results.append((False, ()))
                continue
            weight = torch.arange(1, result.numel() + 1, dtype=result.dtype).reshape(result.shape)
            results.append((True, torch.autograd.grad((result * weight).sum(), wanted, allow_unused=True)))
        # torch's gradient of hardsigmoid has 1 / 6 as a float32, and its one of erf-gelu cancels
        tolerance = {"rtol": 2e-7, "atol": 1e-7} if op.name.endswith("hardsigmoid") else {"rtol": 1e-7, "atol": 1e-7}
        torch.testing.assert_close(
            results[0], results[1], equal_nan=True, **tolerance, msg=lambda m, n=number: f"sample {n}: {m}"
        )
        compared["gradient"] += 1


@pytest.mark.parametrize(
    "op", [op for op in OPS if op.error_inputs_func], ids=[op.formatted_name for op in OPS if op.error_inputs_func]
)
def test_error_inputs(op: OpInfo) -> None:
    for wrong in op.error_inputs("cpu"):
        sample = wrong.sample_input
        args = [sample.input, *sample.args]
        expected = outcome(lambda: op(*args, **sample.kwargs))
        same(outcome(lambda: ours(op)(*args, **sample.kwargs)), expected, op.formatted_name)
        compared["refusal"] += 1


def test_where_refused_two_numbers() -> None:
    condition = torch.tensor([True, False])
    for numbers in ((1.0, 2.0), (1, 2), (True, 2.5)):
        same(gpukern.where(condition, *numbers), torch.where(condition, *numbers), str(numbers))


def test_every_name_has_samples() -> None:
    assert {op.name for op in OPS} == set(NAMES)
    count = sum(1 for op, dtype in CASES for _ in samples(op, dtype, False))
    assert count >= 1200, count
