// Sums over the lanes of a warp and over the warps of a block.
#pragma once
#include "../core/number.h"

namespace gpukern::primitives {

// Each lane's numbers become the sums over the lanes that are `first`, 2 `first`, .. apart, up to a warp of `lanes`:
// with first = 1 of all, with first = 8 of those that are equal modulo 8.
template <class V, int N> GPUKERN_D void add_lanes(V (&sum)[N], int first, int lanes) {
  for (int mask = first; mask < lanes; mask *= 2)
#pragma unroll
    for (int e = 0; e < N; ++e) sum[e] += shfl_xor(sum[e], mask);
}

// Each of Count numbers summed over groups of `lanes` lanes, a power of two.  Lanes exchange halves of the numbers, so
// that each step has half of the additions of the previous one, where add_lanes has all.  A lane keeps `kept` of the
// sums, in its first numbers: those from number `first` on.
template <class V, int Count> struct LaneSums {
  int first, kept = Count;
  GPUKERN_D LaneSums(V (&sum)[Count], int lane, int lanes) {
    int mask = lanes / 2;
    exchange<Count / 2>(sum, lane, mask);
    for (; mask > 0; mask /= 2) sum[0] += shfl_xor(sum[0], mask);
    const int same = lanes > Count ? lanes / Count : 1;  // lanes with one total: the first of them keeps it
    first = lane % lanes / same * kept;
    if (lane % same != 0) kept = 0;
  }
  template <int Half> GPUKERN_D void exchange(V (&sum)[Count], int lane, int& mask) {
    if (mask == 0) return;
    const bool upper = (lane & mask) != 0;
#pragma unroll
    for (int i = 0; i < Half; ++i) {
      const V mine = upper ? sum[i + Half] : sum[i], theirs = upper ? sum[i] : sum[i + Half];
      sum[i] = mine + shfl_xor(theirs, mask);
    }
    kept = Half;
    mask /= 2;
    if constexpr (Half > 1) exchange<Half / 2>(sum, lane, mask);
  }
};

}  // namespace gpukern::primitives
