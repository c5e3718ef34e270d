// The role of one thread of a block: to keep the ring full.
#pragma once
#include "../../../primitives/dependent_launch.h"
#include "../../../primitives/mbarrier.h"
#include "../../../primitives/tma.h"
#include "ring.cuh"

namespace gpukern::gemm::wgmma {

// Of which matrix; `term` of those that lie as terms.
struct Place {
  int batch, term;
};

// One box, from (along, line) of a matrix; to this block, or to both of the cluster.
GPUKERN_D void load_box(const Operand& o, uint32_t to, int along, int line, Place from, uint32_t full, bool both) {
  const int matrix = (o.batched ? from.batch : 0) + from.term * o.term;
  const int at[3] = {along, o.matrices_inside ? matrix : line, o.matrices_inside ? line : matrix};
  if (both) tma_load_multicast(to, &o.map, at, full, 3);
  else tma_load(to, &o.map, at, full);
}

// The tile of X rows of A (or columns of B) from x on and of one stage of k; or, where both blocks share it, the half
// that this one loads: along k half of the lines, else half of the k.  Along x a box is 64 wide, and X / 64 of them
// lie behind one another.
template <int X, Major M>
GPUKERN_D void load_tile(const Operand& o, uint32_t to, int x, int k, Place from, uint32_t full, bool both, int rank) {
  if constexpr (M == Major::k) {
    const int first = both ? rank * (X / 2) : 0;
    load_box(o, to + first * kSpan, k, x + first, from, full, both);
  } else {
    const int first = both ? rank * 32 : 0;
#pragma unroll
    for (int i = 0; i < X / 64; ++i)
      load_box(o, to + i * (64 * kSpan) + first * kSpan, x + i * 64, k + first, from, full, both);
  }
}

template <class S> GPUKERN_D void produce(const Params& w, const Places<S>& place, int rank) {
  const bool pair = w.cluster > 1;
  Position<S::stages> at;
  const uint32_t clusters = gridDim.x / blocks_together(w);
  for (uint32_t index = blockIdx.x / blocks_together(w); index < w.tiles; index += clusters) {
    const Tile tile = tile_of<S>(w, index, rank);
    const auto ask = [&](int k, terms::Pair terms) {
      const uint32_t full = place.full(at.slot);
      const Place a{tile.batch, terms.a}, b{tile.batch, terms.b};
      mbarrier_wait_parity(place.empty(at.slot), at.parity ^ 1);
      // What arrives here: both operands whole, the peer's half and what lies outside the matrices (zeros) included.
      mbarrier_arrive_expect_tx(full, S::stage_bytes);
      load_tile<S::BM, S::major_a>(w.a, place.a(at.slot), tile.row, k, a, full, pair && !S::shares_b, rank);
      load_tile<S::BN, S::major_b>(w.b, place.b(at.slot), tile.column, k, b, full, pair && S::shares_b, rank);
      at.next();
    };
    for (int step = 0; step < tile.steps; ++step) {
      const int k = tile.first_k + step * S::step;
      if constexpr (S::in_terms) {
        for (int turn = 0; turn < w.products; ++turn)
          for (int part = 0; part < S::step; part += S::BK) ask(k + part, w.pairs[turn]);
      } else {
        ask(k, {});
      }
    }
  }
  griddepcontrol_launch_dependents();
  // The peer's warps may still arrive here: this block must not end before they have.
  if (pair)
    for (int slot = 0; slot < S::stages; ++slot, at.next()) mbarrier_wait_parity(place.empty(at.slot), at.parity ^ 1);
}

}  // namespace gpukern::gemm::wgmma
