// float32 products on tensor cores that multiply bfloat16: a pass writes the operands as terms (divide.cuh), and the
// product is the sum of the products of terms.
//
//     x = x0 + x1 / 2^8 + x2 / 2^16       x y = x0 y0 + (x0 y1 + x1 y0) / 2^8 + (x0 y2 + x1 y1 + x2 y0) / 2^16 + ..
//                                                bf16x3 ends here ^           bf16x6 here ^       bf16x9: two more
//
//     k ->   chunk of 256                          chunk of 256
//            x1 y1 | x2 y0 | x0 y2 |/| x1 y0 | x0 y1 |/| x0 y0 |+   x1 y1 | ..        one mainloop, a tile of k a turn
//                                   ^                 ^        ^
//                            sums / 2^8        sums / 2^8     totals += sums, sums = 0
//
// It is the usual mainloop with another list of tiles to load, and a second set of accumulators, `total`:
//   - Tensor cores truncate when they add.  Within a chunk of k small products are added first and large ones last, so
//     that small ones are not lost one by one in a large sum.  The chunk's accumulators are then added to `total` in
//     float32, rounding to nearest.  So the error of truncation is that of 256 of k, whatever K is.
//   - Products of one order in 2^-8 are added to each other, then divided by 2^8 before the next order is added.  The
//     division is exact unless it leaves the range of float32.
// The outer loop is over chunks, the inner one over terms, so that all products of a chunk find its three terms in L2.
//
// Infinity and NaN lie in x0, and x0 y0 is right.  Every other product may turn them into NaN (inf * 0): so
// accumulators that are not finite become 0 in the division, before x0 y0 is added.
//
// Why a pass writes the terms, and blocks do not divide what they load: each element is loaded by as many blocks as
// there are tiles across, and would be divided in each (32 times at 4096^3, 20 instructions for 6 x 16 multiply-adds a
// lane).  Four bytes would be loaded instead of six bytes of terms, but through registers, without cp.async.
// The pass costs 10 bytes an element of the operands once: a twentieth of bf16x6 at 4096^3.
#pragma once
#include "../../divide.cuh"
#include "kernel.cuh"

