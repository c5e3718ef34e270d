// The pass before the product: a float32 as the sum of three bfloat16 numbers, operand by operand.
//
//     x     = s eeeeeeee mmmmmmm mmmmmmmm mmmmmmmm           24 significant bits
//     hi    = bf16(x)                   8 of them, rounded to nearest: the rest may have the other sign
//     mid   = bf16(2^8  (x - hi))       8 of what is left
//     lo    = bf16(2^16 (x - hi - mid / 2^8))
//
// Every difference is exact, and x = hi + mid / 2^8 + lo / 2^16 for every finite x.  The reason for the powers of 2:
// bfloat16 has float32's range of exponents, so near its lower end the rest would be a subnormal number with few bits,
// or none; scaled it is as large as a half of hi.  Exceptions to rounding at the ends of the range:
//   - hi of a finite number is finite: it is truncated where rounding would give infinity (and so is mid).
//   - hi of a number that is not 0 is not 0, so that inf * 1e-45 is inf.
//   - hi carries infinity and NaN; their other terms are 0.  inf * mid may then be NaN: products drop such sums.
//
// Memory-bound: a thread loads 8 neighbours of a line, 32 bytes, and stores 16 bytes for each term.
#pragma once
#include "emit.cuh"
#include "terms.h"

namespace gpukern::gemm::terms {

constexpr int kThreads = 256;
constexpr int kEach = 8;

// One operand, and the memory for its terms.
struct Operand {
  const float* from;
  bfloat16_t* to;
  TermLayout place;
  int64_t batch, line, unit;  // strides of `from` in elements
  int64_t packets;            // of one term
  bool aligned;               // whole packets can be loaded as such
};

struct Division {
  Operand a, b;
  int terms;
};

constexpr uint32_t kSign = 0x80000000u, kInfinity = 0x7f800000u, kLargest = 0x7f7f0000u, kSmallest = 0x00010000u;

// The nearest bfloat16, as a float.  Finite if x is finite; not 0 if x is not 0.
GPUKERN_HD float leading(float x) {
  const uint32_t bits = bits_as<uint32_t>(x), sign = bits & kSign, size = bits & ~kSign;
  if (size >= kInfinity) return x;
  const uint32_t rounded = (size + 0x7fffu + (size >> 16 & 1u)) & 0xffff0000u;
  if (rounded >= kInfinity) return bits_as<float>(sign | kLargest);
  if (rounded == 0 && size != 0) return bits_as<float>(sign | kSmallest);
  return bits_as<float>(sign | rounded);
}

// Terms 0, 1, 2 of x, each exact in bfloat16.
GPUKERN_HD void divide(float x, float (&term)[3]) {
  term[0] = leading(x);
  const bool finite = (bits_as<uint32_t>(x) & ~kSign) < kInfinity;
  const float rest = finite ? x - term[0] : 0.0f;
  term[1] = finite ? leading(rest * 256.0f) : 0.0f;
  term[2] = (rest - term[1] * (1.0f / 256)) * 65536.0f;
}

// Folder: the arch folder that launches it.  The folders' objects have different targets, and without it their kernels
// would be one symbol.
template <class Folder> GPUKERN_KERNEL GPUKERN_BOUNDS(kThreads) divide_operands(GPUKERN_GRID_CONST const Division d) {
  int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const bool second = index >= d.a.packets;
  const Operand& o = second ? d.b : d.a;
  if (second) index -= d.a.packets;
  if (index >= o.packets) return;
  const int64_t across = o.place.pitch / kEach, row = index / across, first = (index - row * across) * kEach;
  const int64_t batch = row / o.place.lines, line = row - batch * o.place.lines;
  const int left = left_of(o.place.length - first, kEach);
  const float* const from = o.from + batch * o.batch + line * o.line + first * o.unit;

  float x[kEach];
  if (o.aligned && left == kEach) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const auto packet = load_packet_once(reinterpret_cast<const Packet<float, 4>*>(from) + half);
#pragma unroll
      for (int i = 0; i < 4; ++i) x[4 * half + i] = packet.v[i];
    }
  } else {
#pragma unroll
    for (int i = 0; i < kEach; ++i) x[i] = i < left ? from[i * o.unit] : 0.0f;
  }
  Packet<bfloat16_t, kEach> to[3];
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    float term[3];
    divide(x[i], term);
#pragma unroll
    for (int t = 0; t < 3; ++t) to[t].v[i] = from_float<bfloat16_t>(term[t]);
  }
#pragma unroll
  for (int t = 0; t < 3; ++t)
    if (t < d.terms) store_packet(reinterpret_cast<Packet<bfloat16_t, kEach>*>(o.to) + t * o.packets + index, to[t]);
}

// Divides both operands into data.workspace, A's terms first.
template <class Folder> int divide(const Problem& p, const Data& data, Division& d, Stream stream) {
  const TermLayout a = place_a(p), b = place_b(p);
  const auto operand = [](const void* from, bfloat16_t* to, const TermLayout& place, const Layout& l,
                          bool is_transposed) {
    const int64_t line = is_transposed ? l.column : l.row, unit = is_transposed ? l.row : l.column;
    return Operand{static_cast<const float*>(from), to, place, l.batch, line, unit, place.term() / kEach,
                   unit == 1 && l.align >= 16};
  };
  d.terms = terms_of(p.precision);
  bfloat16_t* const to = static_cast<bfloat16_t*>(data.workspace);
  d.a = operand(data.a, to, a, p.a, !a.along_k);
  d.b = operand(data.b, to + d.terms * a.term(), b, p.b, b.along_k);
  const int64_t blocks = ceil_div(d.a.packets + d.b.packets, kThreads);
  if (blocks == 0) return 0;
  return platform::launch(&divide_operands<Folder>, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), 0, stream, d);
}

}  // namespace gpukern::gemm::terms
