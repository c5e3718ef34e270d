// The mainloop of Hopper's consumers: multiplies tiles of A and B from a ring of stages and returns accumulators.  The
// epilogue is the caller's.  docs/hopper.md follows a tile through it.
#pragma once
#include "ring.h"
#include "tma_tile.h"
#include "wgmma.h"

namespace gpukern::primitives {

// The descriptor of 64 rows of A's tile, or of the whole of B's.  k-major: groups of 8 lines, 1024 bytes apart; a step
// of 16 elements adds 32 bytes.  mn-major: groups of 8 k, 1024 bytes apart; the next 64 rows are a box further; a step
// of 16 elements adds 16 lines.
template <Major M> GPUKERN_D uint64_t descriptor(uint32_t tile) {
  return matrix_descriptor(tile, M == Major::k ? 16 : 64 * kSpan, 1024, Swizzle::bytes128);
}
template <Major M> constexpr uint32_t kStepBytes = M == Major::k ? 32 : 16 * kSpan;

// A warpgroup's part of a tile: MI times 64 rows of BN columns.  T: the type that is loaded.  WordA, WordB: the types
// that wgmma multiplies.
template <class T_, class WordA_, class WordB_, class Sum_, int MI_, int BN_, Major A, Major B> struct WarpgroupTile {
  using T = T_;
  using WordA = WordA_;
  using WordB = WordB_;
  using Sum = Sum_;
  static constexpr int MI = MI_, BN = BN_;
  static constexpr Major major_a = A, major_b = B;
  using Accumulators = Sum[MI][BN / 2];
};

// One step of k, 32 bytes, of 64 rows.
template <class W> GPUKERN_D void add_step(typename W::Sum (&sum)[W::BN / 2], uint64_t a, uint64_t b, bool accumulate) {
  using A = typename W::WordA;
  using B = typename W::WordB;
  if constexpr (sizeof(typename W::T) == 2) wgmma<A, W::BN, W::major_a, W::major_b>(sum, a, b, accumulate);
  else wgmma<A, B, W::BN>(sum, a, b, accumulate);
}

// sum = A B of `steps` stages, at least one, from `at` on.  The products of two stages overlap: a stage is released
// once the next stage's are issued and its own are complete.  a, b: the offsets in a stage of the warpgroup's rows and
// of the columns.
template <class W, class Ring>
GPUKERN_D void multiply_stages(const Ring& ring, Position<Ring::stages>& at, int steps, uint32_t a_rows,
                               uint32_t b_columns, typename W::Accumulators& sum) {
  int before = 0;
  for (int step = 0; step < steps; ++step) {
    ring.wait_full(at);
    const uint64_t a = descriptor<W::major_a>(ring.stage(at.slot) + a_rows);
    const uint64_t b = descriptor<W::major_b>(ring.stage(at.slot) + b_columns);
#pragma unroll
    for (int i = 0; i < W::MI; ++i) wgmma_fence_operand(sum[i]);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < kSpan / 32; ++k)
#pragma unroll
      for (int i = 0; i < W::MI; ++i)
        add_step<W>(sum[i], advance(a, i * (64 * kSpan) + k * kStepBytes<W::major_a>),
                    advance(b, k * kStepBytes<W::major_b>), step > 0 || k > 0);
    wgmma_commit_group();
#pragma unroll
    for (int i = 0; i < W::MI; ++i) wgmma_fence_operand(sum[i]);
    if (step > 0) {
      wgmma_wait_group<1>();
      ring.release(before);
    }
    before = at.slot;
    at.next();
  }
  wgmma_wait_group<0>();
#pragma unroll
  for (int i = 0; i < W::MI; ++i) wgmma_fence_operand(sum[i]);
  ring.release(before);
}

}  // namespace gpukern::primitives
