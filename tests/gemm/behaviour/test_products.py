"""Products against float64: every form, layout and type, exact integers, NaN, and what a product must not touch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import gpukern
from tests.oracle import fills, poison, products
from tests.oracle.strategies import laid_out

FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
INTEGERS = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]
SHAPES = [(1, 1, 1), (3, 5, 7), (64, 64, 64), (17, 1, 33), (1, 40, 9), (130, 66, 259), (2, 3, 1)]
LAYOUTS = ["dense", "transposed", "sliced", "expanded", "offset"]


def check_sum(got: Tensor, a: Tensor, b: Tensor, c: Tensor, beta: float, alpha: float) -> None:
    product, magnitude = products.product(a, b)
    c64 = c.to(torch.float64)
    reference, size = alpha * product + beta * c64, abs(alpha) * magnitude + abs(beta) * c64.abs()
    verdict = products.judge(got, reference, size.expand(reference.shape), a.shape[-1], store_ulps=2)
    assert verdict, verdict.text


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("fill", fills.FILLS)
def test_mm_is_within_the_bound(dtype: torch.dtype, shape: tuple[int, int, int], fill: str) -> None:
    m, n, k = shape
    a, b = fills.FILLS[fill](m, k, dtype=dtype), fills.FILLS[fill](k, n, dtype=dtype)
    products.check_product(gpukern.mm(a, b), a, b)
    products.check_product(gpukern.matmul(a, b.contiguous().t().contiguous().t()), a, b)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("left", LAYOUTS)
@pytest.mark.parametrize("right", LAYOUTS)
def test_any_strides(dtype: torch.dtype, left: str, right: str) -> None:
    a, b, c = laid_out((9, 14), dtype, left), laid_out((14, 11), dtype, right), laid_out((9, 11), dtype, left)
    products.check_product(gpukern.mm(a, b), a, b)
    check_sum(gpukern.addmm(c, a, b, beta=0.5, alpha=2), a, b, c, 0.5, 2)
    x, y = laid_out((3, 9, 14), dtype, left), laid_out((3, 14, 11), dtype, right)
    products.check_product(gpukern.bmm(x, y), x, y)
    v = laid_out((14,), dtype, right)
    products.check_product(gpukern.mv(a, v).unsqueeze(-1), a, v.unsqueeze(-1))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("k", [1, 7, 64, 1000])
def test_integer_values_are_exact(dtype: torch.dtype, k: int) -> None:
    a, b = fills.integers(33, k, k=k, dtype=dtype), fills.integers(k, 29, k=k, dtype=dtype)
    products.exactly_equal(gpukern.mm(a, b), a.double() @ b.double())
    c = fills.integers(33, 29, k=1, dtype=dtype)
    products.exactly_equal(gpukern.addmm(c, a, b), c.double() + a.double() @ b.double())


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_wrap(dtype: torch.dtype) -> None:
    info = torch.iinfo(dtype)
    a = torch.randint(info.min // 2, info.max // 2, (7, 40), dtype=torch.int64).to(dtype)
    b = torch.randint(info.min // 2, info.max // 2, (40, 5), dtype=torch.int64).to(dtype)
    exact = [[sum(int(x) * int(y) for x, y in zip(row, column)) for column in b.t()] for row in a]
    wrapped = [[(v - info.min) % 2**info.bits + info.min for v in row] for row in exact]
    assert torch.equal(gpukern.mm(a, b), torch.tensor(wrapped, dtype=dtype))
    assert torch.equal(gpukern.mm(a, b), torch.mm(a, b))
    c = torch.full((7, 5), 3, dtype=dtype)
    assert torch.equal(gpukern.addmm(c, a, b, beta=2, alpha=3), torch.addmm(c, a, b, beta=2, alpha=3))
    fractions: list[dict[str, Any]] = [{"beta": 0.5}, {"alpha": 2.5}, {"beta": 1.5, "alpha": 0.5}]
    for factors in fractions:  # torch cuts them off
        assert torch.equal(gpukern.addmm(c, a, b, **factors), torch.addmm(c, a, b, **factors))
    with pytest.raises(TypeError, match="activation= needs a floating type"):
        gpukern.mm(a, b, activation="relu")


def test_no_k_and_no_elements() -> None:
    assert torch.equal(gpukern.mm(torch.empty(3, 0), torch.empty(0, 4)), torch.zeros(3, 4))
    c = torch.randn(4)
    assert torch.equal(gpukern.addmm(c, torch.empty(3, 0), torch.empty(0, 4), beta=2), (2 * c).expand(3, 4))
    assert gpukern.mm(torch.empty(0, 3), torch.empty(3, 4)).shape == (0, 4)
    assert gpukern.bmm(torch.empty(0, 2, 3), torch.empty(0, 3, 4)).shape == (0, 2, 4)
    assert torch.equal(gpukern.bmm(torch.empty(2, 2, 0), torch.empty(2, 0, 3)), torch.zeros(2, 2, 3))
    assert torch.equal(gpukern.mv(torch.empty(3, 0), torch.empty(0)), torch.zeros(3))
    assert gpukern.matmul(torch.empty(2, 0, 3), torch.empty(3, 4)).shape == (2, 0, 4)


@pytest.mark.parametrize("dtype", FLOATS)
def test_beta_zero_reads_nothing(dtype: torch.dtype) -> None:
    a, b = fills.normal(6, 8, dtype=dtype), fills.normal(8, 5, dtype=dtype)
    nothing = torch.full((6, 5), float("nan"), dtype=dtype)
    products.check_product(gpukern.addmm(nothing, a, b, beta=0), a, b)
    products.check_product(gpukern.baddbmm(nothing[None], a[None], b[None], beta=0)[0], a, b)
    products.check_product(gpukern.addmv(nothing[:, 0], a, b[:, 0], beta=0).unsqueeze(-1), a, b[:, :1])
    assert gpukern.addmm(nothing, a, b).isnan().all()  # and any other beta does


@pytest.mark.parametrize("dtype", [*FLOATS, torch.complex64])
@pytest.mark.parametrize("name", ["addmm", "baddbmm", "addmv", "addbmm"])
def test_alpha_zero_reads_no_factor(name: str, dtype: torch.dtype) -> None:
    """torch's kernels of 16-bit floats read them on some CPUs, and on others left memory as it was for beta = 0."""
    batch = (3,) if "bmm" in name else ()
    result = (3, 6, 5) if name == "baddbmm" else (6,) if name == "addmv" else (6, 5)
    overlapping = torch.full((3 * 6 * 64,), float("nan"), dtype=dtype).as_strided((*batch, 6, 64), (*batch, 1, 1))
    b = torch.full((64,) if name == "addmv" else (*batch, 64, 5), float("inf"), dtype=dtype)
    c = torch.randn(result).to(dtype)
    ours, theirs = getattr(gpukern, name), getattr(torch, name)
    for a in (overlapping, overlapping.contiguous()):
        for beta in (0, 1, 2):
            for _ in range(8):
                freed = torch.full(result, float("nan"), dtype=dtype)
                del freed  # what a result may lie in
                assert torch.equal(ours(c, a, b, beta=beta, alpha=0), beta * c)
            out = torch.full(result, float("nan"), dtype=dtype)
            assert torch.equal(ours(c, a, b, beta=beta, alpha=0, out=out), beta * c)
            assert torch.equal(getattr(gpukern, name + "_")(c.clone(), a, b, beta=beta, alpha=0), beta * c)
            assert torch.equal(torch.vmap(lambda x: ours(x, a, b, beta=beta, alpha=0))(c[None])[0], beta * c)  # noqa: B023
            if not dtype.is_complex:
                with gpukern.enable():
                    assert torch.equal(theirs(c, a, b, beta=beta, alpha=0), beta * c)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint16, torch.complex32], ids=str)
