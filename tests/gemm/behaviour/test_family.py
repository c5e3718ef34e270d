"""The functions around the products against float64: every form, layout and type, and who serves a call."""

from __future__ import annotations

import math
import warnings
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

import gpukern
from gpukern import reference
from tests.gemm.behaviour import composed_error
from tests.oracle import fills, products
from tests.oracle.strategies import laid_out

FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
INTEGERS = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]
LAYOUTS = ["dense", "transposed", "sliced", "expanded", "offset", "permuted"]

Shapes = tuple[tuple[int, ...], ...]
# name, shapes of the tensors, further arguments, and how long the sum of an element is.
Case = tuple[str, Shapes, dict[str, Any], int]
CASES: list[Case] = [
    ("dot", ((37,), (37,)), {}, 37),
    ("vdot", ((37,), (37,)), {}, 37),
    ("inner", ((3, 5, 9), (4, 9)), {}, 9),
    ("inner", ((9,), (4, 9)), {}, 9),
    ("inner", ((9,), (9,)), {}, 9),
    ("outer", ((7,), (5,)), {}, 1),
    ("addr", ((7, 5), (7,), (5,)), {"beta": 0.5, "alpha": 2}, 2),
    ("addr", ((5,), (7,), (5,)), {}, 2),
    ("addr", ((7, 1), (7,), (5,)), {"beta": 3}, 2),
    ("addbmm", ((4, 6), (3, 4, 5), (3, 5, 6)), {}, 16),
    ("addbmm", ((6,), (3, 4, 5), (3, 5, 6)), {"beta": -2, "alpha": 0.5}, 16),
    ("addbmm", ((4, 1), (8, 4, 1), (8, 1, 6)), {"beta": 0.25}, 9),
    ("bilinear", ((3, 4), (3, 5), (6, 4, 5), (6,)), {}, 21),
    ("bilinear", ((2, 3, 4), (2, 3, 5), (6, 4, 5)), {}, 20),
    ("bilinear", ((4,), (5,), (6, 4, 5), (6,)), {}, 21),
    ("tensordot", ((3, 4, 5), (4, 5, 2)), {}, 20),
    ("tensordot", ((3, 4, 5), (5, 3, 2)), {"dims": ([0, 2], [1, 0])}, 15),
    ("tensordot", ((3, 4), (5, 2)), {"dims": 0}, 1),
    ("tensordot", ((3, 4), (3, 4)), {"dims": ([-2, -1], [-2, -1])}, 12),
]
# Functions that round between two products.
CHAINS: list[Case] = [
    ("multi_dot", ((4, 6), (6, 5), (5, 7)), {}, 30),
    ("multi_dot", ((6,), (6, 5), (5, 7), (7,)), {}, 210),
    ("chain_matmul", ((4, 6), (6, 5), (5, 7), (7, 2)), {}, 210),
]


def ids(cases: list[Case]) -> list[str]:
    return [f"{name}{i}" for i, (name, *_) in enumerate(cases)]


