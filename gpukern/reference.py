"""Reference results: every public function of gpukern in plain float64 on the CPU, to compare a result with.

The functions have the names and arguments of `gpukern`'s own.  Each takes tensors of any real type, on any device, or
numbers.  It computes with numpy in float64, by the formula of the literature, with no kernel of gpukern or torch.  It
returns a float64 tensor on the CPU, not rounded to the inputs' type.  Infinities and NaN follow from the formula, as in
torch (silu(-inf) is -inf * 0, which is NaN).  Integers above 2^53 lose digits.  The functions are slow and have no
`out=` and no gradient.

>>> x = torch.randn(1000, device="cuda", dtype=torch.float16)
>>> (gpukern.silu(x).cpu().double() - gpukern.reference.silu(x)).abs().max()
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce, wraps
from typing import Any

import numpy
import torch
from torch import Tensor

from . import formulas
from .formulas import Array
from .formulas import activate as activate


def _array(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().cpu().double().numpy()
    if isinstance(value, (list, tuple)):
        return [_array(each) for each in value]
    return value


def _on_arrays(formula: Callable[..., Any]) -> Callable[..., Any]:
    """Tensors in, float64 arrays to the formula, a tensor out (or a tuple of them)."""

    @wraps(formula)
    def call(*args: Any, **kwargs: Any) -> Any:
        arrays = [_array(value) for value in args]
        with numpy.errstate(all="ignore"):  # infinities and NaN are legitimate results here
            result = formula(*arrays, **{key: _array(value) for key, value in kwargs.items()})
        if isinstance(result, tuple):
            return tuple(torch.from_numpy(numpy.array(one, dtype=numpy.float64)) for one in result)
        return torch.from_numpy(numpy.array(result, dtype=numpy.float64))

    return call


# ---- one tensor ------------------------------------------------------------------------------------------------------


abs = _on_arrays(lambda input: numpy.abs(input))
neg = _on_arrays(lambda input: -input)
sign = _on_arrays(lambda input: numpy.where(numpy.isnan(input), 0.0, numpy.sign(input)))
square = _on_arrays(lambda input: input * input)
sqrt = _on_arrays(lambda input: numpy.sqrt(input))
rsqrt = _on_arrays(lambda input: 1 / numpy.sqrt(input))
reciprocal = _on_arrays(lambda input: 1 / input)
exp = _on_arrays(lambda input: numpy.exp(input))
exp2 = _on_arrays(lambda input: numpy.exp2(input))
expm1 = _on_arrays(lambda input: numpy.expm1(input))
log = _on_arrays(lambda input: numpy.log(input))
log2 = _on_arrays(lambda input: numpy.log2(input))
log1p = _on_arrays(lambda input: numpy.log1p(input))
sin = _on_arrays(lambda input: numpy.sin(input))
cos = _on_arrays(lambda input: numpy.cos(input))
tanh = _on_arrays(lambda input: numpy.tanh(input))
sigmoid = _on_arrays(lambda input: formulas.sigmoid(input))
erf = _on_arrays(lambda input: formulas.erf(input))
relu = _on_arrays(lambda input: numpy.maximum(input, 0))
relu6 = _on_arrays(lambda input: formulas.clip(input, 0, 6))
leaky_relu = _on_arrays(lambda input, negative_slope=0.01: numpy.where(input > 0, input, input * negative_slope))
elu = _on_arrays(lambda input, alpha=1.0: numpy.where(input > 0, input, alpha * numpy.expm1(numpy.minimum(input, 0))))
gelu = _on_arrays(lambda input, approximate="none": formulas.gelu(input, approximate))
silu = _on_arrays(lambda input: formulas.silu(input))
mish = _on_arrays(lambda input: formulas.mish(input))
softplus = _on_arrays(lambda input, beta=1, threshold=20: formulas.softplus(input, beta, threshold))
hardswish = _on_arrays(lambda input: formulas.hardswish(input))
hardsigmoid = _on_arrays(lambda input: formulas.clip(input + 3, 0, 6) / 6)
hardtanh = _on_arrays(lambda input, min_val=-1.0, max_val=1.0: formulas.clip(input, min_val, max_val))
logsigmoid = _on_arrays(lambda input: -formulas.softplus(-input, threshold=math.inf))
tan = _on_arrays(lambda input: numpy.tan(input))
asin = _on_arrays(lambda input: numpy.arcsin(input))
acos = _on_arrays(lambda input: numpy.arccos(input))
atan = _on_arrays(lambda input: numpy.arctan(input))
sinh = _on_arrays(lambda input: numpy.sinh(input))
cosh = _on_arrays(lambda input: numpy.cosh(input))
asinh = _on_arrays(lambda input: numpy.arcsinh(input))
acosh = _on_arrays(lambda input: numpy.arccosh(input))
atanh = _on_arrays(lambda input: numpy.arctanh(input))
log10 = _on_arrays(lambda input: numpy.log10(input))
erfc = _on_arrays(lambda input: formulas.erfc(input))
deg2rad = _on_arrays(lambda input: numpy.deg2rad(input))
rad2deg = _on_arrays(lambda input: numpy.rad2deg(input))
floor = _on_arrays(lambda input: numpy.floor(input))
ceil = _on_arrays(lambda input: numpy.ceil(input))
trunc = _on_arrays(lambda input: numpy.trunc(input))
round = _on_arrays(lambda input: numpy.rint(input))
frac = _on_arrays(lambda input: input - numpy.trunc(input))
isnan = _on_arrays(lambda input: numpy.isnan(input))
isinf = _on_arrays(lambda input: numpy.isinf(input))
isfinite = _on_arrays(lambda input: numpy.isfinite(input))
isposinf = _on_arrays(lambda input: numpy.isposinf(input))
isneginf = _on_arrays(lambda input: numpy.isneginf(input))
signbit = _on_arrays(lambda input: numpy.signbit(input))
logical_not = _on_arrays(lambda input: numpy.logical_not(input))


# ---- several tensors -------------------------------------------------------------------------------------------------


@_on_arrays
def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Array:
    """input / other; rounding_mode "trunc" rounds towards zero, "floor" down (the exact quotient's floor)."""
    if rounding_mode == "floor":
        return numpy.asarray(numpy.floor_divide(input, other))
    quotient = numpy.divide(input, other)
    return numpy.asarray(numpy.trunc(quotient) if rounding_mode == "trunc" else quotient)


@_on_arrays
def clamp(input: Any, min: Any = None, max: Any = None) -> Array:
    """input held between min and max; max wins where they cross."""
    result = input if min is None else numpy.maximum(input, min)
    return numpy.asarray(result if max is None else numpy.minimum(result, max))


add = _on_arrays(lambda input, other, *, alpha=1: input + alpha * other)
sub = _on_arrays(lambda input, other, *, alpha=1: input - alpha * other)
mul = _on_arrays(lambda input, other: input * other)
pow = _on_arrays(lambda input, exponent: numpy.power(numpy.asarray(input, numpy.float64), exponent))
maximum = _on_arrays(lambda input, other: numpy.maximum(input, other))
minimum = _on_arrays(lambda input, other: numpy.minimum(input, other))
fmax = _on_arrays(lambda input, other: numpy.fmax(input, other))
fmin = _on_arrays(lambda input, other: numpy.fmin(input, other))
where = _on_arrays(lambda condition, input, other: numpy.where(condition != 0, input, other))
lerp = _on_arrays(lambda input, end, weight: input + weight * (end - input))
addcmul = _on_arrays(lambda input, tensor1, tensor2, *, value=1: input + value * tensor1 * tensor2)
addcdiv = _on_arrays(lambda input, tensor1, tensor2, *, value=1: input + value * tensor1 / tensor2)

atan2 = _on_arrays(lambda input, other: numpy.arctan2(input, other))
hypot = _on_arrays(lambda input, other: numpy.hypot(input, other))
logaddexp = _on_arrays(lambda input, other: numpy.logaddexp(input, other))
logaddexp2 = _on_arrays(lambda input, other: numpy.logaddexp2(input, other))


@_on_arrays
def xlogy(input: Any, other: Any) -> Array:
    """input * log(other); 0 where input is 0, NaN where other is."""
    return numpy.where(numpy.isnan(other), other, numpy.where(input == 0, 0.0, input * numpy.log(other)))


eq = _on_arrays(lambda input, other: numpy.equal(input, other))
ne = _on_arrays(lambda input, other: numpy.not_equal(input, other))
lt = _on_arrays(lambda input, other: numpy.less(input, other))
le = _on_arrays(lambda input, other: numpy.less_equal(input, other))
gt = _on_arrays(lambda input, other: numpy.greater(input, other))
ge = _on_arrays(lambda input, other: numpy.greater_equal(input, other))
logical_and = _on_arrays(lambda input, other: numpy.logical_and(input, other))
logical_or = _on_arrays(lambda input, other: numpy.logical_or(input, other))
logical_xor = _on_arrays(lambda input, other: numpy.logical_xor(input, other))
fmod = _on_arrays(lambda input, other: numpy.fmod(input, other))
remainder = _on_arrays(lambda input, other: numpy.remainder(input, other))
copysign = _on_arrays(lambda input, other: numpy.copysign(input, other))
heaviside = _on_arrays(lambda input, values: numpy.where(input == 0, values, input > 0))


# ---- integers --------------------------------------------------------------------------------------------------------


def _on_integers(formula: Callable[[int, int], int]) -> Callable[..., Tensor]:
    """Exact, of Python's integers; the result is float64 like the others, so its digits end at 2^53."""
    each = numpy.vectorize(lambda x, y: float(formula(int(x), int(y))), otypes=[numpy.float64])
    return wraps(formula)(_on_arrays(lambda input, other: each(input, other)))


bitwise_and = _on_integers(lambda x, y: x & y)
bitwise_or = _on_integers(lambda x, y: x | y)
bitwise_xor = _on_integers(lambda x, y: x ^ y)
bitwise_left_shift = _on_integers(lambda x, y: x << y if y >= 0 else 0)
bitwise_right_shift = _on_integers(lambda x, y: x >> y if y >= 0 else -(x < 0))
gcd = _on_integers(math.gcd)
lcm = _on_integers(math.lcm)


add_act = _on_arrays(lambda input, other, activation="relu": activate(input + other, activation))
bias_act = _on_arrays(lambda input, bias, activation="relu": activate(input + bias, activation))
scale_shift_act = _on_arrays(lambda input, scale, shift, activation="relu": activate(input * scale + shift, activation))
swiglu = _on_arrays(lambda gate, up: formulas.silu(gate) * up)
geglu = _on_arrays(lambda gate, up, *, approximate="none": formulas.gelu(gate, approximate) * up)


# ---- products --------------------------------------------------------------------------------------------------------


def _product(a: Array, b: Array) -> Array:
    """Sums of products over the last dimension of a and the last but one of b; einsum's own loop, not a BLAS."""
    if b.ndim == 1:
        return numpy.asarray(numpy.einsum("...k,k->...", a, b, optimize=False))
    if a.ndim == 1:
        return numpy.asarray(numpy.einsum("k,...kn->...n", a, b, optimize=False))
    return numpy.asarray(numpy.einsum("...mk,...kn->...mn", a, b, optimize=False))


def _finish(product: Array, activation: str | None, residual: Any) -> Array:
    result = activate(product, activation)
    return result if residual is None else result + residual


def _scaled_sum(input: Any, product: Array, beta: float, alpha: float) -> Array:
    # beta 0 ignores the addend, NaN and all, as torch does.
    scaled = alpha * product if alpha != 0 else numpy.zeros_like(product)
    return scaled if beta == 0 else beta * input + scaled


@_on_arrays
def matmul(input: Any, other: Any, *, activation: str | None = None, residual: Any = None) -> Array:
    """activation(input @ other) + residual, with torch.matmul's rules of shape."""
    return _finish(_product(input, other), activation, residual)


@_on_arrays
def linear(input: Any, weight: Any, bias: Any = None, *, activation: str | None = None, residual: Any = None) -> Array:
    """activation(input @ weight.T + bias) + residual."""
    product = _product(input, weight.T)
    return _finish(product if bias is None else product + bias, activation, residual)


@_on_arrays
def addmm(
    input: Any, mat1: Any, mat2: Any, *, beta: float = 1, alpha: float = 1,
    activation: str | None = None, residual: Any = None,
) -> Array:  # fmt: skip
    """activation(beta * input + alpha * mat1 @ mat2) + residual."""
    return _finish(_scaled_sum(input, _product(mat1, mat2), beta, alpha), activation, residual)


@_on_arrays
def baddbmm(
    input: Any, batch1: Any, batch2: Any, *, beta: float = 1, alpha: float = 1,
    activation: str | None = None, residual: Any = None,
) -> Array:  # fmt: skip
    """activation(beta * input + alpha * batch1 @ batch2) + residual."""
    return _finish(_scaled_sum(input, _product(batch1, batch2), beta, alpha), activation, residual)


@_on_arrays
def addmv(input: Any, mat: Any, vec: Any, *, beta: float = 1, alpha: float = 1) -> Array:
    """beta * input + alpha * mat @ vec."""
    return _scaled_sum(input, _product(mat, vec), beta, alpha)


@_on_arrays
def mm(input: Any, mat2: Any, *, activation: str | None = None, residual: Any = None) -> Array:
    """activation(input @ mat2) + residual."""
    return _finish(_product(input, mat2), activation, residual)


@_on_arrays
def bmm(input: Any, mat2: Any, *, activation: str | None = None, residual: Any = None) -> Array:
    """activation(input @ mat2) + residual, matrix by matrix."""
    return _finish(_product(input, mat2), activation, residual)


@_on_arrays
def mm_activation_backward(grad: Any, weight: Any, saved: Any, activation: str, *, bias_grad: bool = False) -> Any:
    """(grad @ weight) * activation'(saved); for the activations in STEPS exactly 0 where the derivative is 0.

    bias_grad: returns the sums of the columns too, of the unrounded result.
    """
    product, slope = _product(grad, weight), formulas.derivative(activation, saved)
    result = numpy.where(slope == 0, 0.0, product * slope) if activation in formulas.STEPS else product * slope
    return (result, result.reshape(-1, result.shape[-1]).sum(0)) if bias_grad else result


@_on_arrays
def scaled_product(
    input: Any, other: Any, row_scale: Any = None, column_scale: Any = None, *, bias: Any = None,
    activation: str | None = None, residual: Any = None,
) -> Array:  # fmt: skip
    """activation(row_scale[:, None] * column_scale * (input @ other) + bias) + residual."""
    product = _product(input, other)
    product = product if row_scale is None else product * row_scale[..., :, None]
    product = product if column_scale is None else product * column_scale[..., None, :]
    return _finish(product if bias is None else product + bias, activation, residual)


@_on_arrays
def mv(input: Any, vec: Any) -> Array:
    """input @ vec."""
    return _product(input, vec)


@_on_arrays
def addbmm(input: Any, batch1: Any, batch2: Any, *, beta: float = 1, alpha: float = 1) -> Array:
    """beta * input + alpha * the sum over the batch of batch1[i] @ batch2[i]."""
    product = numpy.asarray(numpy.einsum("bnm,bmp->np", batch1, batch2, optimize=False))
    return _scaled_sum(input, product, beta, alpha)


@_on_arrays
def addr(input: Any, vec1: Any, vec2: Any, *, beta: float = 1, alpha: float = 1) -> Array:
    """beta * input + alpha * vec1[:, None] * vec2."""
    return _scaled_sum(input, vec1[:, None] * vec2, beta, alpha)


def _spread(scale: Any, x: int, k: int) -> Array:
    """The scale of each element of an (x, k) operand: one number, one per row, or one per block of 128."""
    given = numpy.asarray(scale, dtype=numpy.float64)
    if given.size == 1:
        return numpy.full((x, k), given.reshape(-1)[0])
    rows = given if given.shape[0] == x else numpy.repeat(given, 128, axis=0)[:x]
    if rows.shape[1] == 1:
        return numpy.repeat(rows, k, axis=1)
    return numpy.repeat(rows, 128, axis=1)[:, :k]


@_on_arrays
def scaled_mm(
    input: Array, mat2: Array, scale_a: Array, scale_b: Array, bias: Any = None, scale_result: Any = None,
    out_dtype: torch.dtype | None = None, use_fast_accum: bool = False,
) -> Array:  # fmt: skip
    k = input.shape[1]
    left = input * _spread(scale_a, input.shape[0], k)
    right = mat2 * _spread(numpy.asarray(scale_b).T, mat2.shape[1], k).T
    total = _product(left, right) + (0 if bias is None else bias)
    eight = out_dtype is None or out_dtype.itemsize == 1
    return total * scale_result if eight and scale_result is not None else total


def _inner(input: Array, other: Array) -> Array:
    if input.ndim == 0 or other.ndim == 0:
        return numpy.asarray(input * other)
    rows = [x.reshape(math.prod(x.shape[:-1]), x.shape[-1]) for x in (input, other)]
    product = numpy.einsum("mk,nk->mn", *rows, optimize=False)
    return numpy.asarray(product).reshape(input.shape[:-1] + other.shape[:-1])


dot = _on_arrays(lambda input, tensor: _inner(input, tensor))
vdot = _on_arrays(lambda input, other: _inner(input, other))
inner = _on_arrays(lambda input, other: _inner(input, other))
outer = _on_arrays(lambda input, vec2: input[:, None] * vec2)
ger = _on_arrays(lambda input, vec2: input[:, None] * vec2)


@_on_arrays
def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Array:
    """out[.., o] = sum over i, j of input1[.., i] weight[o, i, j] input2[.., j], plus bias[o]."""
    product = numpy.asarray(numpy.einsum("...i,oij,...j->...o", input1, weight, input2, optimize=False))
    return product if bias is None else numpy.asarray(product + bias)


multi_dot = _on_arrays(lambda tensors: reduce(_product, tensors))
chain_matmul = _on_arrays(lambda *matrices: reduce(_product, matrices))


@_on_arrays
def tensordot(a: Any, b: Any, dims: Any = 2) -> Array:
    """Sums of products over the last `dims` of a and the first of b, or over two lists of dimensions."""
    dims_a, dims_b = (range(-dims, 0), range(dims)) if isinstance(dims, int) else dims
    names_a, names_b = list(range(a.ndim)), list(range(a.ndim, a.ndim + b.ndim))
    for p, q in zip(dims_a, dims_b):
        names_b[q] = names_a[p]
    kept = [n for n in names_a if n not in names_b] + [n for n in names_b if n not in names_a]
    return numpy.asarray(numpy.einsum(a, names_a, b, names_b, kept, optimize=False))


@_on_arrays
def einsum(*args: Any) -> Array:
    """numpy takes both formats of torch.einsum; only an ellipsis missing in the result differs: torch sums over it."""
    if len(args) == 2 and isinstance(args[0], str) and isinstance(args[1], list):
        args = (args[0], *args[1])
    inputs, arrow, output = args[0].partition("->") if isinstance(args[0], str) else ("", "", "")
    if arrow and "..." in inputs and "..." not in output:
        whole = numpy.asarray(numpy.einsum(f"{inputs}->...{output}", *args[1:], optimize=False))
        named = len(output.replace(" ", ""))
        return numpy.asarray(whole.sum(axis=tuple(range(whole.ndim - named))))
    return numpy.asarray(numpy.einsum(*args, optimize=False))