@pytest.mark.parametrize("name", ["addmm", "baddbmm", "addmv"])
def test_alpha_zero_of_types_without_a_product_is_torchs(name: str, dtype: torch.dtype) -> None:
    m = torch.ones(2, 2).to(dtype)
    args = (m[0], m, m[0]) if name == "addmv" else (m, m, m) if name == "addmm" else (m[None], m[None], m[None])
    for beta in (0, 1):
        refused = []
        for function in (getattr(gpukern, name), getattr(torch, name)):
            with pytest.raises(RuntimeError, match="not implemented for") as caught:
                function(*args, beta=beta, alpha=0)
            refused.append(str(caught.value))
        assert refused[0] == refused[1]


def test_nan_and_infinity_go_where_they_belong() -> None:
    a, b = torch.randn(5, 6), torch.randn(6, 4)
    a[2, 3], b[1, 1] = float("nan"), float("inf")
    got = gpukern.mm(a, b)
    assert got[2].isnan().all() and not got[[0, 1, 3, 4]].isnan().any()
    assert got[[0, 1, 3, 4], 1].isinf().all() and torch.isfinite(got[[0, 1, 3, 4]][:, [0, 2, 3]]).all()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("strides", [None, (1, 9), (40, 2)])
@pytest.mark.parametrize("offset", [0, 1])
def test_out_is_written_and_nothing_else(dtype: torch.dtype, strides: tuple[int, int] | None, offset: int) -> None:
    a, b = (
        poison.guarded_copy(fills.normal(9, 8, dtype=dtype), offset),
        poison.guarded_copy(fills.normal(8, 12, dtype=dtype)),
    )
    out = poison.guarded((9, 12), dtype, strides=strides, offset=offset)
    assert gpukern.mm(a.view, b.view, out=out.view) is out.view
    products.check_product(out.view, a.view, b.view)
    for guard in (out, a, b):
        guard.check()
    a.untouched()
    b.untouched()


