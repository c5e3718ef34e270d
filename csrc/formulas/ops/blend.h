// Ops that choose or mix: where, clamp, lerp, addcmul, addcdiv.
#pragma once
#include "../op.h"

GPUKERN_ELEMENTWISE_BEGIN
namespace blend {

struct Where {
  static constexpr Spec spec{.name = "where",
                             .args = "Tensor condition, Tensor input, Tensor other",
                             .doc = "input where condition, else other.",
                             .types = Types::all,
                             .inputs = 3,
                             .ulp = 0,
                             .aten = "where.self",
                             .needs = {0, 1, 1},
                             .differentiable = 6,
                             .linear = true,
                             .condition = 1,
                             .exact_out = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V c, V x, V y) { return where(c != V(0), x, y); }
  template <int I, class V> static GPUKERN_HD V grad(V g, V c, V, V) {
    return I == 1 ? where(c != V(0), g, V(0)) : where(c != V(0), V(0), g);
  }
};

struct Clamp {
  static constexpr Spec spec{.name = "clamp",
                             .args = "Tensor input, Scalar? min=None, Scalar? max=None",
                             .doc = "input held between min and max; max where min > max; NaN stays NaN.",
                             .types = Types::number,
                             .scalars = 2,
                             .ulp = 0,
                             .absent = {-1, 1},
                             .linear = true,
                             .exact_out = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x, V low, V high) { return min_nan(max_nan(x, low), high); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x, V low, V high) {
    return where((x >= low) & (x <= high), g, V(0));
  }
};

struct ClampMin {
  static constexpr Spec spec{.name = "clamp_min",
                             .args = "Tensor input, Tensor min",
                             .doc = "input, but at least min.",
                             .types = Types::number,
                             .inputs = 2,
                             .ulp = 0,
                             .linear = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x, V low) { return max_nan(x, low); }
  template <int I, class V> static GPUKERN_HD V grad(V g, V x, V low) {
    return I == 0 ? where(x >= low, g, V(0)) : where(x < low, g, V(0));
  }
};

struct ClampMax {
  static constexpr Spec spec{.name = "clamp_max",
                             .args = "Tensor input, Tensor max",
                             .doc = "input, but at most max.",
                             .types = Types::number,
                             .inputs = 2,
                             .ulp = 0,
                             .linear = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x, V high) { return min_nan(x, high); }
  template <int I, class V> static GPUKERN_HD V grad(V g, V x, V high) {
    return I == 0 ? where(x <= high, g, V(0)) : where(x > high, g, V(0));
  }
};

struct ClampTensor {
  static constexpr Spec spec{.name = "clamp_tensor",
                             .args = "Tensor input, Tensor min, Tensor max",
                             .doc = "input held between two tensors.",
                             .types = Types::number,
                             .inputs = 3,
                             .ulp = 0,
                             .aten = "clamp.Tensor",
                             .linear = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x, V low, V high) { return min_nan(max_nan(x, low), high); }
  template <int I, class V> static GPUKERN_HD V grad(V g, V x, V low, V high) {
    if constexpr (I == 0) return where((x >= low) & (x <= high), g, V(0));
    else if constexpr (I == 1) return where((x < low) & (low < high), g, V(0));
    else return where((x > high) | (high < low), g, V(0));
  }
};

// From the nearer end, so that weight 0 and 1 give the ends exactly.
struct Lerp {
  static constexpr Spec spec{.name = "lerp",
                             .args = "Tensor input, Tensor end, Tensor weight",
                             .doc = "input + weight * (end - input).",
                             .types = Types::floating,
                             .inputs = 3,
                             .aten = "lerp.Tensor",
                             .needs = {4, 4, 3},
                             .same_dtype = true,
                             .exact_out = true};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x, V y, V w) {
    const V d = y - x;
    return where(abs(w) < V(0.5), x + w * d, y - d * (V(1) - w));
  }
  template <int I, class V> static GPUKERN_HD V grad(V g, V x, V y, V w) {
    if constexpr (I == 0) return g * (V(1) - w);
    else if constexpr (I == 1) return g * w;
    else return g * (y - x);
  }
};

struct Addcmul {
  static constexpr Spec spec{.name = "addcmul",
                             .args = "Tensor input, Tensor tensor1, Tensor tensor2, *, Scalar value=1",
                             .doc = "input + value * tensor1 * tensor2.",
                             .types = Types::number,
                             .inputs = 3,
                             .scalars = 1,
                             .needs = {0, 4, 2},
                             .passes = 1};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x, V a, V b, V value) { return x + value * a * b; }
  static GPUKERN_HD int64_t apply(int64_t x, int64_t a, int64_t b, int64_t value) {
    return plus(x, multiply(multiply(value, a), b));
  }
  template <int I, class V> static GPUKERN_HD V grad(V g, V, V a, V b, V value) {
    if constexpr (I == 0) return g;
    else if constexpr (I == 1) return g * (b * value);
    else return g * (a * value);
  }
};

struct Addcdiv {
  static constexpr Spec spec{.name = "addcdiv",
                             .args = "Tensor input, Tensor tensor1, Tensor tensor2, *, Scalar value=1",
                             .doc = "input + value * tensor1 / tensor2.",
                             .types = Types::floating,
                             .inputs = 3,
                             .scalars = 1,
                             .needs = {0, 4, 6},
                             .passes = 1};
  static constexpr bool kOwnGrad = true;
  // value * a / b: the quotient first, unless it alone might be infinite or 0.
  template <class V> static GPUKERN_HD V term(V a, V b, V value) {
    const V up = abs(a), down = abs(b), far = V(1e30);
    const auto first = ((abs(value) < V(1)) & (up > down * far)) | ((abs(value) > V(1)) & (up * far < down));
    return where(first, value * a, a) / b * where(first, V(1), value);
  }
  template <class V> static GPUKERN_HD V apply(V x, V a, V b, V value) { return x + term(a, b, value); }
  template <int I, class V> static GPUKERN_HD V grad(V g, V, V a, V b, V value) {
    if constexpr (I == 0) return g;
    else if constexpr (I == 1) return g * (value / b);
    else return -g * (term(a, b, value) / b);  // b * b may be 0 or infinite where b is neither
  }
};

using Ops = List<Where, Clamp, ClampMin, ClampMax, ClampTensor, Lerp, Addcmul, Addcdiv>;

}  // namespace blend
GPUKERN_ELEMENTWISE_END
