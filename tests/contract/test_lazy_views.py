"""Tensors with the negative or the conjugate bit, in every argument of every op and form.

The ops run in a process apart, so that one that dies is a failure of that op, and the others are still tested.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import gpukern
from tests.oracle import ops as catalogue
from tests.oracle.entries import IN_PLACE, PRODUCTS, TAILED, Product, values
from tests.oracle.forked import run_forked
from tests.platform.library import ROOT

Function = Callable[..., Any]
close = partial(torch.testing.assert_close, equal_nan=True)


def negative(t: Tensor) -> Tensor:
    """The same numbers with the negative bit; bool has none."""
    return t if t.dtype == torch.bool else torch._neg_view(-t)


def conjugate(t: Tensor) -> Tensor:
    return t.conj().resolve_conj().conj() if t.is_complex() else t


def both(t: Tensor) -> Tensor:
    return conjugate(negative(t))


def choices(n: int) -> list[set[int]]:
    """Each argument alone, and all."""
    return [*({k} for k in range(n)), set(range(n))] if n > 1 else [{0}]


def marked(tensors: Sequence[Tensor], some: set[int], bit: Function) -> list[Tensor]:
    return [bit(t) if k in some else t.clone() for k, t in enumerate(tensors)]


def check_forms(
    tensors: Sequence[Tensor], bit: Function, functional: Function, in_place: Function | None, out: bool = True
) -> None:
    """Lazy tensors give what plain ones give: as a function, into `out`, in place, and all that in inference mode."""
    expected = functional(*tensors)
    for some in choices(len(tensors)):
        close(functional(*marked(tensors, some, bit)), expected)
        for written in (torch.zeros_like, lambda t: bit(torch.ones_like(t)), lambda t: bit(t.new_empty(0))):
            if not out:
                continue
            for mode in (torch.enable_grad, torch.inference_mode):
                with mode():
                    target = written(expected)
                    assert functional(*marked(tensors, some, bit), out=target) is target
                    close(target, expected)
        if in_place:
            for mode in (torch.enable_grad, torch.inference_mode):
                with mode():
                    args = marked(tensors, some, bit)
                    assert in_place(*args) is args[0]
                    close(args[0], expected)


def check_derivatives(
    tensors: Sequence[Tensor], bit: Function, functional: Function, in_place: Function | None
) -> None:
    """Gradients, their gradients and tangents are those of plain tensors."""

    def gradients(lazy: bool, run: Function) -> list[Tensor]:
        leaves = [t.clone().requires_grad_(t.is_floating_point() or t.is_complex()) for t in tensors]
        y = run(*[bit(t) if lazy else t * 1 if t.requires_grad else t for t in leaves])
        wanted = [t for t in leaves if t.requires_grad]
        upstream = torch.ones_like(y) * 0.5
        first = torch.autograd.grad(
            y, wanted, bit(upstream) if lazy else upstream, create_graph=True, allow_unused=True
        )
        some = [g for g in first if g is not None and g.requires_grad]
        second = torch.autograd.grad([g.real.sum() for g in some], wanted, allow_unused=True) if some else ()
        return [torch.zeros(()) if g is None else g.detach() for g in (*first, *second)]

    close(gradients(True, functional), gradients(False, functional))
    if in_place:
        close(gradients(True, in_place), gradients(False, in_place))
    primals = tuple(t for t in tensors if t.dtype != torch.bool)
    rest = tensors[: len(tensors) - len(primals)]
    expected = torch.func.jvp(partial(functional, *rest), primals, tuple(t * 0.5 for t in primals))
    lazy = tuple(bit(t) for t in primals), tuple(bit(t * 0.5) for t in primals)
    close(torch.func.jvp(partial(functional, *rest), *lazy), expected)


def check_batches(tensors: Sequence[Tensor], bit: Function, functional: Function, in_place: Function | None) -> None:
    """Under vmap, the batch in all arguments; in place, self is lazy or another is."""
    batches = [torch.stack([t, t.flip(0) if t.dim() else t]) for t in tensors]
    expected = torch.stack([functional(*[b[i] for b in batches]) for i in range(2)])
    for some in choices(len(tensors)):
        close(torch.func.vmap(functional)(*marked(batches, some, bit)), expected)
        if in_place:
            args = marked(batches, some, bit)
            torch.func.vmap(in_place)(*args)
            close(args[0], expected)


def check_elementwise(case: catalogue.Case) -> None:
    tensors = [t.to(torch.float32) if t.dtype != torch.bool else t for t in case.smooth_inputs((3, 4))]
    in_place = case.in_place if case.writes_self else None
    check_forms(tensors, negative, case.ours, in_place)
    close(case.ours(*map(negative, tensors)), case.reference(*tensors).float(), rtol=1e-5, atol=1e-6)
    check_batches(tensors, negative, case.ours, in_place)
    if case.differentiable:
        check_derivatives(tensors, negative, case.ours, in_place)
    if case.types != "floating":
        whole = [t if t.dtype == torch.bool else (t * 3).round().int() + 1 for t in tensors]
        try:
            expected = case.ours(*whole)
        except RuntimeError:
            return
        close(case.ours(*map(negative, whole)), expected)
    check_complex(case, tensors)


def check_complex(case: catalogue.Case, tensors: Sequence[Tensor]) -> None:
    """torch's own kernels serve complex numbers, or refuse them."""
    plain = [t if t.dtype == torch.bool else t * (1 + 0.25j) for t in tensors]
    try:
        expected = case.ours(*plain)
    except (RuntimeError, TypeError):
        return
    in_place: Function | None = case.in_place
    try:
        case.in_place(*[t.clone() for t in plain])
    except (AttributeError, RuntimeError):
        in_place = None  # `where` has no such form, and torch refuses abs_
    for bit in (negative, conjugate, both):
        check_forms(plain, bit, case.ours, in_place)
    close(case.ours(*map(both, plain)), expected)