FORMS: dict[str, tuple[Callable[..., Tensor], Callable[..., Tensor], tuple[tuple[int, ...], ...]]] = {
    "mm": (gpukern.mm, torch.mm, ((4, 5), (5, 3))),
    "bmm": (gpukern.bmm, torch.bmm, ((2, 4, 5), (2, 5, 3))),
    "mv": (gpukern.mv, torch.mv, ((4, 5), (5,))),
    "addmm": (gpukern.addmm, torch.addmm, ((4, 3), (4, 5), (5, 3))),
    "addmm bias": (gpukern.addmm, torch.addmm, ((3,), (4, 5), (5, 3))),
    "addmm column": (gpukern.addmm, torch.addmm, ((4, 1), (4, 5), (5, 3))),
    "addmm number": (gpukern.addmm, torch.addmm, ((), (4, 5), (5, 3))),
    "baddbmm": (gpukern.baddbmm, torch.baddbmm, ((2, 4, 3), (2, 4, 5), (2, 5, 3))),
    "baddbmm bias": (gpukern.baddbmm, torch.baddbmm, ((1, 3), (2, 4, 5), (2, 5, 3))),
    "addmv": (gpukern.addmv, torch.addmv, ((4,), (4, 5), (5,))),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_forms_agree_with_torch(form: str, dtype: torch.dtype) -> None:
    ours, theirs, shapes = FORMS[form]
    args = [fills.normal(*s, dtype=dtype) for s in shapes]
    options = {"beta": 0.5, "alpha": 3} if len(args) == 3 else {}
    expected = theirs(*args, **options)
    torch.testing.assert_close(ours(*args, **options), expected)
    out = torch.empty_like(expected)
    assert ours(*args, out=out, **options) is out
    torch.testing.assert_close(out, expected)
    if len(args) == 3 and args[0].shape == expected.shape:
        target = args[0].clone()
        in_place = getattr(gpukern, ours.__name__ + "_")
        assert in_place(target, *args[1:], **options) is target
        torch.testing.assert_close(target, expected)
        same = args[0].clone()
        ours(same, *args[1:], out=same, **options)
        torch.testing.assert_close(same, expected)


MATMUL = [
    ((4,), (4,)), ((4,), (4, 3)), ((2, 4), (4,)), ((2, 4), (4, 3)), ((5, 2, 4), (4,)), ((5, 2, 4), (4, 3)),
    ((5, 2, 4), (5, 4, 3)), ((5, 2, 4), (1, 4, 3)), ((6, 1, 2, 4), (5, 4, 3)), ((4,), (5, 4, 3)), ((2, 4), (5, 4, 3)),
    ((2, 4), (6, 5, 4, 3)), ((0, 2, 4), (4, 3)), ((5, 2, 0), (0, 3)), ((5, 0, 4), (5, 4, 3)), ((1, 1, 4), (4, 1)),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), MATMUL)
