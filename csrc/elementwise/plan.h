// The plan of a call: how it accesses memory.  Plain C++, so that every decision is tested without a device.
//
//   rows     The innermost dimension of every operand is dense or broadcast: 16-byte packets along it.  A dense tensor
//            is one row; a bias, a row scale or a column scale is a row whose other strides are 0.
//   tile     Some operand is dense along another dimension than the output: 32 x 32 tiles, transposed in shared memory,
//            so that loads and stores are contiguous.
//   strided  Everything else, mixed element types included: one element at a time, several in flight.
//
// Linear indices have 31 bits, and Divider splits them by multiplication; a larger call is split into slices first
// (for_slices).  Offsets are 64-bit byte offsets.
#pragma once
#include <cstdint>

#include "../core/divider.h"
#include "../core/index.h"
#include "launch.h"

GPUKERN_ELEMENTWISE_BEGIN

constexpr int kThreads = 256;      // of a full block
constexpr int kSmallThreads = 64;  // if full blocks would leave SMs idle
constexpr int kTile = 32;          // side of a tile
constexpr int kEach = 2;           // elements per thread of the strided and tile paths: loads in flight
constexpr int kTileThreads = kTile * kTile / kEach;
constexpr int kPacket = 16;  // bytes of an access, if addresses allow it
constexpr int64_t kIndexLimit = int64_t{1} << 31;

// Packets in flight per thread and input: 64 bytes over all inputs (kernels with one input load four).
constexpr int packets_for(int inputs) { return inputs == 1 ? 4 : 2; }

enum class Path : uint8_t { rows, tile, strided };

// One operand, as the kernel sees it.
struct Part {
  char* data;
  int64_t stride[kMaxDims];
  DType dtype;
  uint8_t size;    // bytes per element
  uint8_t width;   // rows: bytes per access; 0: one element for the whole row
  bool across;     // tile: dense along the tile's second dimension
  bool unaliased;  // nothing writes to it meanwhile, so non-coherent loads are allowed
};

struct Plan {
  Path path;
  uint8_t ndim, inputs;
  uint8_t unroll;  // rows: packets per thread, at most packets_for(inputs)
  int32_t lead;    // rows: elements before the row in its first packet, so that the output's packets are aligned
  int formula;     // the number of the formula in a kernel that has several, set by the launcher
  int threads;
  int64_t blocks;
  int64_t count;             // rows: packets; strided: elements; tile: tiles
  int64_t shape[kMaxDims];   // tile: dimension 1 is the tile's second dimension, wherever it was before
  Divider divide[kMaxDims];  // by the extents; rows: [0] by the packets of a row
  Divider tiles[2];          // tile: by the tiles along dimensions 0 and 1
  Part part[1 + kMaxRead];   // the output, then the inputs
  double scalar[kMaxScalars];
  int64_t iscalar[kMaxScalars];
};

namespace detail {

constexpr void swap(int64_t& a, int64_t& b) {
  const int64_t kept = a;
  a = b;
  b = kept;
}

// The largest of 16, 8, .. 1 that divides all of `bits`.
constexpr int alignment(uint64_t bits) {
  int a = kPacket;
  while (a > 1 && bits % a) a /= 2;
  return a;
}

// Whether a rows kernel of this compute type takes the type (floating types for floating ones, integers for integers).
constexpr bool native(DType t, Compute c) {
  switch (c) {
    case Compute::f32: return t == DType::f16 || t == DType::bf16 || t == DType::f32;
    case Compute::f64: return t == DType::f64;
    default: return t >= DType::u8;
  }
}

inline uint64_t address(const Part& p) { return reinterpret_cast<uint64_t>(p.data); }

// Full blocks if there are enough for two per SM, else smaller ones.
constexpr void spread(Plan& p, int64_t processors, int most) {
  p.unroll = static_cast<uint8_t>(most);
  p.threads = kThreads;
  const int64_t enough = 2 * (processors > 0 ? processors : 1);
  while (p.unroll > 1 && ceil_div(p.count, int64_t{p.threads} * p.unroll) < enough) p.unroll /= 2;
  if (p.unroll == 1 && ceil_div(p.count, p.threads) < enough) p.threads = kSmallThreads;
  p.blocks = ceil_div(p.count, int64_t{p.threads} * p.unroll);
}

}  // namespace detail

// The element size of the rows kernel for the call, 0 if none serves it.  `conditions`: inputs of `where` that are
// always bool, as bits.
constexpr int row_size(const Call& c, unsigned conditions) {
  const int size = bytes(c.out.dtype);
  if (!detail::native(c.out.dtype, c.compute)) return 0;
  if (c.ndim > 0 && c.out.stride[0] != size && c.shape[0] != 1) return 0;
  for (int k = 0; k < c.inputs; ++k) {
    const bool condition = conditions >> k & 1;
    if (condition ? c.in[k].dtype != DType::b8 : c.in[k].dtype != c.out.dtype) return 0;
    const int64_t step = c.ndim > 0 ? c.in[k].stride[0] : 0;
    if (step != 0 && step != bytes(c.in[k].dtype) && c.shape[0] != 1) return 0;
  }
  return size;
}

