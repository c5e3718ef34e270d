// One stage of the ring as a warpgroup reads it: descriptors, a step of k, and giving it back.
#pragma once
#include "../../../primitives/cluster.h"
#include "../../../primitives/mbarrier.h"
#include "../../../primitives/wgmma.h"
#include "ring.cuh"

namespace gpukern::gemm::wgmma {

// 64 rows of A's tile, or the whole of B's, as wgmma reads them.  Along k: groups of 8 lines, 1024 bytes apart, and a
// step of 16 elements is 32 bytes further.  Along m or n: groups of 8 k, 1024 bytes apart, the next 64 rows a box
// further, and a step of 16 elements is 16 lines further.
template <Major M> GPUKERN_D uint64_t descriptor(uint32_t tile) {
  return matrix_descriptor(tile, M == Major::k ? 16 : 64 * kSpan, 1024, Swizzle::bytes128);
}
template <Major M> constexpr uint32_t kStepBytes = M == Major::k ? 32 : 16 * kSpan;

// Each warp has read a stage: both blocks may write to it, where they share an operand.
template <class S> GPUKERN_D void release(const Params& w, const Places<S>& place, int slot) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  if (lane >= w.cluster) return;
  if (w.cluster == 1) mbarrier_arrive(place.empty(slot));
  else mbarrier_arrive_cluster(mapa(place.empty(slot), lane));
}

// One step of k, 32 bytes.
template <class S> GPUKERN_D void add_step(typename S::Sum (&sum)[S::BN / 2], uint64_t a, uint64_t b, bool accumulate) {
  using A = typename S::WordA;
  using B = typename S::WordB;
  if constexpr (sizeof(typename S::Type) == 2) gpukern::wgmma<A, S::BN, S::major_a, S::major_b>(sum, a, b, accumulate);
  else gpukern::wgmma<A, B, S::BN>(sum, a, b, accumulate);
}

}  // namespace gpukern::gemm::wgmma
