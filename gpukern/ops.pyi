# Written by `make stubs` from the signatures that the functions' parser reads; not edited by hand.
from collections.abc import Sequence
from typing import Literal, TypeAlias, overload

from torch import Tensor, dtype
from typing_extensions import deprecated

from .products import chain_matmul as chain_matmul
from .products import einsum as einsum
from .products import tensordot as tensordot

_Number: TypeAlias = complex  # and so float, int and bool

__all__ = [  # noqa: RUF022
    "abs",
    "abs_",
    "acos",
    "acos_",
    "acosh",
    "acosh_",
    "add",
    "add_",
    "add_act",
    "add_act_",
    "addbmm",
    "addbmm_",
    "addcdiv",
    "addcdiv_",
    "addcmul",
    "addcmul_",
    "addmm",
    "addmm_",
    "addmv",
    "addmv_",
    "addr",
    "addr_",
    "asin",
    "asin_",
    "asinh",
    "asinh_",
    "atan",
    "atan2",
    "atan2_",
    "atan_",
    "atanh",
    "atanh_",
    "baddbmm",
    "baddbmm_",
    "bias_act",
    "bilinear",
    "bitwise_and",
    "bitwise_and_",
    "bitwise_left_shift",
    "bitwise_left_shift_",
    "bitwise_or",
    "bitwise_or_",
    "bitwise_right_shift",
    "bitwise_right_shift_",
    "bitwise_xor",
    "bitwise_xor_",
    "bmm",
    "ceil",
    "ceil_",
    "chain_matmul",
    "clamp",
    "clamp_",
    "clamp_max",
    "clamp_max_",
    "clamp_min",
    "clamp_min_",
    "copysign",
    "copysign_",
    "cos",
    "cos_",
    "cosh",
    "cosh_",
    "deg2rad",
    "deg2rad_",
    "div",
    "div_",
    "dot",
    "einsum",
    "elu",
    "elu_",
    "eq",
    "eq_",
    "erf",
    "erf_",
    "erfc",
    "erfc_",
    "exp",
    "exp2",
    "exp2_",
    "exp_",
    "expm1",
    "expm1_",
    "floor",
    "floor_",
    "fmax",
    "fmax_",
    "fmin",
    "fmin_",
    "fmod",
    "fmod_",
    "frac",
    "frac_",
    "gcd",
    "gcd_",
    "ge",
    "ge_",
    "geglu",
    "geglu_",
    "gelu",
    "gelu_",
    "ger",
    "gt",
    "gt_",
    "hardsigmoid",
    "hardsigmoid_",
    "hardswish",
    "hardswish_",
    "hardtanh",
    "hardtanh_",
    "heaviside",
    "heaviside_",
    "hypot",
    "hypot_",
    "inner",
    "isfinite",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "lcm",
    "lcm_",
    "le",
    "le_",
    "leaky_relu",
    "leaky_relu_",
    "lerp",
    "lerp_",
    "linear",
    "log",
    "log10",
    "log10_",
    "log1p",
    "log1p_",
    "log2",
    "log2_",
    "log_",
    "logaddexp",
    "logaddexp2",
    "logical_and",
    "logical_and_",
    "logical_not",
    "logical_not_",
    "logical_or",
    "logical_or_",
    "logical_xor",
    "logical_xor_",
    "logsigmoid",
    "logsigmoid_",
    "lt",
    "lt_",
    "matmul",
    "maximum",
    "maximum_",
    "minimum",
    "minimum_",
    "mish",
    "mish_",
    "mm",
    "mm_activation_backward",
    "mul",
    "mul_",
    "multi_dot",
    "mv",
    "ne",
    "ne_",
    "neg",
    "neg_",
    "outer",
    "pow",
    "pow_",
    "rad2deg",
    "rad2deg_",
    "reciprocal",
    "reciprocal_",
    "relu",
    "relu6",
    "relu6_",
    "relu_",
    "remainder",
    "remainder_",
    "round",
    "round_",
    "rsqrt",
    "rsqrt_",
    "scale_shift_act",
    "scale_shift_act_",
    "scaled_mm",
    "scaled_product",
    "sigmoid",
    "sigmoid_",
    "sign",
    "sign_",
    "signbit",
    "silu",
    "silu_",
    "sin",
    "sin_",
    "sinh",
    "sinh_",
    "softplus",
    "softplus_",
    "sqrt",
    "sqrt_",
    "square",
    "square_",
    "sub",
    "sub_",
    "swiglu",
    "swiglu_",
    "tan",
    "tan_",
    "tanh",
    "tanh_",
    "tensordot",
    "trunc",
    "trunc_",
    "vdot",
    "where",
    "xlogy",
    "xlogy_",
]