def check_product(p: Product) -> None:
    function = getattr(gpukern, p.name)
    for dtype in (torch.float32, torch.complex64):
        if dtype.is_complex and ("batch_invariant" in p.kwargs or "activation" in p.tail):
            continue
        tensors = [values(shape, dtype) for shape in p.shapes]

        def functional(*args: Tensor, **more: Any) -> Any:
            return p.call(function, *args, **more)

        close(
            functional(*tensors) if not p.in_place else p.call(function, *[t.clone() for t in tensors]),
            p.reference(*tensors),
        )
        for bit in (negative, conjugate, both) if dtype.is_complex else (negative,):
            if p.in_place:
                copying = lambda *args: functional(args[0] * 1, *args[1:])  # noqa: E731
                check_forms(tensors, bit, copying, functional, out=False)
                check_derivatives(tensors, bit, copying, functional)
                check_batches(tensors, bit, copying, functional)
            else:
                check_forms(tensors, bit, functional, None)
                check_derivatives(tensors, bit, functional, None)
                check_batches(tensors, bit, functional, None)


def check_other_ops() -> None:
    """Those of neither list: scales, gradients in one kernel, results of a wider type, bounds, patches."""
    a, b, c, v = values((4, 4), torch.float32), values((4, 4), torch.float32), torch.randn(4, 4), torch.rand(4)

    def check(function: Function, *tensors: Tensor, bit: Function = negative, out: bool = True) -> None:
        check_forms(tensors, bit, function, None, out)

    check(lambda a, b, c: gpukern.mm_activation_backward(a, b, c, "gelu"), a, b, c, out=False)
    check(lambda a, b, c: gpukern.mm_activation_backward(a, b, c, "tanh", bias_grad=True)[1], a, b, c, out=False)
    check(lambda a, b, r, s, c: gpukern.scaled_product(a, b, r, s, bias=s, residual=c), a, b, v, v, c, out=False)
    check(lambda a, b: gpukern.einsum("ij,kj->ik", a, b), a, b, out=False)
    check(lambda a, b, w: gpukern.bilinear(a, b, w, v), a, b, torch.randn(4, 4, 4), out=False)
    check(lambda x, b, **out: gpukern.bias_act(x, b, "gelu", 0, **out), a, v)
    check(gpukern.where, torch.rand(4, 4) > 0.5, a, b)
    half = [t.half() for t in (c, a, b)]
    check(lambda a, b, **out: gpukern.mm(a, b, torch.float32, **out), *half[1:])
    check(lambda a, b, **out: gpukern.bmm(a, b, torch.float32, **out), half[1][None], half[2][None])
    check(lambda c, a, b, **out: gpukern.addmm(c, a, b, torch.float32, **out), *half)
    check(lambda c, a, b, **out: gpukern.baddbmm(c, a, b, torch.float32, **out), *[t[None] for t in half])
    small = a.to(torch.float8_e4m3fn), b.to(torch.float8_e4m3fn)
    scales = v[:, None], v[None]
    try:
        gpukern.scaled_mm(*small, *scales, out_dtype=torch.float32)
    except RuntimeError as error:  # of rows torch 2.11 has none on a CPU
        assert "only supports per-tensor scaling" in str(error)
        scales = v[:1], v[1:2]
    check(lambda r, s, **out: gpukern.scaled_mm(*small, r, s, out_dtype=torch.float32, **out), *scales)
    for bounds in ({"min": c}, {"max": c}, {"min": c - 1, "max": c}):
        keys = list(bounds)

        def clamp(x: Tensor, *all: Tensor, keys: Any = keys, **out: Any) -> Any:
            return gpukern.clamp(x, **dict(zip(keys, all)), **out)

        def clamp_(x: Tensor, *all: Tensor, keys: Any = keys) -> Any:
            return gpukern.clamp_(x, **dict(zip(keys, all)))

        check_forms([a, *bounds.values()], negative, clamp, clamp_)
        check_batches([a, *bounds.values()], negative, clamp, clamp_)
    for name, numbers in (("add", 2), ("sub", 2), ("mul", 2), ("div", 2), ("pow", 3), ("lerp", 0.25)):
        call = partial(_with_number, getattr(gpukern, name), numbers)
        check(call, *([a, b] if name == "lerp" else [a]))
    image, geometry = torch.randn(1, 3, 3, 2), [2, 2, 1, 1, 1, 1, 0, 0, 2, 2]
    patches = torch.ops.gpukern.gather_patches(image, geometry)
    target = negative(torch.ones_like(patches))
    torch.ops.gpukern.gather_patches.out(negative(image), geometry, out=target)
    close(target, patches)
    close(torch.ops.gpukern.scatter_patches(negative(patches), geometry, [1, 3, 3, 2]),
          torch.ops.gpukern.scatter_patches(patches, geometry, [1, 3, 3, 2]))  # fmt: skip


