// Numbers of 8 bits as the tensor cores take them, and their sums.
#pragma once
#include <algorithm>
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
// What the tensor cores keep of sums of float8: of each term the bits down to 2^-13 of the largest one's leading bit
// ("around 14 bits": DeepSeek-V3 Technical Report, 3.3.2).  `sum`, of one row and n columns, starts as the
// accumulators; left: [k][rows], from the row on; right: [k][n].
inline void add_cut(int n, int k, const float* left, int rows, const float* right, float* sum) {
  constexpr int kBits = 13;
  float largest[256], unit[256], many[256];  // many: units of 1
  int total[256];
  bool finite = true;
  for (int c = 0; c < n; ++c) finite &= std::isfinite(largest[c] = std::fabs(sum[c]));
  for (int kk = 0; kk < k; ++kk)
    for (int c = 0; c < n; ++c) {
      const float term = std::fabs(left[kk * rows] * right[kk * n + c]);
      finite &= term <= 3.4e38f;
      largest[c] = term <= largest[c] ? largest[c] : term;
    }
  if (!finite) {
    for (int kk = 0; kk < k; ++kk)
      for (int c = 0; c < n; ++c) sum[c] += left[kk * rows] * right[kk * n + c];
    return;
  }
  for (int c = 0; c < n; ++c) {
    const int exponent = static_cast<int>(bits_of(largest[c]) >> 23) - 127 - kBits;  // of the unit
    unit[c] = float_of(static_cast<uint32_t>(std::max(exponent, -100) + 127) << 23);
    many[c] = 1 / unit[c];
    total[c] = static_cast<int>(sum[c] * many[c]);
  }
  for (int kk = 0; kk < k; ++kk)
    for (int c = 0; c < n; ++c) total[c] += static_cast<int>(left[kk * rows] * right[kk * n + c] * many[c]);
  for (int c = 0; c < n; ++c) sum[c] = static_cast<float>(total[c]) * unit[c];
}

}  // namespace gpukern::model
