// The mainloop: loads tiles of A and B into a ring of stages, multiplies them, and returns accumulators.  The epilogue
// is the caller's.
//
//             k ->                                   shared memory, a ring of `Stages` tiles of A and of B
//      A  +---+---+---+---+                        +--------+--------+--------+--------+
//         | 0 | 1 | 2 | 3 | ..      cp.async  ->   |  k+3   |   k    |  k+1   |  k+2   |
//         +---+---+---+---+                        +--------+--------+--------+--------+
//                                                   being      being    under way or
//      D  +-------+-------+                         loaded     read     already there
//         | warp0 | warp1 |   a warp: WM x WN of D, in parts of 16 x 8 that one mma.sync adds to
//         +-------+-------+
//
// The ladder, with what others measured for each step on an A100 (bfloat16, 4096^3, TFLOP/s): tiles in shared memory
// and mma.sync 60 -> cp.async 65 -> no bank conflicts (swizzled chunks) 191 -> a ring of stages and ldmatrix 221, of
// cuBLAS's 244.  Beyond it here: the fragments of the next 32 bytes of k are read while the present ones are
// multiplied, across the barrier too; bands of tiles that share L2; each warp stores its own part, so that no
// block waits for its slowest warp.  Predicted, not yet measured: 0.9 of cuBLAS on sm_80, 0.6 on sm_90, whose own
// instructions are faster.
//
// One barrier for each tile orders two things.  A stage is loaded again only after every warp has read its last
// fragments: a warp reads them before it arrives at the barrier, in the tile's last step.  And a tile is read only
// after the barrier that follows each thread's wait for its own copies.
#pragma once
#include "tile.h"

namespace gpukern::primitives {

// C: a block's shape (bm, bn, wm, wn; deep: bytes of k a tile; stages, threads).  T: the type that is loaded.  M: the
// multiplier (its registers A, B and Sum, the bytes of k that a product takes, read_a, read_b and product).
template <class C, class T, bool AlongA, bool AlongB, class M> struct Mainloop {
  static constexpr int BM = C::bm, BN = C::bn, BK = C::deep / static_cast<int>(sizeof(T));
  static constexpr int threads = C::threads, steps = C::deep / M::bytes, MI = C::wm / 16, NI = C::wn / 8;
  static constexpr int Stages = C::stages;
  static_assert(steps % 2 == 0, "two sets of fragments of B take turns");

  using TileA = Tile<T, BM, BK, threads, AlongA>;
  using TileB = Tile<T, BN, BK, threads, AlongB>;
  using Accumulators = typename M::Sum[MI][NI][4];

  // The stage for the tile that is Stages - 1 ahead: the previous stage.
  static GPUKERN_D int before(int slot) {
    if constexpr ((Stages & (Stages - 1)) == 0) return (slot + Stages - 1) % Stages;
    else return slot == 0 ? Stages - 1 : slot - 1;
  }
  static GPUKERN_D char* stage_a(char* shared, int slot) { return shared + slot * TileA::bytes; }
  static GPUKERN_D char* stage_b(char* shared, int slot) {
    return shared + Stages * TileA::bytes + slot * TileB::bytes;
  }

  // tiles: the order of the tiles of k, and what happens between them (any, last, look_ahead, load_ahead, advance).
  template <class Tiles>
  static GPUKERN_D void run(char* shared, Tiles& tiles, int warp_row, int warp_column, Accumulators& sum) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    // A's next fragments are read into the same registers after their last product, B's into the other set meanwhile.
    typename M::A fa[MI];
    struct Columns {
      typename M::B b[NI / 2][2];
    } even, odd;
    const auto read_a = [&](int i, int slot, int step) {
      M::template read_a<TileA>(fa[i], stage_a(shared, slot), warp_row + i * 16, step, lane);
    };
    const auto read_b = [&](Columns& into, int slot, int step) {
      const char* const tile = stage_b(shared, slot);
#pragma unroll
      for (int j = 0; j < NI / 2; ++j) M::template read_b<TileB>(into.b[j], tile, warp_column + j * 16, step, lane);
    };

#pragma unroll 1  // one copy of what loads, not Stages - 1
    for (int s = 0; s < Stages - 1; ++s) {
      tiles.load_ahead(shared, s, s);
      cp_async_commit();
    }
    cp_async_wait<Stages - 2>();
    syncthreads();
    if (tiles.any()) {
      read_b(even, 0, 0);
#pragma unroll
      for (int i = 0; i < MI; ++i) read_a(i, 0, 0);
    }

    int slot = 0;
    while (tiles.any()) {
      tiles.look_ahead();
      // After the last tile its own first fragments are read once more and not used: that needs no branch.
      const int next = tiles.last() ? slot : slot + 1 == Stages ? 0 : slot + 1;
      const auto take = [&](int step, const Columns& here, Columns& ahead) {
        const bool last = step == steps - 1;
        if (step == 0) {
          tiles.load_ahead(shared, Stages - 1, before(slot));
          cp_async_commit();  // of nothing too: the wait counts groups
        }
        if (last) {
          cp_async_wait<Stages - 2>();
          syncthreads();
        }
        const int from = last ? next : slot, then = last ? 0 : step + 1;
        read_b(ahead, from, then);
#pragma unroll
        for (int i = 0; i < MI; ++i) {
#pragma unroll
          for (int j = 0; j < NI; ++j) M::product(sum[i][j], fa[i], here.b[j / 2][j % 2]);
          read_a(i, from, then);
        }
      };
#pragma unroll
      for (int step = 0; step < steps; step += 2) {
        take(step, even, odd);
        take(step + 1, odd, even);
      }
      tiles.advance(sum);
      slot = next;
    }
    syncthreads();  // the last fragments are read; now the stages are the epilogue's
  }
};

}  // namespace gpukern::primitives
