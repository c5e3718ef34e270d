// float32 as bfloat16 terms (../../divide.cuh): all products of terms over 128 of k, from the smallest on, then over
// the next 128.  Tensor cores truncate when they add, so each product of 128 of k starts from zero, and ordinary cores
// add it to a second set of float32 accumulators, rounding to nearest.  128 and not 64: that halves these additions,
// and leaves two of the four stages to be loaded meanwhile.
#pragma once
#include "../../divide.cuh"
#include "params.cuh"

namespace gpukern::gemm::wgmma {

// total += part / 2^(8 order).  Infinity and NaN lie in the first terms, and the product of these is right.  The other
// products may turn infinity into NaN, so only their finite numbers are added.  Each number is tested by itself: one
// test for all takes 64 instructions less, but more registers than 128 + 64 accumulators leave.
template <int N> GPUKERN_D void add_product(int order, const float (&part)[N], float (&total)[N]) {
  constexpr float largest = 3.40282347e38f;
  const float by = bits_as<float>((127u - terms::kShift * order) << 23);
#pragma unroll
  for (int i = 0; i < N; ++i)
    if (order == 0 || fabsf(part[i]) <= largest) total[i] += by * part[i];  // a comparison and a multiply-add under it
}

// sum = A B of one tile, for this warpgroup's rows, 64 at a time as in promotion.cuh.
template <class S>
GPUKERN_D void multiply_terms(const Params& w, const typename S::Ring& ring, typename S::Position& at, const Tile& tile,
                              int group, typename S::Accumulators& sum) {
  using primitives::descriptor, primitives::kStepBytes;
  constexpr int stages = S::step / S::BK;
  static_assert(stages == 2);
#pragma unroll
  for (int i = 0; i < S::MI; ++i)
#pragma unroll
    for (int e = 0; e < S::BN / 2; ++e) sum[i][e] = 0;
  for (int step = 0; step < tile.steps; ++step)
#pragma unroll 1
    for (int turn = 0; turn < w.products; ++turn) {
      typename S::Position here[stages] = {at, at};
      here[1].next();  // both stages are waited for first: a wait in between would split the group of instructions
#pragma unroll
      for (int half = 0; half < stages; ++half) ring.wait_full(here[half]);
#pragma unroll
      for (int i = 0; i < S::MI; ++i) {
        float part[S::BN / 2];
        wgmma_fence_operand(part);
        wgmma_fence();
#pragma unroll
        for (int half = 0; half < stages; ++half) {
          const uint32_t stage = ring.stage(here[half].slot);
          const uint64_t a = descriptor<S::major_a>(stage + S::rows_of(group, i));
          const uint64_t b = descriptor<S::major_b>(stage + S::a_bytes);
#pragma unroll
          for (int k = 0; k < kSpan / 32; ++k)
            primitives::add_step<typename S::Part>(part, advance(a, k * kStepBytes<S::major_a>),
                                                   advance(b, k * kStepBytes<S::major_b>), half > 0 || k > 0);
        }
        wgmma_commit_group();
        wgmma_fence_operand(part);
        wgmma_wait_group<0>();
        wgmma_fence_operand(part);
        if (i == S::MI - 1)
#pragma unroll
          for (int half = 0; half < stages; ++half) ring.release(here[half].slot);
        add_product(w.pairs[turn].order(), part, sum[i]);
      }
      at = here[1];
      at.next();
    }
}

}  // namespace gpukern::gemm::wgmma
