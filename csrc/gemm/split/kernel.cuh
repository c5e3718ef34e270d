// D = epilogue(sum over the ranges of k, of which there may be one), each range's sums in the accumulator's type,
// [range][batch][m][n].
//
// A thread has 16 bytes of neighbouring sums and walks the ranges in order, four loads under way: memory-bound, and the
// same order of additions on every run.  One kernel for each type of D, and one for scaled products; the epilogue is
// that of every product.
#pragma once
#include "../emit.cuh"
#include "../schedule.h"

namespace gpukern::gemm::split {

constexpr int kThreads = 256;

struct Work {
  Ending ending;  // first: see emit.cuh
  const void* partial;
  int splits;
  int64_t packets, across;  // packets of all matrices, of one row
  bool aligned;
};

template <class O> GPUKERN_KERNEL GPUKERN_BOUNDS(kThreads) sum_ranges(GPUKERN_GRID_CONST const Work w) {
  using V = typename Number<O>::V;
  constexpr int each = 16 / static_cast<int>(sizeof(V));
  const Problem& p = w.ending.p;
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= w.packets) return;
  const int64_t line = index / w.across, column = (index - line * w.across) * each;
  const int64_t batch = line / p.m, row = line - batch * p.m;
  const int left = p.n - column < each ? static_cast<int>(p.n - column) : each;
  const int64_t slice = p.batch * p.m * p.n;
  const V* from = static_cast<const V*>(w.partial) + line * p.n + column;

  V sum[each] = {};
#pragma unroll 4
  for (int range = 0; range < w.splits; ++range, from += slice) {
    V v[each];
    if (w.aligned) {
      const auto packet = load_packet(reinterpret_cast<const Packet<V, each>*>(from));
#pragma unroll
      for (int i = 0; i < each; ++i) v[i] = packet.v[i];
    } else {
#pragma unroll
      for (int i = 0; i < each; ++i) v[i] = i < left ? from[i] : V{};
    }
#pragma unroll
    for (int i = 0; i < each; ++i) sum[i] += v[i];
  }
  if constexpr (std::is_same_v<O, float8_t>) emit_scaled(w.ending, batch, row, column, sum);
  else emit_as<std::is_floating_point_v<V>, O>(w.ending, batch, row, column, sum);
}

}  // namespace gpukern::gemm::split
