// Writes a warp's accumulators of 16 rows to its own shared memory: into boxes that TMA stores, or into a slab from
// which a thread reads neighbours of one row or column.
//
// Both are swizzled, so that writing fragments (fragments.h) and reading rows have no bank conflicts.
#pragma once
#include "../core/number.h"
#include "ldmatrix.h"
#include "tensor_map.h"

namespace gpukern::primitives {

template <class T> GPUKERN_D uint32_t pack_two(float low, float high) {
  const T two[2] = {from_float<T>(low), from_float<T>(high)};
  uint32_t bits;
  memcpy(&bits, two, 4);
  return bits;
}

// Writes the accumulators from `first` on, 16 rows of Out columns, times alpha, to a box as 16-bit elements of T.  The
// box's rows are 2 Out bytes long and swizzled.
template <class T, int Out, int N>
GPUKERN_D void fill_box(uint32_t box, float alpha, const float (&sum)[N], int first) {
  constexpr int bytes = Out * 2;
  constexpr Swizzle swizzle = bytes == 128 ? Swizzle::bytes128 : bytes == 64 ? Swizzle::bytes64 : Swizzle::bytes32;
  const int lane = static_cast<int>(threadIdx.x % 32), row = lane % 16, right = lane / 16;
#pragma unroll
  for (int j = 0; j < Out / 16; ++j) {  // 16 columns: four matrices of 8 x 8
    uint32_t r[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int e = first + j * 8 + i * 2;
      r[i] = pack_two<T>(sum[e] * alpha, sum[e + 1] * alpha);
    }
    stmatrix(swizzled(box + row * bytes + (2 * j + right) * 16, swizzle), r);
  }
}

// The slab: 16 rows of Out 4-byte numbers; groups of four numbers are permuted by their row.
GPUKERN_D int slab_swizzle(int row) { return 2 * (((row & 1) << 1 | (row >> 1 & 1)) ^ (row >> 2 & 3)); }
template <int Out> GPUKERN_D int place_in_slab(int row, int column) {
  return row * (Out > 32 ? 64 : 32) + (((column / 4) ^ slab_swizzle(row)) * 4 + column % 4);
}

// Writes the first Out / 2 accumulators of a thread to the slab.
template <int Out, class V, int N> GPUKERN_D void fill_slab(V* slab, const V (&sum)[N]) {
  const int lane = static_cast<int>(threadIdx.x % 32);
#pragma unroll
  for (int j = 0; j < Out / 8; ++j)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      Packet<V, 2> two;
      two.v[0] = sum[j * 4 + half * 2];
      two.v[1] = sum[j * 4 + half * 2 + 1];
      V* const to = slab + place_in_slab<Out>(lane / 4 + half * 8, j * 8 + lane % 4 * 2);
      store_packet(reinterpret_cast<Packet<V, 2>*>(to), two);
    }
}

// Reads four neighbours of a row from (row, column) on, and four of a column.
template <int Out, class V> GPUKERN_D void read_row(const V* slab, int row, int column, V (&v)[4]) {
  const auto packet = load_packet(reinterpret_cast<const Packet<V, 4>*>(slab + place_in_slab<Out>(row, column)));
#pragma unroll
  for (int e = 0; e < 4; ++e) v[e] = packet.v[e];
}
template <int Out, class V> GPUKERN_D void read_column(const V* slab, int row, int column, V (&v)[4]) {
#pragma unroll
  for (int e = 0; e < 4; ++e) v[e] = slab[place_in_slab<Out>(row + e, column)];
}

}  // namespace gpukern::primitives
