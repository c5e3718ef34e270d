// The positions of 16-byte pieces in swizzled shared memory, from the figures of the PTX ISA ("Swizzling modes").  The
// kernels' own formula is in ../../primitives/tensor_map.h.  They share no code, so that an error in either shows.
#pragma once
#include <cstdint>

namespace gpukern::model {

// `piece[i][j]`: the position of piece j of line i within its line of 128 bytes; lines are counted from address 0, and
// the pattern repeats after `lines` of them.
struct Swizzling {
  uint32_t span;  // the most bytes of a row of a box or operand; 16 without a swizzle
  uint32_t lines;
  uint8_t piece[8][8];

  constexpr uint32_t place(uint32_t address) const {
    return (address & ~0x7fu) + piece[address / 128 % lines][address / 16 % 8] * 16 + address % 16;
  }
};

// clang-format off
inline constexpr Swizzling kUnswizzled = {16, 1, {
    {0, 1, 2, 3, 4, 5, 6, 7}}};
inline constexpr Swizzling kSwizzled32 = {32, 2, {
    {0, 1, 2, 3, 4, 5, 6, 7},
    {1, 0, 3, 2, 5, 4, 7, 6}}};
inline constexpr Swizzling kSwizzled64 = {64, 4, {
    {0, 1, 2, 3, 4, 5, 6, 7},
    {1, 0, 3, 2, 5, 4, 7, 6},
    {2, 3, 0, 1, 6, 7, 4, 5},
    {3, 2, 1, 0, 7, 6, 5, 4}}};
inline constexpr Swizzling kSwizzled128 = {128, 8, {
    {0, 1, 2, 3, 4, 5, 6, 7},
    {1, 0, 3, 2, 5, 4, 7, 6},
    {2, 3, 0, 1, 6, 7, 4, 5},
    {3, 2, 1, 0, 7, 6, 5, 4},
    {4, 5, 6, 7, 0, 1, 2, 3},
    {5, 4, 7, 6, 1, 0, 3, 2},
    {6, 7, 4, 5, 2, 3, 0, 1},
    {7, 6, 5, 4, 3, 2, 1, 0}}};
// clang-format on

}  // namespace gpukern::model
