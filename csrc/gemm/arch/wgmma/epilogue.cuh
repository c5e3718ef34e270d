// From sums to D.  A warp has 16 rows of each 64 of its warpgroup, and 4 KB of shared memory of its own: nothing here
// waits for another warp.
//
// The plain way (D is the sums times alpha, rounded): stmatrix into swizzled boxes of 16 rows, TMA from there to D,
// which goes on while the warp multiplies the next tile; two boxes take turns.  TMA drops what lies outside D.
//
// The other way (other ends, other types, rows of D that TMA does not take): the sums through a slab of the same
// memory, so that a thread has neighbours of one row (or column) of D, and from there what every product does
// (emit.cuh).
#pragma once
#include "../../../primitives/ldmatrix.h"
#include "../../../primitives/mbarrier.h"
#include "../../../primitives/tma.h"
#include "../../parts.cuh"
#include "ranges.cuh"

namespace gpukern::gemm::wgmma {

constexpr uint32_t kBox = 2048;  // of a warp's two

// The first By numbers go to the end.
template <int By, class V, int MI, int N> GPUKERN_D void rotate(V (&x)[MI][N]) {
  V first[By];
#pragma unroll
  for (int e = 0; e < By; ++e) first[e] = x[0][e];
#pragma unroll
  for (int f = 0; f < MI * N; ++f)
    x[f / N][f % N] = f + By < MI * N ? x[(f + By) / N][(f + By) % N] : first[f + By - MI * N];
}

template <class T> GPUKERN_D uint32_t pair_of(float low, float high) {
  const T two[2] = {from_float<T>(low), from_float<T>(high)};
  uint32_t bits;
  memcpy(&bits, two, 4);
  return bits;
}

// 16 rows of kOut columns into a box, whose rows are 2 kOut bytes long and swizzled.
template <class S, int N> GPUKERN_D void fill_box(uint32_t box, float alpha, const float (&sum)[N], int first) {
  using T = typename S::Type;
  constexpr int bytes = kOut<S> * 2;
  constexpr Swizzle swizzle = bytes == 128 ? Swizzle::bytes128 : bytes == 64 ? Swizzle::bytes64 : Swizzle::bytes32;
  const int lane = static_cast<int>(threadIdx.x % 32), row = lane % 16, right = lane / 16;
#pragma unroll
  for (int j = 0; j < kOut<S> / 16; ++j) {  // 16 columns: four matrices of 8 x 8
    uint32_t r[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int e = first + j * 8 + i * 2;
      r[i] = pair_of<T>(sum[e] * alpha, sum[e + 1] * alpha);
    }
    stmatrix(swizzled(box + row * bytes + (2 * j + right) * 16, swizzle), r);
  }
}

// other: the box that is next, 0 or kBox; boxes go on taking turns from tile to tile.
template <class S>
GPUKERN_D void store_by_tma(const Params& w, const Tile& t, int row0, uint32_t mine, uint32_t& other,
                            const float (&sum)[S::MI][S::BN / 2]) {
  constexpr int parts = S::BN / kOut<S>, each = kOut<S> / 2;
  const float alpha = static_cast<float>(w.epilogue.p.epilogue.alpha);
  const bool leads = threadIdx.x % 32 == 0;
#pragma unroll
  for (int i = 0; i < S::MI; ++i)
#pragma unroll
    for (int part = 0; part < parts; ++part) {
      const uint32_t box = mine + other;
      other ^= kBox;
      if (leads) bulk_wait_group_read<1>();  // what was stored from this box has been read
      syncwarp();
      fill_box<S>(box, alpha, sum[i], part * each);
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

// The slab: 16 rows of sums, 16 bytes of which change places by their row, so that what is written as fragments and
// read along rows or columns meets no bank twice.
GPUKERN_D int turn_of(int row) { return 2 * (((row & 1) << 1 | (row >> 1 & 1)) ^ (row >> 2 & 3)); }
template <int Out> GPUKERN_D int place_in_slab(int row, int column) {
  return row * (Out > 32 ? 64 : 32) + (((column / 4) ^ turn_of(row)) * 4 + column % 4);
}

// v: neighbours from (row, column) on.  Scales of blocks of k are in the sums already (promotion.cuh).
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
GPUKERN_D void store_by_threads(const Params& w, const Places<S>& place, const Tile& t, int group, int rank, int row0,
                                typename S::Sum* slab, typename S::Sum (&sum)[S::MI][S::BN / 2]) {
  using T = typename S::Result;
  using V = typename S::Sum;
  constexpr bool summed = std::is_same_v<V, float>;
  constexpr int out = kOut<S>, parts = S::BN / out;
  const int lane = static_cast<int>(threadIdx.x % 32);
  V total[4] = {};  // a thread's packets lie below one another (or side by side), so it has one sum an element
#pragma unroll 1
  for (int c = 0; c < S::MI * parts; ++c, rotate<out / 2>(sum)) {
    if (S::gathers && w.ranges > 1 && !gather<S>(w, place, group, c, rank, sum[0])) continue;
    const int row = row0 + c / parts * 64, column = t.column + c % parts * out;
    syncwarp();
#pragma unroll
    for (int j = 0; j < out / 8; ++j)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        Packet<V, 2> two;
        two.v[0] = sum[0][j * 4 + half * 2];
        two.v[1] = sum[0][j * 4 + half * 2 + 1];
        V* const to = slab + place_in_slab<out>(lane / 4 + half * 8, j * 8 + lane % 4 * 2);
        store_packet(reinterpret_cast<Packet<V, 2>*>(to), two);
      }
    syncwarp();
#pragma unroll 1
    for (int q = lane; q < 16 * out / 4; q += 32) {  // one copy of what follows, for both directions
      int r = q / (out / 4), x = q % (out / 4) * 4;
      V v[4];
      if (w.epilogue.down) {
        r = q % 4 * 4, x = q / 4;
#pragma unroll
        for (int e = 0; e < 4; ++e) v[e] = slab[place_in_slab<out>(r + e, x)];
      } else {
        const auto packet = load_packet(reinterpret_cast<const Packet<V, 4>*>(slab + place_in_slab<out>(r, x)));
#pragma unroll
        for (int e = 0; e < 4; ++e) v[e] = packet.v[e];
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
