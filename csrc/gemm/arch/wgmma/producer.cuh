// The producer: one thread of a block, which keeps the ring full.
#pragma once
#include "../../../primitives/dependent_launch.h"
#include "params.cuh"

namespace gpukern::gemm::wgmma {

template <class S> GPUKERN_D void produce(const Params& w, const typename S::Ring& ring, int rank) {
  const bool pair = w.cluster > 1;
  typename S::Position at;
  const uint32_t clusters = gridDim.x / blocks_together(w);
  for (uint32_t index = blockIdx.x / blocks_together(w); index < w.tiles; index += clusters) {
    const Tile tile = tile_of<S>(w, index, rank);
    const auto load = [&](int k, terms::Pair terms) {
      const uint32_t full = ring.full(at.slot), stage = ring.stage(at.slot);
      const primitives::MatrixIndex a{tile.batch, terms.a}, b{tile.batch, terms.b};
      ring.wait_empty(at);
      // The bytes that arrive in this block: both tiles whole, with the half that the peer loads, and with the zeros
      // that TMA writes for what lies outside a matrix.
      mbarrier_arrive_expect_tx(full, S::stage_bytes);
      primitives::load_tile<S::BM, S::major_a>(w.a, stage, tile.row, k, a, full, pair && !S::shares_b, rank);
      primitives::load_tile<S::BN, S::major_b>(w.b, stage + S::a_bytes, tile.column, k, b, full, pair && S::shares_b,
                                               rank);
      at.next();
    };
    for (int step = 0; step < tile.steps; ++step) {
      const int k = tile.first_k + step * S::step;
      if constexpr (S::in_terms) {
        for (int turn = 0; turn < w.products; ++turn)
          for (int part = 0; part < S::step; part += S::BK) load(k + part, w.pairs[turn]);
      } else {
        load(k, {});
      }
    }
  }
  griddepcontrol_launch_dependents();
  // The peer's warps still arrive at this block's barriers: it must not end before they have.
  if (pair)
    for (int slot = 0; slot < S::stages; ++slot, at.next()) ring.wait_empty(at);
}

}  // namespace gpukern::gemm::wgmma
