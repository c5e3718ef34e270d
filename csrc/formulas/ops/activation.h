// Activations, with torch.nn.functional's names and arguments.  Formulas keep their digits in both tails: gelu by erfc
// (1 + erf cancels: 13,342 ulp in bfloat16), silu and sigmoid by exp(-|x|).
#pragma once
#include "../op.h"

GPUKERN_ELEMENTWISE_BEGIN
namespace activation {

struct Relu {
  static constexpr Spec spec{.name = "relu",
                             .args = "Tensor input",
                             .doc = "Rectifier, max(x, 0); NaN stays NaN.",
                             .types = Types::number,
                             .ulp = 0,
                             .saves = Saves::result,
                             .linear = true,
                             .inplace_argument = true,
                             .exact_out = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x) { return rectify(x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V y) { return where(y <= V(0), V(0), g); }
};

struct Relu6 {
  static constexpr Spec spec{.name = "relu6",
                             .args = "Tensor input",
                             .doc = "Rectifier with a ceiling, min(max(x, 0), 6).",
                             .ulp = 0,
                             .linear = true,
                             .inplace_argument = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x) { return where(x < V(0), V(0), where(x > V(6), V(6), x)); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) { return where((x > V(0)) & (x < V(6)), g, V(0)); }
};

struct LeakyRelu {
  static constexpr Spec spec{.name = "leaky_relu",
                             .args = "Tensor input, Scalar negative_slope=0.01",
                             .doc = "x where x > 0, else negative_slope * x.",
                             .scalars = 1,
                             .linear = true,
                             .inplace_argument = true,
                             .exact_out = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x, V slope) { return where(x > V(0), x, x * slope); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x, V slope) { return where(x > V(0), g, g * slope); }
};

struct Elu {
  static constexpr Spec spec{.name = "elu",
                             .args = "Tensor input, Scalar alpha=1.0",
                             .doc = "x where x > 0, else alpha * (e^x - 1).",
                             .scalars = 1,
                             .inplace_argument = true,
                             .exact_out = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x, V alpha) { return where(x >= V(0), x, alpha * expm1(x)); }
  // Not result + alpha, which cancels.  At 0 it is alpha, with a second derivative of 0, as in torch.
  template <int, class V> static GPUKERN_HD V grad(V g, V x, V alpha) {
    return where(x > V(0), g, g * where(x == V(0), alpha, alpha * exp(min_nan(x, V(0)))));
  }
};

struct Gelu {
  static constexpr Spec spec{.name = "gelu",
                             .args = "Tensor input, *, str approximate='none'",
                             .doc = "x times the normal distribution function; approximate='tanh' for the tanh form.",
                             .grad_ulp32 = 16,  // in the tail: erfc's error, and x times a subnormal number
                             .choice = "none",
                             .exact_out = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V gate(V x) { return normal_cdf(x); }
  template <class V> static GPUKERN_HD V apply(V x) { return x * gate(x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) { return g * (normal_cdf(x) + times(normal_pdf(x), x)); }
};

// 0.5 x (1 + tanh u) = x sigmoid(2 u): one exponential, and no cancellation for negative x.
struct GeluTanh {
  static constexpr Spec spec{.name = "gelu",
                             .args = "Tensor input, *, str approximate='none'",
                             .doc = "x * sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3).",
                             .grad_ulp32 = 270,  // in the tail abs(2 u) times the error of u, as in the value
                             .choice = "tanh",
                             .exact_out = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V twice_u(V x) {
    return x * (V(1.59576912160573071176) + V(0.07135481627260025) * (x * x));
  }
  template <class V> static GPUKERN_HD V gate(V x) { return sigmoid(twice_u(x)); }
  template <class V> static GPUKERN_HD V apply(V x) { return x * gate(x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) {
    const Logistic<V> s = logistic(twice_u(x));
    const V bend = s.value * s.rest, slope = V(1.59576912160573071176) + V(0.21406444881780076) * (x * x);
    return g * where(bend == V(0), s.value, s.value + x * bend * slope);  // x^3 may be infinite where bend is 0
  }
};

struct Silu {
  static constexpr Spec spec{.name = "silu",
                             .args = "Tensor input",
                             .doc = "x * sigmoid(x).",
                             .grad_ulp32 = 52,  // below -87: abs(x) / 2 steps of a subnormal e^x, as in the value
                             .inplace_argument = true,
                             .exact_out = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x) {
    const V e = exp(negative_abs(x));
    return where(x >= V(0), x, x * e) / (V(1) + e);
  }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) {
    const Logistic<V> s = logistic(x);
    return g * times(s.value, V(1) + times(s.rest, x));
  }
};

// x tanh(log(1 + e^x)); with t = e^-|x| the tanh is a ratio of polynomials, right in both tails.
struct Mish {
  static constexpr Spec spec{.name = "mish",
                             .args = "Tensor input",
                             .doc = "x * tanh(softplus(x)).",
                             .grad_ulp32 = 52,  // as silu
                             .inplace_argument = true,
                             .exact_out = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x) {
    const V t = exp(negative_abs(x)), two = V(2);
    const V numerator = where(x >= V(0), V(1) + two * t, t * (t + two));
    const V rest = where(x >= V(0), two * t * t, two);
    return x * (numerator / (numerator + rest));
  }
  // The derivative of x times the ratio, with t for e^x where x < 0.
  template <int, class V> static GPUKERN_HD V grad(V g, V x) {
    const V t = exp(negative_abs(x)), one = V(1), two = V(2), tt = t * t;
    const auto right = x >= V(0);
    const V numerator = where(right, one + two * t, t * (t + two)), rest = where(right, two * tt, two);
    const V r = one / (numerator + rest), ratio = where(right, one - rest * r, numerator * r);
    return g * (ratio + times(V(4) * (one + t) * where(right, tt, t) * (r * r), x));
  }
};

struct Softplus {
  static constexpr Spec spec{
      .name = "softplus",
      .args = "Tensor input, Scalar beta=1, Scalar threshold=20",
      .doc = "log(1 + e^(beta x)) / beta; x where beta x > threshold.",
      .scalars = 2,
      .grad_ulp32 = 64,  // sigmoid's own error, 4, and that of beta * x, multiplied by abs(beta * x)
      .exact_out = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x, V beta, V threshold) {
    const V z = x * beta;  // may be large if the threshold is
    return where(z > threshold, x, (where(z > V(0), z, V(0)) + log1p(exp(negative_abs(z)))) / beta);
  }
  template <int, class V> static GPUKERN_HD V grad(V g, V x, V beta, V threshold) {
    const V z = x * beta;  // at the threshold a second derivative of 0, as in torch
    return where(z > threshold, g, g * sigmoid(where(z == threshold, threshold, z)));
  }
};

struct Hardswish {
  static constexpr Spec spec{.name = "hardswish",
                             .args = "Tensor input",
                             .doc = "x * min(max(x + 3, 0), 6) / 6.",
                             .inplace_argument = true,
                             .exact_out = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x) { return x * (min_nan(max_nan(x + V(3), V(0)), V(6)) / V(6)); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) {
    const V z = where(x == x, x, x - x);  // at NaN a second derivative of 0, as in torch
    return where(x <= V(-3), V(0), where(x >= V(3), g, g * ((z + V(1.5)) / V(3))));
  }
};

struct Hardsigmoid {
  static constexpr Spec spec{.name = "hardsigmoid",
                             .args = "Tensor input",
                             .doc = "min(max(x + 3, 0), 6) / 6.",
                             .linear = true,
                             .inplace_argument = true,
                             .exact_out = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x) { return min_nan(max_nan(x + V(3), V(0)), V(6)) / V(6); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) { return where((x > V(-3)) & (x < V(3)), g / V(6), V(0)); }
};

struct Hardtanh {
  static constexpr Spec spec{.name = "hardtanh",
                             .args = "Tensor input, Scalar min_val=-1.0, Scalar max_val=1.0",
                             .doc = "x held between min_val and max_val.",
                             .scalars = 2,
                             .ulp = 0,
                             .linear = true,
                             .inplace_argument = true,
                             .exact_out = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x, V low, V high) { return min_nan(max_nan(x, low), high); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x, V low, V high) {
    return where((x > low) & (x < high), g, V(0));
  }
};

struct Logsigmoid {
  static constexpr Spec spec{.name = "logsigmoid",
                             .args = "Tensor input",
                             .doc = "log(sigmoid(x)) = min(x, 0) - log(1 + e^-|x|).",
                             .grad_ulp32 = 4,  // sigmoid's own error
                             .aten = "log_sigmoid",
                             .exact_out = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x) { return where(x >= V(0), V(0), x) - log1p(exp(negative_abs(x))); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) { return g * sigmoid(-x); }
};

using Ops = List<Relu, Relu6, LeakyRelu, Elu, Gelu, GeluTanh, Silu, Mish, Softplus, Hardswish, Hardsigmoid, Hardtanh,
                 Logsigmoid>;

}  // namespace activation
GPUKERN_ELEMENTWISE_END
