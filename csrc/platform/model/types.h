// The vendors' 16-bit types as bits; conversions round to nearest, ties to even, and keep NaN.
#pragma once
#include <cstdint>
#include <cstring>

namespace gpukern {

struct half_t {
  uint16_t bits;
};
struct bfloat16_t {
  uint16_t bits;
};

namespace model {
inline uint32_t bits_of(float x) {
  uint32_t u;
  std::memcpy(&u, &x, 4);
  return u;
}
inline float float_of(uint32_t u) {
  float x;
  std::memcpy(&x, &u, 4);
  return x;
}
}  // namespace model

inline float to_float(bfloat16_t x) { return model::float_of(static_cast<uint32_t>(x.bits) << 16); }

inline float to_float(half_t x) {
  const uint32_t sign = static_cast<uint32_t>(x.bits & 0x8000) << 16;
  uint32_t exponent = x.bits >> 10 & 31, fraction = x.bits & 1023;
  if (exponent == 31) return model::float_of(sign | 0x7f800000 | fraction << 13);
  if (exponent == 0) {
    if (fraction == 0) return model::float_of(sign);
    for (exponent = 1; !(fraction & 1024); --exponent) fraction <<= 1;  // subnormal: an exponent of 1 or less
    fraction &= 1023;
  }
  return model::float_of(sign | (exponent + 112) << 23 | fraction << 13);
}

template <class T> T from_float(float x);

template <> inline bfloat16_t from_float<bfloat16_t>(float x) {
  const uint32_t u = model::bits_of(x);
  if ((u & 0x7fffffff) > 0x7f800000) return {0x7fff};
  return {static_cast<uint16_t>((u + 0x7fff + (u >> 16 & 1)) >> 16)};
}

template <> inline half_t from_float<half_t>(float x) {
  const uint32_t u = model::bits_of(x), sign = u >> 16 & 0x8000, magnitude = u & 0x7fffffff;
  if (magnitude > 0x7f800000) return {0x7fff};
  if (magnitude >= 0x47800000) return {static_cast<uint16_t>(sign | 0x7c00)};  // 65536 and above
  if (magnitude < 0x38800000) {  // below the smallest normal: a multiple of 2^-24, which one addition rounds to
    const float rounded = model::float_of(magnitude) + 0.5f;  // 0.5 has steps of 2^-24
    return {static_cast<uint16_t>(sign | (model::bits_of(rounded) - model::bits_of(0.5f)))};
  }
  const uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);  // may carry into the exponent, up to infinity
  return {static_cast<uint16_t>(sign | ((rounded - 0x38000000) >> 13))};
}

}  // namespace gpukern
