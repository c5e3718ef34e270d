// The functions of math.h for the SIMD registers of the CPU: ATen's Vectorized, whose functions are Sleef's (<= 1 ulp).
#pragma once
#include <ATen/cpu/vec/vec.h>

#include "../formulas/capability.h"

GPUKERN_ELEMENTWISE_BEGIN

template <class T> using Vec = at::vec::Vectorized<T>;

template <class T> inline Vec<T> where(Vec<T> m, Vec<T> a, Vec<T> b) { return Vec<T>::blendv(b, a, m); }
inline Vec<double> exp(Vec<double> x) { return x.exp(); }
template <class T> inline Vec<T> exp2(Vec<T> x) { return x.exp2(); }
template <class T> inline Vec<T> expm1(Vec<T> x) { return x.expm1(); }
inline Vec<double> log(Vec<double> x) { return x.log(); }
inline Vec<double> log2(Vec<double> x) { return x.log2(); }
template <class T> inline Vec<T> log1p(Vec<T> x) { return x.log1p(); }
template <class T> inline Vec<T> sin(Vec<T> x) { return x.sin(); }
template <class T> inline Vec<T> cos(Vec<T> x) { return x.cos(); }
inline Vec<double> tanh(Vec<double> x) { return x.tanh(); }
template <class T> inline Vec<T> tan(Vec<T> x) { return x.tan(); }
template <class T> inline Vec<T> asin(Vec<T> x) { return x.asin(); }
template <class T> inline Vec<T> acos(Vec<T> x) { return x.acos(); }
template <class T> inline Vec<T> atan(Vec<T> x) { return x.atan(); }
template <class T> inline Vec<T> atanh(Vec<T> x) { return x.atanh(); }
template <class T> inline Vec<T> log10(Vec<T> x) { return x.log10(); }
template <class T> inline Vec<T> erfc(Vec<T> x) { return x.erfc(); }
template <class T> inline Vec<T> sqrt(Vec<T> x) { return x.sqrt(); }
template <class T> inline Vec<T> floor(Vec<T> x) { return x.floor(); }
template <class T> inline Vec<T> trunc(Vec<T> x) { return x.trunc(); }
template <class T> inline Vec<T> ceil(Vec<T> x) { return x.ceil(); }
template <class T> inline Vec<T> round(Vec<T> x) { return x.round(); }
template <class T> inline Vec<T> atan2(Vec<T> y, Vec<T> x) { return y.atan2(x); }
template <class T> inline Vec<T> hypot(Vec<T> x, Vec<T> y) { return x.hypot(y); }
template <class T> inline Vec<T> copysign(Vec<T> x, Vec<T> y) { return x.copysign(y); }
template <class T> inline Vec<T> abs(Vec<T> x) { return x.abs(); }
template <class T> inline Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) { return at::vec::fmadd(a, b, c); }
template <class T> inline Vec<T> pow(Vec<T> x, Vec<T> y) { return x.pow(y); }
// Sleef's remainder is NaN for a quotient with more digits than the type, and below the normal numbers.  A register
// that has one takes the C library's, which is exact.
template <class T> inline Vec<T> fmod(Vec<T> x, Vec<T> y) {
  constexpr T most = sizeof(T) == 4 ? T(1 << 22) : T(int64_t{1} << 50);
  if (((x / y).abs() < Vec<T>(most)).zero_mask() == 0) return x.fmod(y);
  alignas(64) T a[Vec<T>::size()], b[Vec<T>::size()];
  x.store(a);
  y.store(b);
  for (int k = 0; k < Vec<T>::size(); ++k) a[k] = std::fmod(a[k], b[k]);
  return Vec<T>::loadu(a);
}

inline Vec<double> erf(Vec<double> x) { return x.erf(); }

// One instruction and a correction for NaN; the formula of math.h would take two comparisons and a blend.
template <class T> inline Vec<T> max_nan(Vec<T> a, Vec<T> b) { return at::vec::maximum(a, b); }
template <class T> inline Vec<T> min_nan(Vec<T> a, Vec<T> b) { return at::vec::minimum(a, b); }

GPUKERN_ELEMENTWISE_END

#include "host_float.h"
#include "host_range.h"
