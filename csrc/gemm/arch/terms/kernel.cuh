// float32 products on tensor cores that multiply bfloat16: the operands lie as terms (divide.cuh), and the product is
// the sum of the products of terms.
//
//     x = x0 + x1 / 2^8 + x2 / 2^16       x y = x0 y0 + (x0 y1 + x1 y0) / 2^8 + (x0 y2 + x1 y1 + x2 y0) / 2^16 + ..
//                                                bf16x3 ends here ^           bf16x6 here ^       bf16x9: two more
//
//     k ->   chunk of 256                          chunk of 256
//            x1 y1 | x2 y0 | x0 y2 |/| x1 y0 | x0 y1 |/| x0 y0 |+   x1 y1 | ..        one loop of turns, a tile of k
//            each
//                                   ^                 ^        ^
//                            sums / 2^8        sums / 2^8     totals += sums, sums = 0
//
// It is the loop of sm_80/kernel.cuh with another list of tiles to bring.  What is new is the two sets of sums:
//   - Tensor cores cut what they add.  Within a chunk of k the small products come first and the large ones last, so
//     that nothing small is added to something large before it is whole; a chunk's sums then go to `total`, which is
//     added to in float32, to nearest.  The error of cutting is that of 256 of k, whatever K is.
//   - Products of one order in 2^-8 are added to each other, and divided before the next order is: exactly, unless it
//     leaves the range of float32.
// The chunk is the outer loop and the terms the inner one, not the other way round, so that a chunk's three terms come
// from L2 for as many products as need them.
//
// Infinity and NaN lie in x0.  x0 y0 has them right, every other product may make NaN of them (inf * 0): so sums that
// are not finite are dropped when they are divided, before x0 y0 is added.
//
// Why a pass that writes the terms, and not the division on the way to shared memory: each element is brought by as
// many blocks as there are tiles across, and would be divided in each (32 times at 4096^3, 20 instructions for 6 x 16
// multiply-adds a lane); its four bytes would be brought where six bytes of terms are, but through registers, without
// cp.async.  The pass costs 10 bytes an element of the operands once: a twentieth of bf16x6 at 4096^3.
#pragma once
#include "../../divide.cuh"
#include "../sm_80/kernel.cuh"
#include "tiles.h"