def abs(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Absolute value, |x|."""

def abs_(input: Tensor) -> Tensor:
    """In-place form of abs; returns input."""

def acos(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Arccosine, in radians; NaN beyond -1 and 1."""

def acos_(input: Tensor) -> Tensor:
    """In-place form of acos; returns input."""

def acosh(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Inverse of the hyperbolic cosine; NaN below 1."""

def acosh_(input: Tensor) -> Tensor:
    """In-place form of acosh; returns input."""

@overload
def add(input: Tensor | _Number, other: Tensor | _Number, *, alpha: _Number = 1, out: Tensor | None = None) -> Tensor:
    """Sum, input + alpha * other."""

@overload
@deprecated("torch's old order of arguments")
def add(input: Tensor, alpha: _Number, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Sum, input + alpha * other."""

def add_(input: Tensor, other: Tensor | _Number, *, alpha: _Number = 1) -> Tensor:
    """In-place form of add; returns input."""

def add_act(input: Tensor, other: Tensor, activation: str = "relu", *, out: Tensor | None = None) -> Tensor:
    """activation(input + other)."""

def add_act_(input: Tensor, other: Tensor, activation: str = "relu") -> Tensor:
    """In-place form of add_act; returns input."""

@overload
def addbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: _Number = 1, alpha: _Number = 1, out: Tensor | None = None
) -> Tensor:
    """beta * input + alpha * the sum of the products batch1[i] @ batch2[i]; (b, n, m) and (b, m, p) to (n, p)."""

@overload
@deprecated("torch's old order of arguments")
def addbmm(
    beta: _Number, input: Tensor, alpha: _Number, batch1: Tensor, batch2: Tensor, *, out: Tensor | None = None
) -> Tensor:
    """beta * input + alpha * the sum of the products batch1[i] @ batch2[i]; (b, n, m) and (b, m, p) to (n, p)."""

@overload
@deprecated("torch's old order of arguments")
def addbmm(beta: _Number, input: Tensor, batch1: Tensor, batch2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """beta * input + alpha * the sum of the products batch1[i] @ batch2[i]; (b, n, m) and (b, m, p) to (n, p)."""

def addbmm_(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: _Number = 1, alpha: _Number = 1) -> Tensor:
    """In-place form of addbmm; returns input."""

@overload
def addcdiv(
    input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: _Number = 1, out: Tensor | None = None
) -> Tensor:
    """input + value * tensor1 / tensor2."""

@overload
@deprecated("torch's old order of arguments")
def addcdiv(input: Tensor, value: _Number, tensor1: Tensor, tensor2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """input + value * tensor1 / tensor2."""

def addcdiv_(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: _Number = 1) -> Tensor:
    """In-place form of addcdiv; returns input."""

@overload
def addcmul(
    input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: _Number = 1, out: Tensor | None = None
) -> Tensor:
    """input + value * tensor1 * tensor2."""

@overload
@deprecated("torch's old order of arguments")
def addcmul(input: Tensor, value: _Number, tensor1: Tensor, tensor2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """input + value * tensor1 * tensor2."""

def addcmul_(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: _Number = 1) -> Tensor:
    """In-place form of addcmul; returns input."""

@overload
def addmm(
    input: Tensor,
    mat1: Tensor,
    mat2: Tensor,
    *,
    beta: _Number = 1,
    alpha: _Number = 1,
    activation: str | None = None,
    residual: Tensor | None = None,
    precision: str | None = None,
    batch_invariant: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2); input broadcasts; beta=0 does not read it."""

@overload
def addmm(
    input: Tensor,
    mat1: Tensor,
    mat2: Tensor,
    out_dtype: dtype,
    *,
    beta: _Number = 1,
    alpha: _Number = 1,
    out: Tensor | None = None,
) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2); input broadcasts; beta=0 does not read it."""

@overload
@deprecated("torch's old order of arguments")
def addmm(
    beta: _Number, input: Tensor, alpha: _Number, mat1: Tensor, mat2: Tensor, *, out: Tensor | None = None
) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2); input broadcasts; beta=0 does not read it."""

@overload
@deprecated("torch's old order of arguments")
def addmm(beta: _Number, input: Tensor, mat1: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2); input broadcasts; beta=0 does not read it."""

def addmm_(
    input: Tensor,
    mat1: Tensor,
    mat2: Tensor,
    *,
    beta: _Number = 1,
    alpha: _Number = 1,
    activation: str | None = None,
    residual: Tensor | None = None,
    precision: str | None = None,
    batch_invariant: bool = False,
) -> Tensor:
    """In-place form of addmm; returns input."""

@overload
def addmv(
    input: Tensor, mat: Tensor, vec: Tensor, *, beta: _Number = 1, alpha: _Number = 1, out: Tensor | None = None
) -> Tensor:
    """beta * input + alpha * (mat @ vec)."""

@overload
@deprecated("torch's old order of arguments")
def addmv(
    beta: _Number, input: Tensor, alpha: _Number, mat: Tensor, vec: Tensor, *, out: Tensor | None = None
) -> Tensor:
    """beta * input + alpha * (mat @ vec)."""

@overload
@deprecated("torch's old order of arguments")
def addmv(beta: _Number, input: Tensor, mat: Tensor, vec: Tensor, *, out: Tensor | None = None) -> Tensor:
    """beta * input + alpha * (mat @ vec)."""

def addmv_(input: Tensor, mat: Tensor, vec: Tensor, *, beta: _Number = 1, alpha: _Number = 1) -> Tensor:
    """In-place form of addmv; returns input."""

@overload
def addr(
    input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: _Number = 1, alpha: _Number = 1, out: Tensor | None = None
) -> Tensor:
    """beta * input + alpha * outer(vec1, vec2); input broadcasts; beta=0 does not read it."""

@overload
@deprecated("torch's old order of arguments")
def addr(
    beta: _Number, input: Tensor, alpha: _Number, vec1: Tensor, vec2: Tensor, *, out: Tensor | None = None
) -> Tensor:
    """beta * input + alpha * outer(vec1, vec2); input broadcasts; beta=0 does not read it."""

@overload
@deprecated("torch's old order of arguments")
def addr(beta: _Number, input: Tensor, vec1: Tensor, vec2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """beta * input + alpha * outer(vec1, vec2); input broadcasts; beta=0 does not read it."""

def addr_(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: _Number = 1, alpha: _Number = 1) -> Tensor:
    """In-place form of addr; returns input."""

def asin(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Arcsine, in radians; NaN beyond -1 and 1."""

def asin_(input: Tensor) -> Tensor:
    """In-place form of asin; returns input."""

def asinh(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Inverse of the hyperbolic sine."""

def asinh_(input: Tensor) -> Tensor:
    """In-place form of asinh; returns input."""

def atan(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Arctangent, in radians."""

def atan2(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The angle of the point (other, input), in radians, between -pi and pi."""

def atan2_(input: Tensor, other: Tensor) -> Tensor:
    """In-place form of atan2; returns input."""

def atan_(input: Tensor) -> Tensor:
    """In-place form of atan; returns input."""

def atanh(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Inverse of the hyperbolic tangent; NaN beyond -1 and 1."""

def atanh_(input: Tensor) -> Tensor:
    """In-place form of atanh; returns input."""

@overload
def baddbmm(
    input: Tensor,
    batch1: Tensor,
    batch2: Tensor,
    *,
    beta: _Number = 1,
    alpha: _Number = 1,
    activation: str | None = None,
    residual: Tensor | None = None,
    precision: str | None = None,
    batch_invariant: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """beta * input + alpha * (batch1 @ batch2), batch by batch."""

@overload
def baddbmm(
    input: Tensor,
    batch1: Tensor,
    batch2: Tensor,
    out_dtype: dtype,
    *,
    beta: _Number = 1,
    alpha: _Number = 1,
    out: Tensor | None = None,
) -> Tensor:
    """beta * input + alpha * (batch1 @ batch2), batch by batch."""

@overload
@deprecated("torch's old order of arguments")
def baddbmm(
    beta: _Number, input: Tensor, alpha: _Number, batch1: Tensor, batch2: Tensor, *, out: Tensor | None = None
) -> Tensor:
    """beta * input + alpha * (batch1 @ batch2), batch by batch."""

@overload
@deprecated("torch's old order of arguments")
def baddbmm(beta: _Number, input: Tensor, batch1: Tensor, batch2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """beta * input + alpha * (batch1 @ batch2), batch by batch."""

def baddbmm_(
    input: Tensor,
    batch1: Tensor,
    batch2: Tensor,
    *,
    beta: _Number = 1,
    alpha: _Number = 1,
    activation: str | None = None,
    residual: Tensor | None = None,
    precision: str | None = None,
    batch_invariant: bool = False,
) -> Tensor:
    """In-place form of baddbmm; returns input."""

def bias_act(
    input: Tensor, bias: Tensor, activation: str = "relu", dim: int = -1, *, out: Tensor | None = None
) -> Tensor:
    """activation(input + bias), bias along dimension `dim`."""

def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """out[.., o] = sum over i, j of input1[.., i] weight[o, i, j] input2[.., j], plus bias[o]."""

@overload
def bitwise_and(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Bits that both have; of bool: and."""

@overload
def bitwise_and(input: _Number, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Bits that both have; of bool: and."""

@overload
def bitwise_and(input: Tensor, other: _Number, *, out: Tensor | None = None) -> Tensor:
    """Bits that both have; of bool: and."""

@overload
def bitwise_and_(input: Tensor, other: Tensor) -> Tensor:
    """In-place form of bitwise_and; returns input."""

@overload
def bitwise_and_(input: Tensor, other: _Number) -> Tensor:
    """In-place form of bitwise_and; returns input."""

@overload
def bitwise_left_shift(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """input * 2^other, wrapped to the type."""

@overload
def bitwise_left_shift(input: _Number, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """input * 2^other, wrapped to the type."""

@overload
def bitwise_left_shift(input: Tensor, other: _Number, *, out: Tensor | None = None) -> Tensor:
    """input * 2^other, wrapped to the type."""

@overload
def bitwise_left_shift_(input: Tensor, other: Tensor) -> Tensor:
    """In-place form of bitwise_left_shift; returns input."""

@overload
def bitwise_left_shift_(input: Tensor, other: _Number) -> Tensor:
    """In-place form of bitwise_left_shift; returns input."""

@overload
def bitwise_or(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Bits that either has; of bool: or."""

@overload
def bitwise_or(input: _Number, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Bits that either has; of bool: or."""

@overload
def bitwise_or(input: Tensor, other: _Number, *, out: Tensor | None = None) -> Tensor:
    """Bits that either has; of bool: or."""

@overload
def bitwise_or_(input: Tensor, other: Tensor) -> Tensor:
    """In-place form of bitwise_or; returns input."""

@overload
def bitwise_or_(input: Tensor, other: _Number) -> Tensor:
    """In-place form of bitwise_or; returns input."""

@overload
def bitwise_right_shift(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """input / 2^other, rounded down."""

@overload
def bitwise_right_shift(input: _Number, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """input / 2^other, rounded down."""

@overload
def bitwise_right_shift(input: Tensor, other: _Number, *, out: Tensor | None = None) -> Tensor:
    """input / 2^other, rounded down."""

@overload
def bitwise_right_shift_(input: Tensor, other: Tensor) -> Tensor:
    """In-place form of bitwise_right_shift; returns input."""

@overload
def bitwise_right_shift_(input: Tensor, other: _Number) -> Tensor:
    """In-place form of bitwise_right_shift; returns input."""

@overload
def bitwise_xor(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Bits that one has; of bool: other than."""

@overload
def bitwise_xor(input: _Number, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Bits that one has; of bool: other than."""

@overload
def bitwise_xor(input: Tensor, other: _Number, *, out: Tensor | None = None) -> Tensor:
    """Bits that one has; of bool: other than."""

@overload
def bitwise_xor_(input: Tensor, other: Tensor) -> Tensor:
    """In-place form of bitwise_xor; returns input."""

@overload
def bitwise_xor_(input: Tensor, other: _Number) -> Tensor:
    """In-place form of bitwise_xor; returns input."""

@overload
def bmm(
    input: Tensor,
    mat2: Tensor,
    *,
    activation: str | None = None,
    residual: Tensor | None = None,
    precision: str | None = None,
    batch_invariant: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """Matrix by matrix product of two batches, (b, m, k) and (b, k, n)."""

@overload
def bmm(input: Tensor, mat2: Tensor, out_dtype: dtype, *, out: Tensor | None = None) -> Tensor:
    """Matrix by matrix product of two batches, (b, m, k) and (b, k, n)."""

def ceil(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Smallest integer that is at least x."""

def ceil_(input: Tensor) -> Tensor:
    """In-place form of ceil; returns input."""

@overload
def clamp(input: Tensor, min: Tensor | None = None, max: Tensor | None = None, *, out: Tensor | None = None) -> Tensor:
    """input held between min and max; max where min > max; NaN stays NaN."""

@overload
def clamp(
    input: Tensor, min: _Number | None = None, max: _Number | None = None, *, out: Tensor | None = None
) -> Tensor:
    """input held between min and max; max where min > max; NaN stays NaN."""

@overload
def clamp_(input: Tensor, min: Tensor | None = None, max: Tensor | None = None) -> Tensor:
    """In-place form of clamp; returns input."""

@overload
def clamp_(input: Tensor, min: _Number | None = None, max: _Number | None = None) -> Tensor:
    """In-place form of clamp; returns input."""

@overload
def clamp_max(input: Tensor, max: Tensor, *, out: Tensor | None = None) -> Tensor:
    """input, but at most max."""

@overload
def clamp_max(input: Tensor, max: _Number, *, out: Tensor | None = None) -> Tensor:
    """input, but at most max."""

@overload
def clamp_max_(input: Tensor, max: Tensor) -> Tensor:
    """In-place form of clamp_max; returns input."""

@overload
def clamp_max_(input: Tensor, max: _Number) -> Tensor:
    """In-place form of clamp_max; returns input."""

@overload
def clamp_min(input: Tensor, min: Tensor, *, out: Tensor | None = None) -> Tensor:
    """input, but at least min."""

@overload
def clamp_min(input: Tensor, min: _Number, *, out: Tensor | None = None) -> Tensor:
    """input, but at least min."""

@overload
def clamp_min_(input: Tensor, min: Tensor) -> Tensor:
    """In-place form of clamp_min; returns input."""

@overload
def clamp_min_(input: Tensor, min: _Number) -> Tensor:
    """In-place form of clamp_min; returns input."""

@overload
def copysign(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The size of input with the sign of other."""

@overload
def copysign(input: Tensor, other: _Number, *, out: Tensor | None = None) -> Tensor:
    """The size of input with the sign of other."""

@overload
def copysign_(input: Tensor, other: Tensor) -> Tensor:
    """In-place form of copysign; returns input."""

@overload
def copysign_(input: Tensor, other: _Number) -> Tensor:
    """In-place form of copysign; returns input."""

def cos(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Cosine; x in radians."""

def cos_(input: Tensor) -> Tensor:
    """In-place form of cos; returns input."""

def cosh(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Hyperbolic cosine."""

def cosh_(input: Tensor) -> Tensor:
    """In-place form of cosh; returns input."""

def deg2rad(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Degrees in radians, x pi / 180."""

def deg2rad_(input: Tensor) -> Tensor:
    """In-place form of deg2rad; returns input."""

def div(
    input: Tensor | _Number, other: Tensor | _Number, *, rounding_mode: str | None = None, out: Tensor | None = None
) -> Tensor:
    """Quotient, input / other; rounding_mode 'trunc' or 'floor' rounds it."""

def div_(input: Tensor, other: Tensor | _Number, *, rounding_mode: str | None = None) -> Tensor:
    """In-place form of div; returns input."""

def dot(input: Tensor, tensor: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Sum of the products of two vectors of one length; a tensor without dimensions."""

def elu(input: Tensor, alpha: _Number = 1, inplace: bool = False, *, out: Tensor | None = None) -> Tensor:
    """x where x > 0, else alpha * (e^x - 1)."""

def elu_(input: Tensor, alpha: _Number = 1) -> Tensor:
    """In-place form of elu; returns input."""

@overload
def eq(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether input equals other; NaN equals nothing."""

@overload
def eq(input: Tensor, other: _Number, *, out: Tensor | None = None) -> Tensor:
    """Whether input equals other; NaN equals nothing."""

@overload
def eq_(input: Tensor, other: Tensor) -> Tensor:
    """In-place form of eq; returns input."""

@overload
def eq_(input: Tensor, other: _Number) -> Tensor:
    """In-place form of eq; returns input."""

def erf(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Error function."""

def erf_(input: Tensor) -> Tensor:
    """In-place form of erf; returns input."""

def erfc(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """1 - erf(x), accurate where that cancels."""

def erfc_(input: Tensor) -> Tensor:
    """In-place form of erfc; returns input."""

def exp(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Exponential function, e^x."""

def exp2(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Power of two, 2^x."""

def exp2_(input: Tensor) -> Tensor:
    """In-place form of exp2; returns input."""

def exp_(input: Tensor) -> Tensor:
    """In-place form of exp; returns input."""

def expm1(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """e^x - 1, accurate near 0."""

def expm1_(input: Tensor) -> Tensor:
    """In-place form of expm1; returns input."""

def floor(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Largest integer that is at most x."""

def floor_(input: Tensor) -> Tensor:
    """In-place form of floor; returns input."""

def fmax(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Larger of two; the other one if one is NaN."""

def fmax_(input: Tensor, other: Tensor) -> Tensor:
    """In-place form of fmax; returns input."""

def fmin(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Smaller of two; the other one if one is NaN."""

def fmin_(input: Tensor, other: Tensor) -> Tensor:
    """In-place form of fmin; returns input."""

@overload
def fmod(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Remainder with the sign of input, input - other * trunc(input / other)."""

@overload
def fmod(input: Tensor, other: _Number, *, out: Tensor | None = None) -> Tensor:
    """Remainder with the sign of input, input - other * trunc(input / other)."""

@overload
def fmod_(input: Tensor, other: Tensor) -> Tensor:
    """In-place form of fmod; returns input."""

@overload
def fmod_(input: Tensor, other: _Number) -> Tensor:
    """In-place form of fmod; returns input."""

def frac(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Fractional part, x - trunc(x), with the sign of x."""

def frac_(input: Tensor) -> Tensor:
    """In-place form of frac; returns input."""

def gcd(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Greatest common divisor; not negative, and 0 of 0 and 0."""

def gcd_(input: Tensor, other: Tensor) -> Tensor:
    """In-place form of gcd; returns input."""

@overload
def ge(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether input is at least other."""

@overload
def ge(input: Tensor, other: _Number, *, out: Tensor | None = None) -> Tensor:
    """Whether input is at least other."""

@overload
def ge_(input: Tensor, other: Tensor) -> Tensor:
    """In-place form of ge; returns input."""

@overload
def ge_(input: Tensor, other: _Number) -> Tensor:
    """In-place form of ge; returns input."""

def geglu(gate: Tensor, up: Tensor, *, approximate: str = "none", out: Tensor | None = None) -> Tensor:
    """gelu(gate) * up."""

def geglu_(gate: Tensor, up: Tensor, *, approximate: str = "none") -> Tensor:
    """In-place form of geglu; returns input."""

def gelu(input: Tensor, *, approximate: str = "none", out: Tensor | None = None) -> Tensor:
    """x times the normal distribution function; approximate='tanh' for the tanh form."""

def gelu_(input: Tensor, *, approximate: str = "none") -> Tensor:
    """In-place form of gelu; returns input."""

def ger(input: Tensor, vec2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """As outer; deprecated in torch."""

@overload
def gt(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether input is greater than other."""

@overload
def gt(input: Tensor, other: _Number, *, out: Tensor | None = None) -> Tensor:
    """Whether input is greater than other."""

@overload
def gt_(input: Tensor, other: Tensor) -> Tensor:
    """In-place form of gt; returns input."""

@overload
def gt_(input: Tensor, other: _Number) -> Tensor:
    """In-place form of gt; returns input."""

def hardsigmoid(input: Tensor, inplace: bool = False, *, out: Tensor | None = None) -> Tensor:
    """min(max(x + 3, 0), 6) / 6."""

def hardsigmoid_(input: Tensor) -> Tensor:
    """In-place form of hardsigmoid; returns input."""

def hardswish(input: Tensor, inplace: bool = False, *, out: Tensor | None = None) -> Tensor:
    """x * min(max(x + 3, 0), 6) / 6."""

def hardswish_(input: Tensor) -> Tensor:
    """In-place form of hardswish; returns input."""

def hardtanh(
    input: Tensor, min_val: _Number = -1, max_val: _Number = 1, inplace: bool = False, *, out: Tensor | None = None
) -> Tensor:
    """x held between min_val and max_val."""

def hardtanh_(input: Tensor, min_val: _Number = -1, max_val: _Number = 1) -> Tensor:
    """In-place form of hardtanh; returns input."""

def heaviside(input: Tensor, values: Tensor, *, out: Tensor | None = None) -> Tensor:
    """1 where x > 0, values where x = 0, else 0; 0 for NaN, as torch."""

def heaviside_(input: Tensor, values: Tensor) -> Tensor:
    """In-place form of heaviside; returns input."""

def hypot(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Length of the hypotenuse, sqrt(input^2 + other^2), without overflow between."""

def hypot_(input: Tensor, other: Tensor) -> Tensor:
    """In-place form of hypot; returns input."""

def inner(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Products of the rows of input with the rows of other, (*, k) and (+, k) to (*, +)."""

def isfinite(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether a value is neither infinite nor NaN."""

def isinf(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether a value is infinite."""

def isnan(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether a value is NaN."""

def isneginf(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether a value is -inf."""

def isposinf(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether a value is +inf."""

def lcm(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Least common multiple; not negative, and 0 beside 0."""

def lcm_(input: Tensor, other: Tensor) -> Tensor:
    """In-place form of lcm; returns input."""

@overload
def le(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether input is at most other."""

@overload
def le(input: Tensor, other: _Number, *, out: Tensor | None = None) -> Tensor:
    """Whether input is at most other."""

@overload
def le_(input: Tensor, other: Tensor) -> Tensor:
    """In-place form of le; returns input."""

@overload
def le_(input: Tensor, other: _Number) -> Tensor:
    """In-place form of le; returns input."""

def leaky_relu(
    input: Tensor, negative_slope: _Number = 0.01, inplace: bool = False, *, out: Tensor | None = None
) -> Tensor:
    """x where x > 0, else negative_slope * x."""

def leaky_relu_(input: Tensor, negative_slope: _Number = 0.01) -> Tensor:
    """In-place form of leaky_relu; returns input."""

@overload
def lerp(input: Tensor, end: Tensor, weight: Tensor, *, out: Tensor | None = None) -> Tensor:
    """input + weight * (end - input)."""

@overload
def lerp(input: Tensor, end: Tensor, weight: _Number, *, out: Tensor | None = None) -> Tensor:
    """input + weight * (end - input)."""

@overload
def lerp_(input: Tensor, end: Tensor, weight: Tensor) -> Tensor:
    """In-place form of lerp; returns input."""

@overload
def lerp_(input: Tensor, end: Tensor, weight: _Number) -> Tensor:
    """In-place form of lerp; returns input."""

def linear(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    activation: str | None = None,
    residual: Tensor | None = None,
    precision: str | None = None,
    batch_invariant: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """input @ weight.T + bias; input (*, k), weight (n, k), bias (n,)."""

def log(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Natural logarithm."""

def log10(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Logarithm to base 10."""

def log10_(input: Tensor) -> Tensor:
    """In-place form of log10; returns input."""

def log1p(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """log(1 + x), accurate near 0."""

def log1p_(input: Tensor) -> Tensor:
    """In-place form of log1p; returns input."""

def log2(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Logarithm to base 2."""

def log2_(input: Tensor) -> Tensor:
    """In-place form of log2; returns input."""

def log_(input: Tensor) -> Tensor:
    """In-place form of log; returns input."""

def logaddexp(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """log(e^input + e^other), without overflow between."""

def logaddexp2(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """log2(2^input + 2^other), without overflow between."""

def logical_and(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether both values are other than zero."""

def logical_and_(input: Tensor, other: Tensor) -> Tensor:
    """In-place form of logical_and; returns input."""

def logical_not(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether a value is zero."""

def logical_not_(input: Tensor) -> Tensor:
    """In-place form of logical_not; returns input."""

def logical_or(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether a value is other than zero."""

def logical_or_(input: Tensor, other: Tensor) -> Tensor:
    """In-place form of logical_or; returns input."""

def logical_xor(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether exactly one value is other than zero."""

def logical_xor_(input: Tensor, other: Tensor) -> Tensor:
    """In-place form of logical_xor; returns input."""

def logsigmoid(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """log(sigmoid(x)) = min(x, 0) - log(1 + e^-|x|)."""

def logsigmoid_(input: Tensor) -> Tensor:
    """In-place form of logsigmoid; returns input."""

@overload
def lt(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether input is less than other."""

@overload
def lt(input: Tensor, other: _Number, *, out: Tensor | None = None) -> Tensor:
    """Whether input is less than other."""

@overload
def lt_(input: Tensor, other: Tensor) -> Tensor:
    """In-place form of lt; returns input."""

@overload
def lt_(input: Tensor, other: _Number) -> Tensor:
    """In-place form of lt; returns input."""

def matmul(
    input: Tensor,
    other: Tensor,
    *,
    activation: str | None = None,
    residual: Tensor | None = None,
    precision: str | None = None,
    batch_invariant: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """Matrix product with torch.matmul's rules for vectors and batches."""

def maximum(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Larger of two; NaN if either is NaN."""

def maximum_(input: Tensor, other: Tensor) -> Tensor:
    """In-place form of maximum; returns input."""

def minimum(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Smaller of two; NaN if either is NaN."""

def minimum_(input: Tensor, other: Tensor) -> Tensor:
    """In-place form of minimum; returns input."""

def mish(input: Tensor, inplace: bool = False, *, out: Tensor | None = None) -> Tensor:
    """x * tanh(softplus(x))."""

def mish_(input: Tensor) -> Tensor:
    """In-place form of mish; returns input."""

@overload
def mm(
    input: Tensor,
    mat2: Tensor,
    *,
    activation: str | None = None,
    residual: Tensor | None = None,
    precision: str | None = None,
    batch_invariant: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """Matrix product of two matrices, (m, k) and (k, n)."""

@overload
def mm(input: Tensor, mat2: Tensor, out_dtype: dtype, *, out: Tensor | None = None) -> Tensor:
    """Matrix product of two matrices, (m, k) and (k, n)."""

@overload
def mm_activation_backward(
    grad: Tensor,
    weight: Tensor,
    saved: Tensor,
    activation: str,
    *,
    precision: str | None = None,
    batch_invariant: bool = False,
    bias_grad: Literal[False] = False,
) -> Tensor:
    """(grad @ weight) * activation'(saved): the gradient before an activation, of the gradient behind the linear
    layer that follows it.
    """

@overload
def mm_activation_backward(
    grad: Tensor,
    weight: Tensor,
    saved: Tensor,
    activation: str,
    *,
    precision: str | None = None,
    batch_invariant: bool = False,
    bias_grad: Literal[True],
) -> tuple[Tensor, Tensor]:
    """(grad @ weight) * activation'(saved): the gradient before an activation, of the gradient behind the linear
    layer that follows it.
    """

@overload
def mm_activation_backward(
    grad: Tensor,
    weight: Tensor,
    saved: Tensor,
    activation: str,
    *,
    precision: str | None = None,
    batch_invariant: bool = False,
    bias_grad: bool,
) -> Tensor | tuple[Tensor, Tensor]:
    """(grad @ weight) * activation'(saved): the gradient before an activation, of the gradient behind the linear
    layer that follows it.
    """

def mul(input: Tensor | _Number, other: Tensor | _Number, *, out: Tensor | None = None) -> Tensor:
    """Product, input * other."""

def mul_(input: Tensor, other: Tensor | _Number) -> Tensor:
    """In-place form of mul; returns input."""

def multi_dot(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Product of two or more matrices in the order that takes the fewest multiplications; the first and the last may
    be vectors.
    """

def mv(input: Tensor, vec: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Matrix times vector, (m, k) and (k,)."""

@overload
def ne(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether input and other differ; NaN always does."""

@overload
def ne(input: Tensor, other: _Number, *, out: Tensor | None = None) -> Tensor:
    """Whether input and other differ; NaN always does."""

@overload
def ne_(input: Tensor, other: Tensor) -> Tensor:
    """In-place form of ne; returns input."""

@overload
def ne_(input: Tensor, other: _Number) -> Tensor:
    """In-place form of ne; returns input."""

def neg(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Negation, -x."""

def neg_(input: Tensor) -> Tensor:
    """In-place form of neg; returns input."""

def outer(input: Tensor, vec2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Every element of input times every one of vec2, (m,) and (n,) to (m, n); types promote."""

@overload
def pow(input: Tensor, exponent: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Power, input ** exponent."""

@overload
def pow(input: Tensor, exponent: _Number, *, out: Tensor | None = None) -> Tensor:
    """Power, input ** exponent."""

@overload
def pow(input: _Number, exponent: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Power, input ** exponent."""

@overload
def pow_(input: Tensor, exponent: Tensor) -> Tensor:
    """In-place form of pow; returns input."""

@overload
def pow_(input: Tensor, exponent: _Number) -> Tensor:
    """In-place form of pow; returns input."""

def rad2deg(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Radians in degrees, x 180 / pi."""

def rad2deg_(input: Tensor) -> Tensor:
    """In-place form of rad2deg; returns input."""

def reciprocal(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Reciprocal, 1 / x."""

def reciprocal_(input: Tensor) -> Tensor:
    """In-place form of reciprocal; returns input."""

def relu(input: Tensor, inplace: bool = False, *, out: Tensor | None = None) -> Tensor:
    """Rectifier, max(x, 0); NaN stays NaN."""

def relu6(input: Tensor, inplace: bool = False, *, out: Tensor | None = None) -> Tensor:
    """Rectifier with a ceiling, min(max(x, 0), 6)."""

def relu6_(input: Tensor) -> Tensor:
    """In-place form of relu6; returns input."""

def relu_(input: Tensor) -> Tensor:
    """In-place form of relu; returns input."""

@overload
def remainder(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Remainder with the sign of other, input - other * floor(input / other)."""

@overload
def remainder(input: _Number, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Remainder with the sign of other, input - other * floor(input / other)."""

@overload
def remainder(input: Tensor, other: _Number, *, out: Tensor | None = None) -> Tensor:
    """Remainder with the sign of other, input - other * floor(input / other)."""

@overload
def remainder_(input: Tensor, other: Tensor) -> Tensor:
    """In-place form of remainder; returns input."""

@overload
def remainder_(input: Tensor, other: _Number) -> Tensor:
    """In-place form of remainder; returns input."""

@overload
def round(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Nearest integer; a half goes to the even one."""

@overload
def round(input: Tensor, *, decimals: int, out: Tensor | None = None) -> Tensor:
    """Nearest integer; a half goes to the even one."""

@overload
def round_(input: Tensor) -> Tensor:
    """In-place form of round; returns input."""

@overload
def round_(input: Tensor, *, decimals: int) -> Tensor:
    """In-place form of round; returns input."""

def rsqrt(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Reciprocal square root, 1 / sqrt(x)."""

def rsqrt_(input: Tensor) -> Tensor:
    """In-place form of rsqrt; returns input."""

def scale_shift_act(
    input: Tensor, scale: Tensor, shift: Tensor, activation: str = "relu", *, out: Tensor | None = None
) -> Tensor:
    """activation(input * scale + shift)."""

def scale_shift_act_(input: Tensor, scale: Tensor, shift: Tensor, activation: str = "relu") -> Tensor:
    """In-place form of scale_shift_act; returns input."""

def scaled_mm(
    input: Tensor,
    mat2: Tensor,
    scale_a: Tensor,
    scale_b: Tensor,
    bias: Tensor | None = None,
    scale_result: Tensor | None = None,
    out_dtype: dtype | None = None,
    use_fast_accum: bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The product of two matrices of 8-bit floats with scales, torch._scaled_mm's: the sums of scale_a * scale_b *
    (input @ mat2), plus bias, times scale_result where the result has 8 bits, in out_dtype (input's).
    """

def scaled_product(
    input: Tensor,
    other: Tensor,
    row_scale: Tensor | None = None,
    column_scale: Tensor | None = None,
    *,
    bias: Tensor | None = None,
    activation: str | None = None,
    residual: Tensor | None = None,
    precision: str | None = None,
    batch_invariant: bool = False,
) -> Tensor:
    """activation(row_scale[:, None] * column_scale * (input @ other) + bias) + residual: a product whose factors had
    been divided by a scale a row and a scale a column.
    """

def sigmoid(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Logistic function, 1 / (1 + e^-x); neither tail overflows."""

def sigmoid_(input: Tensor) -> Tensor:
    """In-place form of sigmoid; returns input."""

def sign(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Sign: -1, 0 or 1; 0 for NaN, as torch."""

def sign_(input: Tensor) -> Tensor:
    """In-place form of sign; returns input."""

def signbit(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether the sign is set: x < 0, -0.0, or NaN with a sign."""

def silu(input: Tensor, inplace: bool = False, *, out: Tensor | None = None) -> Tensor:
    """x * sigmoid(x)."""

def silu_(input: Tensor) -> Tensor:
    """In-place form of silu; returns input."""

def sin(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Sine; x in radians."""

def sin_(input: Tensor) -> Tensor:
    """In-place form of sin; returns input."""

def sinh(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Hyperbolic sine."""

def sinh_(input: Tensor) -> Tensor:
    """In-place form of sinh; returns input."""

def softplus(input: Tensor, beta: _Number = 1, threshold: _Number = 20, *, out: Tensor | None = None) -> Tensor:
    """log(1 + e^(beta x)) / beta; x where beta x > threshold."""

def softplus_(input: Tensor, beta: _Number = 1, threshold: _Number = 20) -> Tensor:
    """In-place form of softplus; returns input."""

def sqrt(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Square root."""

def sqrt_(input: Tensor) -> Tensor:
    """In-place form of sqrt; returns input."""

def square(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Square, x * x."""

def square_(input: Tensor) -> Tensor:
    """In-place form of square; returns input."""

@overload
def sub(input: Tensor | _Number, other: Tensor | _Number, *, alpha: _Number = 1, out: Tensor | None = None) -> Tensor:
    """Difference, input - alpha * other."""

@overload
@deprecated("torch's old order of arguments")
def sub(input: Tensor, alpha: _Number, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Difference, input - alpha * other."""

def sub_(input: Tensor, other: Tensor | _Number, *, alpha: _Number = 1) -> Tensor:
    """In-place form of sub; returns input."""

def swiglu(gate: Tensor, up: Tensor, *, out: Tensor | None = None) -> Tensor:
    """silu(gate) * up."""

def swiglu_(gate: Tensor, up: Tensor) -> Tensor:
    """In-place form of swiglu; returns input."""

def tan(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Tangent; x in radians."""

def tan_(input: Tensor) -> Tensor:
    """In-place form of tan; returns input."""

def tanh(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Hyperbolic tangent."""

def tanh_(input: Tensor) -> Tensor:
    """In-place form of tanh; returns input."""

def trunc(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Integer part of x, rounded towards zero."""

def trunc_(input: Tensor) -> Tensor:
    """In-place form of trunc; returns input."""

def vdot(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """As dot; of complex vectors the first is conjugated."""

@overload
def where(condition: Tensor, input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """input where condition, else other."""

@overload
def where(condition: Tensor, input: _Number, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """input where condition, else other."""

@overload
def where(condition: Tensor, input: Tensor, other: _Number, *, out: Tensor | None = None) -> Tensor:
    """input where condition, else other."""

@overload
def where(condition: Tensor, input: _Number, other: _Number, *, out: Tensor | None = None) -> Tensor:
    """input where condition, else other."""

@overload
def xlogy(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """input * log(other), and 0 where input is 0; NaN where other is."""

@overload
def xlogy(input: _Number, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """input * log(other), and 0 where input is 0; NaN where other is."""

@overload
def xlogy(input: Tensor, other: _Number, *, out: Tensor | None = None) -> Tensor:
    """input * log(other), and 0 where input is 0; NaN where other is."""

@overload
def xlogy_(input: Tensor, other: Tensor) -> Tensor:
    """In-place form of xlogy; returns input."""

@overload
def xlogy_(input: Tensor, other: _Number) -> Tensor:
    """In-place form of xlogy; returns input."""
