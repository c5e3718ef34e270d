# ruff: noqa: B023  (every lambda is called before its loop goes on)
"""torch's own sample inputs (OpInfo) of every op that gpukern has by the same name, in every form and when refused.

The samples are those of torch's test suite: 0-dim, empty, broadcast, strided and mixed operands, numbers in every
place.  `make test` prints how many were compared.  The matrix products run in every dtype that torch's have on a CPU,
with all of torch's samples; of the elementwise ops the head of each list, in five.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.opinfo.core import OpInfo
from torch.utils._pytree import tree_leaves, tree_map

import gpukern

PRODUCTS = """
    matmul __rmatmul__ mm bmm addmm baddbmm addbmm mv addmv nn.functional.linear dot vdot inner outer addr
    nn.functional.bilinear linalg.multi_dot tensordot einsum
""".split()  # noqa: SIM905
# torch rounds between the steps of these products and we only at the end, so its 16-bit results are no reference.
ROUNDED_MORE_OFTEN = {"addbmm", "addr", "nn.functional.bilinear"}
SINGLE = (torch.float32, torch.complex64)
ROUNDED = (torch.float16, torch.bfloat16, *SINGLE)
ELEMENTWISE = """
    abs neg sign square sqrt rsqrt reciprocal exp exp2 expm1 log log2 log1p sin cos tanh sigmoid erf
    nn.functional.relu nn.functional.relu6 nn.functional.leaky_relu nn.functional.elu nn.functional.gelu
    nn.functional.silu nn.functional.mish nn.functional.softplus nn.functional.hardswish nn.functional.hardsigmoid
    nn.functional.hardtanh nn.functional.logsigmoid
    add sub mul div pow maximum minimum fmax fmin where clamp clamp_min clamp_max lerp addcmul addcdiv
    eq ne lt le gt ge logical_and logical_or logical_xor logical_not isnan isinf isfinite isposinf isneginf signbit
    tan asin acos atan sinh cosh asinh acosh atanh log10 erfc deg2rad rad2deg atan2 hypot logaddexp logaddexp2 xlogy
    floor ceil trunc round frac fmod remainder copysign heaviside
    bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift gcd lcm
