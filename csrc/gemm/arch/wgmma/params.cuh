// The kernel's parameters, the shape that a configuration gives it, and the tiles of D in their order.
#pragma once
#include "../../../primitives/wgmma_mainloop.h"
#include "../../emit.cuh"
#include "../../schedule.h"
#include "tiles.h"

namespace gpukern::gemm::wgmma {

using primitives::TmaMatrix;

struct Params {
  EpilogueParams epilogue;  // first: see emit.cuh
  TmaMatrix a, b, d;
  uint32_t rows = 0, columns = 0;  // of tiles; one is what a cluster computes at a time
  uint32_t tiles = 0;              // in all matrices and ranges of k
  int batches = 0;
  int steps = 0, range_steps = 0;  // stages of k: in all, and of each range but the last
  int cluster = 1;                 // blocks that share an operand
  int ranges = 1;       // of k that the blocks of a cluster add up: then each has one, and no operand is shared
  int products = 1;     // of terms, which are `pairs`
  bool by_tma = false;  // TMA stores D: accumulators times alpha, in the operands' type; `d` is its map
  terms::Pair pairs[9];
};

// The type that wgmma multiplies T as; for float8 it is one of each operand.
template <class T> struct Word {
  using Is = T;
};
template <> struct Word<float> {
  using Is = tf32_t;
};

// C: the configuration.  T_: the type of the product.
template <class C, class T_, class WordA, class WordB, Major A, Major B> struct Shape {
  static constexpr Consumers way = C::consumers;
  static constexpr bool in_terms = way == Consumers::terms;
  using T = std::conditional_t<in_terms, bfloat16_t, T_>;  // as it is loaded
  using Sum = typename Number<T>::V;
  using Result = std::conditional_t<in_terms, float, T>;
  static constexpr int BM = C::bm, BN = C::bn, BK = kSpan / static_cast<int>(sizeof(T));
  static constexpr int step = in_terms ? kTermStep : BK;  // k that consumers take at a time
  static constexpr Major major_a = A, major_b = B;
  static constexpr bool ping_pong = way == Consumers::ping_pong, promotes = way == Consumers::promoting;
  static constexpr bool shares_b = BN >= BM;
  static constexpr int stages = stages_of(BM, BN);
  static constexpr int WM = ping_pong ? BM : BM / 2, MI = WM / 64;  // a warpgroup's rows, 64 an instruction
  static constexpr uint32_t a_bytes = BM * kSpan, b_bytes = BN * kSpan, stage_bytes = a_bytes + b_bytes;
  static constexpr uint32_t staging = stages * stage_bytes, barriers = staging + kStaging;
  static constexpr int readers = ping_pong ? 4 : 8;  // warps that read a stage
  static constexpr bool gathers = wgmma::gathers(BM, BN);
  using Part = primitives::WarpgroupTile<T, WordA, WordB, Sum, MI, BN, A, B>;  // a warpgroup's
  using Accumulators = typename Part::Accumulators;
  using Ring = primitives::Ring<stages, stage_bytes, barriers>;
  using Position = primitives::Position<stages>;
  // A's tile lies first in a stage.  The offset in it of a warpgroup's i-th 64 rows:
  static GPUKERN_D uint32_t rows_of(int group, int i = 0) {
    return static_cast<uint32_t>(((ping_pong ? 0 : group * WM) + i * 64) * kSpan);
  }
};

// One tile of D, and its range of k.
struct Tile {
  int row, column, first_k, steps;
  int batch, slice;  // slice: which result of all ranges and matrices
};

GPUKERN_D uint32_t blocks_together(const Params& w) { return static_cast<uint32_t>(w.cluster * w.ranges); }

// Clusters take tiles in the order of schedule.h.  Each block of a pair has one of the two tiles; where a cluster adds
// up ranges of k, each block has the range of its rank.
template <class S> GPUKERN_D Tile tile_of(const Params& w, uint32_t index, int of_cluster) {
  const int rank = w.ranges > 1 ? 0 : of_cluster;
  const TileIndexOf<uint32_t> at = tile_in_bands(index, w.rows, w.columns);
  const int row = static_cast<int>(at.row) * (S::shares_b ? w.cluster : 1) + (S::shares_b ? rank : 0);
  const int column = static_cast<int>(at.column) * (S::shares_b ? 1 : w.cluster) + (S::shares_b ? 0 : rank);
  const int slice = static_cast<int>(at.batch);
  const int first = (w.ranges > 1 ? of_cluster : slice / w.batches) * w.range_steps;
  return {row * S::BM,       column * S::BN, first * S::step, min_of(w.steps - first, w.range_steps),
          slice % w.batches, slice};
}

// The offset of the scale of row (or column) x; tiles.h refuses strides that need more than 32 bits.
GPUKERN_D int scale_at(const Scale& s, int x, int block) {
  return (s.group > 1 ? x / kScaleBlock : x) * static_cast<int>(s.x) + block * static_cast<int>(s.k);
}

}  // namespace gpukern::gemm::wgmma
