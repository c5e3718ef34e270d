// Arithmetic: the ops that integers have too.
#pragma once
#include "../op.h"

GPUKERN_ELEMENTWISE_BEGIN
namespace arithmetic {

struct Abs {
  static constexpr Spec spec{.name = "abs",
                             .args = "Tensor input",
                             .doc = "Absolute value, |x|.",
                             .types = Types::number,
                             .ulp = 0,
                             .linear = true,
                             .exact_out = true};
  template <class V> static GPUKERN_HD V apply(V x) { return abs(x); }
};

struct Neg {
  static constexpr Spec spec{.name = "neg",
                             .args = "Tensor input",
                             .doc = "Negation, -x.",
                             .types = Types::number,
                             .ulp = 0,
                             .needs = {0},
                             .linear = true,
                             .exact_out = true};
  template <class V> static GPUKERN_HD V apply(V x) { return -x; }
  static GPUKERN_HD int64_t apply(int64_t x) { return minus(0, x); }
};

struct Sign {
  static constexpr Spec spec{.name = "sign",
                             .args = "Tensor input",
                             .doc = "Sign: -1, 0 or 1; 0 for NaN, as torch.",
                             .types = Types::all,
                             .ulp = 0,
                             .needs = {0},
                             .linear = true,
                             .exact_out = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x) { return where(x > V(0), V(1), where(x < V(0), V(-1), V(0))); }
  template <int, class V> static GPUKERN_HD V grad(V, V) { return V(0); }
};

struct Square {
  static constexpr Spec spec{
      .name = "square", .args = "Tensor input", .doc = "Square, x * x.", .types = Types::number, .ulp = 0};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x) { return x * x; }
  static GPUKERN_HD int64_t apply(int64_t x) { return multiply(x, x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) {
    const V p = g * x;  // g + g may be infinite where the gradient is not
    return p + p;
  }
};

struct Add {
  static constexpr Spec spec{.name = "add",
                             .args = "Tensor input, Tensor other, *, Scalar alpha=1",
                             .doc = "Sum, input + alpha * other.",
                             .types = Types::all,
                             .inputs = 2,
                             .scalars = 1,
                             .needs = {0, 0},
                             .passes = 1,
                             .passes_if_one = 2,
                             .linear = true};
  template <class V> static GPUKERN_HD V apply(V x, V y, V alpha) { return x + alpha * y; }
  static GPUKERN_HD int64_t apply(int64_t x, int64_t y, int64_t alpha) { return plus(x, multiply(alpha, y)); }
};

struct Sub {
  static constexpr Spec spec{.name = "sub",
                             .args = "Tensor input, Tensor other, *, Scalar alpha=1",
                             .doc = "Difference, input - alpha * other.",
                             .types = Types::number,
                             .inputs = 2,
                             .scalars = 1,
                             .needs = {0, 0},
                             .passes = 1,
                             .linear = true,
                             .refuses_bool = true};
  template <class V> static GPUKERN_HD V apply(V x, V y, V alpha) { return x - alpha * y; }
  static GPUKERN_HD int64_t apply(int64_t x, int64_t y, int64_t alpha) { return minus(x, multiply(alpha, y)); }
};

struct Mul {
  static constexpr Spec spec{.name = "mul",
                             .args = "Tensor input, Tensor other",
                             .doc = "Product, input * other.",
                             .types = Types::all,
                             .inputs = 2,
                             .needs = {2, 1}};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x, V y) { return x * y; }
  static GPUKERN_HD int64_t apply(int64_t x, int64_t y) { return multiply(x, y); }
  template <int I, class V> static GPUKERN_HD V grad(V g, V x, V y) { return I == 0 ? g * y : g * x; }
};

struct Div {
  static constexpr Spec spec{.name = "div",
                             .args = "Tensor input, Tensor other, *, str? rounding_mode=None",
                             .doc = "Quotient, input / other; rounding_mode 'trunc' or 'floor' rounds it.",
                             .types = Types::to_float,
                             .inputs = 2,
                             .needs = {2, 3}};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x, V y) { return x / y; }
  template <int I, class V> static GPUKERN_HD V grad(V g, V x, V y) { return I == 0 ? g / y : -g * ((x / y) / y); }
};

struct DivTrunc {
  static constexpr Spec spec{.name = "div",
                             .args = "Tensor input, Tensor other, *, str? rounding_mode=None",
                             .doc = "Quotient rounded towards zero.",
                             .types = Types::number,
                             .inputs = 2,
                             .choice = "trunc",
                             .needs = {0, 0},
                             .refuses_zero = true,
                             .linear = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x, V y) { return trunc(x / y); }
  static GPUKERN_HD int64_t apply(int64_t x, int64_t y) { return divide(x, y); }
  template <int, class V> static GPUKERN_HD V grad(V, V, V) { return V(0); }
};