def _with_number(function: Function, number: float, *tensors: Tensor, **out: Any) -> Any:
    return function(*tensors, number, **out)


def test_every_op_that_writes_has_a_kernel_for_both_bits() -> None:
    """Without one torch's fallback takes a result off the stack that no such op puts there."""
    names = [name for name in torch._C._dispatch_get_all_op_names() if name.startswith("gpukern::")]
    writing = [n for n in names if any(a.is_write for a in schema(n).arguments)]
    assert len(writing) > 100 and "gpukern::gather_patches.out" in writing
    for key in ("Negative", "Conjugate"):
        assert not [n for n in writing if not torch._C._dispatch_has_kernel_for_dispatch_key(n, key)]


def lazy_calls(a: Tensor, o: Tensor) -> Tensor:
    """Calls that read and write complex tensors by their lazy views."""
    gpukern.mm(a.conj(), a.mH, out=o.conj())
    gpukern.addmm_(o.conj(), a, a.mH, beta=0.5, residual=a.conj())
    gpukern.add(a.conj(), a, out=o.mH)
    gpukern.mul_(o.conj(), a.conj())
    gpukern.mul_(o.conj().imag, a.real)
    gpukern.exp(a.imag, out=o.conj().imag)
    gpukern.mm(a.real, a.conj().imag, out=o.real)
    gpukern.mv(a.conj(), a[0].conj(), out=o[0])
    gpukern.outer(a[0].conj(), a[1].conj(), out=o)
    gpukern.linear(a.conj(), o, a[0].conj(), out=o)
    return gpukern.dot(a[0].conj(), o[1], out=o[1, 1]) * 1


def test_compiled_calls_are_what_eager_ones_are() -> None:
    a, eager = values((3, 3), torch.complex64), values((3, 3), torch.complex64)
    compiled = eager.clone()
    expected = lazy_calls(a, eager)
    torch._dynamo.reset()
    close(torch.compile(lazy_calls, backend="aot_eager")(a, compiled), expected)  # torch breaks the graph at a view
    close(compiled, eager)


def schema(name: str) -> Any:
    base, _, overload = name.partition(".")
    return torch._C._get_schema(base, overload)


CHECKS: dict[str, Callable[[], None]] = {
    "other ops": check_other_ops,
    **{case.id: partial(check_elementwise, case) for case in catalogue.FIRST},
    **{p.id: partial(check_product, p) for p in PRODUCTS + IN_PLACE + TAILED},
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """From an interpreter of its own: a torch for GPUs differentiates in no fork of a process that did so before."""
    written = tmp_path_factory.mktemp("lazy") / "outcomes.json"
    subprocess.run([sys.executable, "-m", "tests.contract.test_lazy_views", str(written)], cwd=ROOT, check=True)
    found: dict[str, str] = json.loads(written.read_text())
    return found


def write_outcomes(to: Path) -> None:
    torch.manual_seed(0)
    torch.func.jvp(torch.exp, (torch.ones(2),), (torch.ones(2),))  # what torch imports and compiles at its first use
    torch.func.vmap(torch.exp)(torch.ones(2))
    to.write_text(json.dumps(run_forked(CHECKS)))


@pytest.mark.parametrize("name", CHECKS)
def test_lazy_arguments(name: str, outcomes: dict[str, str]) -> None:
    assert not outcomes[name], outcomes[name]


def test_a_process_that_dies_is_the_failure_of_its_check() -> None:
    found = run_forked({"first": lambda: None, "dies": os.abort, "raises": lambda: [][0], "last": lambda: None})
    assert (found["first"], found["last"]) == ("", "")
    assert "SIGABRT" in found["dies"] and "IndexError" in found["raises"]


if __name__ == "__main__":
    write_outcomes(Path(sys.argv[1]))