def call(module: Any, name: str, tensors: list[Tensor], kwargs: dict[str, Any]) -> Tensor:
    function = getattr(module, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # chain_matmul and ger are deprecated, and out= is resized
        result: Tensor = function(tensors, **kwargs) if name == "multi_dot" else function(*tensors, **kwargs)
    return result


def theirs(name: str) -> Any:
    """The module of torch's that has a function of the name."""
    return torch.linalg if name == "multi_dot" else torch.nn.functional if name == "bilinear" else torch


def check(got: Tensor, name: str, tensors: list[Tensor], kwargs: dict[str, Any], k: int, roundings: int) -> None:
    """Within the bound of one product, and `roundings` to the stored type of intermediates as large as the terms."""
    expected = call(reference, name, tensors, kwargs)
    sizes = {key: abs(value) if isinstance(value, (int, float)) else value for key, value in kwargs.items()}
    magnitude = call(reference, name, [t.double().abs() for t in tensors], sizes)
    unit = torch.finfo(got.dtype).eps / 2
    base = torch.finfo(torch.float64 if got.dtype == torch.float64 else torch.float32).eps / 2
    extra = roundings * unit / (base * products.slack(k)) + 1
    verdict = products.judge(got, expected, magnitude * extra, k, store_ulps=2)
    assert verdict, f"{name}: {verdict.text}"


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("fill", ["normal", "uniform", "cancelling"])
@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_values_are_within_the_bound(case: Case, dtype: torch.dtype, fill: str) -> None:
    name, shapes, kwargs, k = case
    tensors = [fills.FILLS[fill](*s, dtype=dtype) for s in shapes]
    check(call(gpukern, name, tensors, kwargs), name, tensors, kwargs, k, roundings=1 if name == "bilinear" else 0)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", CHAINS, ids=ids(CHAINS))
def test_chains_round_once_a_product(case: Case, dtype: torch.dtype) -> None:
    name, shapes, kwargs, k = case
    tensors = [fills.normal(*s, dtype=dtype) for s in shapes]
    check(call(gpukern, name, tensors, kwargs), name, tensors, kwargs, k, roundings=len(shapes))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", [*CASES, *CHAINS], ids=ids([*CASES, *CHAINS]))
def test_any_strides(case: Case, layout: str) -> None:
    name, shapes, kwargs, k = case
    tensors = [laid_out(s, torch.float64, layout) for s in shapes]
    got = call(gpukern, name, tensors, kwargs)
    check(got, name, tensors, kwargs, k, roundings=2)
    torch.testing.assert_close(got, call(theirs(name), name, tensors, kwargs))


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("case", [*CASES, *CHAINS], ids=ids([*CASES, *CHAINS]))
def test_integers_wrap_as_torchs(case: Case, dtype: torch.dtype) -> None:
    name, shapes, kwargs, _ = case
    info = torch.iinfo(dtype)
    tensors = [torch.randint(info.min, info.max, s, dtype=torch.int64).to(dtype) for s in shapes]
    whole = {key: int(value * 4) if isinstance(value, float) else value for key, value in kwargs.items()}
    assert torch.equal(call(gpukern, name, tensors, whole), call(theirs(name), name, tensors, whole))


WITH_OUT = [case for case in (*CASES, *CHAINS) if case[0] != "bilinear"]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.int32])
@pytest.mark.parametrize("case", WITH_OUT, ids=ids(WITH_OUT))
def test_out_is_written_resized_and_returned(case: Case, dtype: torch.dtype) -> None:
    name, shapes, kwargs, _ = case
    tensors = [fills.integers(*s, k=1, dtype=torch.float64).to(dtype) for s in shapes]
    kwargs = {key: 2 if isinstance(value, float) else value for key, value in kwargs.items()}
    expected = call(gpukern, name, tensors, kwargs)
    for out in (torch.full_like(expected, 9), torch.empty(0, dtype=dtype), torch.ones(2, 2, dtype=dtype)):
        assert call(gpukern, name, tensors, {**kwargs, "out": out}) is out
        assert torch.equal(out, expected)
    if expected.dim():
        strided = torch.zeros(*expected.shape[:-1], 2 * expected.shape[-1], dtype=dtype)
        call(gpukern, name, tensors, {**kwargs, "out": strided[..., ::2]})
        assert torch.equal(strided[..., ::2], expected) and not strided[..., 1::2].any()


@pytest.mark.parametrize("name", ["addr", "addbmm"])
def test_in_place_and_out_being_the_input(name: str) -> None:
    _, shapes, _, _ = next(case for case in CASES if case[0] == name)
    c, a, b = (torch.randn(s, dtype=torch.float64) for s in shapes)
    expected = getattr(gpukern, name)(c, a, b, beta=0.5, alpha=3)
    target = c.clone()
    assert getattr(gpukern, name + "_")(target, a, b, beta=0.5, alpha=3) is target and target._version == 1
    torch.testing.assert_close(target, expected)
    same = c.clone()
    assert getattr(gpukern, name)(same, a, b, beta=0.5, alpha=3, out=same) is same
    torch.testing.assert_close(same, expected)
    nothing = torch.full_like(c, math.nan)
    for got in (
        getattr(gpukern, name)(nothing, a, b, beta=0),
        getattr(gpukern, name + "_")(nothing.clone(), a, b, beta=0),
        getattr(gpukern, name)(nothing, a, b, beta=0, out=torch.empty_like(c)),
    ):
        torch.testing.assert_close(got, getattr(torch, name)(torch.zeros_like(c), a, b))


def test_addbmm_in_place_of_a_smaller_tensor_is_torchs() -> None:
    """torch gives it the product's shape, where addmm_ refuses."""
    a, b = torch.randn(2, 3, 4), torch.randn(2, 4, 5)
    for shape in ((5,), (1, 5), (3, 1)):
        mine, other = torch.ones(shape), torch.ones(shape)
        torch.testing.assert_close(gpukern.addbmm_(mine, a, b), other.addbmm_(a, b))
        assert mine.shape == other.shape


