// The functions that formulas may use, for the scalar types.  dual.h has them for dual numbers and host_vector.h for
// the CPU's SIMD registers; the CPU loops include that before this file, so that the templates below see it.  A formula
// that uses only these functions runs on all of them.
#pragma once
#include <cmath>
#include <cstdint>

#include "../platform/gpu.h"
#include "capability.h"

GPUKERN_ELEMENTWISE_BEGIN

GPUKERN_HD float where(bool m, float a, float b) { return m ? a : b; }
GPUKERN_HD double where(bool m, double a, double b) { return m ? a : b; }
GPUKERN_HD int64_t where(bool m, int64_t a, int64_t b) { return m ? a : b; }

#define GPUKERN_UNARY(NAME, F32, F64)               \
  GPUKERN_HD float NAME(float x) { return F32(x); } \
  GPUKERN_HD double NAME(double x) { return F64(x); }
GPUKERN_UNARY(exp, ::expf, ::exp)
GPUKERN_UNARY(exp2, ::exp2f, ::exp2)
GPUKERN_UNARY(expm1, ::expm1f, ::expm1)
GPUKERN_UNARY(log, ::logf, ::log)
GPUKERN_UNARY(log2, ::log2f, ::log2)
GPUKERN_UNARY(log1p, ::log1pf, ::log1p)
GPUKERN_UNARY(sin, ::sinf, ::sin)
GPUKERN_UNARY(cos, ::cosf, ::cos)
GPUKERN_UNARY(tanh, ::tanhf, ::tanh)
GPUKERN_UNARY(erf, ::erff, ::erf)
GPUKERN_UNARY(erfc, ::erfcf, ::erfc)
GPUKERN_UNARY(tan, ::tanf, ::tan)
GPUKERN_UNARY(asin, ::asinf, ::asin)
GPUKERN_UNARY(acos, ::acosf, ::acos)
GPUKERN_UNARY(atan, ::atanf, ::atan)
GPUKERN_UNARY(sinh, ::sinhf, ::sinh)
GPUKERN_UNARY(cosh, ::coshf, ::cosh)
GPUKERN_UNARY(asinh, ::asinhf, ::asinh)
GPUKERN_UNARY(acosh, ::acoshf, ::acosh)
GPUKERN_UNARY(atanh, ::atanhf, ::atanh)
GPUKERN_UNARY(log10, ::log10f, ::log10)
GPUKERN_UNARY(sqrt, ::sqrtf, ::sqrt)
GPUKERN_UNARY(floor, ::floorf, ::floor)
GPUKERN_UNARY(ceil, ::ceilf, ::ceil)
GPUKERN_UNARY(round, ::rintf, ::rint)  // a half to the even neighbour
GPUKERN_UNARY(trunc, ::truncf, ::trunc)
GPUKERN_UNARY(abs, ::fabsf, ::fabs)
#undef GPUKERN_UNARY

GPUKERN_HD float fma(float a, float b, float c) { return ::fmaf(a, b, c); }
GPUKERN_HD double fma(double a, double b, double c) { return ::fma(a, b, c); }
GPUKERN_HD float pow(float x, float y) { return ::powf(x, y); }
GPUKERN_HD double pow(double x, double y) { return ::pow(x, y); }
GPUKERN_HD float fmod(float x, float y) { return ::fmodf(x, y); }
GPUKERN_HD double fmod(double x, double y) { return ::fmod(x, y); }

GPUKERN_HD float atan2(float y, float x) { return ::atan2f(y, x); }
GPUKERN_HD double atan2(double y, double x) { return ::atan2(y, x); }
GPUKERN_HD float hypot(float x, float y) { return ::hypotf(x, y); }
GPUKERN_HD double hypot(double x, double y) { return ::hypot(x, y); }
GPUKERN_HD float copysign(float x, float y) { return ::copysignf(x, y); }
GPUKERN_HD double copysign(double x, double y) { return ::copysign(x, y); }

// Integers wrap, which only unsigned arithmetic does by the language.
GPUKERN_HD int64_t plus(int64_t x, int64_t y) {
  return static_cast<int64_t>(static_cast<uint64_t>(x) + static_cast<uint64_t>(y));
}
GPUKERN_HD int64_t minus(int64_t x, int64_t y) {
  return static_cast<int64_t>(static_cast<uint64_t>(x) - static_cast<uint64_t>(y));
}
GPUKERN_HD int64_t abs(int64_t x) { return x < 0 ? minus(0, x) : x; }
GPUKERN_HD int64_t multiply(int64_t x, int64_t y) {
  return static_cast<int64_t>(static_cast<uint64_t>(x) * static_cast<uint64_t>(y));
}
// The quotient, rounded towards zero.  -2^63 / -1 wraps, where the processor's division would trap.  A divisor of 0
// gives 0 on every device; on a CPU it is an error before anything is computed.
GPUKERN_HD int64_t divide(int64_t x, int64_t y) {
  if (y == 0) return 0;
  return y == -1 ? minus(0, x) : x / y;
}
// Integer powers wrap; a negative exponent gives the integer part of 1/x^n (torch's rule for tensors).
GPUKERN_HD int64_t pow(int64_t x, int64_t y) {
  if (y < 0) return x == 1 ? 1 : x == -1 ? (y % 2 ? -1 : 1) : 0;
  uint64_t base = static_cast<uint64_t>(x), result = 1;
  for (; y; y >>= 1, base *= base) result *= (y & 1) ? base : 1;
  return static_cast<int64_t>(result);
}

