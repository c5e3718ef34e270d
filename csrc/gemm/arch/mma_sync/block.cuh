// What a block does: it computes its tile of D in a mainloop over tiles of k, then runs the epilogue.
#pragma once
#include "../../../primitives/mainloop.h"
#include "../../schedule.h"
#include "store.cuh"

namespace gpukern::gemm::mma_sync {

// What a block computes: its tile of D, and its range of k.  Slices number the ranges of k of all matrices: first the
// first range of every matrix, then the second.
struct BlockTile {
  int64_t slice, batch, row, column;
  Range range;
  int64_t tiles;  // of k
  GPUKERN_D BlockTile(const Params& w, int bm, int bn, int bk) {
    const Problem& p = w.epilogue.p;
    const TileIndex tile = tile_at(blockIdx.x, ceil_div(p.m, bm), ceil_div(p.n, bn));
    slice = w.first_batch + tile.batch, batch = slice % w.batches;
    row = tile.row * bm, column = tile.column * bn;
    range = range_of(p.k, bk, w.splits, static_cast<int>(slice / w.batches));
    tiles = ceil_div(range.end - range.first, bk);
  }
};

// The corner of a warp's part of D, and its slice.
struct WarpTile {
  int64_t slice, row, column;
};
// What most multipliers do after a tile of k.
struct Nothing {
  template <class Sum> GPUKERN_D void operator()(const WarpTile&, int64_t, bool, Sum&) const {}
};

// The tiles of k in their order.  after: called after each tile with its first k and whether it is the last; it may
// change the accumulators.
template <class Loop, class T, class After> struct AlongK {
  const Params& w;
  const BlockTile& block;
  WarpTile here;
  After& after;
  typename Loop::TileA a;
  typename Loop::TileB b;
  int64_t k = 0;  // the index of the present tile

  GPUKERN_D AlongK(const Params& w, const BlockTile& block, const WarpTile& here, After& after)
      : w(w), block(block), here(here), after(after) {
    const Problem& p = w.epilogue.p;
    const Data& data = w.epilogue.data;
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