def test_nan_is_multiplied_by_alpha_zero_as_torchs_addr_does() -> None:
    c, a, b = torch.ones(2, 3), torch.tensor([math.nan, 1.0]), torch.ones(3)
    torch.testing.assert_close(gpukern.addr(c, a, b, alpha=0), torch.addr(c, a, b, alpha=0), equal_nan=True)
    assert gpukern.addr(c, a, b, alpha=0)[0].isnan().all()


def test_no_elements_and_no_k() -> None:
    assert gpukern.dot(torch.empty(0), torch.empty(0)) == 0
    assert torch.equal(gpukern.inner(torch.empty(2, 0), torch.empty(3, 0)), torch.zeros(2, 3))
    assert gpukern.outer(torch.empty(0), torch.empty(3)).shape == (0, 3)
    assert gpukern.addr(torch.empty(0, 3), torch.empty(0), torch.empty(3)).shape == (0, 3)
    c = torch.randn(3, 4)
    for a, b in ((torch.empty(0, 3, 2), torch.empty(0, 2, 4)), (torch.empty(2, 3, 0), torch.empty(2, 0, 4))):
        torch.testing.assert_close(gpukern.addbmm(c, a, b, beta=2), 2 * c)
    bias = torch.randn(6)
    got = gpukern.bilinear(torch.empty(2, 0), torch.empty(2, 5), torch.empty(6, 0, 5), bias)
    assert torch.equal(got, bias.expand(2, 6))
    assert gpukern.bilinear(torch.empty(0, 4), torch.empty(0, 5), torch.empty(6, 4, 5), bias).shape == (0, 6)
    assert torch.equal(gpukern.tensordot(torch.empty(2, 0), torch.empty(0, 3), 1), torch.zeros(2, 3))
    assert torch.equal(gpukern.multi_dot([torch.ones(2, 0), torch.ones(0, 3), torch.ones(3, 4)]), torch.zeros(2, 4))


def test_outer_promotes_and_takes_bool_as_torchs() -> None:
    vectors = [torch.ones(3, dtype=t) for t in (*FLOATS, *INTEGERS, torch.bool, torch.complex64)]
    for a in vectors:
        for b in vectors:
            got, expected = gpukern.outer(a, b), torch.outer(a, b)
            assert got.dtype == expected.dtype and torch.equal(got, expected)


def test_one_dimension_of_two_was_not_a_product() -> None:
    """What torch takes beside vectors and matrices of one type: 0-dim operands, and types that promote."""
    x, y = torch.randn(3, 4), torch.tensor(2.0)
    torch.testing.assert_close(gpukern.inner(x, y), torch.inner(x, y))
    torch.testing.assert_close(gpukern.inner(y.long(), x), torch.inner(y.long(), x))
    v, w = torch.randn(3), torch.randn(4, dtype=torch.float64)
    got = gpukern.addr(torch.ones(3, 4, dtype=torch.int64), v, w)
    torch.testing.assert_close(got, torch.addr(torch.ones(3, 4, dtype=torch.int64), v, w))
    ones = torch.ones(2, dtype=torch.bool)
    assert gpukern.addr(torch.zeros(2, 2, dtype=torch.bool), ones, ones).dtype == torch.bool
    # contracted dimensions of which one has a single element are summed in the other
    torch.testing.assert_close(
        gpukern.tensordot(x, x[:, :1], ([0, 1], [0, 1])), torch.tensordot(x, x[:, :1], ([0, 1], [0, 1]))
    )


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
@pytest.mark.parametrize("case", [c for c in (*CASES, *CHAINS) if c[0] != "bilinear"], ids=lambda c: c[0])
def test_complex_is_torchs(case: Case, dtype: torch.dtype) -> None:
    name, shapes, kwargs, _ = case
    tensors = [torch.randn(s, dtype=dtype) for s in shapes]
    torch.testing.assert_close(call(gpukern, name, tensors, kwargs), call(theirs(name), name, tensors, kwargs))
    torch.testing.assert_close(
        call(gpukern, name, [t.conj() for t in tensors], kwargs),
        call(theirs(name), name, [t.conj() for t in tensors], kwargs),
    )


def test_a_tensor_whose_sign_is_still_to_be_changed() -> None:
    """The imaginary part of a conjugate is real, strided, and has the opposite sign of the numbers in memory."""
    x = torch.randn(4, dtype=torch.complex128)
    imaginary, y = x.conj().imag, torch.randn(4, dtype=torch.float64)
    assert imaginary.is_neg()
    for name in ("dot", "vdot", "inner", "outer"):
        torch.testing.assert_close(getattr(gpukern, name)(imaginary, y), getattr(torch, name)(imaginary, y))
    torch.testing.assert_close(gpukern.einsum("i,i", imaginary, y), torch.dot(imaginary, y))


