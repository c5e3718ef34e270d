// Split-K inside a cluster, for few tiles: a cluster computes one tile, each of its blocks one range of k.
//
//     block 0   k 0 ..  |  sums -> the ring, which is free by now |          | its parts: 0 + 1 + 2 | store |
//     block 1   k 1 ..  |  sums -> its own                        | barrier  | its parts: 0 + 1 + 2 | store | barrier
//     block 2   k 2 ..  |  sums -> its own                        |          | its parts: 0 + 1 + 2 | store |
//
// A part is 16 rows and kOut columns of a tile, the accumulators of one warp.  Parts are dealt to the blocks in turn;
// a block reads its parts' accumulators of all blocks through distributed shared memory, and adds them in the order of
// k, as split/ does.
#pragma once
#include "../../../primitives/cluster.h"
#include "../../../primitives/named_barrier.h"
#include "params.cuh"

namespace gpukern::gemm::wgmma {

template <class S> constexpr int kOut = out_of(S::BN);
template <class S> constexpr int kReaders = S::readers * 32;  // threads that hold a tile's accumulators

// The thread's number among them.
template <class S> GPUKERN_D int reader(int group) {
  return static_cast<int>(threadIdx.x) - 128 - (S::ping_pong ? group * 128 : 0);
}
// The shared address of the q-th four accumulators that a thread has of part c.
template <class S> GPUKERN_D uint32_t place_of_sums(const typename S::Ring& ring, int group, int c, int q) {
  return ring.base + static_cast<uint32_t>(((c * (kOut<S> / 8) + q) * kReaders<S> + reader<S>(group)) * 16);
}

// Writes all accumulators of a block into its ring.  TMA no longer writes there: such a block has only one tile.
template <class S>
GPUKERN_D void lay_out(const typename S::Ring& ring, int group, const typename S::Accumulators& sum) {
  static_assert(S::BM * S::BN * sizeof(typename S::Sum) <= S::stages * S::stage_bytes);
  constexpr int parts = S::BN / kOut<S>, each = kOut<S> / 2;
  barrier_sync(3, kReaders<S>);  // the other warpgroup may still multiply stages of the ring
#pragma unroll
  for (int c = 0; c < S::MI * parts; ++c)
#pragma unroll
    for (int q = 0; q < each / 4; ++q) {
      Packet<typename S::Sum, 4> packet;
#pragma unroll
      for (int e = 0; e < 4; ++e) packet.v[e] = sum[c / parts][c % parts * each + q * 4 + e];
      char* const to = shared_memory() + (place_of_sums<S>(ring, group, c, q) - ring.base);
      store_packet(reinterpret_cast<Packet<typename S::Sum, 4>*>(to), packet);
    }
  cluster_arrive();
  cluster_wait();
}

// Whether this block stores part c; if so, `sum` is its accumulators, added over all ranges.
template <class S>
GPUKERN_D bool gather(const Params& w, const typename S::Ring& ring, int group, int c, int rank,
                      typename S::Sum (&sum)[S::BN / 2]) {
  if ((c * S::readers + reader<S>(group) / 32) % w.ranges != rank) return false;
#pragma unroll 1
  for (int range = 0; range < w.ranges; ++range)
#pragma unroll
    for (int q = 0; q < kOut<S> / 8; ++q) {
      using Four = Packet<typename S::Sum, 4>;
      const Four more = load_cluster<Four>(mapa(place_of_sums<S>(ring, group, c, q), static_cast<uint32_t>(range)));
#pragma unroll
      for (int e = 0; e < 4; ++e) sum[q * 4 + e] = range ? sum[q * 4 + e] + more.v[e] : more.v[e];
    }
  return true;
}

// A block's shared memory ends with it, so a block waits until all have read.
GPUKERN_D void everyone_has_read() {
  cluster_arrive();
  cluster_wait();
}

// A cluster barrier counts every thread, so threads without accumulators arrive at both.  Nothing then depends on how
// a barrier counts threads that have ended.
GPUKERN_D void attend_without_sums() {
  cluster_arrive();
  cluster_wait();
  everyone_has_read();
}

}  // namespace gpukern::gemm::wgmma
