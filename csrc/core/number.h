// The type of an operand, and the accumulator's type of its products.
#pragma once
#include <type_traits>

#include "../platform/gpu.h"
#include "dtype.h"
#include "float8.h"

namespace gpukern {

// Storage T, accumulator V.  Integers wrap, which unsigned arithmetic does by definition.
template <class T> struct Number {
  using V = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;
  using Wide = std::conditional_t<sizeof(T) == 8, int64_t, int32_t>;
  static GPUKERN_HD V widen(T x) { return static_cast<V>(x); }
  static GPUKERN_HD T narrow(V x) { return static_cast<T>(x); }
};
template <class T> struct Rounded {
  using V = float;
  using Wide = float;
  static GPUKERN_HD V widen(T x) { return to_float(x); }
  static GPUKERN_HD T narrow(V x) { return from_float<T>(x); }
};
template <class T> struct Native {
  using V = T;
  using Wide = T;
  static GPUKERN_HD V widen(T x) { return x; }
  static GPUKERN_HD T narrow(V x) { return x; }
};
// A complex number as in memory.  Aligned as one component: torch promises no more.
template <class R> struct Complex {
  R re, im;
  GPUKERN_HD Complex& operator+=(Complex b) {
    re += b.re;
    im += b.im;
    return *this;
  }
  GPUKERN_HD Complex& operator*=(Complex b) { return *this = *this * b; }
  friend GPUKERN_HD Complex operator*(Complex a, Complex b) {
    return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
  }
};
template <class R> GPUKERN_HD Complex<R> conjugate(Complex<R> x) { return {x.re, -x.im}; }
template <class V> constexpr bool is_complex = false;
template <class R> constexpr bool is_complex<Complex<R>> = true;

// sum += a b: one multiply-add, four of real numbers where they are complex.
template <class V> GPUKERN_HD void multiply_add(V& sum, V a, V b) { sum += a * b; }
template <class R> GPUKERN_HD void multiply_add(Complex<R>& sum, Complex<R> a, Complex<R> b) {
  sum.re += a.re * b.re;
  sum.re -= a.im * b.im;
  sum.im += a.re * b.im;
  sum.im += a.im * b.re;
}

template <> struct Number<half_t> : Rounded<half_t> {};
template <> struct Number<bfloat16_t> : Rounded<bfloat16_t> {};
template <> struct Number<float> : Native<float> {};
template <> struct Number<double> : Native<double> {};
template <class R> struct Number<Complex<R>> : Native<Complex<R>> {};

// The elements of a tile that are inside the matrix: one register, where an int64 takes two.
GPUKERN_HD int left_of(int64_t left, int tile) { return left < tile ? static_cast<int>(left) : tile; }

// Its format is known at run time only (float8.h).
template <> struct Number<float8_t> {
  using V = float;
  using Wide = float;
};

template <class T> constexpr DType type_of();
template <> constexpr DType type_of<half_t>() { return DType::f16; }
template <> constexpr DType type_of<bfloat16_t>() { return DType::bf16; }
template <> constexpr DType type_of<float>() { return DType::f32; }
template <> constexpr DType type_of<double>() { return DType::f64; }
template <> constexpr DType type_of<uint8_t>() { return DType::u8; }
template <> constexpr DType type_of<int8_t>() { return DType::i8; }
template <> constexpr DType type_of<int16_t>() { return DType::i16; }
template <> constexpr DType type_of<int32_t>() { return DType::i32; }
template <> constexpr DType type_of<int64_t>() { return DType::i64; }
template <> constexpr DType type_of<Complex<float>>() { return DType::c64; }
template <> constexpr DType type_of<Complex<double>>() { return DType::c128; }
template <> constexpr DType type_of<float8_t>() { return DType::e4m3; }  // of any format

// f of a value of the storage type.
template <class F> int with_storage(DType t, F f) {
  switch (t) {
    case DType::f16: return f(half_t());
    case DType::bf16: return f(bfloat16_t());
    case DType::f32: return f(float());
    case DType::f64: return f(double());
    case DType::u8: return f(uint8_t());
    case DType::i8: return f(int8_t());
    case DType::i16: return f(int16_t());
    case DType::i32: return f(int32_t());
    case DType::c64: return f(Complex<float>());
    case DType::c128: return f(Complex<double>());
    case DType::e4m3:
    case DType::e5m2:
    case DType::e4m3fnuz:
    case DType::e5m2fnuz: return f(float8_t());
    default: return f(int64_t());
  }
}

}  // namespace gpukern
