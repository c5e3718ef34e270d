// Division of an index by an extent that is constant during a launch, as one multiplication.
#pragma once
#include <cstdint>

#include "../platform/gpu.h"

namespace gpukern {

// n / divisor for n < 2^31, as one multiplication: Granlund and Montgomery 1994, "Division by invariant integers using
// multiplication", figure 4.1, where n + high(n magic) cannot overflow 32 bits because n < 2^31.
struct Divider {
  uint32_t divisor = 1, magic = 1, shift = 0;
  constexpr Divider() = default;
  constexpr explicit Divider(uint32_t d) : divisor(d) {
    while (shift < 32 && (uint64_t{1} << shift) < d) ++shift;
    magic = static_cast<uint32_t>((((uint64_t{1} << shift) - d) << 32) / d + 1);
  }
  GPUKERN_HD uint32_t quotient(uint32_t n) const {
    const uint32_t high = static_cast<uint32_t>((static_cast<uint64_t>(n) * magic) >> 32);
    return (high + n) >> shift;
  }
};

}  // namespace gpukern