namespace gpukern::gemm::mma_sync {

using terms::Pair;

// The terms of an operand as the product reads them; strides in elements.
struct TermsOfOperand {
  const bfloat16_t* at;
  int64_t term, batch, pitch;
};

struct TermParams {
  Params product;  // first: see emit.cuh
  TermsOfOperand a, b;
  Pair pairs[9];
  int count;
};

// A turn: one product of terms over one tile of k.
struct Turn {
  int64_t first;  // tiles of k before this chunk
  int here;       // tiles of this chunk; 0 behind the last one
  int tile = 0, pair = 0;
};
GPUKERN_D int tiles_of_chunk(int64_t left, int most) { return left < most ? static_cast<int>(left) : most; }
GPUKERN_D Turn after(Turn t, int64_t tiles, int most, int pairs) {
  if (++t.tile < t.here) return t;
  t.tile = 0;
  if (++t.pair < pairs) return t;
  t.pair = 0;
  t.first += t.here;
  t.here = tiles_of_chunk(tiles - t.first, most);
  return t;
}

// Divides an accumulator by 2^8, from one order of products to the next; infinity and NaN become 0.
GPUKERN_D float lowered(float sum) {
  return (bits_as<uint32_t>(sum) & ~terms::kSign) < terms::kInfinity ? sum * (1.0f / (1 << terms::kShift)) : 0.0f;
}

// All turns in their order, and the second set of accumulators.
template <class Loop, bool AlongA, bool AlongB> struct Turns {
  static constexpr int kTiles = kChunk / Loop::BK;
  const TermParams& w;
  const BlockTile& block;
  const Source from_a, from_b;
  const int64_t along_a, along_b;  // from one k to the next
  typename Loop::TileA a;
  typename Loop::TileB b;
  const char *start_a, *start_b;
  Turn now, loaded, then;
  typename Loop::Accumulators total = {};

  GPUKERN_D Turns(const TermParams& w, const BlockTile& block)
      : w(w),
        block(block),
        from_a{w.a.pitch, 1, LoadMode::chunks},
        from_b{w.b.pitch, 1, LoadMode::chunks},
        along_a(AlongA ? 1 : w.a.pitch),
        along_b(AlongB ? 1 : w.b.pitch),
        now{0, tiles_of_chunk(block.tiles, kTiles)},
        loaded(now) {
    const Problem& p = w.product.epilogue.p;
    a.start(w.a.at + block.batch * w.a.batch + block.row * (AlongA ? w.a.pitch : 1) + block.range.first * along_a,
            from_a, p.m - block.row);
    b.start(w.b.at + block.batch * w.b.batch + block.column * (AlongB ? w.b.pitch : 1) + block.range.first * along_b,
            from_b, p.n - block.column);
    start_a = a.at;
    start_b = b.at;
  }

  GPUKERN_D bool any() const { return now.here > 0; }
  GPUKERN_D bool last() const { return then.here == 0; }
  GPUKERN_D void look_ahead() { then = after(now, block.tiles, kTiles, w.count); }
  GPUKERN_D void load_ahead(char* shared, int, int slot) {
    if (loaded.here <= 0) return;
    const int64_t k = (loaded.first + loaded.tile) * Loop::BK;
    const Pair pair = w.pairs[loaded.pair];
    a.at = start_a + (pair.a * w.a.term + k * along_a) * int64_t(sizeof(bfloat16_t));
    b.at = start_b + (pair.b * w.b.term + k * along_b) * int64_t(sizeof(bfloat16_t));
    const int k_left = left_of(block.range.end - block.range.first - k, Loop::BK);
    a.copy(Loop::stage_a(shared, slot), from_a, k_left);
    b.copy(Loop::stage_b(shared, slot), from_b, k_left);
    loaded = after(loaded, block.tiles, kTiles, w.count);
  }
  GPUKERN_D void advance(typename Loop::Accumulators& sum) {
    if (then.first != now.first) {  // the chunk is whole
#pragma unroll
      for (int i = 0; i < Loop::MI; ++i)
#pragma unroll
        for (int j = 0; j < Loop::NI; ++j)
#pragma unroll
          for (int e = 0; e < 4; ++e) {
            total[i][j][e] += sum[i][j][e];
            sum[i][j][e] = 0;
          }
    } else if (w.pairs[then.pair].order() < w.pairs[now.pair].order()) {
#pragma unroll
      for (int i = 0; i < Loop::MI; ++i)
#pragma unroll
        for (int j = 0; j < Loop::NI; ++j)
#pragma unroll
          for (int e = 0; e < 4; ++e) sum[i][j][e] = lowered(sum[i][j][e]);
    }
    now = then;
  }
};

// T: the type of the problem, which is float.
template <class C, class T, bool AlongA, bool AlongB>
GPUKERN_KERNEL GPUKERN_BOUNDS(C::threads, (blocks_for_registers<C, T>()))
    term_product(GPUKERN_GRID_CONST const TermParams w) {
  using Loop = Mainloop<C, bfloat16_t, AlongA, AlongB, Mma<bfloat16_t, 32>>;
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int warp_row = warp / (C::bn / C::wn) * C::wm, warp_column = warp % (C::bn / C::wn) * C::wn;
  const BlockTile block(w.product, C::bm, C::bn, Loop::BK);
  char* const shared = shared_memory();  // Stages of A, then Stages of B
  Turns<Loop, AlongA, AlongB> turns(w, block);
  typename Loop::Accumulators sum = {};
  Loop::run(shared, turns, warp_row, warp_column, sum);
  store<T, Loop::MI, C::wn>(w.product, block.slice, block.row + warp_row, block.column + warp_column, shared,
                            turns.total);
}

}  // namespace gpukern::gemm::mma_sync
