"""einsum, tensordot and chain_matmul: products whose arguments are read in Python, as in torch.

The computation is in csrc/gemm (einsum.cpp, contract.cpp, chain.cpp).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.backends import opt_einsum
from torch.overrides import handle_torch_function, has_torch_function, has_torch_function_variadic

from .entries import functions

__all__ = ["chain_matmul", "einsum", "tensordot"]

_chain_matmul = functions["chain_matmul"]
_einsum = functions["einsum"]
_tensordot = functions["tensordot"]


def einsum(*args: Any) -> Tensor:
    """Sums of products by Einstein's convention, torch.einsum's: `einsum("bik,bkj->bij", a, b)`.

    args: an equation and the operands, one by one or as a list; or operands each followed by a list of numbers in
    [0, 52) or Ellipsis, and (optionally) such a list for the result.  Names repeated in an operand take its diagonal,
    an ellipsis stands for the dimensions that have no name, dimensions of one name have equal extents or broadcast
    from 1.  Operands have one type: float16, bfloat16, float32, float64, an integer (which wraps) or complex.

    Each contraction of two operands that sums something is one matrix product; more than two operands are contracted
    from left to right, or in opt_einsum's order where that is installed and `torch.backends.opt_einsum.enabled`.
    RuntimeError with torch's text for an equation that does not fit; ValueError for subscripts outside [0, 52).
    """
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, "
            "or at least one operand and its subscripts list"
        )
    operands: Sequence[Any]
    if isinstance(args[0], Tensor):
        equation = ",".join(map(_letters, args[1::2]))
        operands = args[::2]
        if len(args) % 2 == 1:
            equation += "->" + _letters(args[-1])
            operands = args[:-1:2]
    else:
        equation, operands = args[0], args[1:]
    if has_torch_function(operands):
        return handle_torch_function(einsum, operands, equation, *operands)  # type: ignore[no-any-return]
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        return einsum(equation, *operands[0])
    if len(operands) <= 2 or not opt_einsum.enabled or not opt_einsum.is_available():
        return _einsum(equation, operands)
    found = opt_einsum.get_opt_einsum().contract_path(equation, *operands, optimize=opt_einsum.strategy)
    return _einsum(equation, operands, path=[*chain.from_iterable(found[0])])


def _letters(subscripts: Any) -> str:
    """A list of numbers as the part of an equation that it means."""
    return "".join(map(_letter, subscripts))


def _letter(subscript: Any) -> str:
    if subscript == Ellipsis:
        return "..."
    if 0 <= subscript < 26:
        return chr(ord("A") + subscript)
    if 26 <= subscript < 52:
        return chr(ord("a") + subscript - 26)
    raise ValueError("einsum(): subscript in subscript list is not within the valid range [0, 52)")


def tensordot(a: Tensor, b: Tensor, dims: Any = 2, out: Tensor | None = None) -> Tensor:
    """Contraction of a and b: one matrix product over all contracted dimensions.

    dims: how many, the last of a with the first of b; or two lists of dimensions, of a and of b; or a tensor of either.
    Contracted dimensions have equal extents (one of extent 1 in either is summed in the other).  The result has the
    remaining dimensions of a, then those of b.  Types: those of matmul, the same in both.  RuntimeError with torch's
    text for dimensions that do not fit.
    """
    if has_torch_function_variadic(a, b):
        return handle_torch_function(tensordot, (a, b), a, b, dims=dims, out=out)  # type: ignore[no-any-return]
    dims_a, dims_b = _contracted(a, b, dims)
    return _tensordot(a, b, dims_a, dims_b) if out is None else _tensordot(a, b, dims_a, dims_b, out=out)


def _contracted(a: Tensor, b: Tensor, dims: Any) -> tuple[Any, Any]:
    """The dimensions of a and of b that are contracted."""
    if not isinstance(dims, (tuple, list, Tensor, int, torch.SymInt)):
        raise RuntimeError(
            "tensordot expects dims to be int or tuple[list[int], list[int]] or list[list[int]] containing two lists, "
            f"but got dims={dims}"
        )
    if isinstance(dims, (tuple, list)):
        dims_a, dims_b = dims
        return dims_a, dims_b
    count = dims
    if isinstance(dims, Tensor):
        if dims.numel() > 1:
            if dims.size()[0] != 2:
                raise AssertionError(f"dims tensor must have size 2 in first dimension, got {dims.size()[0]}")
            return dims[0].tolist(), dims[1].tolist()
        count = int(dims.item())
    if count < 0:
        raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
    if not isinstance(dims, Tensor) and count > min(a.dim(), b.dim()):
        raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
    return list(range(-count, 0)), list(range(count))


def chain_matmul(*matrices: Tensor, out: Tensor | None = None) -> Tensor:
    """Product of matrices in the order that takes the fewest multiplications; deprecated in torch, which warns once.

    matrices: (p0, p1), (p1, p2), .. of one type.  `multi_dot` takes a list, and vectors at its ends.
    """
    if has_torch_function(matrices):
        written = {} if out is None else {"out": out}
        return handle_torch_function(chain_matmul, matrices, *matrices, **written)  # type: ignore[no-any-return]
    return _chain_matmul(matrices) if out is None else _chain_matmul(matrices, out=out)
