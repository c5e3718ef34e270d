// Where wgmma's operands lie: in shared memory by a matrix descriptor, in registers by the manual's figures.
#pragma once
#include "../tensor_map.h"
#include "fragments.h"

namespace gpukern::model {

struct Operand {
  uint32_t start, leading, stride;
  Swizzle swizzle;
  bool mn_major;
  uint32_t block;  // in the top byte

  // The address of 16 bytes that lie side by side: k-major (row, piece of k), mn-major (k, piece of rows).
  uint32_t piece(int line, int chunk) const {
    const int span = swizzle == Swizzle::none ? 16 : static_cast<int>(swizzle), pieces = span / 16;
    uint32_t offset = line % 8 * span + chunk % pieces * 16;
    if (mn_major && swizzle == Swizzle::none) offset += line / 8 * leading + chunk * stride;
    else offset += line / 8 * stride + chunk / pieces * leading;
    return swizzled(start + offset, swizzle) | block;
  }
};

inline Operand operand_of(uint64_t descriptor, bool mn_major, int rank) {
  constexpr Swizzle layouts[] = {Swizzle::none, Swizzle::bytes128, Swizzle::bytes64, Swizzle::bytes32};
  const auto field = [&](int bit) { return static_cast<uint32_t>(descriptor >> bit & 0x3fff) << 4; };
  return {field(0), field(16), field(32), layouts[descriptor >> 62], mn_major, static_cast<uint32_t>(rank) << 24};
}

// Element i of a lane, within the 16 rows of its warp: of D, and of A in registers.
constexpr Element wgmma_d(int lane, int i) { return {lane / 4 + i / 2 % 2 * 8, i / 4 * 8 + lane % 4 * 2 + i % 2}; }
constexpr Element wgmma_a(int lane, int i) { return {lane / 4 + i / 2 % 2 * 8, i / 4 * 8 + lane % 4 * 2 + i % 2}; }

}  // namespace gpukern::model
