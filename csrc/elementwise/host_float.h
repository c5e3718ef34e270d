// exp, log, log1p, log2, tanh, erf and the normal distribution function for float registers, written here so that they
// inline into a loop: the spills around a call of Sleef cost a third of the time of a silu.
//
// Reductions and polynomials are those of Cephes (Moshier; single precision), evaluated with fused multiply-adds; the
// normal distribution's tail is a fit of our own.  Errors measured against float64 are in docs/numerics.md.
#pragma once
#include "host_vector.h"

GPUKERN_ELEMENTWISE_BEGIN

#if (defined(CPU_CAPABILITY_AVX2) && defined(__AVX2__)) || (defined(CPU_CAPABILITY_AVX512) && defined(__AVX512F__))

using Floats = Vec<float>;

template <int N> inline Floats horner(Floats x, const float (&c)[N]) {
  Floats p(c[0]);
  for (int k = 1; k < N; ++k) p = fma(p, x, Floats(c[k]));
  return p;
}

#if defined(CPU_CAPABILITY_AVX512)
// 2^n for integral n in [-126, 127]
inline Floats power_of_two(Floats n) {
  return Floats(
      _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23)));
}
// the exponent of a normal number as a float, and its fraction in [0.5, 1)
inline Floats exponent(Floats x) {
  return Floats(
      _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_srli_epi32(_mm512_castps_si512(x), 23), _mm512_set1_epi32(126))));
}
inline Floats fraction(Floats x) {
  return Floats(_mm512_castsi512_ps(_mm512_or_si512(
      _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x007fffff)), _mm512_set1_epi32(0x3f000000))));
}
#else
inline Floats power_of_two(Floats n) {
  return Floats(
      _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23)));
}
inline Floats exponent(Floats x) {
  return Floats(
      _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_srli_epi32(_mm256_castps_si256(x), 23), _mm256_set1_epi32(126))));
}
inline Floats fraction(Floats x) {
  return Floats(_mm256_castsi256_ps(_mm256_or_si256(
      _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x007fffff)), _mm256_set1_epi32(0x3f000000))));
}
#endif

struct Exponential {
  Floats exponent, rest;  // 2^exponent (1 + rest)
  Floats times(Floats x) const {
    // In two steps, since 2^exponent alone may be subnormal or infinite where the result is not.
    const Floats half = (exponent * Floats(0.5f)).floor();
    return fma(x, rest, x) * power_of_two(half) * power_of_two(exponent - half);
  }
};
// e^(high + low), with low of the order of high's last place.  The argument is clamped at bounds beyond which the
// result is 0 or infinite; NaN passes.
inline Exponential exp_sum(Floats high, Floats low) {
  high = where(high < Floats(-105.f), Floats(-105.f), where(high > Floats(90.f), Floats(90.f), high));
  const Floats n = ((high + low) * Floats(1.44269504088896341f)).round();
  Floats r = fma(n, Floats(-0.693359375f), high);
  r = fma(n, Floats(2.12194440e-4f), r) + low;
  const Floats p = horner(
      r, {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f});
  return {n, fma(p, r * r, r)};
}
inline Floats exp(Floats x) { return exp_sum(x, Floats(0.f)).times(Floats(1.f)); }

inline Floats tanh(Floats x) {
  const Floats a = x.abs(), z = x * x;
  const Floats p =
      horner(z, {-5.70498872745e-3f, 2.06390887954e-2f, -5.37397155531e-2f, 1.33314422036e-1f, -3.33332819422e-1f});
  const Floats small = x * fma(z, p, Floats(1.f));  // keeps the sign of zero
  const Floats large = Floats(1.f) - Floats(2.f) / (exp(a + a) + Floats(1.f));
  return where(a < Floats(0.625f), small, where(x < Floats(0.f), large.neg(), large));
}

