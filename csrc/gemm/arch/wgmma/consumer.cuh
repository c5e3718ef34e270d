// The role of two warpgroups: to multiply what lies in the ring.
#pragma once
#include "../../../primitives/mbarrier.h"
#include "../../../primitives/wgmma.h"
#include "promotion.cuh"
#include "terms.cuh"

namespace gpukern::gemm::wgmma {

// sum = A B of one tile, at least one stage of k, for this warpgroup's rows.  While one stage is multiplied the next is
// asked for: a stage is free when the products of the one behind it are under way.
template <class S>
GPUKERN_D void multiply_plainly(const Params& w, const Places<S>& place, Position<S::stages>& at, int steps, int group,
                                typename S::Sum (&sum)[S::MI][S::BN / 2]) {
  const uint32_t rows = S::ping_pong ? 0 : group * (S::WM * kSpan);
  int before = 0;
  for (int step = 0; step < steps; ++step) {
    mbarrier_wait_parity(place.full(at.slot), at.parity);
    const uint64_t a = descriptor<S::major_a>(place.a(at.slot) + rows), b = descriptor<S::major_b>(place.b(at.slot));
#pragma unroll
    for (int i = 0; i < S::MI; ++i) wgmma_fence_operand(sum[i]);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < kSpan / 32; ++k)
#pragma unroll
      for (int i = 0; i < S::MI; ++i)
        add_step<S>(sum[i], advance(a, i * (64 * kSpan) + k * kStepBytes<S::major_a>),
                    advance(b, k * kStepBytes<S::major_b>), step > 0 || k > 0);
    wgmma_commit_group();
#pragma unroll
    for (int i = 0; i < S::MI; ++i) wgmma_fence_operand(sum[i]);
    if (step > 0) {
      wgmma_wait_group<1>();
      release<S>(w, place, before);
    }
    before = at.slot;
    at.next();
  }
  wgmma_wait_group<0>();
#pragma unroll
  for (int i = 0; i < S::MI; ++i) wgmma_fence_operand(sum[i]);
  release<S>(w, place, before);
}

template <class S>
GPUKERN_D void multiply(const Params& w, const Places<S>& place, Position<S::stages>& at, const Tile& tile, int group,
                        typename S::Sum (&sum)[S::MI][S::BN / 2]) {
  if constexpr (S::promotes) multiply_promoting(w, place, at, tile, group, sum);
  else if constexpr (S::in_terms) multiply_terms(w, place, at, tile, group, sum);
  else multiply_plainly(w, place, at, tile.steps, group, sum);
}

}  // namespace gpukern::gemm::wgmma
