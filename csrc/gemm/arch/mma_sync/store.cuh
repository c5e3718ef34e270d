// From accumulators to D: how the kernels of this folder store what the mainloop computed.
#pragma once
#include "../../parts.cuh"
#include "../../schedule.h"
#include "mma.cuh"

namespace gpukern::gemm::mma_sync {

// A kernel's parameters.
struct Params {
  EpilogueParams epilogue;  // first: see emit.cuh
  Source a, b;
  int64_t first_batch, batches;
  int splits;  // blocks that share the k of one tile
};

// Stores a warp's part of D, 16 rows at a time: fragments go to the warp's own slab in shared memory, and from there to
// D in packets along its rows (or down its columns).
template <class T, int MI, int WN, class At = Mma<T, 32>, class Sum>
GPUKERN_D void store(const Params& w, int64_t slice, int64_t row0, int64_t column0, char* shared,
                     Sum (&sum)[MI][WN / 8][4]) {
  using V = typename Number<T>::V;
  constexpr int each = 16 / static_cast<int>(sizeof(V)), pitch = WN + At::pad, side = At::side;
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  V* const slab = reinterpret_cast<V*>(shared) + warp * (16 * pitch);
  // A lane's packets cover the same columns (or rows, if packets run down), so it has one sum for each element.
  constexpr bool can_sum = At::gradients && std::is_same_v<V, float>;
  static_assert(32 % (WN / each) == 0 && 32 % (16 / each) == 0);
  [[maybe_unused]] V total[each] = {};
#pragma unroll 1
  for (int i = 0; i < MI; ++i) {
#pragma unroll
    for (int j = 0; j < WN / 8; j += side) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        Packet<V, 2 * side> packet;
#pragma unroll
        for (int e = 0; e < 2 * side; ++e) packet.v[e] = static_cast<V>(sum[0][j + e / 2][2 * half + e % 2]);
        V* const to = slab + At::row(lane / 4, half) * pitch + At::column(j, lane % 4);
        store_packet(reinterpret_cast<Packet<V, 2 * side>*>(to), packet);
      }
    }
    syncwarp();
#pragma unroll 1
    for (int q = lane; q < 16 * WN / each; q += 32) {  // one copy of what follows, for both directions
      int row = q / (WN / each), column = q % (WN / each) * each;
      V v[each];
      if (w.epilogue.down) {
        row = q % (16 / each) * each, column = q / (16 / each);
#pragma unroll
        for (int e = 0; e < each; ++e) v[e] = slab[(row + e) * pitch + column];
      } else {
        const auto packet = load_packet(reinterpret_cast<const Packet<V, each>*>(slab + row * pitch + column));
#pragma unroll
        for (int e = 0; e < each; ++e) v[e] = packet.v[e];
      }
      const bool stored = emit<T, At::gradients>(w.epilogue, slice, row0 + i * 16 + row, column0 + column, v);
      if constexpr (can_sum)
        if (stored && w.epilogue.data.parts) {
#pragma unroll
          for (int e = 0; e < each; ++e) total[e] += v[e];
        }
    }
    syncwarp();
    rotate(sum);
    if constexpr (can_sum)
      if (w.epilogue.data.parts && (w.epilogue.down || i + 1 == MI))
        store_part<16 * MI, WN>(w.epilogue, row0 + (w.epilogue.down ? i * 16 : 0), column0,
                                w.epilogue.down ? 16 / each : WN / each, total);
  }
}

}  // namespace gpukern::gemm::mma_sync
