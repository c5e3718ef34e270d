// A tensor map (the descriptor of a TMA copy) as a plain struct, and the rules for one.  Plain C++: launchers check the
// rules before the driver encodes the map, so that a refusal has a reason, on a device and in the model.
#pragma once
#include <cstdint>

#include "../platform/gpu.h"

namespace gpukern {

// The span of bytes of shared memory within which 16-byte pieces are permuted: bits 4..6 of an address are XORed with
// bits 7..9 (128), bits 4..5 with 7..8 (64), bit 4 with bit 7 (32).
enum class Swizzle : int { none = 0, bytes32 = 32, bytes64 = 64, bytes128 = 128 };

GPUKERN_HD constexpr uint32_t swizzled(uint32_t address, Swizzle s) {
  const uint32_t mask = s == Swizzle::bytes128 ? 0x70 : s == Swizzle::bytes64 ? 0x30 : s == Swizzle::bytes32 ? 0x10 : 0;
  return address ^ (address >> 3 & mask);
}

constexpr int kSpan = 128;  // bytes of the widest; of a line of the tiles that wgmma reads

struct TensorMapFields {
  static constexpr int kMaxRank = 5;
  void* address = nullptr;
  int rank = 0;
  int element_bytes = 0;           // 1, 2, 4, 8
  uint64_t extent[kMaxRank] = {};  // elements, innermost first
  uint64_t stride[kMaxRank] = {};  // bytes; [0] is not read: neighbours lie side by side
  uint32_t box[kMaxRank] = {};     // elements that one copy moves
  Swizzle swizzle = Swizzle::none;
  // Loads round float32 to the 11 significant bits of tf32, ties to even; infinity and NaN are unchanged.
  bool to_tf32 = false;

  constexpr uint64_t box_bytes() const {
    uint64_t bytes = element_bytes;
    for (int d = 0; d < rank; ++d) bytes *= box[d];
    return bytes;
  }
  constexpr bool operator==(const TensorMapFields&) const = default;
};

// nullptr, or why cuTensorMapEncodeTiled would refuse the map or a copy could not use it.
constexpr const char* tensor_map_problem(const TensorMapFields& m, uint64_t address) {
  if (m.rank < 1 || m.rank > TensorMapFields::kMaxRank) return "the rank is not 1 to 5";
  if (m.element_bytes != 1 && m.element_bytes != 2 && m.element_bytes != 4 && m.element_bytes != 8)
    return "elements are not of 1, 2, 4 or 8 bytes";
  if (m.to_tf32 && m.element_bytes != 4) return "only elements of 4 bytes are rounded to tf32";
  if (address == 0) return "the address is null";
  if (address % 16) return "the address is not a multiple of 16";
  for (int d = 0; d < m.rank; ++d) {
    if (m.extent[d] < 1 || m.extent[d] > uint64_t{1} << 32) return "an extent is not 1 to 2^32";
    if (m.box[d] < 1 || m.box[d] > 256) return "a box is not 1 to 256 elements wide";
    if (d == 0) continue;
    if (m.stride[d] % 16) return "a stride is not a multiple of 16 bytes";
    if (m.stride[d] >= uint64_t{1} << 40) return "a stride is 2^40 bytes or more";
    const uint64_t inner = d == 1 ? m.extent[0] * m.element_bytes : m.stride[d - 1];
    if (m.stride[d] < inner) return "the strides do not grow from the inner to the outer dimensions";
  }
  const uint64_t row = uint64_t{m.box[0]} * m.element_bytes;
  if (row % 16) return "the box's rows are not a multiple of 16 bytes";
  if (m.swizzle != Swizzle::none && m.swizzle != Swizzle::bytes32 && m.swizzle != Swizzle::bytes64 &&
      m.swizzle != Swizzle::bytes128)
    return "there is no such swizzle";
  if (m.swizzle != Swizzle::none && row > static_cast<uint64_t>(m.swizzle))
    return "the box's rows are longer than the swizzle's span";
  return nullptr;
}
inline const char* tensor_map_problem(const TensorMapFields& m) {
  return tensor_map_problem(m, reinterpret_cast<uint64_t>(m.address));
}

// ---- the operands of wgmma in shared memory ---------------------------------------------------------------------

// Types that C++ lacks.  The elements in memory are float32 (which TMA rounds to tf32, and wgmma truncates) and bytes.
struct tf32_t;
struct e4m3_t;
struct e5m2_t;

// The dimension that is contiguous in memory: k, or m of A and n of B.
enum class Major : int { k = 0, mn = 1 };

// A matrix descriptor.  Bits 0..13 the address, 16..29 the leading and 32..45 the stride byte offset, each in 16 bytes,
// 49..51 the base offset (0: patterns start at multiples of 1024, 512, 256), 62..63 the swizzle.
//   k-major: rows form groups of 8, `stride` bytes apart.  A row has 32 bytes, or, without swizzle, two parts of 16
//     that are `leading` apart.  A step of k (16 elements of 2 bytes, 8 of 4, 32 of 1) adds 32 bytes to the address.
//   mn-major (16-bit types only): the lines of 8 k form a group, and each line is one span (16 bytes without swizzle)
//     wide.  Swizzled, the next span is `leading` bytes on and the next group of k `stride`; without swizzle it is the
//     other way round.
GPUKERN_HD constexpr uint64_t matrix_descriptor(uint32_t shared_address, uint32_t leading, uint32_t stride,
                                                Swizzle swizzle) {
  const uint64_t layout = swizzle == Swizzle::bytes128  ? 1
                          : swizzle == Swizzle::bytes64 ? 2
                          : swizzle == Swizzle::bytes32 ? 3
                                                        : 0;
  return (shared_address & 0x3ffff) >> 4 | uint64_t{leading >> 4 & 0x3fff} << 16 |
         uint64_t{stride >> 4 & 0x3fff} << 32 | layout << 62;
}
// The descriptor of the matrix `bytes` further on.
GPUKERN_HD constexpr uint64_t advance(uint64_t descriptor, uint32_t bytes) { return descriptor + (bytes >> 4); }

}  // namespace gpukern