// Functions made of the functions above, for any V.

// -|x|, with a derivative at 0 that agrees with the branch `x >= 0`.
template <class V> GPUKERN_HD V negative_abs(V x) { return where(x >= V(0), -x, x); }
// NaN in either argument gives NaN, as in torch.maximum.
template <class V> GPUKERN_HD V max_nan(V a, V b) { return where((a >= b) | (a != a), a, b); }
template <class V> GPUKERN_HD V min_nan(V a, V b) { return where((a <= b) | (a != a), a, b); }
// max(x, 0); NaN and -0 stay what they are, as in torch.
template <class V> GPUKERN_HD V rectify(V x) { return where(x < V(0), V(0), x); }
template <class V> GPUKERN_HD V square(V x) { return x * x; }
// Multiplication and addition of derivatives, so that results are limits.  A tangent of 0 contributes 0, whatever its
// factor is.  An infinite tangent times a factor of 0 is 0 (in every formula here the factor vanishes faster than the
// tangent grows).  A zero operand of a sum or difference leaves the other's sign.
template <class V> GPUKERN_HD V times(V tangent, V factor) {
  const V p = tangent * factor;
  const auto nothing = (tangent == V(0)) | ((p != p) & (tangent == tangent) & (factor == factor));
  return where(nothing, V(0), p);
}
template <class V> GPUKERN_HD V plus(V a, V b) { return where(a == V(0), b, a + b); }
template <class V> GPUKERN_HD V minus(V a, V b) { return where(a == V(0), -b, a - b); }
// A tangent of zero stays zero whatever divides it.
template <class V> GPUKERN_HD V over(V a, V b) { return where(a == V(0), a, a / b); }
// The same for factors that are not tangents, and also for tensors, where `times` is plain multiplication.
template <class V> GPUKERN_HD V scaled(V a, V b) { return times(a, b); }

// Where y x^(y - 1) must be computed as y x^y / x: if y - 1 is rounded; if x^(y - 1) is infinite but y times it is not;
// for a negative x, if y is so large that y - 1 is even and should be odd.
template <class V> GPUKERN_HD auto by_quotient(V x, V y) {
  const auto odd = (x < V(0)) & (abs(y) > V(1)) & (abs(y - (y - V(1)) - V(1)) > V(0));
  return (((x > V(0)) & (y < V(0.5))) | odd) & (x - x == V(0));
}
// The partial derivatives of x^y, 0 where torch has 0: at y = 0, and the one by y also at x = 0.
template <class V> GPUKERN_HD V pow_slope(V x, V y) {
  const auto quotient = by_quotient(x, y);
  return scaled(y, pow(x, where(quotient, y, y - V(1)))) / where(quotient, x, V(1));
}
template <class V> GPUKERN_HD V log_pow(V x, V y) {
  return where((x == V(0)) & (y >= V(0)), V(0), scaled(log(x), pow(x, y)));
}

// 1 / (1 + exp(-x)) without overflow or loss in either tail.
template <class V> GPUKERN_HD V sigmoid(V x) {
  const V e = exp(negative_abs(x));
  return where(x >= V(0), V(1), e) / (V(1) + e);
}
// The sigmoid and 1 minus the sigmoid, both accurate.
template <class V> struct Logistic {
  V value, rest;
};
template <class V> GPUKERN_HD Logistic<V> logistic(V x) {
  const V e = exp(negative_abs(x)), r = V(1) / (V(1) + e), small = e * r;
  return {where(x >= V(0), r, small), where(x >= V(0), small, r)};
}
// The derivative of sigmoid; (1 - y) y has no correct digit left where y is rounded to 1.
template <class V> GPUKERN_HD V sigmoid_slope(V x) {
  const V e = exp(negative_abs(x)), sum = V(1) + e;
  return e / (sum * sum);
}
// exp(-scale x^2), scale a power of two.  The error of the rounded square is multiplied by the size of the square, so
// it is compensated.
template <class V> GPUKERN_HD V bell(V x, double scale) {
  const V square = x * x, rest = where(square < V(4096), fma(x, x, -square), V(0));
  const V e = exp(V(-scale) * square);
  return fma(e, V(-scale) * rest, e);
}
// The normal distribution function, erfc(-x / sqrt(2)) / 2; 1 + erf would cancel for x < -1.  In the tail the rounding
// error of erfc's argument is multiplied by x^2: the exact argument is `a` plus a `rest`, and the result is corrected
// by `rest` times the slope of log erfc, about a + sqrt(a^2 + 4 / pi).
template <class V> GPUKERN_HD V normal_cdf(V x) {
  const V high = V(-0.707106769084930419921875), low = V(-1.21016171044789694e-8);
  const V rounded = x * high;
  const auto inside = (x > V(-64)) & (x < V(64));  // outside erfc is 0 or 2, and squares may overflow
  const V error = where(inside, fma(x, low, fma(x, high, -rounded)), V(0));
  const V a = rounded + error, rest = error - (a - rounded);
  const V slope = a + sqrt(fma(a, a, V(1.27323954473516268615)));
  // One product, because erfc may be subnormal where x times the result is not.
  return erfc(a) * where(inside & (x < V(0)), fma(V(-0.5) * slope, rest, V(0.5)), V(0.5));
}
template <class V> GPUKERN_HD V normal_pdf(V x) { return V(0.39894228040143267794) * bell(x, 0.5); }

GPUKERN_ELEMENTWISE_END
