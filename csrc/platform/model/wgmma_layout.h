// The layout of wgmma's operands: in shared memory by a matrix descriptor, in registers by the manual's figures.
#pragma once
#include "fragments.h"
#include "swizzle.h"

namespace gpukern::model {

struct Operand {
  uint32_t start, leading, stride;
  const Swizzling* swizzle;
  bool mn_major;
  uint32_t block;  // in the top byte

  // The address of 16 contiguous bytes: k-major (row, piece of k), mn-major (k, piece of rows).
  uint32_t piece(int line, int chunk) const {
    const int span = static_cast<int>(swizzle->span), pieces = span / 16;
    uint32_t offset = line % 8 * span + chunk % pieces * 16;
    if (mn_major && pieces == 1) offset += line / 8 * leading + chunk * stride;
    else offset += line / 8 * stride + chunk / pieces * leading;
    return swizzle->place(start + offset) | block;
  }
};

// PTX ISA, "Matrix descriptor format": 14 bits each of the start address (from bit 0), the leading (16) and the stride
// byte offset (32), without their lowest four; the base offset in 49 .. 51; the swizzle in 62 and 63.
inline Operand operand_of(uint64_t descriptor, bool mn_major, int rank) {
  constexpr const Swizzling* modes[] = {&kUnswizzled, &kSwizzled128, &kSwizzled64, &kSwizzled32};
  const auto field = [&](int bit) { return static_cast<uint32_t>(descriptor >> bit & 0x3fff) << 4; };
  return {field(0), field(16), field(32), modes[descriptor >> 62], mn_major, static_cast<uint32_t>(rank) << 24};
}
constexpr uint64_t kBaseOffset = uint64_t{7} << 49;
// Bits that the format does not define: 14, 15, 30, 31, 46 .. 48, 52 .. 61.
constexpr uint64_t kReserved = 0x3ff1c000c000c000;

// The position of element i of a lane within the 16 rows of its warp: for D, and for A in registers.
constexpr Element wgmma_d(int lane, int i) { return {lane / 4 + i / 2 % 2 * 8, i / 4 * 8 + lane % 4 * 2 + i % 2}; }
constexpr Element wgmma_a(int lane, int i) { return {lane / 4 + i / 2 % 2 * 8, i / 4 * 8 + lane % 4 * 2 + i % 2}; }

}  // namespace gpukern::model
