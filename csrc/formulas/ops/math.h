// Elementary functions.  Where torch's gradient is written in terms of the result, so is ours, unless rounding of the
// result destroys the gradient: 1 - tanh^2, (1 - y) y and expm1 + 1 are 0 where y is rounded to 1 or -1, in 16 bits
// from 3 or 6 on.  These ops save the input.
#pragma once
#include "../op.h"

GPUKERN_ELEMENTWISE_BEGIN
namespace math {

struct Sqrt {
  static constexpr Spec spec{.name = "sqrt",
                             .args = "Tensor input",
                             .doc = "Square root.",
                             .types = Types::to_float,
                             .ulp = 0,
                             .saves = Saves::result};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x) { return sqrt(x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V y) { return g / (y + y); }
};

struct Rsqrt {
  static constexpr Spec spec{.name = "rsqrt",
                             .args = "Tensor input",
                             .doc = "Reciprocal square root, 1 / sqrt(x).",
                             .types = Types::to_float,
                             .grad_ulp = 3,  // the cube of the result triples its rounding error
                             .grad_ulp32 = 5,
                             .saves = Saves::result};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x) { return V(1) / sqrt(x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V y) { return ((g * y) * y) * (V(-0.5) * y); }
};

struct Reciprocal {
  static constexpr Spec spec{.name = "reciprocal",
                             .args = "Tensor input",
                             .doc = "Reciprocal, 1 / x.",
                             .types = Types::to_float,
                             .ulp = 0,
                             .grad_ulp = 2,  // the square of the result doubles its rounding error
                             .saves = Saves::result};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x) { return V(1) / x; }
  template <int, class V> static GPUKERN_HD V grad(V g, V y) { return -g * y * y; }
};

struct Exp {
  static constexpr Spec spec{.name = "exp",
                             .args = "Tensor input",
                             .doc = "Exponential function, e^x.",
                             .types = Types::to_float,
                             .saves = Saves::result};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x) { return exp(x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V y) { return g * y; }
};

struct Exp2 {
  static constexpr Spec spec{
      .name = "exp2", .args = "Tensor input", .doc = "Power of two, 2^x.", .types = Types::to_float};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x) { return exp2(x); }
  // log(2) 2^x; 2^x may be infinite where the gradient and its derivative are not, and x - 2 is exact there.
  template <int, class V> static GPUKERN_HD V grad(V g, V x) {
    const auto large = x > V(1);
    return g * (exp2(where(large, x - V(2), x)) * where(large, V(2.77258872223978123767), V(0.69314718055994530942)));
  }
};

struct Expm1 {
  static constexpr Spec spec{
      .name = "expm1", .args = "Tensor input", .doc = "e^x - 1, accurate near 0.", .types = Types::to_float};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x) { return expm1(x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) { return g * exp(x); }
};

struct Log {
  static constexpr Spec spec{
      .name = "log", .args = "Tensor input", .doc = "Natural logarithm.", .types = Types::to_float};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x) { return log(x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) { return g / x; }
};

struct Log2 {
  static constexpr Spec spec{
      .name = "log2", .args = "Tensor input", .doc = "Logarithm to base 2.", .types = Types::to_float};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x) { return log2(x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) { return g / x * V(1.44269504088896340736); }
};

struct Log1p {
  static constexpr Spec spec{
      .name = "log1p", .args = "Tensor input", .doc = "log(1 + x), accurate near 0.", .types = Types::to_float};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x) { return log1p(x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) { return g / (x + V(1)); }
};

struct Sin {
  static constexpr Spec spec{
      .name = "sin", .args = "Tensor input", .doc = "Sine; x in radians.", .types = Types::to_float};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x) { return sin(x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) { return g * cos(x); }
};

struct Cos {
  static constexpr Spec spec{
      .name = "cos", .args = "Tensor input", .doc = "Cosine; x in radians.", .types = Types::to_float};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x) { return cos(x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) { return g * -sin(x); }
};

struct Tanh {
  static constexpr Spec spec{.name = "tanh",
                             .args = "Tensor input",
                             .doc = "Hyperbolic tangent.",
                             .types = Types::to_float,
                             .grad_ulp32 = 4};  // e / (1 + e)^2: the roundings of e, of a square and of a quotient
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x) { return tanh(x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) { return g * (V(4) * sigmoid_slope(x + x)); }
};

struct Sigmoid {
  static constexpr Spec spec{.name = "sigmoid",
                             .args = "Tensor input",
                             .doc = "Logistic function, 1 / (1 + e^-x); neither tail overflows.",
                             .types = Types::to_float,
                             .grad_ulp32 = 4};  // as tanh
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x) { return sigmoid(x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) { return g * sigmoid_slope(x); }
};

struct Erf {
  static constexpr Spec spec{.name = "erf", .args = "Tensor input", .doc = "Error function.", .types = Types::to_float};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x) { return erf(x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) { return g * (V(1.12837916709551257390) * bell(x, 1)); }
};

using Ops = List<Sqrt, Rsqrt, Reciprocal, Exp, Exp2, Expm1, Log, Log2, Log1p, Sin, Cos, Tanh, Sigmoid, Erf>;

}  // namespace math
GPUKERN_ELEMENTWISE_END