@pytest.mark.parametrize("layout", ["dense", "transposed", "expanded", "sliced"])
def test_matmul_follows_torchs_rules_of_shape(left: tuple[int, ...], right: tuple[int, ...], layout: str) -> None:
    a, b = laid_out(left, torch.float64, layout), laid_out(right, torch.float64, layout)
    torch.testing.assert_close(gpukern.matmul(a, b), torch.matmul(a, b))
    out = torch.empty(0, dtype=torch.float64)
    torch.testing.assert_close(gpukern.matmul(a, b, out=out), torch.matmul(a, b))


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (2, 0, 4), (5, 2, 3, 4), (2, 3, 0), (0,)])
@pytest.mark.parametrize("bias", [False, True])
def test_linear_follows_torch(shape: tuple[int, ...], bias: bool) -> None:
    x, w = torch.randn(*shape, dtype=torch.float64), torch.randn(6, shape[-1], dtype=torch.float64)
    b = torch.randn(6, dtype=torch.float64) if bias else None
    torch.testing.assert_close(gpukern.linear(x, w, b), torch.nn.functional.linear(x, w, b))
    t = x.transpose(0, -2) if x.dim() > 2 else x
    torch.testing.assert_close(gpukern.linear(t, w, b), torch.nn.functional.linear(t, w, b))


@pytest.mark.parametrize("shape", [(3,), (2, 3), (4, 2, 3), (5, 4, 2, 3), (0, 3)])
@pytest.mark.parametrize("bias", [(1,), (1, 4), (2, 4), (2, 1), (1, 1), (4, 2, 4), (), (2, 1, 4)])
def test_linear_takes_the_biases_that_torchs_takes(shape: tuple[int, ...], bias: tuple[int, ...]) -> None:
    x, w, b = torch.randn(*shape), torch.randn(4, 3), torch.randn(bias)

    def shaped(function: Callable[..., Tensor]) -> tuple[int, ...] | type[Exception]:
        try:
            return tuple(function(x, w, b).shape)
        except Exception as error:
            return type(error)

    expected = shaped(torch.nn.functional.linear)
    assert shaped(gpukern.linear) == expected
    if isinstance(expected, tuple):
        torch.testing.assert_close(gpukern.linear(x, w, b), torch.nn.functional.linear(x, w, b))


@given(data=st.data())
def test_random_shapes_and_strides(data: st.DataObject) -> None:
    batch = data.draw(st.lists(st.integers(0, 3), max_size=3))
    m, n, k = (data.draw(st.integers(0, 20)) for _ in range(3))
    kinds = [data.draw(st.sampled_from(LAYOUTS)) for _ in range(2)]
    dtype = data.draw(st.sampled_from(FLOATS))
    a, b = laid_out((*batch, m, k), dtype, kinds[0]), laid_out((*batch, k, n), dtype, kinds[1])
    got = gpukern.matmul(a, b)
    assert got.dtype == dtype
    products.check_product(got, a, b)


ACTIVATIONS: list[str] = gpukern._C.gemm_activations()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("residual", [False, True])
def test_activation_and_residual(activation: str, grad: bool, residual: bool) -> None:
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=grad)
    w, b = torch.randn(6, 4, dtype=torch.float64), torch.randn(6, dtype=torch.float64)
    r = torch.randn(2, 3, 6, dtype=torch.float64) if residual else None
    for name, args in {
        "linear": (x, w, b), "matmul": (x, w.t()), "mm": (x[0], w.t()), "bmm": (x, w.t().expand(2, 4, 6)),
        "addmm": (b, x[0], w.t()), "baddbmm": (b, x, w.t().expand(2, 4, 6)),
    }.items():  # fmt: skip
        tail = r[0] if r is not None and name in ("mm", "addmm") else r
        expected = getattr(gpukern.reference, name)(*args, activation=activation, residual=tail)
        got = getattr(gpukern, name)(*args, activation=activation, residual=tail)
        torch.testing.assert_close(got.detach(), expected, equal_nan=True, msg=partial("{}: {}".format, name))
        assert got.requires_grad == grad
    row = torch.randn(6, dtype=torch.float64)  # a residual broadcasts
    torch.testing.assert_close(
        gpukern.linear(x, w, b, activation=activation, residual=row).detach(),
        gpukern.reference.linear(x, w, b, activation=activation, residual=row),
        equal_nan=True,
    )


