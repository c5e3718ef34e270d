"""`explain` for `scaled_mm`: which scales it has, and which kernel serves it."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from . import _C, ops
from .explanation import (
    NO_LAYOUT,
    Explanation,
    cycles,
    layout,
    measured_notes,
    measurement,
    on_meta,
    pass_notes,
    range_notes,
)

SCALE_BLOCK = 128  # as in problem.h
_NAMES = ("input", "mat2", "scale_a", "scale_b", "bias", "scale_result", "out_dtype", "use_fast_accum")


def scale_kind(scale: Tensor, x: int, k: int) -> tuple[int, int, int]:
    """(group, stride along x, stride along k) of the scales of an (x, k) operand, as in problem.h."""
    blocks = -(-k // SCALE_BLOCK)
    if scale.numel() == 1:
        return 1, 0, 0
    if scale.shape == (x, 1):
        return 1, scale.stride(0), 0
    if scale.shape == (x, blocks):
        return 1, scale.stride(0), scale.stride(1)
    if scale.shape == (-(-x // SCALE_BLOCK), blocks):
        return SCALE_BLOCK, scale.stride(0), scale.stride(1)
    raise ValueError(f"Invalid scaling configuration.\nscales of shape {tuple(scale.shape)} for an operand {x} x {k}")


def explain_scaled(args: tuple[Any, ...], kwargs: dict[str, Any], device: str) -> Explanation:
    result: Tensor = ops.scaled_mm(*map(on_meta, args), **{key: on_meta(value) for key, value in kwargs.items()})
    given: dict[str, Any] = dict(zip(_NAMES, args)) | kwargs
    a, b = on_meta(given["input"]), on_meta(given["mat2"])
    scale_b = given["scale_b"].t() if given["scale_b"].dim() == 2 else given["scale_b"]
    kinds = [*scale_kind(given["scale_a"], *a.shape), *scale_kind(scale_b, b.shape[1], b.shape[0])]
    kinds.append(int(bool(given.get("use_fast_accum", False))))
    layouts = [layout(a[None]), layout(b[None]), NO_LAYOUT, layout(result[None]), NO_LAYOUT]
    types = [str(t.dtype).removeprefix("torch.") for t in (a, b, result)]
    found = _C.gemm_explain(
        types[0], (1, a.shape[0], b.shape[1], a.shape[1]), layouts, 1.0, 0.0, False, "none", False, device,
        out=types[2], b_type=types[1], scales=kinds,
    )  # fmt: skip
    exact = not kinds[6] or kinds[2] or kinds[5]
    how = "emulated: float8 is converted in software and summed in float32, with or without use_fast_accum"
    if found["tensor_cores"]:
        sums = (
            "partial sums over 128 of k are added in float32"
            if exact
            else "sums have 14 bits, as use_fast_accum allows"
        )
        how = f"on float8 tensor cores; {sums}"
    return Explanation(
        "scaled_mm", found["problem"], found["device"], found["configuration"] or None,
        tuple(map(tuple, found["refusals"])), found["would_run"] or None,
        (how, *pass_notes(found), *range_notes(found), *measured_notes(found)), found["splits"], cycles(found),
        measurement(found),
    )  # fmt: skip
