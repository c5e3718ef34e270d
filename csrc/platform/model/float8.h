// The 8-bit floating types of tensor cores.
#pragma once
#include <cmath>
#include <cstdint>

#include "types.h"

namespace gpukern::model {

inline float float8_value(uint8_t bits, bool e5m2) {
  const uint16_t half = static_cast<uint16_t>(bits << 8);  // e5m2 is the upper half of a half
  if (e5m2) return to_float(half_t{half});
  const float sign = bits & 0x80 ? -1.0f : 1.0f;
  const int exponent = bits >> 3 & 15, fraction = bits & 7;
  if ((bits & 0x7f) == 0x7f) return float_of(0x7fc00000);
  return sign * std::ldexp(static_cast<float>(fraction + (exponent ? 8 : 0)), (exponent ? exponent : 1) - 10);
}

}  // namespace gpukern::model