// The other dimension along which an input is dense that is not dense along dimension 0; 0 if tiles gain nothing.
constexpr int tile_dimension(const Call& c) {
  if (c.ndim < 2 || c.shape[0] < kTile / 2) return 0;
  for (int k = 0; k < c.inputs; ++k) {
    const Operand& x = c.in[k];
    const int64_t size = bytes(x.dtype);
    if (x.stride[0] == 0 || (x.stride[0] <= 4 * size && x.stride[0] >= -4 * size)) continue;
    for (int d = 1; d < c.ndim; ++d)
      if (x.stride[d] == size && c.shape[d] >= kTile / 2) return d;
  }
  return 0;
}

// The plan of a call of fewer than 2^31 elements, at least one.
inline Plan make_plan(const Call& c, const Device& device, unsigned conditions, bool has_rows) {
  Plan p{};
  p.ndim = static_cast<uint8_t>(c.ndim);
  p.inputs = static_cast<uint8_t>(c.inputs);
  int64_t elements = 1;
  for (int d = 0; d < c.ndim; ++d) {
    p.shape[d] = c.shape[d];
    elements *= c.shape[d];
  }
  for (int k = 0; k <= c.inputs; ++k) {
    const Operand& x = k == 0 ? c.out : c.in[k - 1];
    Part& part = p.part[k];
    part.data = static_cast<char*>(x.data);
    part.dtype = x.dtype;
    part.size = static_cast<uint8_t>(bytes(x.dtype));
    part.unaliased = x.data != c.out.data;
    for (int d = 0; d < c.ndim; ++d) part.stride[d] = x.stride[d];
  }
  for (int s = 0; s < kMaxScalars; ++s) {
    p.scalar[s] = c.scalar[s];
    p.iscalar[s] = c.iscalar[s];
  }

  if (const int size = has_rows ? row_size(c, conditions) : 0) {
    p.path = Path::rows;
    if (c.ndim == 0) {  // one element is a row of one
      p.ndim = 1;
      p.shape[0] = 1;
    }
    const int64_t row = p.shape[0], each = kPacket / size;
    uint64_t strides = 0;
    for (int d = 1; d < p.ndim; ++d) strides |= static_cast<uint64_t>(p.part[0].stride[d]);
    if (detail::alignment(strides) == kPacket)
      p.lead = static_cast<int32_t>(detail::address(p.part[0]) % kPacket / size);
    for (int k = 0; k <= c.inputs; ++k) {
      Part& part = p.part[k];
      if (part.stride[0] == 0 && k > 0) continue;  // broadcast along the row: width 0
      uint64_t bits = detail::address(part) - static_cast<uint64_t>(p.lead) * part.size;
      for (int d = 1; d < p.ndim; ++d) bits |= static_cast<uint64_t>(part.stride[d]);
      const int whole = static_cast<int>(each) * part.size, aligned = detail::alignment(bits);
      part.width = static_cast<uint8_t>(aligned < whole ? aligned : whole);
    }
    const int64_t packets = ceil_div(row + p.lead, each);
    p.count = packets * (elements / row);
    p.divide[0] = Divider(static_cast<uint32_t>(packets));
    for (int d = 1; d < p.ndim; ++d) p.divide[d] = Divider(static_cast<uint32_t>(p.shape[d]));
    detail::spread(p, device.sm_count, packets_for(c.inputs));
    return p;
  }

  if (const int other = tile_dimension(c)) {
    p.path = Path::tile;
    detail::swap(p.shape[1], p.shape[other]);
    for (int k = 0; k <= c.inputs; ++k) {
      Part& part = p.part[k];
      detail::swap(part.stride[1], part.stride[other]);
      part.across = k > 0 && part.stride[1] == part.size && part.stride[0] != 0 && part.stride[0] != part.size;
    }
    const int64_t down = ceil_div(p.shape[0], kTile), along = ceil_div(p.shape[1], kTile);
    p.tiles[0] = Divider(static_cast<uint32_t>(down));
    p.tiles[1] = Divider(static_cast<uint32_t>(along));
    p.threads = kTileThreads;
    p.blocks = p.count = down * along * (elements / (p.shape[0] * p.shape[1]));
  }
  for (int d = 0; d < c.ndim; ++d) p.divide[d] = Divider(static_cast<uint32_t>(p.shape[d]));
  if (p.path == Path::tile) return p;
  p.path = Path::strided;
  p.count = elements;
  p.threads = ceil_div(elements, kThreads * kEach) < 2 * device.sm_count ? kSmallThreads : kThreads;
  p.blocks = ceil_div(elements, int64_t{p.threads} * kEach);
  return p;
}

// Splits a call of `limit` elements or more along its longest dimension until every slice has fewer; f(slice) returns 0
// or an error, which ends the loop.
template <class F> int for_slices(Call call, int64_t limit, F&& f) {
  int64_t elements = 1;
  int longest = 0;
  for (int d = 0; d < call.ndim; ++d) {
    elements *= call.shape[d];
    if (call.shape[d] > call.shape[longest]) longest = d;
  }
  if (elements == 0) return 0;
  if (elements < limit) return f(static_cast<const Call&>(call));
  const int64_t half = call.shape[longest] / 2;
  Call second = call;
  call.shape[longest] = half;
  second.shape[longest] -= half;
  second.out.data = static_cast<char*>(second.out.data) + half * second.out.stride[longest];
  for (int k = 0; k < call.inputs; ++k)
    second.in[k].data = static_cast<char*>(second.in[k].data) + half * second.in[k].stride[longest];
  if (const int error = for_slices(call, limit, f)) return error;
  return for_slices(second, limit, f);
}

GPUKERN_ELEMENTWISE_END
