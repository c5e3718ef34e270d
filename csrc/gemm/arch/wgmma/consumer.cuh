// The consumers: two warpgroups, which multiply the stages of the ring.
#pragma once
#include "promotion.cuh"
#include "terms.cuh"

namespace gpukern::gemm::wgmma {

// sum = A B of one tile, for this warpgroup's rows and at least one stage of k.
template <class S>
GPUKERN_D void multiply(const Params& w, const typename S::Ring& ring, typename S::Position& at, const Tile& tile,
                        int group, typename S::Accumulators& sum) {
  if constexpr (S::promotes) multiply_promoting<S>(w, ring, at, tile, group, sum);
  else if constexpr (S::in_terms) multiply_terms<S>(w, ring, at, tile, group, sum);
  else primitives::multiply_stages<typename S::Part>(ring, at, tile.steps, S::rows_of(group), S::a_bytes, sum);
}

}  // namespace gpukern::gemm::wgmma