def test_every_unary_op_of_the_catalogue_is_an_activation() -> None:
    """But rounding, predicates and rare functions; and sin and cos, whose CUDA code needs a stack."""
    apart = ("rounding", "compare", "transcendental")
    smooth = [e for e in gpukern._C.elementwise_catalogue() if e["family"] not in apart]
    unary = {e["name"] for e in smooth if e["inputs"] == 1} - {"clamp", "sin", "cos"}
    missing = unary - set(ACTIVATIONS)
    assert not missing, missing


def test_wrong_extensions_say_what_to_do() -> None:
    a, b = torch.randn(2, 3), torch.randn(3, 4)
    with pytest.raises(ValueError, match=r"unknown activation 'relux'; choose one of none, relu, gelu"):
        gpukern.mm(a, b, activation="relux")
    with pytest.raises(TypeError, match=r"residual has type .*; convert one of them"):
        gpukern.mm(a, b, residual=torch.randn(2, 4, dtype=torch.float64))
    with pytest.raises(RuntimeError, match=r"residual of shape \[3, 4\] does not broadcast"):
        gpukern.mm(a, b, residual=torch.randn(3, 4))


def test_counts_say_which_configuration_served() -> None:
    gpukern.reset_served()
    a = torch.randn(4, 4)
    gpukern.mm(a, a)
    gpukern.matmul(a.expand(2, 4, 4), a)
    assert ("matrix product", "host/blas", 2) in gpukern.served()


def test_a_forced_configuration_that_cannot_serve_is_refused() -> None:
    a = torch.randn(4, 4)
    with (
        gpukern.force("simt"),
        pytest.raises(RuntimeError, match=r"simt was forced and cannot serve .*this device is the CPU"),
    ):
        gpukern.mm(a, a)
    with gpukern.force("host"):
        torch.testing.assert_close(gpukern.mm(a, a), a @ a)
        gpukern.addmm(a, a, a, out=(out := torch.empty(4, 4)))
        torch.testing.assert_close(out, a + a @ a)
    with pytest.raises(ValueError, match=r"known are .*simt, simt/s128x128"), gpukern.force("cublas"):
        pass


def test_what_is_not_ours_is_torchs() -> None:
    a = torch.randn(3, 3, dtype=torch.complex64, requires_grad=True)
    torch.testing.assert_close(gpukern.mm(a, a), a @ a)
    gpukern.matmul(a, a).abs().sum().backward()
    assert a.grad is not None
    sparse = torch.eye(3).to_sparse()
    torch.testing.assert_close(gpukern.mm(sparse, torch.ones(3, 3)), torch.ones(3, 3))


def test_linear_of_mkldnn_tensors_refuses_what_torch_cannot_promise() -> None:
    """It went to torch's own before precision= and batch_invariant= were looked at."""
    x = torch.rand(4, 4).to_mkldnn()
    with pytest.raises(RuntimeError, match="batch_invariant=True needs one of gpukern's"):
        gpukern.linear(x, x, batch_invariant=True)
    with pytest.raises(ValueError, match="unknown precision 'bogus'"):
        gpukern.linear(x, x, precision="bogus")
    assert torch.equal(gpukern.linear(x, x).to_dense(), torch.nn.functional.linear(x, x).to_dense())


def test_activation_of_integers_is_refused_in_every_layout() -> None:
    """Products of more dimensions that are put together took it."""
    i = torch.ones(2, 3, 3, dtype=torch.int16)
    for a, b in ((i[0], i[1]), (i, i[0]), (i.transpose(0, 1), i[0]), (i, i), (i[0], i[0, 0])):
        with pytest.raises(TypeError, match="activation= needs a floating type, got Short"):
            gpukern.matmul(a, b, activation="relu")
        assert torch.equal(gpukern.matmul(a, b, activation="none"), torch.matmul(a, b))
    with pytest.raises(TypeError, match="activation= needs a floating type, got Short"):
        gpukern.linear(i.transpose(0, 1), i[0], activation="relu")
