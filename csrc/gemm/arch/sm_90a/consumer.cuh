// The role of two warpgroups: to multiply what lies in the ring.
#pragma once
#include "ring.cuh"

namespace gpukern::gemm::sm_90a {

// 64 rows of A's tile, or the whole of B's, as wgmma reads them.  Along k: groups of 8 lines, 1024 bytes apart, and a
// step of 16 elements is 32 bytes further.  Along m or n: groups of 8 k, 1024 bytes apart, the next 64 rows a box
// further, and a step of 16 elements is 16 lines further.
template <Major M> GPUKERN_D uint64_t descriptor(uint32_t tile) {
  return matrix_descriptor(tile, M == Major::k ? 16 : 64 * kSpan, 1024, Swizzle::bytes128);
}
template <Major M> constexpr uint32_t kStepBytes = M == Major::k ? 32 : 16 * kSpan;

// Each warp has read a stage: both blocks may write to it, where they share an operand.
template <class S> GPUKERN_D void release(const Work& w, const Places<S>& place, int slot) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  if (lane >= w.cluster) return;
  if (w.cluster == 1) mbarrier_arrive(place.empty(slot));
  else mbarrier_arrive_cluster(mapa(place.empty(slot), lane));
}

// sum = A B of one tile, at least one step of k, for this warpgroup's rows.  While one stage is multiplied the next is
// asked for: a stage is free when the products of the one behind it are under way.
template <class S>
GPUKERN_D void multiply(const Work& w, const Places<S>& place, Position<S::stages>& at, int steps, int group,
                        float (&sum)[S::MI][S::BN / 2]) {
  using T = typename S::Type;
  const uint32_t rows = S::in_turns ? 0 : group * (S::WM * kSpan);
  int before = 0;
  for (int step = 0; step < steps; ++step) {
    mbarrier_wait_parity(place.full(at.slot), at.parity);
    const uint64_t a = descriptor<S::major_a>(place.a(at.slot) + rows), b = descriptor<S::major_b>(place.b(at.slot));
#pragma unroll
    for (int i = 0; i < S::MI; ++i) wgmma_fence_operand(sum[i]);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < S::BK / 16; ++k)
#pragma unroll
      for (int i = 0; i < S::MI; ++i)
        wgmma<T, S::BN, S::major_a, S::major_b>(sum[i], advance(a, i * (64 * kSpan) + k * kStepBytes<S::major_a>),
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

}  // namespace gpukern::gemm::sm_90a