struct Logarithm {
  Floats exponent, high, low;  // log(x) = exponent log(2) + high + low
};
inline Logarithm logarithm(Floats x) {
  const auto subnormal = x < Floats(1.17549435e-38f);
  const Floats y = where(subnormal, x * Floats(33554432.f), x);
  Floats e = exponent(y), m = fraction(y);
  e = where(subnormal, e - Floats(25.f), e);
  const auto low_half = m < Floats(0.707106781186547524f);
  e = where(low_half, e - Floats(1.f), e);
  m = where(low_half, m + m, m) - Floats(1.f);
  const Floats z = m * m;
  const Floats p =
      horner(m, {7.0376836292e-2f, -1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f, 1.4249322787e-1f,
                 -1.6668057665e-1f, 2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f});
  return {e, m, fma(Floats(-0.5f), z, m * z * p)};
}
// The special cases: 0 -> -inf, negative -> NaN, inf -> inf, NaN -> NaN.
inline Floats special_logarithm(Floats x, Floats result) {
  const Floats infinity(__builtin_inff());
  result = where(x == Floats(0.f), infinity.neg(), where(x == infinity, infinity, result));
  return where((x < Floats(0.f)) | (x != x), Floats(__builtin_nanf("")), result);
}
inline Floats log(Floats x) {
  const Logarithm l = logarithm(x);
  const Floats low = fma(l.exponent, Floats(-2.12194440e-4f), l.low);
  return special_logarithm(x, fma(l.exponent, Floats(0.693359375f), l.high + low));
}
// With u the rounded 1 + x, log(1 + x) = log(u) + (rounding error) / u; exact for an x that is too small to change u.
inline Floats log1p(Floats x) {
  const Floats one(1.f), u = one + x;
  const Logarithm l = logarithm(u);
  const Floats low = fma(l.exponent, Floats(-2.12194440e-4f), l.low) + (x - (u - one)) / u;
  const Floats result = special_logarithm(u, fma(l.exponent, Floats(0.693359375f), l.high + low));
  return where(x == Floats(0.f), x, result);  // keeps the sign of zero
}
inline Floats log2(Floats x) {
  const Logarithm l = logarithm(x);
  const Floats excess(0.44269504088896340736f);  // log2(e) - 1
  return special_logarithm(x, fma(l.low, excess, fma(l.high, excess, l.low)) + l.high + l.exponent);
}

// exp(-x^2/2) t P(q), t = 1 / (x + 5/2), q = 1 - 5 t; P is a minimax fit over [0, 14.5] with float coefficients and a
// relative error of 3e-8.  Its first coefficient dominates, so nothing cancels.  The rounding errors of x^2 and of t
// are compensated, so that the tail keeps its digits.
inline Floats normal_tail(Floats a) {
  a = where(a > Floats(20.f), Floats(20.f), a);  // the result is 0 from there on; an infinity would give NaN
  const Floats d = a + Floats(2.5f), t = Floats(1.f) / d, d_rest = a - (d - Floats(2.5f));
  const Floats one(1.f), t_rest = t * (fma(-t, d, one) - t * d_rest);
  const Floats q = fma(Floats(-5.f), t_rest, fma(Floats(-5.f), t, one));
  const Floats p = horner(q, {-1.71851672e-4f, -3.24316497e-4f, 7.05480343e-4f, 2.54093227e-3f, -1.61185639e-3f,
                              -1.63933951e-2f, 9.23819002e-3f, 1.31987989e-1f, -4.33692157e-1f, 7.06656635e-1f});
  const Floats square = a * a, rest = at::vec::fmsub(a, a, square);
  return exp_sum(Floats(-0.5f) * square, Floats(-0.5f) * rest).times(fma(t_rest, p, t * p));
}
inline Floats normal_cdf(Floats x) {
  const Floats tail = normal_tail(x.abs());
  return where(x < Floats(0.f), tail, Floats(1.f) - tail);
}
inline Floats erf(Floats x) {
  const Floats a = x.abs(), z = x * x;
  const Floats small =
      x * horner(z, {7.853861353153693e-5f, -8.010193625184903e-4f, 5.188327685732524e-3f, -2.685381193529856e-2f,
                     1.128358514861418e-1f, -3.761262582423300e-1f, 1.128379165726710f});
  // log(1 - erf) as a polynomial on [0.9, 4], fitted to float64 with weight 1 - erf; beyond 4 erf rounds to 1
  const Floats t = where(a > Floats(4.f), Floats(4.f), a);
  const Floats large =
      Floats(1.f) - exp(horner(t, {-2.117844312e-05f, 4.352522665e-04f, -4.174065502e-03f, 2.512523154e-02f,
                                   -1.082859304e-01f, -6.333443299e-01f, -1.129514917e+00f, 1.744275395e-04f}));
  return where(a < Floats(1.f), small, where(x < Floats(0.f), large.neg(), large));
}

#else  // registers of other processors: ATen's functions

inline Vec<float> exp(Vec<float> x) { return x.exp(); }
inline Vec<float> log(Vec<float> x) { return x.log(); }
inline Vec<float> log2(Vec<float> x) { return x.log2(); }
inline Vec<float> tanh(Vec<float> x) { return x.tanh(); }
inline Vec<float> erf(Vec<float> x) { return x.map(::erff); }

#endif

GPUKERN_ELEMENTWISE_END
