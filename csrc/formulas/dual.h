// Dual numbers: v + d e with e^2 = 0.  A formula evaluated on Dual(x, 1) gives its value and its derivative; on
// Dual<Dual> the second derivative.  It has the functions of math.h.
#pragma once
#include "math.h"

GPUKERN_ELEMENTWISE_BEGIN

template <class V> struct Dual {
  V v, d;
  GPUKERN_HD Dual() : v(V(0)), d(V(0)) {}
  GPUKERN_HD explicit Dual(double c) : v(V(c)), d(V(0)) {}
  GPUKERN_HD Dual(V value, V derivative) : v(value), d(derivative) {}
};

template <class V> GPUKERN_HD Dual<V> operator+(Dual<V> a, Dual<V> b) { return {a.v + b.v, plus(a.d, b.d)}; }
template <class V> GPUKERN_HD Dual<V> operator-(Dual<V> a, Dual<V> b) { return {a.v - b.v, minus(a.d, b.d)}; }
template <class V> GPUKERN_HD Dual<V> operator-(Dual<V> a) { return {-a.v, -a.d}; }
template <class V> GPUKERN_HD Dual<V> operator*(Dual<V> a, Dual<V> b) {
  return {a.v * b.v, plus(times(a.d, b.v), times(b.d, a.v))};
}
template <class V> GPUKERN_HD Dual<V> operator/(Dual<V> a, Dual<V> b) {
  const V q = a.v / b.v;
  return {q, over(minus(a.d, times(b.d, q)), b.v)};
}
// For a tangent that is itself a dual number, by components: a tangent of 0 may have a derivative.
template <class V> GPUKERN_HD Dual<V> times(Dual<V> a, Dual<V> b) {
  return {times(a.v, b.v), plus(times(a.d, b.v), times(b.d, a.v))};
}
template <class V> GPUKERN_HD Dual<V> plus(Dual<V> a, Dual<V> b) { return {plus(a.v, b.v), plus(a.d, b.d)}; }
template <class V> GPUKERN_HD Dual<V> minus(Dual<V> a, Dual<V> b) { return {minus(a.v, b.v), minus(a.d, b.d)}; }
template <class V> GPUKERN_HD Dual<V> over(Dual<V> a, Dual<V> b) {
  const V q = over(a.v, b.v);
  return {q, over(minus(a.d, times(b.d, q)), b.v)};
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

// The chain rule, once per function.  Each derivative is written so that it keeps its digits in both tails: 1 - tanh^2,
// expm1 + 1 and similar expressions cancel.
template <class V> GPUKERN_HD Dual<V> exp(Dual<V> a) {
  const V e = exp(a.v);
  return {e, times(a.d, e)};
}
template <class V> GPUKERN_HD Dual<V> exp2(Dual<V> a) {
  const V e = exp2(a.v);
  return {e, times(V(0.69314718055994530942) * a.d, e)};
}
template <class V> GPUKERN_HD Dual<V> expm1(Dual<V> a) { return {expm1(a.v), times(a.d, exp(a.v))}; }
template <class V> GPUKERN_HD Dual<V> log(Dual<V> a) { return {log(a.v), over(a.d, a.v)}; }
template <class V> GPUKERN_HD Dual<V> log2(Dual<V> a) {
  return {log2(a.v), over(V(1.44269504088896340736) * a.d, a.v)};
}
template <class V> GPUKERN_HD Dual<V> log1p(Dual<V> a) { return {log1p(a.v), over(a.d, a.v + V(1))}; }
template <class V> GPUKERN_HD Dual<V> sin(Dual<V> a) { return {sin(a.v), times(a.d, cos(a.v))}; }
template <class V> GPUKERN_HD Dual<V> cos(Dual<V> a) { return {cos(a.v), -times(a.d, sin(a.v))}; }
template <class V> GPUKERN_HD Dual<V> sinh(Dual<V> a) { return {sinh(a.v), times(a.d, cosh(a.v))}; }
template <class V> GPUKERN_HD Dual<V> cosh(Dual<V> a) { return {cosh(a.v), times(a.d, sinh(a.v))}; }
template <class V> GPUKERN_HD Dual<V> tanh(Dual<V> a) {
  return {tanh(a.v), times(a.d, V(4) * sigmoid_slope(a.v + a.v))};
}
template <class V> GPUKERN_HD Dual<V> sigmoid(Dual<V> a) { return {sigmoid(a.v), times(a.d, sigmoid_slope(a.v))}; }
template <class V> GPUKERN_HD Logistic<Dual<V>> logistic(Dual<V> a) {
  const Logistic<V> l = logistic(a.v);
  const V d = times(a.d, l.value * l.rest);
  return {{l.value, d}, {l.rest, -d}};
}
template <class V> GPUKERN_HD Dual<V> sigmoid_slope(Dual<V> a) {
  const V s = sigmoid_slope(a.v);
  return {s, times(a.d, -s * tanh(V(0.5) * a.v))};
}
template <class V> GPUKERN_HD Dual<V> bell(Dual<V> a, double scale) {
  const V e = bell(a.v, scale);
  return {e, times(a.d, V(-2 * scale) * times(e, a.v))};
}
template <class V> GPUKERN_HD Dual<V> erf(Dual<V> a) {
  return {erf(a.v), times(a.d, V(1.12837916709551257390) * bell(a.v, 1))};
}
template <class V> GPUKERN_HD Dual<V> normal_cdf(Dual<V> a) { return {normal_cdf(a.v), times(a.d, normal_pdf(a.v))}; }
template <class V> GPUKERN_HD Dual<V> sqrt(Dual<V> a) {
  const V r = sqrt(a.v);
  return {r, over(a.d, r + r)};
}
template <class V> GPUKERN_HD Dual<V> abs(Dual<V> a) {
  return {abs(a.v), where(a.v > V(0), a.d, where(a.v < V(0), -a.d, V(0)))};
}
// torch's derivative at 0 is 0.
template <class V> GPUKERN_HD Dual<V> rectify(Dual<V> a) { return {rectify(a.v), where(a.v <= V(0), V(0), a.d)}; }
template <class V> GPUKERN_HD Dual<V> floor(Dual<V> a) { return {floor(a.v), V(0)}; }
template <class V> GPUKERN_HD Dual<V> trunc(Dual<V> a) { return {trunc(a.v), V(0)}; }
// x^y, its partial derivatives and their derivatives have rules of their own: product and quotient rule would give
// infinity minus infinity, and the special cases at y = 0 and x = 0 have derivatives.
template <class V> GPUKERN_HD auto by_quotient(Dual<V> x, Dual<V> y) { return by_quotient(x.v, y.v); }
template <class V> GPUKERN_HD Dual<V> scaled(Dual<V> a, Dual<V> b) {
  return {scaled(a.v, b.v), plus(scaled(a.d, b.v), scaled(b.d, a.v))};
}
template <class V> GPUKERN_HD Dual<V> pow(Dual<V> x, Dual<V> y) {
  return {pow(x.v, y.v), plus(times(x.d, pow_slope(x.v, y.v)), times(y.d, log_pow(x.v, y.v)))};
}
// d/dy of pow_slope and d/dx of log_pow: x^(y - 1) (1 + y log x).  NaN where there is no logarithm.
template <class V> GPUKERN_HD V pow_mixed(V x, V y) { return scaled(V(1) + scaled(log(x), y), pow(x, y - V(1))); }
template <class V> GPUKERN_HD Dual<V> pow_slope(Dual<V> x, Dual<V> y) {
  const V s = pow_slope(x.v, y.v), less = y.v - V(1);
  const auto quotient = by_quotient(x.v, y.v);
  const V by_base = where(quotient, over(scaled(less, s), x.v), scaled(y.v, pow_slope(x.v, less)));
  return {s, plus(times(x.d, by_base), times(y.d, pow_mixed(x.v, y.v)))};
}
template <class V> GPUKERN_HD Dual<V> log_pow(Dual<V> x, Dual<V> y) {
  const V p = log_pow(x.v, y.v);
  return {p, plus(times(x.d, pow_mixed(x.v, y.v)), times(y.d, scaled(log(x.v), p)))};
}

GPUKERN_ELEMENTWISE_END
