"""Products multiplied by the derivative of an activation: the kernels under the model, and mm_activation_backward."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import gpukern
import gpukern.reference
from tests.gemm.test_kernels import COMMON, FIRST, FLOATING, FLOATING_IDS, laid_out, multiplied, place, ragged
from tests.gemm.thin import side
from tests.oracle import fills
from tests.platform import machine
from tests.platform.machine import Schedule

ACTIVATIONS = machine.ACTIVATIONS[1:]
EPS = {torch.float16: 2e-3, torch.bfloat16: 2e-2, torch.float32: 2e-5, torch.float64: 1e-12}
KINDS = [
    (row, t, activation)
    for row, t in FLOATING
    for activation in ACTIVATIONS
    if activation in COMMON or FIRST[row.name.split("/")[0], t] is row
]
KIND_IDS = [f"{row.name}-{t}-{activation}" for row, t, activation in KINDS]


def inside(activation: str, saved: Tensor) -> Tensor:
    """Where the op is defined and its slope is no last digit of its argument."""
    return saved.abs() + 0.25 if activation in ("sqrt", "rsqrt", "log", "log2", "log1p", "reciprocal") else saved


def close(got: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    torch.testing.assert_close(got.double(), expected, rtol=EPS[dtype], atol=EPS[dtype] * 4, equal_nan=True)


@pytest.mark.parametrize(("row", "dtype", "activation"), KINDS, ids=KIND_IDS)
def test_every_derivative(row: gpukern.selection.Row, dtype: torch.dtype, activation: str) -> None:
    m, n, k = 19, side(row, 23), 18
    a, b = (multiplied(row, fills.normal(1, *s, dtype=dtype)) for s in ((m, k), (k, n)))
    saved = inside(activation, fills.normal(1, m, n, dtype=dtype))
    bias = fills.normal(1, 1, n, dtype=dtype).expand(1, m, n)
    got = machine.product(
        *place(row), torch.empty(1, m, n, dtype=dtype), a, b, derivative=activation, saved=saved,
        c=bias, alpha=0.5, beta=-2.0, residual=bias,
    )  # fmt: skip
    sums = 0.5 * (a.double() @ b.double()) - 2 * bias.double()
    expected = gpukern.reference.mm_activation_backward(sums, torch.eye(n)[None], saved, activation)
    close(got, expected + bias.double(), dtype)


@pytest.mark.parametrize(("row", "dtype"), FLOATING, ids=FLOATING_IDS)
def test_ragged_shapes_strides_and_ranges_of_k(row: gpukern.selection.Row, dtype: torch.dtype) -> None:
    for number, (batch, m, n, k) in enumerate(ragged(row)):
        a, b = (fills.integers(batch, *s, k=k, dtype=dtype) for s in ((m, k), (k, n)))
        saved = torch.randint(-1, 2, (batch, m, n)).to(dtype)
        out = torch.empty(batch, m, n, dtype=dtype)
        if number % 2:
            out = torch.empty(batch, n, m, dtype=dtype).transpose(1, 2)
        for kind, splits in (("rows", 1), ("columns", 2), ("gaps", 1), ("strided", 3)):
            got = machine.product(
                *place(row), out, a, b, derivative="relu", saved=laid_out(saved, kind), splits=splits,
                aligned=bool(number % 3), schedule=Schedule("pct", number + 1),
            )  # fmt: skip
            assert torch.equal(got.double(), (a.double() @ b.double() * (saved > 0)).to(dtype).double()), (kind, m, n)


@pytest.mark.parametrize(("row", "dtype"), FLOATING, ids=FLOATING_IDS)
def test_nan_of_s_stays_in_its_place(row: gpukern.selection.Row, dtype: torch.dtype) -> None:
    n = side(row, 18)
    a, b, saved = (fills.normal(1, *s, dtype=dtype) for s in ((20, 33), (33, n), (20, n)))
    saved[0, 7, n - 1] = float("nan")
    out = torch.empty(1, 20, n, dtype=dtype)
    for splits in (1, 2):
        got = machine.product(*place(row), out, a, b, derivative="gelu", saved=saved, splits=splits)[0]
        assert bool(got[7, n - 1].isnan()) and int(got.isnan().sum()) == 1
    saved[0, 7, n - 1] = -1.0
    a[0, 7] = float("nan")  # relu's gradient chooses: what it leaves out may be anything
    got = machine.product(*place(row), out, a, b, derivative="relu", saved=saved)[0]
    assert bool((got[7][saved[0, 7] <= 0] == 0).all()) and bool(got[7][saved[0, 7] > 0].isnan().all())


# ---- the function ----------------------------------------------------------------------------------------------------


def operands(dtype: torch.dtype, *batch: int) -> list[Tensor]:
    return [torch.randn(*s, dtype=dtype) for s in ((*batch, 3, 5), (5, 7), (*batch, 3, 7))]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_it_is_the_gradient_that_autograd_finds(activation: str) -> None:
    for dtype in EPS:
        grad, weight, saved = operands(dtype, 2)
        saved = inside(activation, saved)
        got = gpukern.mm_activation_backward(grad, weight, saved, activation)
        if dtype == torch.float64:
            leaf = saved.clone().requires_grad_()
            gpukern.linear(leaf, torch.eye(7, dtype=dtype), activation=activation).backward(grad @ weight)
            torch.testing.assert_close(got, leaf.grad)
        close(got, gpukern.reference.mm_activation_backward(grad, weight, saved, activation), dtype)
        assert got.dtype == dtype and got.shape == saved.shape


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_it_is_differentiable(activation: str) -> None:
    grad, weight, saved = operands(torch.float64)
    inputs = [t.requires_grad_() for t in (grad, weight, inside(activation, saved))]
    forward = activation in ("gelu", "silu", "tanh", "relu")
    assert torch.autograd.gradcheck(
        lambda g, w, s: gpukern.mm_activation_backward(g, w, s, activation), inputs, check_forward_ad=forward
    )


def test_vmap_and_compile() -> None:
    grad, weight, saved = operands(torch.float32, 4)
    call: Any = gpukern.mm_activation_backward
    each = torch.stack([call(g, weight, s, "gelu") for g, s in zip(grad, saved)])
    torch.testing.assert_close(torch.func.vmap(lambda g, s: call(g, weight, s, "gelu"))(grad, saved), each)
    torch.testing.assert_close(call(grad, weight, saved, "gelu"), each)
    compiled = torch.compile(lambda g, w, s: call(g, w, s, "gelu"), backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(grad, weight, saved), each)
    for asks in (False, True):
        arguments = [t.clone().requires_grad_(asks) for t in (grad, weight, saved)]
        torch.library.opcheck(torch.ops.gpukern.mm_activation_backward.default, (*arguments, "silu"))


def test_autocast_lowers_all_three() -> None:
    grad, weight, saved = operands(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        assert gpukern.mm_activation_backward(grad, weight, saved, "gelu").dtype == torch.bfloat16


def test_empty_extents() -> None:
    for m, n, k in ((0, 7, 5), (3, 0, 5), (3, 7, 0)):
        got = gpukern.mm_activation_backward(torch.ones(m, k), torch.ones(k, n), torch.ones(m, n), "gelu")
        assert got.shape == (m, n) and not got.any()


def test_what_does_not_fit_is_refused() -> None:
    grad, weight, saved = operands(torch.float32)
    call: Any = gpukern.mm_activation_backward
    with pytest.raises(ValueError, match="unknown activation 'swish'; choose one of none, relu, gelu"):
        call(grad, weight, saved, "swish")
    with pytest.raises(RuntimeError, match=r"saved of shape \[3, 6\] is not of the product's shape \[3, 7\]"):
        call(grad, weight, saved[:, :6], "relu")
    with pytest.raises(TypeError, match="saved has type Double, but grad has Float; convert one of them"):
        call(grad, weight, saved.double(), "relu")
    with pytest.raises(TypeError, match="a derivative needs a floating type, got Int"):
        call(grad.int(), weight.int(), saved.int(), "relu")
    with pytest.raises(RuntimeError, match="weight must be a matrix, got 3 dimensions"):
        call(grad, weight[None], saved, "relu")
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        call(grad[:, :4], weight, saved, "relu")
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        call(grad, weight, saved)


def test_explain_says_what_follows_the_product() -> None:
    shapes = ((64, 512), (512, 256), (64, 256))
    meta = [torch.empty(*s, device="meta", dtype=torch.bfloat16) for s in shapes]
    found = gpukern.explain("mm_activation_backward", *meta, "gelu", device="sm_80")
    assert found.problem == "(64, 512) @ (512, 256), bfloat16, A row-major, B row-major, gelu'(saved)"
    assert found.would_run == "sm_80/h64x64"
