// The product on Hopper: TMA loads tiles into a ring, wgmma multiplies them from there, and TMA stores D.
//
//     warpgroup 0, one thread   | t0: k0 k1 k2 .. | t1: k0 k1 ..        loads stages, as long as there are free ones
//                               |   ring of stages, full / empty barriers
//     warpgroup 1  cooperative  |    rows 0..63 of t0     | store | rows 0..63 of t1    | store
//     warpgroup 2               |    rows 64..127 of t0   | store | rows 64..127 of t1  | store
//
//     warpgroup 1  ping-pong    |  t0            | store t0      |  t2
//     warpgroup 2               |  waits         |  t1           | store t1       |  t3
//
// A block stays on its SM: of n blocks, block b has the tiles b, b + n, b + 2n, ..  The producer loads the next tile's
// stages while the last one is stored.  docs/hopper.md follows one tile through all of this.
#pragma once
#include "../../../primitives/dependent_launch.h"
#include "../../../primitives/named_barrier.h"
#include "../../../primitives/registers.h"
#include "consumer.cuh"
#include "epilogue.cuh"
#include "producer.cuh"

namespace gpukern::gemm::wgmma {

// Ping-pong: a warpgroup waits at named barrier 1 or 2 until it is its turn to multiply.
GPUKERN_D void wait_for_turn(int group) { barrier_sync(1 + group, 256); }
GPUKERN_D void give_turn(int group) { barrier_arrive(1 + group, 256); }

template <class S> GPUKERN_D void consume(const Params& w, const typename S::Ring& ring, int group, int rank) {
  const int warp = static_cast<int>(threadIdx.x / 32 % 4);
  const uint32_t mine = S::staging + (group * 4 + warp) * 4096;
  const uint32_t clusters = gridDim.x / blocks_together(w), first = blockIdx.x / blocks_together(w);
  typename S::Accumulators sum;
  typename S::Position at;
  if (S::ping_pong && group == 1 && first < w.tiles) give_turn(0);  // warpgroup 0 multiplies first
  int turn = 0;
  uint32_t other = 0;
  for (uint32_t index = first; index < w.tiles; index += clusters, turn ^= 1) {
    const Tile tile = tile_of<S>(w, index, rank);
    if (S::ping_pong) {
      if (turn != group) {
        at.skip(tile.steps);
        if (S::gathers && w.ranges > 1) attend_without_sums();
        continue;
      }
      // Not only for speed: a parity tells rounds apart only for a reader that is at most one round behind.
      wait_for_turn(group);
    }
    multiply<S>(w, ring, at, tile, group, sum);
    if (S::ping_pong && index + clusters < w.tiles) give_turn(group ^ 1);
    if (S::gathers && w.ranges > 1) lay_out<S>(ring, group, sum);
    const int row0 = tile.row + (S::ping_pong ? 0 : group * S::WM) + warp * 16;
    if constexpr (sizeof(typename S::Result) == 2) {
      if (w.by_tma) {
        store_by_tma<S>(w, tile, row0, ring.base + mine, other, sum);
        continue;
      }
    }
    store_by_threads<S>(w, ring, tile, group, rank, row0, reinterpret_cast<typename S::Sum*>(shared_memory() + mine),
                        sum);
    if (S::gathers && w.ranges > 1) everyone_has_read();
  }
  if (w.by_tma) bulk_wait_group<0>();  // TMA still reads shared memory, which ends with the block
}

template <int BM, int BN, Consumers Way> struct TileConfiguration {
  static constexpr int bm = BM, bn = BN;
  static constexpr Consumers consumers = Way;
};
#define GPUKERN_CONFIGURATION(ID, TYPES, BM, BN, CONSUMERS) \
  struct ID : TileConfiguration<BM, BN, Consumers::CONSUMERS> {};
GPUKERN_WGMMA_TILES(GPUKERN_CONFIGURATION)
#undef GPUKERN_CONFIGURATION

// One for each configuration, type and layout; its demangled name shows which: product<w256x128, ..>.
template <class C, class T, class WordA, class WordB, Major A, Major B>
GPUKERN_KERNEL GPUKERN_BOUNDS(kThreads) product(GPUKERN_GRID_CONST const Params w) {
  using S = Shape<C, T, WordA, WordB, A, B>;
  const typename S::Ring ring{shared_address(shared_memory()), w.cluster};
  const int rank = blocks_together(w) > 1 ? static_cast<int>(cluster_rank()) : 0;
  if (threadIdx.x == 0) {
    prefetch_tensormap(&w.a.map);
    prefetch_tensormap(&w.b.map);
    if (w.by_tma) prefetch_tensormap(&w.d.map);
    ring.init(S::readers);
  }
  if (w.cluster > 1) {  // the peer's barriers too
    cluster_arrive();
    cluster_wait();
  } else {
    syncthreads();
  }
  griddepcontrol_wait();  // until here nothing has touched what an earlier kernel may still write or read
  // 168 registers a thread at the start; 40 and 232 are 64,512 of 65,536 in all.
  const int group = static_cast<int>(threadIdx.x / 128);
  if (group == 0) {
    setmaxnreg_dec<40>();
    if (threadIdx.x == 0) produce<S>(w, ring, rank);
    if (S::gathers && w.ranges > 1) {
      syncwarp();  // cluster barriers are `.aligned`: all lanes must execute them together
      attend_without_sums();
    }
  } else {
    setmaxnreg_inc<232>();
    consume<S>(w, ring, group - 1, rank);
  }
}

}  // namespace gpukern::gemm::wgmma
