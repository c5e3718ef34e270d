// The epilogue.  A warp has 16 of each 64 rows of its warpgroup, and 4 KB of shared memory of its own: it never waits
// for another warp.
//
// store_by_tma (D is alpha A B, rounded): stmatrix writes swizzled boxes of 16 rows, and TMA stores them to D while the
// warp multiplies the next tile.  Two boxes alternate.  TMA drops what lies outside D.
//
// store_by_threads (all else: other epilogues, other types, a D that TMA cannot store): the accumulators go through a
// slab in the same memory, so that a thread has neighbours of one row (or column) of D.  Then emit.cuh, as for every
// product.
#pragma once
#include "../../../primitives/rotate.h"
#include "../../../primitives/tma.h"
#include "../../../primitives/warp_store.h"
#include "../../parts.cuh"
#include "ranges.cuh"

namespace gpukern::gemm::wgmma {

constexpr uint32_t kBox = 2048;  // of a warp's two

// other: the offset of the next box, 0 or kBox; the boxes alternate across tiles too.
template <class S>
GPUKERN_D void store_by_tma(const Params& w, const Tile& t, int row0, uint32_t mine, uint32_t& other,
                            const typename S::Accumulators& sum) {
  constexpr int parts = S::BN / kOut<S>, each = kOut<S> / 2;
  const float alpha = static_cast<float>(w.epilogue.p.epilogue.alpha);
  const bool leads = threadIdx.x % 32 == 0;
#pragma unroll
  for (int i = 0; i < S::MI; ++i)
#pragma unroll
    for (int part = 0; part < parts; ++part) {
      const uint32_t box = mine + other;
      other ^= kBox;
      if (leads) bulk_wait_group_read<1>();  // the last store from this box has read it
      syncwarp();
      primitives::fill_box<typename S::T, kOut<S>>(box, alpha, sum[i], part * each);
      fence_proxy_async_shared();
      syncwarp();
      if (leads) {
        const int row = row0 + i * 64, matrix = w.d.batched ? t.batch : 0;
        const int at[3] = {t.column + part * kOut<S>, w.d.matrices_inside ? matrix : row,
                           w.d.matrices_inside ? row : matrix};
        tma_store(&w.d.map, at, box);
        bulk_commit_group();
      }
    }
}

// v: neighbours from (row, column) on.  Promotion has multiplied by the scales of blocks of k already (promotion.cuh).
GPUKERN_D void scale_whole(const EpilogueParams& w, int row, int column, float (&v)[4]) {
  const Problem& p = argument(w).p;
  if (p.scaling.blocks()) return;
#pragma unroll
  for (int e = 0; e < 4; ++e) {
    const int r = row + (w.down ? e : 0), c = column + (w.down ? 0 : e);
    if (r < p.m && c < p.n)
      v[e] *= w.data.scale_a[scale_at(p.scaling.a, r, 0)] * w.data.scale_b[scale_at(p.scaling.b, c, 0)];
  }
}

template <class S>
GPUKERN_D void store_by_threads(const Params& w, const typename S::Ring& ring, const Tile& t, int group, int rank,
                                int row0, typename S::Sum* slab, typename S::Accumulators& sum) {
  using T = typename S::Result;
  using V = typename S::Sum;
  constexpr bool summed = std::is_same_v<V, float>;
  constexpr int out = kOut<S>, parts = S::BN / out;
  const int lane = static_cast<int>(threadIdx.x % 32);
  V total[4] = {};  // a thread's packets lie below one another (or side by side), so it has one sum an element
#pragma unroll 1
  for (int c = 0; c < S::MI * parts; ++c, rotate<out / 2>(sum)) {
    if (S::gathers && w.ranges > 1 && !gather<S>(w, ring, group, c, rank, sum[0])) continue;
    const int row = row0 + c / parts * 64, column = t.column + c % parts * out;
    syncwarp();
    primitives::fill_slab<out>(slab, sum[0]);
    syncwarp();
#pragma unroll 1
    for (int q = lane; q < 16 * out / 4; q += 32) {  // one copy of what follows, for both directions
      int r = q / (out / 4), x = q % (out / 4) * 4;
      V v[4];
      if (w.epilogue.down) {
        r = q % 4 * 4, x = q / 4;
        primitives::read_column<out>(slab, r, x, v);
      } else {
        primitives::read_row<out>(slab, r, x, v);
      }
      if constexpr (std::is_same_v<T, float8_t>) scale_whole(w.epilogue, row + r, column + x, v);
      const bool stored = emit<T, true>(w.epilogue, t.slice, row + r, column + x, v);
      if (summed && stored && w.epilogue.data.parts) {
#pragma unroll
        for (int e = 0; e < 4; ++e) total[e] += v[e];
      }
    }
    if constexpr (summed)
      if (w.epilogue.data.parts) store_part<16, out>(w.epilogue, row, column, w.epilogue.down ? 4 : out / 4, total);
  }
}

}  // namespace gpukern::gemm::wgmma
