"""Products of complex numbers: the functions on CPU tensors."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import gpukern
from tests.gemm.kernels.test_complex import TYPES, exactly, random

SHAPES: dict[str, tuple[tuple[int, ...], ...]] = {
    "mm": ((5, 4), (4, 3)), "bmm": ((2, 5, 4), (2, 4, 3)), "mv": ((5, 4), (4,)), "matmul": ((2, 5, 4), (4, 3)),
    "addmm": ((5, 3), (5, 4), (4, 3)), "baddbmm": ((2, 1, 3), (2, 5, 4), (2, 4, 3)), "addmv": ((5,), (5, 4), (4,)),
    "linear": ((2, 5, 4), (3, 4), (3,)), "dot": ((6,), (6,)), "vdot": ((6,), (6,)), "inner": ((2, 4), (3, 4)),
    "addr": ((5, 3), (5,), (3,)), "addbmm": ((5, 3), (2, 5, 4), (2, 4, 3)),
}  # fmt: skip
SUMS = ("addmm", "baddbmm", "addmv", "addr", "addbmm")


def theirs(name: str) -> Callable[..., Tensor]:
    found: Callable[..., Tensor] = torch.nn.functional.linear if name == "linear" else getattr(torch, name)
    return found


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", SHAPES)
def test_every_choice_of_conjugates(name: str, dtype: torch.dtype) -> None:
    tensors = [random(dtype, *s) for s in SHAPES[name]]
    scales = {"alpha": 2 - 1j, "beta": 1j} if name in SUMS else {}
    for flags in itertools.product((False, True), repeat=len(tensors)):
        mine = [t.conj() if flag else t for t, flag in zip(tensors, flags)]
        got, expected = getattr(gpukern, name)(*mine, **scales), theirs(name)(*map(exactly, mine), **scales)
        eps = 1e-5 if dtype == torch.complex64 else 1e-13
        torch.testing.assert_close(got.to(torch.complex128), expected, rtol=eps, atol=eps)


def test_a_conjugate_is_not_written_out() -> None:
    """A conjugate transpose reaches BLAS as one."""
    a, b = random(torch.complex64, 64, 64), random(torch.complex64, 64, 64)
    with torch.profiler.profile() as profile:
        gpukern.mm(a.mH, b.mH)
    names = {event.name for event in profile.events()}
    assert not {"aten::conj_physical", "aten::clone", "aten::copy_"} & names, names


@pytest.mark.parametrize("name", SHAPES)
def test_gradients_are_torchs(name: str) -> None:
    shapes = SHAPES[name]
    scales = {"alpha": 2 - 1j, "beta": 1j} if name in SUMS else {}
    values = [random(torch.complex128, *s).requires_grad_() for s in shapes]

    def mine(*t: Tensor) -> Tensor:
        result: Tensor = getattr(gpukern, name)(*t, **scales)
        return result

    grads = []
    for function in (mine, lambda *t: theirs(name)(*t, **scales)):
        out = function(*values)
        grads.append(torch.autograd.grad(out, values, torch.full_like(out, 1 - 2j)))
    torch.testing.assert_close(grads[0], grads[1])
    assert torch.autograd.gradcheck(mine, values, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(mine, values)


def test_the_node_is_ours() -> None:
    a = random(torch.complex64, 3, 3).requires_grad_()
    assert "Gpukern" in gpukern.mm(a, a.mH).grad_fn.name()  # type: ignore[union-attr]
    gpukern.reset_served()
    gpukern.vdot(a[0], a[1])
    assert any(name == "host/blas" for _, name, _ in gpukern.served())


@pytest.mark.parametrize("name", ["mm", "bmm", "mv", "addmm", "baddbmm", "addmv"])
def test_results_that_are_seen_as_conjugates(name: str) -> None:
    tensors = [random(torch.complex64, *s) for s in SHAPES[name]]
    expected = theirs(name)(*tensors)
    out = torch.empty_like(expected).conj()
    assert getattr(gpukern, name)(*tensors, out=out) is out
    torch.testing.assert_close(out, expected)
    if name in SUMS:
        target = expected.clone().conj()
        wanted = theirs(name)(target.resolve_conj(), *tensors[1:])
        getattr(gpukern, name + "_")(target, *tensors[1:])
        torch.testing.assert_close(target, wanted)


@pytest.mark.parametrize("grad", [False, True])
def test_an_activation_is_refused_in_one_line(grad: bool) -> None:
    a = random(torch.complex64, 3, 3).requires_grad_(grad)
    calls: list[Callable[..., Any]] = [gpukern.mm, gpukern.matmul, gpukern.linear]
    for function in calls:
        with pytest.raises(TypeError, match="activation= needs a floating type, got ComplexFloat") as error:
            function(a, a, activation="sigmoid")
        assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["addmm", "addmv"])
def test_complex_scales_of_real_tensors_are_torchs_to_refuse(name: str) -> None:
    tensors = [torch.randn(s) for s in SHAPES[name]]
    with pytest.raises(RuntimeError) as expected:
        theirs(name)(*tensors, alpha=2j)
    with pytest.raises(RuntimeError) as got:
        getattr(gpukern, name)(*tensors, alpha=2j)
    assert str(got.value).splitlines()[0] == str(expected.value).splitlines()[0]


def test_residual_vmap_and_tracing() -> None:
    a, b, r = (random(torch.complex64, 3, 4, 4) for _ in range(3))
    torch.testing.assert_close(gpukern.bmm(a.conj(), b, residual=r.conj()), a.conj() @ b + r.conj())
    torch.testing.assert_close(torch.func.vmap(gpukern.mm)(a, b.mH), a @ b.mH)
    compiled = torch.compile(lambda x, y: gpukern.mm(x.conj(), y), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(a[0], b[0]), a[0].conj() @ b[0])
