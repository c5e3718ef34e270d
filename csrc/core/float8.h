// The four float8 formats, converted bit by bit: no hardware has all of them.  Widening is exact.
//
// The 7 bits of magnitude, shifted to float32's exponent, are the number except for the exponent's bias: multiplication
// by a power of two corrects that, for subnormal numbers too (float32's own are not flushed).
#pragma once
#include "bits.h"
#include "dtype.h"

namespace gpukern {

struct float8_t {
  uint8_t bits;
};

struct Format8 {
  int shift;             // of the magnitude to its bits in float32
  int bias;              // of the exponent
  uint32_t largest;      // the largest magnitude that is a finite number
  uint32_t beyond;       // what is written for a number beyond it
  uint32_t nan_of_0x80;  // bits of the NaN that 0x80 is; 0 where it is -0
};
constexpr Format8 format_of(DType t) {
  switch (t) {
    case DType::e5m2: return {21, 15, 0x7b, 0x7c, 0};
    case DType::e4m3fnuz: return {20, 8, 0x7f, 0x80, 0x7fc00000};
    case DType::e5m2fnuz: return {21, 16, 0x7f, 0x80, 0x7fc00000};
    default: return {20, 7, 0x7e, 0x7e, 0};  // e4m3fn saturates
  }
}

GPUKERN_HD uint32_t ones_below_0(uint32_t x) { return static_cast<uint32_t>(static_cast<int32_t>(x) >> 31); }

// No branch and no condition: each would need a mask for every element in flight.
GPUKERN_HD float widen(float8_t x, const Format8& f) {
  const uint32_t magnitude = x.bits & 0x7f, sign = x.bits & 0x80;
  const float unit = bits_as<float>(static_cast<uint32_t>(254 - f.bias) << 23);  // 2^(127 - bias)
  uint32_t bits = bits_as<uint32_t>(bits_as<float>(magnitude << f.shift) * unit);
  // Beyond the largest: the fraction with float32's largest exponent, which is infinity where it is 0, else NaN.
  bits |= ones_below_0(f.largest - magnitude) & 0x7f800000;
  bits |= ones_below_0((x.bits ^ 0x80u) - 1) & f.nan_of_0x80;
  return bits_as<float>(bits | sign << 24);
}

// To nearest, ties to even; larger numbers than the largest become what torch gives: saturated, infinite or NaN.
GPUKERN_HD float8_t narrow(float x, const Format8& f) {
  const uint32_t u = bits_as<uint32_t>(x), sign = u >> 24 & 0x80, magnitude = u & 0x7fffffff;
  uint32_t bits;
  if (magnitude > 0x7f800000) {
    bits = f.nan_of_0x80 ? 0x80 : 0x7f;
  } else if (magnitude < static_cast<uint32_t>(128 - f.bias) << 23) {
    // Subnormal: a multiple of the smallest one, which an addition of 2^23 of them rounds to.
    const uint32_t many = static_cast<uint32_t>(128 - f.bias + f.shift) << 23;
    bits = bits_as<uint32_t>(bits_as<float>(magnitude) + bits_as<float>(many)) - many;
  } else {
    const uint32_t odd = magnitude >> f.shift & 1, half = (1u << (f.shift - 1)) - 1;
    bits = (magnitude + half + odd - (static_cast<uint32_t>(127 - f.bias) << 23)) >> f.shift;
  }
  if (bits > f.largest && magnitude <= 0x7f800000) bits = f.beyond;
  const bool unsigned_ = f.nan_of_0x80 && (bits == 0 || bits == 0x80);
  return {static_cast<uint8_t>(unsigned_ ? bits : bits | sign)};
}

}  // namespace gpukern
