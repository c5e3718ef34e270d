// The mainloop: tiles of A and B through a ring of stages to accumulators, which it returns; what is done with them is
// the caller's (store.cuh, terms.cuh).
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
// multiplied, across the barrier too; bands of tiles that share L2 (schedule.h); each warp stores its own part, so that
// no block waits for its slowest warp.  Predicted, not yet measured: 0.9 of cuBLAS on sm_80, 0.6 on sm_90, whose own
// instructions are faster.
//
// What one barrier a tile must order.  A stage is loaded again only after every warp has read its last fragments, which
// lie in registers before the warp comes to the barrier in the tile's last step; and a tile is read only after the
// barrier that follows each thread's wait for its own copies.
#pragma once
#include "store.cuh"

namespace gpukern::gemm::mma_sync {

// C: a configuration (kernel.cuh); T: what is loaded; M: what multiplies (fragments.cuh says what it has).
template <class C, class T, bool AlongA, bool AlongB, class M> struct Mainloop {
  static constexpr int BM = C::bm, BN = C::bn, BK = C::deep / static_cast<int>(sizeof(T));
  static constexpr int threads = C::threads, steps = C::deep / M::bytes, MI = C::wm / 16, NI = C::wn / 8;
  static constexpr int Stages = C::stages;
  static_assert(steps % 2 == 0, "two sets of fragments of B take turns");

  using TileA = Tile<T, BM, BK, threads, AlongA>;
  using TileB = Tile<T, BN, BK, threads, AlongB>;
  using Accumulators = typename M::Sum[MI][NI][4];

  // The stage that the tile Stages - 1 ahead goes to: the one before this.
  static GPUKERN_D int before(int slot) {
    if constexpr ((Stages & (Stages - 1)) == 0) return (slot + Stages - 1) % Stages;
    else return slot == 0 ? Stages - 1 : slot - 1;
  }
  static GPUKERN_D char* stage_a(char* shared, int slot) { return shared + slot * TileA::bytes; }
  static GPUKERN_D char* stage_b(char* shared, int slot) {
    return shared + Stages * TileA::bytes + slot * TileB::bytes;
  }

  // tiles: which tiles of k come one after another, and what happens between them (AlongK below; terms.cuh).
  template <class Tiles>
  static GPUKERN_D void run(char* shared, Tiles& tiles, int warp_row, int warp_column, Accumulators& sum) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    // A's fragments are read anew where their last product is done, B's into the other set meanwhile.
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
      // Behind the last tile its own first fragments are read once more: they are there, and nobody uses them.
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

// What a block computes: its tile of D, and which k of it.  A slice is one matrix, or one range of k of one: the ranges
// of all matrices lie behind one another.
struct BlockTile {
  int64_t slice, batch, row, column;
  Range range;
  int64_t tiles;  // of k
  GPUKERN_D BlockTile(const Params& w, int bm, int bn, int bk) {
    const Problem& p = w.ending.p;
    const TileIndex tile = tile_at(blockIdx.x, ceil_div(p.m, bm), ceil_div(p.n, bn));
    slice = w.first_batch + tile.batch, batch = slice % w.batches;
    row = tile.row * bm, column = tile.column * bn;
    range = range_of(p.k, bk, w.splits, static_cast<int>(slice / w.batches));
    tiles = ceil_div(range.end - range.first, bk);
  }
};

// Where a warp's part of D begins, and its matrix or range of one.
struct WarpTile {
  int64_t slice, row, column;
};
// What most tiles of k end with.
struct Nothing {
  template <class Sum> GPUKERN_D void operator()(const WarpTile&, int64_t, bool, Sum&) const {}
};

// One tile of k after another.  after: is told of each by its first k and whether it is the last, and may do what it
// likes to the accumulators.
template <class Loop, class T, class After> struct AlongK {
  const Params& w;
  const BlockTile& block;
  WarpTile here;
  After& after;
  typename Loop::TileA a;
  typename Loop::TileB b;
  int64_t k = 0;  // the present tile

  GPUKERN_D AlongK(const Params& w, const BlockTile& block, const WarpTile& here, After& after)
      : w(w), block(block), here(here), after(after) {
    const Problem& p = w.ending.p;
    const Data& data = w.ending.data;
    const Range& range = block.range;
    a.start(static_cast<const T*>(data.a) + block.batch * p.a.batch + block.row * p.a.row + range.first * p.a.column,
            w.a, p.m - block.row);
    b.start(static_cast<const T*>(data.b) + block.batch * p.b.batch + block.column * p.b.column + range.first * p.b.row,
            w.b, p.n - block.column);
  }

  GPUKERN_D bool any() const { return k < block.tiles; }
  GPUKERN_D bool last() const { return k + 1 == block.tiles; }
  GPUKERN_D void look_ahead() {}
  // Loads the tile that is `ahead` of the present one, if there is one.
  GPUKERN_D void load_ahead(char* shared, int ahead, int slot) {
    if (k + ahead >= block.tiles) return;
    const int64_t left = block.range.end - block.range.first - (k + ahead) * Loop::BK;
    const int k_left = left < Loop::BK ? static_cast<int>(left) : Loop::BK;
    a.copy(Loop::stage_a(shared, slot), w.a, k_left);
    b.copy(Loop::stage_b(shared, slot), w.b, k_left);
  }
  GPUKERN_D void advance(typename Loop::Accumulators& sum) {
    after(here, block.range.first + k * Loop::BK, last(), sum);
    ++k;
  }
};

// What a block does.
template <class C, class T, bool AlongA, bool AlongB, class M, class After = Nothing>
GPUKERN_D void multiply_tile(const Params& w, After after = {}) {
  using Loop = Mainloop<C, T, AlongA, AlongB, M>;
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int warp_row = warp / (C::bn / C::wn) * C::wm, warp_column = warp % (C::bn / C::wn) * C::wn;
  const BlockTile block(w, C::bm, C::bn, Loop::BK);
  const WarpTile here{block.slice, block.row + warp_row, block.column + warp_column};
  char* const shared = shared_memory();  // Stages of A, then Stages of B
  AlongK<Loop, T, After> tiles(w, block, here, after);
  typename Loop::Accumulators sum = {};
  Loop::run(shared, tiles, warp_row, warp_column, sum);
  store<T, Loop::MI, C::wn, M>(w, here.slice, here.row, here.column, shared, sum);
}

}  // namespace gpukern::gemm::mma_sync
