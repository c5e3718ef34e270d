// Further elementary functions, of one and of two arguments.  Fewer programs use them than those of math.h, so on GPUs
// they have no packet kernels.  Gradients save the input where the result has lost its digits.
#pragma once
#include "../op.h"

GPUKERN_ELEMENTWISE_BEGIN
namespace transcendental {

constexpr Spec function(const char* name, const char* doc) {
  return {.name = name, .args = "Tensor input", .doc = doc, .types = Types::to_float, .rare = true};
}
struct OwnGrad {
  static constexpr bool kOwnGrad = true;
};

// Where the square of x would be rounded away beside 1, or overflow.
template <class V> GPUKERN_HD auto is_large(V x) { return abs(x) > V(1e9); }

// 1 - x^2, with its digits near 1 and its derivative's near 0.
template <class V> GPUKERN_HD V one_minus_square(V x) {
  return where(abs(x) < V(0.5), V(1) - x * x, (V(1) - x) * (V(1) + x));
}

struct Tan : OwnGrad {
  static constexpr Spec spec = [] {
    Spec s = function("tan", "Tangent; x in radians.");
    s.grad_ulp32 = 5;  // the square of a cosine and a quotient
    return s;
  }();
  template <class V> static GPUKERN_HD V apply(V x) { return tan(x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) {
    const V c = cos(x);
    return g / (c * c);
  }
};
struct Asin : OwnGrad {
  static constexpr Spec spec = function("asin", "Arcsine, in radians; NaN beyond -1 and 1.");
  template <class V> static GPUKERN_HD V apply(V x) { return asin(x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) { return g / sqrt(one_minus_square(x)); }
};
struct Acos : OwnGrad {
  static constexpr Spec spec = function("acos", "Arccosine, in radians; NaN beyond -1 and 1.");
  template <class V> static GPUKERN_HD V apply(V x) { return acos(x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) { return -g / sqrt(one_minus_square(x)); }
};
struct Atan : OwnGrad {
  static constexpr Spec spec = function("atan", "Arctangent, in radians.");
  template <class V> static GPUKERN_HD V apply(V x) { return atan(x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) {
    const auto large = is_large(x);
    const V inner = where(large, V(0), x);
    return where(large, g / x / x, g / (V(1) + inner * inner));
  }
};
struct Sinh : OwnGrad {
  static constexpr Spec spec = function("sinh", "Hyperbolic sine.");
  template <class V> static GPUKERN_HD V apply(V x) { return sinh(x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) { return g * cosh(x); }
};
struct Cosh : OwnGrad {
  static constexpr Spec spec = function("cosh", "Hyperbolic cosine.");
  template <class V> static GPUKERN_HD V apply(V x) { return cosh(x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) { return g * sinh(x); }
};
struct Asinh : OwnGrad {
  static constexpr Spec spec = function("asinh", "Inverse of the hyperbolic sine.");
  template <class V> static GPUKERN_HD V apply(V x) { return asinh(x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) {
    const auto large = is_large(x);
    const V inner = where(large, V(0), x);
    return where(large, g / abs(x), g / sqrt(V(1) + inner * inner));
  }
};
struct Acosh : OwnGrad {
  static constexpr Spec spec = function("acosh", "Inverse of the hyperbolic cosine; NaN below 1.");
  template <class V> static GPUKERN_HD V apply(V x) { return acosh(x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) {
    const auto large = is_large(x);
    const V size = where(large, V(2), where(x < V(0), -x, x));
    return where(large, g / abs(x), g / sqrt((size - V(1)) * (size + V(1))));
  }
};
struct Atanh : OwnGrad {
  static constexpr Spec spec = function("atanh", "Inverse of the hyperbolic tangent; NaN beyond -1 and 1.");
  template <class V> static GPUKERN_HD V apply(V x) { return atanh(x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) {
    const auto large = is_large(x);  // beyond 1 there is no result, but torch's gradient
    return where(large, -g / x / x, g / one_minus_square(where(large, V(0), x)));
  }
};
struct Log10 : OwnGrad {
  static constexpr Spec spec = function("log10", "Logarithm to base 10.");
  template <class V> static GPUKERN_HD V apply(V x) { return log10(x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) { return g * V(0.43429448190325182765) / x; }
};
struct Erfc : OwnGrad {
  static constexpr Spec spec = [] {
    Spec s = function("erfc", "1 - erf(x), accurate where that cancels.");
    s.grad_ulp32 = 3;
    return s;
  }();
  template <class V> static GPUKERN_HD V apply(V x) { return erfc(x); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x) { return g * (V(-1.12837916709551257390) * bell(x, 1)); }
};
constexpr Spec change_of_unit(const char* name, const char* doc) {
  Spec s = function(name, doc);
  s.needs[0] = 0;
  s.linear = true;
  return s;
}
struct Deg2rad : OwnGrad {
  static constexpr Spec spec = change_of_unit("deg2rad", "Degrees in radians, x pi / 180.");
  template <class V> static GPUKERN_HD V apply(V x) { return x * V(0.017453292519943295769); }
  template <int, class V> static GPUKERN_HD V grad(V g, V) { return apply(g); }
};
struct Rad2deg : OwnGrad {
  static constexpr Spec spec = change_of_unit("rad2deg", "Radians in degrees, x 180 / pi.");
  template <class V> static GPUKERN_HD V apply(V x) { return x * V(57.295779513082320877); }
  template <int, class V> static GPUKERN_HD V grad(V g, V) { return apply(g); }
};

// ---- of two arguments -------------------------------------------------------------------------------------------

// A point, divided by the larger of its coordinates, so that no square overflows; the direction of an infinite one.
template <class M, class V> struct ScaledPoint {
  V x, y, larger;
  M infinite;
};
template <class V> using Scaled = ScaledPoint<decltype(V(0) == V(0)), V>;
template <class V> GPUKERN_HD Scaled<V> scaled_by_larger(V x, V y) {
  const V larger = where(abs(x) > abs(y), abs(x), abs(y));
  const decltype(V(0) == V(0)) infinite = (larger - larger != V(0)) & (larger == larger);
  const V by = where(larger == V(0), V(1), larger);
  const auto unit = [&](V c) {
    return where(infinite, where(abs(c) == larger, where(c < V(0), V(-1), V(1)), V(0)), c / by);
  };
  return {unit(x), unit(y), larger, infinite};
}

struct Atan2 : OwnGrad {
  static constexpr Spec spec{.name = "atan2",
                             .args = "Tensor input, Tensor other",
                             .doc = "The angle of the point (other, input), in radians, between -pi and pi.",
                             .types = Types::to_float,
                             .inputs = 2,
                             .rare = true};
  template <class V> static GPUKERN_HD V apply(V y, V x) { return atan2(y, x); }
  // x / (x^2 + y^2) and -y / (x^2 + y^2); 0 at the origin, as in torch, and far away.
  template <int I, class V> static GPUKERN_HD V grad(V g, V y, V x) {
    const Scaled<V> s = scaled_by_larger(x, y);
    const V length = s.x * s.x + s.y * s.y;
    return where((s.larger == V(0)) | s.infinite, V(0), g * ((I == 0 ? s.x : -s.y) / length) / s.larger);
  }
};
struct Hypot : OwnGrad {
  static constexpr Spec spec{.name = "hypot",
                             .args = "Tensor input, Tensor other",
                             .doc = "Length of the hypotenuse, sqrt(input^2 + other^2), without overflow between.",
                             .inputs = 2,
                             .rare = true};
  template <class V> static GPUKERN_HD V apply(V x, V y) { return hypot(x, y); }
  // The cosine and the sine of the point's angle; NaN at the origin, as in torch.
  template <int I, class V> static GPUKERN_HD V grad(V g, V x, V y) {
    const Scaled<V> s = scaled_by_larger(x, y);
    const V along = I == 0 ? s.x : s.y, length = sqrt(s.x * s.x + s.y * s.y);
    return g * (along / length);
  }
};

// The difference of two exponents; 0 for equal infinities, whose difference is NaN.
template <class V> GPUKERN_HD V between(V x, V y) { return where((x == y) & (x - x != V(0)), V(0), x - y); }

struct Logaddexp : OwnGrad {
  static constexpr Spec spec{.name = "logaddexp",
                             .args = "Tensor input, Tensor other",
                             .doc = "log(e^input + e^other), without overflow between.",
                             .inputs = 2,
                             .grad_ulp32 = 4,  // sigmoid's own error
                             .rare = true,
                             .has_inplace = false};
  template <class V> static GPUKERN_HD V apply(V x, V y) {
    return max_nan(x, y) + log1p(exp(negative_abs(between(x, y))));
  }
  template <int I, class V> static GPUKERN_HD V grad(V g, V x, V y) {
    return g * sigmoid(I == 0 ? between(x, y) : between(y, x));
  }
};
struct Logaddexp2 : OwnGrad {
  static constexpr Spec spec{.name = "logaddexp2",
                             .args = "Tensor input, Tensor other",
                             .doc = "log2(2^input + 2^other), without overflow between.",
                             .inputs = 2,
                             .grad_ulp32 = 64,  // the error of a scaled difference, times the size of it
                             .rare = true,
                             .has_inplace = false};
  template <class V> static GPUKERN_HD V apply(V x, V y) {
    return fma(log1p(exp2(negative_abs(between(x, y)))), V(1.44269504088896340736), max_nan(x, y));
  }
  template <int I, class V> static GPUKERN_HD V grad(V g, V x, V y) {
    return g * sigmoid(V(0.69314718055994530942) * (I == 0 ? between(x, y) : between(y, x)));
  }
};

struct Xlogy : OwnGrad {
  static constexpr Spec spec{.name = "xlogy",
                             .args = "Tensor input, Tensor other",
                             .doc = "input * log(other), and 0 where input is 0; NaN where other is.",
                             .types = Types::to_float,
                             .inputs = 2,
                             .aten = "xlogy.Tensor",
                             .rare = true,
                             .takes_number = 3};
  template <class V> static GPUKERN_HD V apply(V x, V y) {
    return where(y != y, y, where(x == V(0), V(0), x * log(y)));
  }
  template <int I, class V> static GPUKERN_HD V grad(V g, V x, V y) {
    if constexpr (I == 0) return where((x == V(0)) & (y <= V(0)), V(0), g * log(y));
    else return g * (x / y);
  }
};

using Ops = List<Tan, Asin, Acos, Atan, Sinh, Cosh, Asinh, Acosh, Atanh, Log10, Erfc, Deg2rad, Rad2deg, Atan2, Hypot,
                 Logaddexp, Logaddexp2, Xlogy>;

}  // namespace transcendental
GPUKERN_ELEMENTWISE_END
