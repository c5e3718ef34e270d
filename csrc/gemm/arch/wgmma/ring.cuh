// The ring of stages between the warp that loads tiles and the warps that multiply them, and the tiles in their order.
//
//               full[s]: the bytes are there                     empty[s]: all have read them
//     producer ----------------------------------> consumers ----------------------------------> producer
//
// A stage is one tile of A and one of B, 128 bytes of k wide.  Each barrier completes one phase a round of the ring, so
// that a waiting thread needs but the parity of its round.
#pragma once
#include "../../../primitives/tma.h"
#include "../../emit.cuh"
#include "../../schedule.h"
#include "tiles.h"

namespace gpukern::gemm::wgmma {

// A matrix as the kernel loads or stores it: coordinates are (along a line, line, matrix), the last two exchanged
// where matrices lie closer than lines do.
struct Operand {
  TensorMap map;
  bool batched = false, matrices_inside = false;
  int term = 0;  // matrices from one term to the next
};

struct Params {
  EpilogueParams epilogue;  // first: see emit.cuh
  Operand a, b, d;
  uint32_t rows = 0, columns = 0;  // of clusters' tiles
  uint32_t tiles = 0;              // of them in all matrices and ranges of k
  int batches = 0;
  int steps = 0, range_steps = 0;  // stages of k: in all, and of each range but the last
  int cluster = 1;                 // blocks that share an operand
  int ranges = 1;       // of k that the blocks of a cluster add up: then each has one, and no operand is shared
  int products = 1;     // of terms, which are `pairs`
  bool by_tma = false;  // D is the sums times alpha, in the operands' type, and `d` is its map
  terms::Pair pairs[9];
};

// What wgmma multiplies T as; of float8 there are pairs.
template <class T> struct Word {
  using Is = T;
};
template <> struct Word<float> {
  using Is = tf32_t;
};

template <class T, class WordA_, class WordB_, int BM_, int BN_, Consumers Way, Major A, Major B> struct Shape {
  using Type = T;
  using WordA = WordA_;
  using WordB = WordB_;
  using Sum = typename Number<T>::V;
  static constexpr bool in_terms = Way == Consumers::terms;
  using Result = std::conditional_t<in_terms, float, T>;
  static constexpr int BM = BM_, BN = BN_, BK = kSpan / static_cast<int>(sizeof(T));
  static constexpr int step = in_terms ? kTermStep : BK;  // k that consumers take at a time
  static constexpr Major major_a = A, major_b = B;
  static constexpr bool ping_pong = Way == Consumers::ping_pong, promotes = Way == Consumers::promoting;
  static constexpr bool shares_b = BN >= BM;
  static constexpr int stages = stages_of(BM, BN);
  static constexpr int WM = ping_pong ? BM : BM / 2, MI = WM / 64;  // a warpgroup's rows, 64 an instruction
  static constexpr uint32_t a_bytes = BM * kSpan, b_bytes = BN * kSpan, stage_bytes = a_bytes + b_bytes;
  static constexpr uint32_t staging = stages * stage_bytes, barriers = staging + kStaging;
  static constexpr int readers = ping_pong ? 4 : 8;  // warps that read a stage
  static constexpr bool gathers = wgmma::gathers(BM, BN);
};

// Addresses in shared memory.
template <class S> struct Places {
  uint32_t base;
  GPUKERN_D uint32_t a(int slot) const { return base + slot * S::stage_bytes; }
  GPUKERN_D uint32_t b(int slot) const { return a(slot) + S::a_bytes; }
  GPUKERN_D uint32_t full(int slot) const { return base + S::barriers + slot * 8; }
  GPUKERN_D uint32_t empty(int slot) const { return full(slot) + S::stages * 8; }
};

// Where a role is: the next stage, and the parity of its round.
template <int Stages> struct Position {
  int slot = 0;
  uint32_t parity = 0;
  GPUKERN_D void next() {
    if (++slot < Stages) return;
    slot = 0;
    parity ^= 1;
  }
  // Past what another warpgroup consumes.
  GPUKERN_D void skip(int steps) {
    slot += steps;
    parity ^= static_cast<uint32_t>(slot / Stages) & 1;
    slot %= Stages;
  }
};

// One tile of D, and its range of k.
struct Tile {
  int row, column, first_k, steps;
  int batch, slice;  // slice: of the results of all ranges
};

GPUKERN_D uint32_t blocks_together(const Params& w) { return static_cast<uint32_t>(w.cluster * w.ranges); }

// Clusters take tiles in the order of schedule.h; of a pair's two blocks each has one, of more the range of its rank.
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

// Where the scale of row (or column) x lies; tiles.h refuses what 32 bits do not reach.
GPUKERN_D int scale_at(const Scale& s, int x, int block) {
  return (s.group > 1 ? x / kScaleBlock : x) * static_cast<int>(s.x) + block * static_cast<int>(s.k);
}

}  // namespace gpukern::gemm::wgmma
