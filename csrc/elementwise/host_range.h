// Hyperbolic functions and their inverses for SIMD registers, over the whole range: Sleef's overflow early.
#pragma once
#include "host_vector.h"

GPUKERN_ELEMENTWISE_BEGIN

// Sleef's sinh and cosh are infinite from e^88 on (float; e^709 of double), and e^x overflows before e^x / 2 does.
template <class T> inline Vec<T> half_exp(Vec<T> magnitude) {
  const Vec<T> root = exp(magnitude * Vec<T>(T(0.5)));
  return root * Vec<T>(T(0.5)) * root;
}
template <class T> constexpr T kLargeExponent = sizeof(T) == 4 ? T(80) : T(700);
template <class T> inline Vec<T> sinh(Vec<T> x) {
  const Vec<T> a = x.abs();
  return where(a > Vec<T>(kLargeExponent<T>), copysign(half_exp(a), x), x.sinh());
}
template <class T> inline Vec<T> cosh(Vec<T> x) {
  const Vec<T> a = x.abs();
  return where(a > Vec<T>(kLargeExponent<T>), half_exp(a), x.cosh());
}

// Sleef squares the argument, which overflows at 1.8e19 (double: 1.3e154). From 1e9 on both are log(2 x).
template <class T> inline Vec<T> log_of_twice(Vec<T> magnitude) {
  return log(magnitude) + Vec<T>(T(0.69314718055994530942));
}
template <class T> inline Vec<T> asinh(Vec<T> x) {
  const Vec<T> a = x.abs();
  return where(a > Vec<T>(T(1e9)), copysign(log_of_twice(a), x), x.asinh());
}
template <class T> inline Vec<T> acosh(Vec<T> x) { return where(x > Vec<T>(T(1e9)), log_of_twice(x), x.acosh()); }

GPUKERN_ELEMENTWISE_END