SERVED = [case for case in (*CASES, *CHAINS) if case[0] != "outer"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int16])
@pytest.mark.parametrize("case", SERVED, ids=ids(SERVED))
def test_products_of_ours_serve_them(case: Case, dtype: torch.dtype) -> None:
    name, shapes, kwargs, _ = case
    tensors = [torch.ones(s, dtype=dtype) for s in shapes]
    gpukern.reset_served()
    call(gpukern, name, tensors, {key: 2 if isinstance(v, float) else v for key, v in kwargs.items()})
    counts = [count for what, _, count in gpukern.served() if what == "matrix product"]
    assert counts == [len(shapes) - 1 if name in ("multi_dot", "chain_matmul") else 1]


# ---- the order of a chain --------------------------------------------------------------------------------------------


class Multiplied(TorchDispatchMode):
    """(m, k, n) of every product, of whichever library."""

    def __init__(self) -> None:
        super().__init__()
        self.products: list[tuple[int, int, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.name.endswith("::mm"):
            self.products.append((*args[0].shape, args[1].shape[1]))
        return func(*args, **(kwargs or {}))


def fewest(extents: list[int]) -> int:
    """Over all orders, by trying them."""
    if len(extents) <= 2:
        return 0
    return min(
        fewest(extents[: k + 1]) + fewest(extents[k:]) + extents[0] * extents[k] * extents[-1]
        for k in range(1, len(extents) - 1)
    )


@pytest.mark.parametrize("seed", range(12))
def test_chains_are_multiplied_in_torchs_optimal_order(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    # few distinct extents, so that some orders cost the same
    extents = torch.randint(1, 4 if seed % 2 else 40, (3 + seed // 2 + 1,), generator=generator).tolist()
    chain = [torch.randn(a, b, dtype=torch.float64) for a, b in pairwise(extents)]
    with Multiplied() as ours:
        got = gpukern.multi_dot(chain)
    with Multiplied() as others:
        expected = torch.linalg.multi_dot(chain)
    assert ours.products == others.products
    assert sum(m * k * n for m, k, n in ours.products) == fewest(extents)
    torch.testing.assert_close(got, expected)


def test_deprecated_functions_warn_as_torchs() -> None:
    functions = {
        "chain_matmul": lambda module: module.chain_matmul(torch.ones(2, 3), torch.ones(3, 2)),
        "ger": lambda module: module.ger(torch.ones(2), torch.ones(2), out=torch.empty(2, 2)),
    }
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        for function in functions.values():
            messages = []
            for module in (gpukern, torch):
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    function(module)
                messages.append([str(w.message).partition(" (Triggered")[0] for w in caught])
            assert messages[0] == messages[1] and len(messages[0]) == 1
    finally:
        torch.set_warn_always(before)


def test_deprecated_overloads_are_parsed() -> None:
    c, a, b = torch.randn(3, 4), torch.randn(2, 3, 5), torch.randn(2, 5, 4)
    v, w = torch.randn(3), torch.randn(4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for mine, other in ((gpukern.addbmm, torch.addbmm), (gpukern.addr, torch.addr)):
            x, y = (a, b) if mine is gpukern.addbmm else (v, w)
            torch.testing.assert_close(mine(0.5, c, 2, x, y), other(0.5, c, 2, x, y))
            torch.testing.assert_close(mine(0.5, c, x, y), other(0.5, c, x, y))


def test_every_function_has_a_reference_and_a_docstring() -> None:
    for name in {case[0] for case in (*CASES, *CHAINS)} | {"ger", "einsum"}:
        assert callable(getattr(reference, name)) and (getattr(gpukern, name).__doc__ or "").strip()


def test_arguments_are_left_as_they_were() -> None:
    for name, shapes, kwargs, _ in (*CASES, *CHAINS):
        tensors = [torch.randn(s) for s in shapes]
        before = tree_map(torch.clone, tensors)
        call(gpukern, name, tensors, kwargs)
        for x, y in zip(tree_leaves(tensors), before):
            assert torch.equal(x, y) and x._version == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("fill", ["normal", "uniform"])
def test_addr_and_addbmm_round_once_in_16_bits(dtype: torch.dtype, fill: str) -> None:
    """The error that docs/numerics.md promises, beside torch's, which is several roundings."""
    for _, name, batch in composed_error.cases():
        ours, _ = composed_error.pair(name, batch, dtype, fill)
        assert ours <= 1.01, (name, batch, ours)