struct DivFloor {
  static constexpr Spec spec{.name = "div",
                             .args = "Tensor input, Tensor other, *, str? rounding_mode=None",
                             .doc = "Quotient rounded down.",
                             .types = Types::number,
                             .inputs = 2,
                             .choice = "floor",
                             .needs = {0, 0},
                             .refuses_zero = true,
                             .linear = true};
  static constexpr bool kOwnGrad = true;
  // Python's floor division: from the remainder, since floor(x / y) is off by one where x / y rounds up to an integer.
  template <class V> static GPUKERN_HD V apply(V x, V y) {
    const V quotient = x / y, remainder = fmod(x, y);
    V q = (x - remainder) / y;
    const auto other_sign = ((y < V(0)) & (remainder > V(0))) | ((y > V(0)) & (remainder < V(0)));
    q = where(other_sign, q - V(1), q);
    const V down = floor(q), rounded = where(q - down > V(0.5), down + V(1), down);
    const V signed_zero = V(0) * quotient;
    // If the quotient of a finite x overflows, the result is infinite, whatever its remainder is.
    const auto overflow = (quotient - quotient != V(0)) & (x - x == V(0));
    return where((y == V(0)) | overflow, quotient, where(q == V(0), signed_zero, rounded));
  }
  static GPUKERN_HD int64_t apply(int64_t x, int64_t y) {
    const int64_t q = divide(x, y);
    return y != 0 && multiply(q, y) != x && (x < 0) != (y < 0) ? q - 1 : q;
  }
  template <int, class V> static GPUKERN_HD V grad(V, V, V) { return V(0); }
};

struct Pow {
  static constexpr Spec spec{.name = "pow",
                             .args = "Tensor input, Tensor exponent",
                             .doc = "Power, input ** exponent.",
                             .types = Types::number,
                             .inputs = 2};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x, V y) { return pow(x, y); }
  template <int I, class V> static GPUKERN_HD V grad(V g, V x, V y) {
    // Where torch has 0 the gradient is 0 for every g, but it keeps the derivative of the partial derivative.
    if constexpr (I == 0) {
      const V slope = pow_slope(x, y);
      return where(y == V(0), times(slope, g), g * slope);
    } else {
      const V slope = log_pow(x, y);
      return where((x == V(0)) & (y >= V(0)), times(slope, g), g * slope);
    }
  }
};

// Ties share the gradient, as in torch.
struct Maximum {
  static constexpr Spec spec{.name = "maximum",
                             .args = "Tensor input, Tensor other",
                             .doc = "Larger of two; NaN if either is NaN.",
                             .types = Types::all,
                             .inputs = 2,
                             .ulp = 0,
                             .linear = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x, V y) { return max_nan(x, y); }
  template <int I, class V> static GPUKERN_HD V grad(V g, V x, V y) {
    const V half = where(x == y, g * V(0.5), g);
    return I == 0 ? where(x < y, V(0), half) : where(x > y, V(0), half);
  }
};

struct Minimum {
  static constexpr Spec spec{.name = "minimum",
                             .args = "Tensor input, Tensor other",
                             .doc = "Smaller of two; NaN if either is NaN.",
                             .types = Types::all,
                             .inputs = 2,
                             .ulp = 0,
                             .linear = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x, V y) { return min_nan(x, y); }
  template <int I, class V> static GPUKERN_HD V grad(V g, V x, V y) {
    const V half = where(x == y, g * V(0.5), g);
    return I == 0 ? where(x > y, V(0), half) : where(x < y, V(0), half);
  }
};

struct Fmax {
  static constexpr Spec spec{.name = "fmax",
                             .args = "Tensor input, Tensor other",
                             .doc = "Larger of two; the other one if one is NaN.",
                             .types = Types::all,
                             .inputs = 2,
                             .ulp = 0,
                             .linear = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x, V y) { return where((x >= y) | (y != y), x, y); }
  template <int I, class V> static GPUKERN_HD V grad(V g, V x, V y) {
    return I == 0 ? where((x >= y) | (y != y), g, V(0)) : where((x >= y) | (y != y), V(0), g);
  }
};

struct Fmin {
  static constexpr Spec spec{.name = "fmin",
                             .args = "Tensor input, Tensor other",
                             .doc = "Smaller of two; the other one if one is NaN.",
                             .types = Types::all,
                             .inputs = 2,
                             .ulp = 0,
                             .linear = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x, V y) { return where((x <= y) | (y != y), x, y); }
  template <int I, class V> static GPUKERN_HD V grad(V g, V x, V y) {
    return I == 0 ? where((x <= y) | (y != y), g, V(0)) : where((x <= y) | (y != y), V(0), g);
  }
};

using Ops = List<Abs, Neg, Sign, Square, Add, Sub, Mul, Div, DivTrunc, DivFloor, Pow, Maximum, Minimum, Fmax, Fmin>;

}  // namespace arithmetic
GPUKERN_ELEMENTWISE_END