namespace gpukern::gemm::terms {

using sm_80::Bring;
using sm_80::Source;

// The terms of an operand as the product reads them; strides in elements.
struct Matrix {
  const bfloat16_t* at;
  int64_t term, batch, pitch;
};

struct Work {
  sm_80::Work product;  // first: see emit.cuh
  Matrix a, b;
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

// From products of one order to those of the next.
GPUKERN_D float lowered(float sum) { return (bits_of(sum) & ~kSign) < kInfinity ? sum * (1.0f / (1 << kShift)) : 0.0f; }

// Registers for the blocks that an SM shall hold: tiles.h.
template <int BM, int BN, int BK, int WM, int WN, int Stages, bool AlongA, bool AlongB>
GPUKERN_KERNEL GPUKERN_BOUNDS(BM / WM * (BN / WN) * 32, (BM / WM * (BN / WN) > 4 ? 1 : 3))
    product(GPUKERN_GRID_CONST const Work w) {
  using T = bfloat16_t;
  constexpr int threads = BM / WM * (BN / WN) * 32, steps = BK * static_cast<int>(sizeof(T)) / 32;
  constexpr int MI = WM / 16, NI = WN / 8, kTiles = kChunk / BK;
  using TileA = sm_80::Tile<T, BM, BK, threads, AlongA>;
  using TileB = sm_80::Tile<T, BN, BK, threads, AlongB>;
  using At = sm_80::Step<T, 32>;
  static_assert(steps % 2 == 0, "two sets of fragments of B take turns");

  const Problem& p = w.product.ending.p;
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  const int warp_row = warp / (BN / WN) * WM, warp_column = warp % (BN / WN) * WN;

  const TileIndex tile = tile_at(blockIdx.x, ceil_div(p.m, BM), ceil_div(p.n, BN));
  const int64_t slice = w.product.first_batch + tile.batch, batch = slice % w.product.batches;
  const int64_t row0 = tile.row * BM, column0 = tile.column * BN;
  const Range range = range_of(p.k, BK, w.product.splits, static_cast<int>(slice / w.product.batches));
  const int64_t tiles = ceil_div(range.end - range.first, BK);

  const Source from_a{w.a.pitch, 1, Bring::chunks}, from_b{w.b.pitch, 1, Bring::chunks};
  const int64_t along_a = AlongA ? 1 : w.a.pitch, along_b = AlongB ? 1 : w.b.pitch;  // from one k to the next
  TileA a;
  TileB b;
  a.start(w.a.at + batch * w.a.batch + row0 * (AlongA ? w.a.pitch : 1) + range.first * along_a, from_a, p.m - row0);
  b.start(w.b.at + batch * w.b.batch + column0 * (AlongB ? w.b.pitch : 1) + range.first * along_b, from_b,
          p.n - column0);
  const char* const start_a = a.at;
  const char* const start_b = b.at;

  char* const shared = shared_memory();  // Stages of A, then Stages of B
  const auto ask = [&](const Turn& t, int slot) {
    const int64_t k = (t.first + t.tile) * BK;
    const Pair pair = w.pairs[t.pair];
    a.at = start_a + (pair.a * w.a.term + k * along_a) * int64_t(sizeof(T));
    b.at = start_b + (pair.b * w.b.term + k * along_b) * int64_t(sizeof(T));
    const int k_left = left_of(range.end - range.first - k, BK);
    a.copy(shared + slot * TileA::bytes, from_a, k_left);
    b.copy(shared + Stages * TileA::bytes + slot * TileB::bytes, from_b, k_left);
  };

  // A's fragments are read anew where their last product is done, B's into the other set meanwhile.
  typename At::A fa[MI];
  struct Columns {
    typename At::B b[NI / 2][2];
  } even, odd;
  const auto read_a = [&](int i, int slot, int step) {
    sm_80::load_a<T, 32, TileA>(fa[i], shared + slot * TileA::bytes, warp_row + i * 16, step, lane);
  };
  const auto read_b = [&](Columns& into, int slot, int step) {
    const char* const tile_b = shared + Stages * TileA::bytes + slot * TileB::bytes;
#pragma unroll
    for (int j = 0; j < NI / 2; ++j) sm_80::load_b<T, 32, TileB>(into.b[j], tile_b, warp_column + j * 16, step, lane);
  };

  Turn now{0, tiles_of_chunk(tiles, kTiles)}, asked = now;
#pragma unroll 1  // one copy of what asks, not Stages - 1
  for (int s = 0; s < Stages - 1; ++s) {
    if (asked.here > 0) {
      ask(asked, s);
      asked = after(asked, tiles, kTiles, w.count);
    }
    cp_async_commit();
  }
  cp_async_wait<Stages - 2>();
  syncthreads();
  if (now.here > 0) {
    read_b(even, 0, 0);
#pragma unroll
    for (int i = 0; i < MI; ++i) read_a(i, 0, 0);
  }

  float sum[MI][NI][4] = {}, total[MI][NI][4] = {};
  int slot = 0;
  while (now.here > 0) {
    const Turn then = after(now, tiles, kTiles, w.count);
    // Behind the last turn its own first fragments are read once more: they are there, and nobody uses them.
    const int next = then.here == 0 ? slot : slot + 1 == Stages ? 0 : slot + 1;
    const auto take = [&](int step, const Columns& here, Columns& ahead) {
      const bool last = step == steps - 1;
      if (step == 0) {
        if (asked.here > 0) {
          ask(asked, slot == 0 ? Stages - 1 : slot - 1);
          asked = after(asked, tiles, kTiles, w.count);
        }
        cp_async_commit();  // of nothing too: the wait counts groups
      }
      if (last) {
        cp_async_wait<Stages - 2>();
        syncthreads();
      }
      const int from = last ? next : slot, onward = last ? 0 : step + 1;
      read_b(ahead, from, onward);
#pragma unroll
      for (int i = 0; i < MI; ++i) {
#pragma unroll
        for (int j = 0; j < NI; ++j) sm_80::multiply(sum[i][j], fa[i], here.b[j / 2][j % 2], T());
        read_a(i, from, onward);
      }
    };
#pragma unroll
    for (int step = 0; step < steps; step += 2) {
      take(step, even, odd);
      take(step + 1, odd, even);
    }
    if (then.first != now.first) {  // the chunk is whole
#pragma unroll
      for (int i = 0; i < MI; ++i)
#pragma unroll
        for (int j = 0; j < NI; ++j)
#pragma unroll
          for (int e = 0; e < 4; ++e) {
            total[i][j][e] += sum[i][j][e];
            sum[i][j][e] = 0;
          }
    } else if (w.pairs[then.pair].order() < w.pairs[now.pair].order()) {
#pragma unroll
      for (int i = 0; i < MI; ++i)
#pragma unroll
        for (int j = 0; j < NI; ++j)
#pragma unroll
          for (int e = 0; e < 4; ++e) sum[i][j][e] = lowered(sum[i][j][e]);
    }
    slot = next;
    now = then;
  }
  syncthreads();  // the last fragments are read; now the stages are the epilogue's
  sm_80::store<float, MI, WN>(w.product, slice, row0 + warp_row, column0 + warp_column, shared, total);
}

}  // namespace gpukern::gemm::terms