""".split()  # noqa: SIM905  (a list a line would be 56 lines)
NAMES = [*PRODUCTS, *ELEMENTWISE]
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool]

# Variants that are other implementations of torch's, with the samples of the plain one.
_OTHERS = {"decomposed", "triton_optimized", "complex"}
OPS: list[OpInfo] = [op for op in op_db if op.name in NAMES and op.variant_test_name not in _OTHERS]
CASES = [
    (op, dtype)
    for op in OPS
    for dtype in (sorted(op.dtypes, key=str) if op.name in PRODUCTS else DTYPES)
    if dtype in op.dtypes
]
IDS = [f"{op.formatted_name}-{str(dtype).removeprefix('torch.')}" for op, dtype in CASES]

# Comparisons begun and comparisons passed, by form; those of the matrix products once more, apart.  Read by conftest at
# the end of the session.
offered: Counter[str] = Counter()
compared: Counter[str] = Counter()

Function = Callable[..., Any]


@contextmanager
def counted(op: OpInfo, form: str) -> Iterator[None]:
    names = [form, f"product {form}"] if op.name in PRODUCTS else [form]
    offered.update(names)
    yield
    compared.update(names)


def ours(op: OpInfo) -> Function:
    if op.name == "__rmatmul__":
        return lambda other, input: gpukern.matmul(input, other)
    function: Function = getattr(gpukern, op.name.rpartition(".")[2])
    if op.name == "where":  # OpInfo puts the condition second
        return lambda value, condition, other, **kwargs: function(condition, value, other, **kwargs)
    if op.name == "einsum":  # and the equation
        return lambda tensors, equation: function(equation, tensors)
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


def same(got: Any, expected: Any, what: str, precise: Callable[[], tuple[Tensor, Tensor]] | None = None) -> None:
    """Equal to torch's within torch's tolerances.  Where 16 or 32 bits differ by more: nearer to float64 than torch's
    is, or off by no more than a rounding of each term (`precise`: the value in float64, and the sum of the terms'
    sizes).  torch's tolerance of float32 is 1e-5 whatever is summed, and a BLAS adds in another order on each
    processor; there the bound is that of docs/numerics.md for the shortest sums."""
    if not isinstance(expected, Tensor):
        assert got == expected, what
        return
    assert isinstance(got, Tensor), (what, got)
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape), what
    if precise is not None and expected.dtype in ROUNDED:
        reference, size = precise()
        error, unit = (got.to(reference.dtype) - reference).abs(), torch.finfo(expected.dtype).eps / 2
        roundings = 8 if expected.dtype == torch.float32 else 1
        good = (error <= (expected.to(reference.dtype) - reference).abs()) | (error <= roundings * unit * size)
        got = torch.where(good & expected.isfinite(), expected, got)
    torch.testing.assert_close(got, expected, equal_nan=True, msg=lambda m: f"{what}: {m}")


def in_double(value: Any, size: bool = False) -> Any:
    """The arguments in float64, or their absolute values."""

    def convert(a: Any) -> Any:
        if isinstance(a, Tensor) and (a.is_floating_point() or a.is_complex()):
            wide = a.to(torch.complex128 if a.is_complex() else torch.float64)
            return wide.abs() if size else wide
        return abs(a) if size and isinstance(a, (float, complex)) else a

    return tree_map(convert, value)


def samples(op: OpInfo, dtype: torch.dtype, reference: bool) -> Iterator[tuple[list[Any], dict[str, Any], bool]]:
    """Arguments, keywords, and whether the first argument is broadcast (then there is no in-place form)."""
    make = op.reference_inputs if reference else op.sample_inputs
    limit = None if op.name in PRODUCTS else 40
    for sample in islice(make("cpu", dtype, requires_grad=False), limit):
        yield [sample.input, *sample.args], sample.kwargs, sample.broadcasts_input


def compare(op: OpInfo, dtype: torch.dtype, reference: bool = False) -> None:
    mine = ours(op)
    in_place = getattr(gpukern, op.name.rpartition(".")[2] + "_", None)
    for number, (args, kwargs, broadcast) in enumerate(samples(op, dtype, reference)):
        what = f"{op.formatted_name} {dtype} sample {number}"

        def in_float64(args: list[Any] = args, kwargs: dict[str, Any] = kwargs) -> tuple[Tensor, Tensor]:
            value, size = (op(*in_double(args, of), **in_double(kwargs, of)) for of in (False, True))
            return value, size

        precise = in_float64 if op.name in ROUNDED_MORE_OFTEN or (op.name in PRODUCTS and dtype in SINGLE) else None
        expected = exact(op, dtype, args, kwargs, outcome(lambda: op(*args, **kwargs)))
        with counted(op, "result"):
            same(outcome(lambda: mine(*args, **kwargs)), expected, what, precise)
        if op.supports_out and isinstance(expected, Tensor):
            with counted(op, "out="):
                poison = float("nan") if expected.is_floating_point() or expected.is_complex() else 1
                out = torch.full_like(expected, poison)
                got = mine(*args, out=out, **kwargs)
                assert got is out
                same(out, expected, f"{what} out=", precise)
        if in_place and op.inplace_variant is not None and not broadcast and isinstance(args[0], Tensor):
            with counted(op, "in place"):
                target, theirs = args[0].clone(), args[0].clone()
                expected = outcome(lambda: op.inplace_variant(theirs, *args[1:], **kwargs))
                expected = exact(op, dtype, args, kwargs, expected)
                got = outcome(lambda: in_place(target, *args[1:], **kwargs))
                same(got, expected, f"{what} in place", precise)
                assert not isinstance(expected, Tensor) or got is target


@pytest.mark.parametrize(("op", "dtype"), CASES, ids=IDS)
def test_samples(op: OpInfo, dtype: torch.dtype) -> None:
    compare(op, dtype)


@pytest.mark.slow
@pytest.mark.parametrize(("op", "dtype"), CASES, ids=IDS)
def test_reference_samples(op: OpInfo, dtype: torch.dtype) -> None:
    """The head of the longer list: extremal values, non-contiguous operands, mixed types."""
    compare(op, dtype, reference=True)


def leaves_of(args: list[Any], dtype: torch.dtype) -> tuple[list[Any], list[Tensor]]:
    """The arguments with fresh leaves in them, and the leaves."""
    fresh = tree_map(
        lambda a: a.detach().clone().requires_grad_() if isinstance(a, Tensor) and a.dtype == dtype else a, args
    )
    return fresh, [a for a in tree_leaves(fresh) if isinstance(a, Tensor) and a.requires_grad]


# heaviside has no derivative: tests/elementwise/test_exact.py
GRADIENTS = [(op, torch.float64) for op in OPS if torch.float64 in op.dtypes and op.name != "heaviside"]
GRADIENTS += [(op, torch.complex128) for op in OPS if op.name in PRODUCTS and torch.complex128 in op.dtypes]


@pytest.mark.parametrize(("op", "dtype"), GRADIENTS, ids=[f"{op.formatted_name}-{dtype}" for op, dtype in GRADIENTS])
def test_gradients_of_samples(op: OpInfo, dtype: torch.dtype) -> None:
    mine = ours(op)
    for number, (args, kwargs, _) in enumerate(samples(op, dtype, False)):
        with counted(op, "gradient"):
            results: list[tuple[bool, tuple[Tensor, ...]]] = []
            for function in (mine, op):
                arguments, wanted = leaves_of(args, dtype)
                result = function(*arguments, **kwargs)
                if not result.requires_grad:
                    results.append((False, ()))
                    continue
                weight = torch.arange(1, result.numel() + 1, dtype=torch.float64).reshape(result.shape)
                loss = (result * weight).sum()
                results.append((True, torch.autograd.grad(loss, wanted, torch.ones_like(loss), allow_unused=True)))
            # torch's gradient of hardsigmoid has 1 / 6 as a float32, and its one of erf-gelu cancels
            tolerance: dict[str, Any] = {"rtol": 2e-7 if op.name.endswith("hardsigmoid") else 1e-7, "atol": 1e-7}
            torch.testing.assert_close(
                results[0], results[1], equal_nan=True, **tolerance, msg=partial("sample {}: {}".format, number)
            )


DOUBLE = [op for op in OPS if op.name in PRODUCTS]


@pytest.mark.parametrize("op", DOUBLE, ids=[op.formatted_name for op in DOUBLE])
def test_second_derivatives_of_samples(op: OpInfo) -> None:
    """Of the samples that are small and without NaN: finite differences take a call an element."""
    mine, dtype = ours(op), torch.float64
    for args, kwargs, _ in samples(op, dtype, False):
        wanted = leaves_of(args, dtype)[1]
        if not 0 < sum(t.numel() for t in wanted) <= 150 or any(t.isnan().any() for t in wanted):
            continue

        def call(*leaves: Tensor, args: Any = args, kwargs: Any = kwargs) -> Any:
            rest = iter(leaves)
            place = tree_map(lambda a: next(rest) if isinstance(a, Tensor) and a.dtype == torch.float64 else a, args)
            return mine(*place, **kwargs)

        with counted(op, "second derivative"):
            if call(*wanted).requires_grad:
                assert torch.autograd.gradgradcheck(call, wanted, check_fwd_over_rev=True)


@pytest.mark.parametrize(
    "op",
    [op for op in OPS if op.error_inputs_func is not None],
    ids=[op.formatted_name for op in OPS if op.error_inputs_func is not None],
)
def test_error_inputs(op: OpInfo) -> None:
    for wrong in op.error_inputs("cpu"):
        sample = wrong.sample_input
        args = [sample.input, *sample.args]
        expected = outcome(lambda: op(*args, **sample.kwargs))
        with counted(op, "refusal"):
            same(outcome(lambda: ours(op)(*args, **sample.kwargs)), expected, op.formatted_name)


def test_where_refused_two_numbers() -> None:
    condition = torch.tensor([True, False])
    for numbers in ((1.0, 2.0), (1, 2), (True, 2.5)):
        same(gpukern.where(condition, *numbers), torch.where(condition, *numbers), str(numbers))


def test_every_name_has_samples() -> None:
    assert {op.name for op in OPS} == set(NAMES)
    heads = {(op.formatted_name, dtype): len(list(islice(samples(op, dtype, False), 3))) for op, dtype in CASES}
    assert min(heads.values()) > 0 and sum(heads.values()) >= 1200, heads  # the heads: making all takes minutes
