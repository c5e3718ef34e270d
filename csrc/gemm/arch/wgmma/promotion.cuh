// float8 with promotion: tensor cores keep 14 bits of what they add, so the accumulators of each stage (128 of k) start
// from zero, and ordinary cores add them to a second, float32 set.  A stage is also a block of scales, if blocks have
// any.
#pragma once
#include "params.cuh"

namespace gpukern::gemm::wgmma {

// The scales of this stage.  Rows: of the thread's two rows of 64.  Columns: one for all, where a group of 128 columns
// shares it (the tile is no wider); else a lane holds every 32nd from its own on, and others read these by a shuffle.
// Each: whether columns may have scales of their own; warpgroups of 128 rows lack the registers (tiles.h refuses it).
template <int BN, bool Each> struct StageScales {
  static constexpr int count = Each ? ceil_div(BN, 32) : 1;
  float rows[2], columns[count];
  bool alike;
};
template <int BN, bool Each>
GPUKERN_D StageScales<BN, Each> stage_scales(const EpilogueParams& w, int row, int column0, int block) {
  const Problem& p = argument(w).p;
  const Data& data = argument(w).data;
  const Scale &a = p.scaling.a, &b = p.scaling.b;
  StageScales<BN, Each> s{{1, 1}, {1}, true};
  if (!p.scaling.blocks()) return s;
  if constexpr (Each) s.alike = b.group > 1 || b.x == 0;
#pragma unroll
  for (int h = 0; h < 2; ++h) s.rows[h] = row + h * 8 < p.m ? data.scale_a[scale_at(a, row + h * 8, block)] : 0;
#pragma unroll
  for (int i = 0; i < s.count; ++i) {
    const int column = column0 + (s.alike ? 0 : i * 32 + static_cast<int>(threadIdx.x % 32));
    s.columns[i] = column < p.n ? data.scale_b[scale_at(b, column, block)] : 0;
  }
  return s;
}

// total += scale * part.
template <int BN, bool Each>
GPUKERN_D void promote(const StageScales<BN, Each>& s, const float (&part)[BN / 2], float (&total)[BN / 2]) {
  if (!Each || s.alike) {
    const float by[2] = {s.rows[0] * s.columns[0], s.rows[1] * s.columns[0]};
#pragma unroll
    for (int i = 0; i < BN / 2; ++i) total[i] += by[i / 2 % 2] * part[i];
    return;
  }
  const int first = static_cast<int>(threadIdx.x % 4) * 2;
#pragma unroll
  for (int i = 0; i < BN / 2; i += 4)
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const float scale = shfl(s.columns[Each ? i / 16 : 0], i * 2 % 32 + first + e);
      total[i + e] += s.rows[0] * scale * part[i + e];
      total[i + 2 + e] += s.rows[1] * scale * part[i + 2 + e];
    }
}

// sum = A B of one tile, for this warpgroup's rows, 64 at a time: there are registers for no more.  While these are
// promoted, the other warpgroup multiplies.
template <class S>
GPUKERN_D void multiply_promoting(const Params& w, const typename S::Ring& ring, typename S::Position& at,
                                  const Tile& tile, int group, typename S::Accumulators& sum) {
  using primitives::descriptor;
  static_assert(S::BK == kScaleBlock);
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32 % 4);
  const int row = tile.row + group * S::WM + warp * 16 + lane / 4;
#pragma unroll
  for (int i = 0; i < S::MI; ++i)
#pragma unroll
    for (int e = 0; e < S::BN / 2; ++e) sum[i][e] = 0;
  for (int step = 0; step < tile.steps; ++step, at.next()) {
    const int block = tile.first_k / kScaleBlock + step;
    ring.wait_full(at);
    const uint64_t b = descriptor<Major::k>(ring.stage(at.slot) + S::a_bytes);
#pragma unroll
    for (int i = 0; i < S::MI; ++i) {
      const uint64_t a = descriptor<Major::k>(ring.stage(at.slot) + S::rows_of(group, i));
      float part[S::BN / 2];
      wgmma_fence_operand(part);
      wgmma_fence();
#pragma unroll
      for (int k = 0; k < kSpan / 32; ++k)
        primitives::add_step<typename S::Part>(part, advance(a, k * 32), advance(b, k * 32), k > 0);
      wgmma_commit_group();
      wgmma_fence_operand(part);
      const auto scales = stage_scales<S::BN, S::MI == 1>(w.epilogue, row + i * 64, tile.column, block);
      wgmma_wait_group<0>();
      wgmma_fence_operand(part);
      if (i == S::MI - 1) ring.release(at.slot);
      promote(scales, part, sum[i]);
    }
  }
}

}  // namespace gpukern::gemm::wgmma
