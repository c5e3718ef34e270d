"""Bad input: the exception's type and the first line of its text are torch's for the same call of torch's function.

Where torch has no message (unknown activation, unknown configuration, a device without built code), ours tells the
user what to do.
"""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import gpukern

INT, DOUBLE, BOOL, COMPLEX = torch.int64, torch.float64, torch.bool, torch.complex64


def z(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.zeros(shape, dtype=dtype)


def meta(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta")


def part(start: int, length: int = 6, of: Tensor = torch.zeros(64)) -> Tensor:  # noqa: B008  (one storage for all)
    return of[start : start + length]


# name, arguments, keywords; torch refuses each.
Call = tuple[str, tuple[Any, ...], dict[str, Any]]
CALLS: dict[str, list[Call]] = {
    "shape": [
        ("mm", (z(2, 3), z(4, 5)), {}),
        ("mm", (z(3), z(3, 2)), {}),
        ("mm", (z(1, 2, 3), z(3, 2)), {}),
        ("bmm", (z(2, 3, 4), z(3, 4, 5)), {}),
        ("bmm", (z(2, 3, 4), z(2, 5, 4)), {}),
        ("bmm", (z(3, 4), z(4, 5)), {}),
        ("mv", (z(2, 3), z(4)), {}),
        ("mv", (z(2, 3), z(3, 1)), {}),
        ("addmm", (z(7), z(2, 3), z(3, 5)), {}),
        ("addmm", (z(2, 5), z(2, 3), z(4, 5)), {}),
        ("addmm", (z(2, 2, 5), z(2, 3), z(3, 5)), {}),
        ("baddbmm", (z(4), z(2, 3, 4), z(2, 4, 5)), {}),
        ("baddbmm", (z(2, 3, 5), z(2, 3, 4), z(3, 4, 5)), {}),
        ("addmv", (z(3), z(2, 3), z(3)), {}),
        ("addmv", (z(2, 2), z(2, 3), z(3)), {}),
        ("matmul", (z(2, 3), z(4, 5)), {}),
        ("matmul", (z(), z(3)), {}),
        ("matmul", (z(2, 3, 4), z(3, 4, 5)), {}),
        ("matmul", (z(3), z(4)), {}),
        ("matmul", (z(2, 3, 4), z(5, 4)), {}),
        ("linear", (z(2, 3), z(5, 4)), {}),
        ("linear", (z(2, 3), z(5, 3), z(4)), {}),
        ("linear", (z(2, 3), z(3, 5, 2)), {}),
        ("linear", (z(2, 3, 4), z(5, 4), z(6)), {}),
        ("linear", (z(), z(3, 3)), {}),
        ("mm", (meta(2, 3), meta(4, 3)), {}),
        ("addmm_", (z(4), z(2, 3), z(3, 4)), {}),
        ("addmm_", (z(1, 4), z(2, 3), z(3, 4)), {}),
        ("addmm_", (z(2, 2, 4), z(2, 3), z(3, 4)), {}),
        ("addmm_", (z(2, 4), z(2, 3), z(2, 4)), {}),
        ("baddbmm_", (z(1, 2, 4), z(2, 2, 3), z(2, 3, 4)), {}),
        ("addmv_", (z(1), z(2, 3), z(3)), {}),
        ("addmm_", (meta(1, 4), meta(2, 3), meta(3, 4)), {}),
        ("linear", (z(2, 3), z(3), z()), {}),
        ("linear", (z(2, 3), z(3), z(2)), {}),
        ("dot", (z(2), z(3)), {}),
        ("dot", (z(2, 2), z(2)), {}),
        ("vdot", (z(2), z(3)), {}),
        ("inner", (z(2, 3), z(2)), {}),
        ("outer", (z(2, 2), z(2)), {}),
        ("ger", (z(2), z()), {}),
        ("addr", (z(2, 2), z(3), z(2)), {}),
        ("addr", (z(2, 2), z(2, 1), z(2)), {}),
        ("addr_", (z(2), z(2), z(2)), {}),
        ("addr_", (z(2, 2), z(3), z(2)), {}),
        ("addbmm", (z(2, 2), z(2, 3), z(3, 2)), {}),
        ("addbmm", (z(2, 2), z(3, 2, 4), z(2, 4, 2)), {}),
        ("addbmm", (z(2, 2), z(3, 2, 4), z(3, 5, 2)), {}),
        ("addbmm", (z(3, 3), z(3, 2, 4), z(3, 4, 2)), {}),
        ("addbmm_", (z(3, 2), z(3, 2, 4), z(3, 4, 2)), {}),
        ("bilinear", (z(2, 3), z(3, 4), z(5, 3, 4)), {}),
        ("bilinear", (z(2, 3), z(2, 4), z(5, 4, 3)), {}),
        ("bilinear", (z(2, 3), z(2, 4), z(5, 3, 4), z(4)), {}),
        ("bilinear", (z(2, 3), z(4), z(5, 3, 4)), {}),
        ("multi_dot", ([z(2, 3)],), {}),
        ("multi_dot", ([],), {}),
        ("multi_dot", ([z(2, 3), z(4, 2)],), {}),
        ("multi_dot", ([z(2, 3), z(3), z(3, 2)],), {}),
        ("multi_dot", ([z(2, 2, 3), z(3, 2)],), {}),
        ("chain_matmul", (z(2, 3), z(4, 2)), {}),
        ("chain_matmul", (z(3), z(3, 2)), {}),
        ("chain_matmul", (), {}),
        ("tensordot", (z(2, 3), z(2, 3)), {"dims": 1}),
        ("tensordot", (z(2, 3), z(2, 3)), {"dims": 3}),
        ("tensordot", (z(2, 3), z(2, 3)), {"dims": -1}),
        ("tensordot", (z(2, 3), z(2, 3)), {"dims": ([0], [0, 1])}),
        ("tensordot", (z(2, 3), z(2, 3)), {"dims": ([0, 0], [0, 0])}),
        ("tensordot", (z(2, 3), z(2, 3)), {"dims": ([5], [0])}),
        ("add", (z(2), z(3)), {}),
        ("mul", (z(2, 3), z(4)), {}),
        ("where", (z(2, dtype=BOOL), z(3), z(2)), {}),
        ("lerp", (z(2), z(3), z(2)), {}),
        ("addcmul", (z(2), z(3), z(2)), {}),
        ("clamp", (z(2), z(3), z(2)), {}),
        ("pow", (z(2), z(3)), {}),
        ("div", (z(2), z(3)), {"rounding_mode": "floor"}),
        ("add", (meta(2), meta(3)), {}),
        ("add_", (z(2), z(2, 2)), {}),
        ("mul_", (z(3), z(2)), {}),
        ("lerp_", (z(2), z(2, 2), z(2)), {}),
    ],
    "dtype": [
        ("mm", (z(2, 3), z(3, 4, dtype=DOUBLE)), {}),
        ("bmm", (z(2, 3, 4), z(2, 4, 5, dtype=DOUBLE)), {}),
        ("mv", (z(2, 3), z(3, dtype=DOUBLE)), {}),
        ("mm", (z(2, 2, dtype=BOOL), z(2, 2, dtype=BOOL)), {}),
        ("addmm", (z(4, dtype=DOUBLE), z(2, 3), z(3, 4)), {}),
        ("addmv", (z(2, dtype=INT), z(2, 3), z(3)), {}),
        ("matmul", (z(2, 3, 4), z(4, 4, dtype=DOUBLE)), {}),
        ("linear", (z(2, 3), z(5, 3, dtype=DOUBLE)), {}),
        ("linear", (z(2, 3), z(5, 3), z(5, dtype=DOUBLE)), {}),
        ("addmm", (z(2, 2), z(2, 2), z(2, 2)), {"beta": 1j}),
        ("addmm_", (z(2, 4, dtype=INT), z(2, 3), z(3, 4)), {}),
        ("dot", (z(2), z(2, dtype=DOUBLE)), {}),
        ("dot", (z(2, dtype=BOOL), z(2, dtype=BOOL)), {}),
        ("vdot", (z(2), z(2, dtype=COMPLEX)), {}),
        ("inner", (z(2), z(2, dtype=DOUBLE)), {}),
        ("addr", (z(2, 2, dtype=INT), z(2, dtype=INT), z(2, dtype=INT)), {"alpha": 1.5}),
        ("addr", (z(2, 2), z(2), z(2)), {"alpha": 1j}),
        ("addr", (z(2, 2), z(2), z(2)), {"beta": True}),
        ("addr_", (z(2, 2, dtype=INT), z(2), z(2)), {}),
        ("addbmm", (z(2, 2), z(2, 2, 2), z(2, 2, 2, dtype=DOUBLE)), {}),
        ("addbmm", (z(2, 2, dtype=BOOL), z(2, 2, 2, dtype=BOOL), z(2, 2, 2, dtype=BOOL)), {}),
        ("bilinear", (z(2, 3), z(2, 4), z(5, 3, 4, dtype=DOUBLE)), {}),
        ("multi_dot", ([z(2, 3), z(3, 2, dtype=DOUBLE)],), {}),
        ("tensordot", (z(2, 3), z(2, 3, dtype=DOUBLE)), {}),
        ("sub", (z(2, dtype=BOOL), z(2, dtype=BOOL)), {}),
        ("neg", (z(2, dtype=BOOL),), {}),
        ("relu", (z(2, dtype=BOOL),), {}),
        ("relu", (z(2, dtype=COMPLEX),), {}),
        ("gelu", (z(2, dtype=INT),), {}),
        ("silu", (z(2, dtype=INT),), {}),
        ("softplus", (z(2, dtype=INT),), {}),
        ("elu", (z(2, dtype=INT),), {}),
        ("logsigmoid", (z(2, dtype=INT),), {}),
        ("lerp", (z(2), z(2), z(2, dtype=DOUBLE)), {}),
        ("addcdiv", (z(2, dtype=INT), z(2, dtype=INT), z(2, dtype=INT)), {}),
        ("maximum", (z(2, dtype=COMPLEX), z(2, dtype=COMPLEX)), {}),
        ("clamp", (z(2, dtype=COMPLEX), 0, 1), {}),
        ("where", (z(2), z(2), z(2)), {}),
        ("add", (z(2, dtype=INT), z(2, dtype=INT)), {"alpha": 1.5}),
        ("add", (z(2, dtype=torch.int8), z(2, dtype=torch.int8)), {"alpha": 1000}),
        ("sub", (z(2), z(2)), {"alpha": 1j}),
        ("add_", (z(2, dtype=INT), z(2)), {}),
        ("exp_", (z(2, dtype=INT),), {}),
        ("div_", (z(2, dtype=INT), z(2, dtype=INT)), {}),
        ("pow_", (z(2, dtype=INT), z(2)), {}),
    ],
    "device": [
        ("addmm", (meta(2, 2), z(2, 2), z(2, 2)), {}),
        ("mv", (z(2, 3), meta(3)), {}),
        ("addmm_", (meta(2, 4), z(2, 3), z(3, 4)), {}),
        ("dot", (z(2), meta(2)), {}),
        ("inner", (z(2), meta(2)), {}),
        ("addr", (z(2, 2), z(2), meta(2)), {}),
        ("dot", (z(2), z(2)), {"out": meta()}),
        ("tensordot", (z(2, 3), z(2, 3)), {"out": meta()}),
        ("addbmm", (z(2, 2), z(2, 2, 2), z(2, 2, 2)), {"out": meta(2, 2)}),
        ("add", (z(2), meta(2)), {}),
        ("where", (z(2, dtype=BOOL), meta(2), z(2)), {}),
        ("lerp", (z(2), z(2), meta(2)), {}),
        ("fmax", (meta(2), z(2)), {}),
        ("mm", (z(2, 3), z(3, 4)), {"out": meta(2, 4)}),
        ("matmul", (z(2, 2, 3), z(3, 4)), {"out": meta(2, 2, 4)}),
        ("mv", (z(2, 3), z(3)), {"out": meta(2)}),
        ("add", (z(2), z(2)), {"out": meta(2)}),
    ],
    "overlap": [
        ("mm", (z(3, 3), z(3, 3)), {"out": z(3, 1).expand(3, 3)}),
        ("addmm_", (z(2, 1).expand(2, 4), z(2, 3), z(3, 4)), {}),
        ("addr_", (z(2, 1).expand(2, 4), z(2), z(4)), {}),
        ("addbmm_", (z(2, 1).expand(2, 4), z(2, 2, 3), z(2, 3, 4)), {}),
        ("outer", (z(2), z(3)), {"out": z(2, 1).expand(2, 3)}),
        ("mul", (z(2), z(2)), {"out": z(1).expand(2)}),
        ("add", (part(0), part(2)), {"out": part(1)}),
        ("exp", (part(0),), {"out": part(1)}),
        ("exp_", (z(1).expand(4),), {}),
        ("add_", (z(1).expand(4), z(4)), {}),
        ("add_", (part(0), part(2)), {}),
    ],
    "out": [
        ("mm", (z(2, 3), z(3, 4)), {"out": z(2, 4, dtype=INT)}),
        ("bmm", (z(1, 2, 3), z(1, 3, 4)), {"out": z(1, 2, 4, dtype=DOUBLE)}),
        ("mv", (z(2, 3), z(3)), {"out": z(2, dtype=DOUBLE)}),
        ("addmm", (z(4), z(2, 3), z(3, 4)), {"out": z(2, 4, dtype=DOUBLE)}),
        ("matmul", (z(2, 2, 3), z(3, 4)), {"out": z(2, 2, 4, dtype=DOUBLE)}),
        ("matmul", (z(3), z(3)), {"out": z(dtype=DOUBLE)}),
        ("dot", (z(3), z(3)), {"out": z(dtype=DOUBLE)}),
        ("vdot", (z(3), z(3)), {"out": z(dtype=INT)}),
        ("inner", (z(3), z(3)), {"out": z(dtype=DOUBLE)}),
        ("outer", (z(3), z(3)), {"out": z(3, 3, dtype=INT)}),
        ("addr", (z(3, 3), z(3), z(3)), {"out": z(3, 3, dtype=INT)}),
        ("addbmm", (z(2, 2), z(2, 2, 2), z(2, 2, 2)), {"out": z(2, 2, dtype=DOUBLE)}),
        ("multi_dot", ([z(2, 3), z(3, 2)],), {"out": z(2, 2, dtype=DOUBLE)}),
        ("chain_matmul", (z(2, 3), z(3, 2)), {"out": z(2, 2, dtype=DOUBLE)}),
        ("tensordot", (z(2, 3), z(2, 3)), {"out": z(dtype=DOUBLE)}),
        ("mm", (z(2, 3), z(3, 4)), {"out": [z(2, 4)]}),
        ("mm", (z(2, 3), z(3, 4)), {"out": 3}),
        ("exp", (z(2),), {"out": z(2, dtype=INT)}),
        ("exp", (z(2),), {"out": "x"}),
        ("add", (z(2), z(2)), {"out": z(2, dtype=INT)}),
        ("maximum", (z(2), z(2)), {"out": z(2, dtype=INT)}),
        ("where", (z(2, dtype=BOOL), z(2), z(2)), {"out": z(2, dtype=INT)}),
        ("clamp", (z(2), 0, 1), {"out": z(2, dtype=INT)}),
        ("lerp", (z(2), z(2), 0.5), {"out": z(2, dtype=INT)}),
        ("pow", (2, z(2)), {"out": z(2, dtype=INT)}),
        ("add", (z(2), 2), {"out": z(2, dtype=INT)}),
    ],
    "words": [
        ("mm", (), {}),
        ("mm", (z(2, 2),), {}),
        ("mm", (z(2, 2), z(2, 2), z(2, 2)), {}),
        ("mm", (z(2, 2), 2), {}),
        ("mm", (z(2, 2), None), {}),
        ("mm", ([[1.0]], z(2, 2)), {}),
        ("mm", (z(2, 2),), {"mat": z(2, 2)}),
        ("mm", (z(2, 2), z(2, 2)), {"beta": 1}),
        ("mm", (z(2, 2), z(2, 2), torch.float64), {}),
        ("bmm", (z(1, 2, 2), 1.5), {}),
        ("mv", (z(2, 2),), {"input": z(2, 2)}),
        ("addmm", (z(2, 2), z(2, 2)), {}),
        ("addmm", (z(2, 2), z(2, 2), z(2, 2)), {"beta": "x"}),
        ("addmm", (z(2, 2), z(2, 2), z(2, 2), 2, 3), {}),
        ("baddbmm", (z(1, 2, 2),) * 3, {"beta": None}),
        ("addmv", (z(2), z(2, 2), z(2)), {"gamma": 1}),
        ("matmul", (z(2, 2), 3), {}),
        ("linear", (z(2, 2),), {}),
        ("linear", (z(2, 2), z(2, 2), 3), {}),
        ("dot", (z(2),), {}),
        ("dot", (z(2), 3), {}),
        ("outer", (z(2),), {"vec": z(2)}),
        ("addr", (z(2, 2), z(2)), {}),
        ("addr", (z(2, 2), z(2), z(2)), {"beta": "x"}),
        ("addbmm", (z(2, 2), z(2, 2, 2)), {}),
        ("addbmm", (1, z(2, 2), z(2, 2, 2)), {}),
        ("bilinear", (z(2, 3), z(2, 4)), {}),
        ("bilinear", (z(2, 3), z(2, 4), 5), {}),
        ("multi_dot", (z(2, 2), z(2, 2)), {}),
        ("multi_dot", (3,), {}),
        ("multi_dot", ([z(2, 2), 3],), {}),
        ("multi_dot", (), {}),
        ("chain_matmul", ([z(2, 2), z(2, 2)],), {}),
        ("chain_matmul", (z(2, 2), 3), {}),
        ("tensordot", (z(2, 2),), {}),
        ("tensordot", (z(2, 2), 3), {}),
        ("tensordot", (z(2, 2), z(2, 2)), {"dims": 1.5}),
        ("tensordot", (z(2, 2), z(2, 2)), {"dims": (["a"], [0])}),
        ("tensordot", (z(2, 2), z(2, 2)), {"dims": ([0, "a"], [0, 1])}),
        ("tensordot", (z(2, 2), z(2, 2)), {"dims": torch.zeros(3, 2)}),
        ("exp", (), {}),
        ("exp", (1.0,), {}),
        ("exp", ([1.0, 2.0],), {}),
        ("exp", (z(2), z(2)), {}),
        ("exp", (z(2),), {"foo": 1}),
        ("exp", (z(2),), {"input": z(2)}),
        ("add", (z(2),), {}),
        ("add", (z(2), "a"), {}),
        ("add", (z(2), z(2), 2, 3), {}),
        ("add", (z(2), z(2)), {"alpha": "x"}),
        ("div", (z(2), z(2)), {"rounding_mode": "up"}),
        ("div", (z(2), z(2), "floor"), {}),
        ("gelu", (z(2),), {"approximate": "fast"}),
        ("gelu", (z(2),), {"approximate": 1}),
        ("clamp", (z(2),), {}),
        ("clamp", (z(2), None, None), {}),
        ("clamp", (z(2), "a"), {}),
        ("hardtanh", (z(2), 1.0, -1.0), {}),
        ("where", (z(2, dtype=BOOL), "a", z(2)), {}),
        ("lerp", (z(2), 1.0, 0.5), {}),
        ("addcmul", (z(2), 2, z(2)), {}),
        ("pow", (2, 3), {}),
        ("maximum", (z(2), 1), {}),
        ("softplus", (z(2), "a"), {}),
    ],
}


def theirs(name: str) -> Callable[..., Any]:
    """torch's function; the method where an in-place form is one only."""
    function = getattr(functional, name, None) or getattr(torch, name, None) or getattr(torch.linalg, name, None)
    return function or (lambda target, *args, **kwargs: getattr(target, name)(*args, **kwargs))


def refusal(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(Exception) as caught, warnings.catch_warnings():  # its type is what is compared
        warnings.simplefilter("ignore")
        function(*args, **kwargs)
    return caught.type.__name__, (str(caught.value).splitlines() or [""])[0]


@pytest.mark.parametrize(
    "call", [pytest.param(c, id=f"{kind}{i}-{c[0]}") for kind, some in CALLS.items() for i, c in enumerate(some)]
)
def test_refused_in_torchs_words(call: Call) -> None:
    name, args, kwargs = call
    assert refusal(getattr(gpukern, name), args, kwargs) == refusal(theirs(name), args, kwargs)


def test_refusals_leave_the_arguments_as_they_were() -> None:
    for name, args, kwargs in [c for some in CALLS.values() for c in some]:
        before = [(t.shape, t._version) for t in (*args, *kwargs.values()) if isinstance(t, Tensor)]
        refusal(getattr(gpukern, name), args, kwargs)
        after = [(t.shape, t._version) for t in (*args, *kwargs.values()) if isinstance(t, Tensor)]
        assert [shape for shape, _ in before] == [shape for shape, _ in after], name


def test_in_place_product_of_another_shape_resized_its_input() -> None:
    """addmm_ on (2, 2, 4) with a product of (2, 4) gave self the product's shape."""
    target = z(2, 2, 4)
    with pytest.raises(
        RuntimeError, match=r"Bad in-place call: input tensor size \[2, 2, 4\] and output tensor size \[2"
    ):
        gpukern.addmm_(target, z(2, 3), z(3, 4))
    assert target.shape == (2, 2, 4)


def test_a_result_on_meta_was_accepted_beside_operands_with_data() -> None:
    for call in (
        lambda: gpukern.mm(z(2, 3), z(3, 4), out=meta(2, 4)),
        lambda: gpukern.add(z(2), z(2), out=meta(2)),
        lambda: gpukern.addmm_(meta(2, 4), z(2, 3), z(3, 4)),
    ):
        with pytest.raises(RuntimeError, match="device"):
            call()


# ---- extensions, for which torch has no message ----------------------------------------------------------------------


def test_unknown_activation() -> None:
    x, w = z(2, 3), z(4, 3)
    known = r"none, relu, gelu, gelu_tanh, silu, sigmoid, tanh, mish.* hardswish"
    for call in (
        lambda: gpukern.linear(x, w, activation="relux"),
        lambda: gpukern.mm(x, w.t(), activation="relux"),
        lambda: gpukern.addmm(z(4), x, w.t(), activation="relux"),
        lambda: gpukern.matmul(z(2, 2, 3), w.t(), activation="relux"),
        lambda: gpukern.add_act(x, x, "relux"),
        lambda: gpukern.bias_act(x, z(3), activation="relux"),
    ):
        with pytest.raises(ValueError, match=rf"unknown activation 'relux'; .*{known}"):
            call()


def test_activation_is_a_name() -> None:
    with pytest.raises(TypeError, match=r"argument 'activation' must be str, not (int|builtin_function_or_method)"):
        gpukern.linear(z(2, 3), z(4, 3), activation=torch.relu)  # type: ignore[arg-type]


def test_bias_act_says_which_extent_is_wrong() -> None:
    with pytest.raises(RuntimeError, match=r"bias has 4 elements, but dimension -1 of the input has 3"):
        gpukern.bias_act(z(2, 3), z(4))
    with pytest.raises(RuntimeError, match=r"bias must have one dimension, got 2"):
        gpukern.bias_act(z(2, 3), z(1, 3))


def test_fused_ops_name_the_types_they_take() -> None:
    for call in (
        lambda: gpukern.swiglu(z(2, dtype=INT), z(2, dtype=INT)),
        lambda: gpukern.add_act(z(2, dtype=INT), z(2, dtype=INT)),
    ):
        with pytest.raises(TypeError, match=r"expected dense tensors of float16, bfloat16, float32 or float64, got"):
            call()


def test_unknown_configuration() -> None:
    with (
        pytest.raises(
            ValueError,
            match=r"no kernel folder or configuration 'warp9' to force; known are .*simt, simt/s128x128.*host/blas",
        ),
        gpukern.force("warp9"),
    ):
        raise AssertionError("force took an unknown name")


def test_a_configuration_that_cannot_serve_says_how_to_lift_it() -> None:
    with gpukern.force("simt"), pytest.raises(RuntimeError, match=r"leave force\(\) or unset GPUKERN_FORCE"):
        gpukern.mm(z(2, 3), z(3, 4))


def test_unknown_device() -> None:
    with pytest.raises(ValueError, match=r"no device 'sm_123' to ask about; known are cpu, sm_75, .*gfx942"):
        gpukern.explain("mm", z(2, 3), z(3, 4), device="sm_123")


def test_unbuilt_target_says_how_to_build_it() -> None:
    found = gpukern.explain("mm", meta(64, 64), meta(64, 64), device="gfx1201")
    if found.configuration is None:
        assert ("simt", "no code was built for this device") in found.refused
        assert "gpukern.info() says what to run to build it" in str(found)


STAND_IN = """
import sys, warnings, torch, gpukern
torch.utils.rename_privateuse1_backend("stand_in")
y = torch._C._acc.create_empty_tensor((2, 2), torch.float32)
for name, args in (("mm", (y, y)), ("relu", (y,)), ("add", (y, y)), ("exp_", (y,)), ("addmm_", (y, y, y)),
                   ("inner", (y, y)), ("einsum", ("ij,jk", y, y))):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            getattr(gpukern, name)(*args)
        except Exception as error:
            print(name, "|", type(error).__name__, "|", str(error).splitlines()[0], "|", *[w.message for w in said])
"""


@pytest.mark.parametrize("strict", [False, True])
def test_unbuilt_device_is_torchs_with_one_warning_or_under_strict_an_error(strict: bool) -> None:
    """A device that torch knows and nothing is built for, as mps would be; torch's op fails there, so it was called."""
    done = subprocess.run(
        [sys.executable, "-c", STAND_IN],
        env={**os.environ, "GPUKERN_STRICT": "1" if strict else "0"},
        capture_output=True,
        text=True,
    )
    lines = [[part.strip() for part in line.split("|")] for line in done.stdout.splitlines()]
    called = ["mm", "relu", "add", "exp_", "addmm_", "inner", "einsum"]
    assert [line[0] for line in lines] == called, done.stdout + done.stderr
    missing = "gpukern: no kernel is built for device stand_in:0"
    for _, kind, text, *_ in lines:
        assert "gpukern::" not in text, "torch's op was to be asked"
        if strict:
            assert kind == "RuntimeError" and text.startswith(missing) and "'python -m gpukern info'" in text
    messages = [line[3] for line in lines if line[3]]
    if not strict:
        assert len(messages) == 2, "one for the products, one for the elementwise ops"
        assert all(text.startswith(missing) and "'python -m gpukern info'" in text for text in messages)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_sparse_and_quantised_tensors_had_no_elementwise_kernel() -> None:
    """Without a gradient the call went below autograd, where nothing was registered for their keys."""
    sparse = torch.eye(3).to_sparse()
    assert torch.equal(gpukern.abs(sparse).to_dense(), torch.eye(3))
    quantised = torch.quantize_per_tensor(torch.tensor([-1.0, 1.0]), 0.1, 0, torch.qint8)
    assert torch.equal(gpukern.relu(quantised).dequantize(), torch.tensor([0.0, 1.0]))
    with torch.inference_mode():
        assert torch.equal(gpukern.mm(sparse, torch.eye(3)), torch.eye(3))
        assert torch.equal(gpukern.mm(sparse, torch.eye(3), activation="relu"), torch.eye(3))
