// Ranges of k that the blocks of a cluster add up: where tiles are few each is a cluster's, and a block's is a range.
//
//     block 0   k 0 ..  |  sums -> the ring, which is free by now |          | its parts: 0 + 1 + 2 | store |
//     block 1   k 1 ..  |  sums -> its own                        | barrier  | its parts: 0 + 1 + 2 | store | barrier
//     block 2   k 2 ..  |  sums -> its own                        |          | its parts: 0 + 1 + 2 | store |
//
// A part is what one warp has of 16 rows and kOut columns; the blocks take turns with them, and each reads what the
// others have of its own through distributed shared memory.  Sums are added in the order of k, as split/ adds them.
#pragma once
#include "../../../primitives/cluster.h"
#include "../../../primitives/named_barrier.h"
#include "params.cuh"

namespace gpukern::gemm::wgmma {

template <class S> constexpr int kOut = out_of(S::BN);
template <class S> constexpr int kReaders = S::readers * 32;  // threads that have a tile's sums

// The thread's number among them.
template <class S> GPUKERN_D int reader(int group) {
  return static_cast<int>(threadIdx.x) - 128 - (S::ping_pong ? group * 128 : 0);
}
// Where four sums lie that a thread has of a part: the q-th of part c.
template <class S> GPUKERN_D uint32_t place_of_sums(const typename S::Ring& ring, int group, int c, int q) {
  return ring.base + static_cast<uint32_t>(((c * (kOut<S> / 8) + q) * kReaders<S> + reader<S>(group)) * 16);
}

// All of a block's sums into its ring, which no TMA writes to any more: a block of such a cluster has one tile.
template <class S>
GPUKERN_D void lay_out(const typename S::Ring& ring, int group, const typename S::Accumulators& sum) {
  static_assert(S::BM * S::BN * sizeof(typename S::Sum) <= S::stages * S::stage_bytes);
  constexpr int parts = S::BN / kOut<S>, each = kOut<S> / 2;
  barrier_sync(3, kReaders<S>);  // the other warpgroup may still multiply what lies there
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

// Whether this block stores a part; then its sums, of all ranges.
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

// A block's shared memory ends with it.
GPUKERN_D void everyone_has_read() {
  cluster_arrive();
  cluster_wait();
}

// The cluster's barriers are every thread's: those that have no sums come to both, and rely on nobody's counting a
// thread that has ended.
GPUKERN_D void attend_without_sums() {
  cluster_arrive();
  cluster_wait();
  everyone_has_read();
}

}  // namespace gpukern::gemm::wgmma
