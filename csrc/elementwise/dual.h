// Dual numbers: v + d e with e^2 = 0.  A formula evaluated on Dual(x, 1) gives its value and its derivative; on
// Dual<Dual> the second derivative.  The same vocabulary as math.h.
#pragma once
#include "math.h"

GPUKERN_ELEMENTWISE_BEGIN

template <class V> struct Dual {
  V v, d;
  GPUKERN_HD Dual() : v(V(0)), d(V(0)) {}
  GPUKERN_HD explicit Dual(double c) : v(V(c)), d(V(0)) {}
  GPUKERN_HD Dual(V value, V derivative) : v(value), d(derivative) {}
};

template <class V> GPUKERN_HD Dual<V> operator+(Dual<V> a, Dual<V> b) { return {a.v + b.v, a.d + b.d}; }
template <class V> GPUKERN_HD Dual<V> operator-(Dual<V> a, Dual<V> b) { return {a.v - b.v, a.d - b.d}; }
template <class V> GPUKERN_HD Dual<V> operator-(Dual<V> a) { return {-a.v, -a.d}; }
template <class V> GPUKERN_HD Dual<V> operator*(Dual<V> a, Dual<V> b) { return {a.v * b.v, a.d * b.v + a.v * b.d}; }
template <class V> GPUKERN_HD Dual<V> operator/(Dual<V> a, Dual<V> b) {
  const V q = a.v / b.v;
  return {q, (a.d - q * b.d) / b.v};
}

template <class V> GPUKERN_HD auto operator==(Dual<V> a, Dual<V> b) { return a.v == b.v; }
template <class V> GPUKERN_HD auto operator!=(Dual<V> a, Dual<V> b) { return a.v != b.v; }
template <class V> GPUKERN_HD auto operator<(Dual<V> a, Dual<V> b) { return a.v < b.v; }
template <class V> GPUKERN_HD auto operator<=(Dual<V> a, Dual<V> b) { return a.v <= b.v; }
template <class V> GPUKERN_HD auto operator>(Dual<V> a, Dual<V> b) { return a.v > b.v; }
template <class V> GPUKERN_HD auto operator>=(Dual<V> a, Dual<V> b) { return a.v >= b.v; }
template <class M, class V> GPUKERN_HD Dual<V> where(M m, Dual<V> a, Dual<V> b) {
  return {where(m, a.v, b.v), where(m, a.d, b.d)};
}

template <class V> GPUKERN_HD Dual<V> exp(Dual<V> a) {
  const V e = exp(a.v);
  return {e, e * a.d};
}
template <class V> GPUKERN_HD Dual<V> exp2(Dual<V> a) {
  const V e = exp2(a.v);
  return {e, e * V(0.69314718055994530942) * a.d};
}
template <class V> GPUKERN_HD Dual<V> expm1(Dual<V> a) {
  const V e = expm1(a.v);
  return {e, (e + V(1)) * a.d};
}
template <class V> GPUKERN_HD Dual<V> log(Dual<V> a) { return {log(a.v), a.d / a.v}; }
template <class V> GPUKERN_HD Dual<V> log2(Dual<V> a) { return {log2(a.v), a.d / (a.v * V(0.69314718055994530942))}; }
template <class V> GPUKERN_HD Dual<V> log1p(Dual<V> a) { return {log1p(a.v), a.d / (a.v + V(1))}; }
template <class V> GPUKERN_HD Dual<V> sin(Dual<V> a) { return {sin(a.v), cos(a.v) * a.d}; }
template <class V> GPUKERN_HD Dual<V> cos(Dual<V> a) { return {cos(a.v), -sin(a.v) * a.d}; }
template <class V> GPUKERN_HD Dual<V> tanh(Dual<V> a) {
  const V t = tanh(a.v);
  return {t, (V(1) - t * t) * a.d};
}
template <class V> GPUKERN_HD Dual<V> erf(Dual<V> a) {
  return {erf(a.v), V(1.12837916709551257390) * exp(-(a.v * a.v)) * a.d};
}
template <class V> GPUKERN_HD Dual<V> erfc(Dual<V> a) {
  return {erfc(a.v), V(-1.12837916709551257390) * exp(-(a.v * a.v)) * a.d};
}
template <class V> GPUKERN_HD Dual<V> normal_cdf(Dual<V> a) { return {normal_cdf(a.v), normal_pdf(a.v) * a.d}; }
template <class V> GPUKERN_HD Dual<V> sqrt(Dual<V> a) {
  const V r = sqrt(a.v);
  return {r, a.d / (r + r)};
}
template <class V> GPUKERN_HD Dual<V> abs(Dual<V> a) {
  return {abs(a.v), where(a.v > V(0), a.d, where(a.v < V(0), -a.d, V(0)))};
}
// torch's derivative at 0 is 0.
template <class V> GPUKERN_HD Dual<V> rectify(Dual<V> a) { return {rectify(a.v), where(a.v <= V(0), V(0), a.d)}; }
template <class V> GPUKERN_HD Dual<V> floor(Dual<V> a) { return {floor(a.v), V(0)}; }
template <class V> GPUKERN_HD Dual<V> trunc(Dual<V> a) { return {trunc(a.v), V(0)}; }
// x^y.  Each partial is left out where its own factor is zero, so that 0^y and x^0 have the derivatives torch gives.
template <class V> GPUKERN_HD Dual<V> pow(Dual<V> a, Dual<V> b) {
  const V p = pow(a.v, b.v);
  const V by_base = where(b.v == V(0), V(0), b.v * pow(a.v, b.v - V(1)));
  const V by_exponent = where((a.v == V(0)) & (b.v >= V(0)), V(0), p * log(a.v));
  return {p, where(a.d == V(0), V(0), by_base * a.d) + where(b.d == V(0), V(0), by_exponent * b.d)};
}

GPUKERN_ELEMENTWISE_END
