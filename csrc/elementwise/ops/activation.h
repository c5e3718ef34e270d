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
  template <int, class V> static GPUKERN_HD V grad(V g, V x) { return where((x <= V(0)) | (x >= V(6)), V(0), g); }
};

struct LeakyRelu {
  static constexpr Spec spec{.name = "leaky_relu",
                             .args = "Tensor input, Scalar negative_slope=0.01",
                             .doc = "x where x > 0, else negative_slope * x.",
                             .scalars = 1,
                             .linear = true,
                             .inplace_argument = true,
                             .exact_out = true};
  template <class V> static GPUKERN_HD V apply(V x, V slope) { return where(x > V(0), x, x * slope); }
};

struct Elu {
  static constexpr Spec spec{.name = "elu",
                             .args = "Tensor input, Scalar alpha=1.0",
                             .doc = "x where x > 0, else alpha * (e^x - 1).",
                             .scalars = 1,
                             .inplace_argument = true,
                             .exact_out = true};
  template <class V> static GPUKERN_HD V apply(V x, V alpha) { return where(x > V(0), x, alpha * expm1(x)); }
};

struct Gelu {
  static constexpr Spec spec{.name = "gelu",
                             .args = "Tensor input, *, str approximate='none'",
                             .doc = "x times the normal distribution function; approximate='tanh' for the tanh form.",
                             .choice = "none",
                             .exact_out = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x) { return x * normal_cdf(x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) { return g * (normal_cdf(x) + x * normal_pdf(x)); }
};

// 0.5 x (1 + tanh u) = x sigmoid(2 u): one exponential, and no cancellation for negative x.
struct GeluTanh {
  static constexpr Spec spec{.name = "gelu",
                             .args = "Tensor input, *, str approximate='none'",
                             .doc = "x * sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3).",
                             .choice = "tanh",
                             .exact_out = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V twice_u(V x) {
    return x * (V(1.59576912160573071176) + V(0.07135481627260025) * (x * x));
  }
  template <class V> static GPUKERN_HD V apply(V x) { return x * sigmoid(twice_u(x)); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) {
    const V s = sigmoid(twice_u(x));
    const V slope = V(1.59576912160573071176) + V(0.21406444881780076) * (x * x);
    return g * (s + x * (s * (V(1) - s)) * slope);
  }
};

struct Silu {
  static constexpr Spec spec{
      .name = "silu", .args = "Tensor input", .doc = "x * sigmoid(x).", .inplace_argument = true, .exact_out = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x) {
    const V e = exp(negative_abs(x));
    return where(x >= V(0), x, x * e) / (V(1) + e);
  }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) {
    const V s = sigmoid(x);
    return g * (s * (V(1) + x * (V(1) - s)));
  }
};

// x tanh(log(1 + e^x)); with t = e^-|x| the tanh is a ratio of polynomials, right in both tails.
struct Mish {
  static constexpr Spec spec{.name = "mish",
                             .args = "Tensor input",
                             .doc = "x * tanh(softplus(x)).",
                             .inplace_argument = true,
                             .exact_out = true};
  template <class V> static GPUKERN_HD V apply(V x) {
    const V t = exp(negative_abs(x)), two = V(2);
    const V numerator = where(x >= V(0), V(1) + two * t, t * (t + two));
    const V rest = where(x >= V(0), two * t * t, two);
    return x * (numerator / (numerator + rest));
  }
};

struct Softplus {
  static constexpr Spec spec{.name = "softplus",
                             .args = "Tensor input, Scalar beta=1, Scalar threshold=20",
                             .doc = "log(1 + e^(beta x)) / beta; x where beta x > threshold.",
                             .scalars = 2,
                             .exact_out = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x, V beta, V threshold) {
    return where(x * beta > threshold, x, log1p(exp(x * beta)) / beta);
  }
  template <int, class V> static GPUKERN_HD V grad(V g, V x, V beta, V threshold) {
    return where(x * beta > threshold, g, g * sigmoid(x * beta));
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
    return where(x <= V(-3), V(0), where(x < V(3), g * (x / V(3) + V(0.5)), g));
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
    return where((x <= low) | (x >= high), V(0), g);
  }
};

struct Logsigmoid {
  static constexpr Spec spec{.name = "logsigmoid",
                             .args = "Tensor input",
                             .doc = "log(sigmoid(x)) = min(x, 0) - log(1 + e^-|x|).",
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
