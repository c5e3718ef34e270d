// Products of 8-bit floats, with promotion.  The accumulators of each tile of k (128, a block of scales) are added to a
// second, float32 set: tensor cores may keep 14 bits of what they add (docs/numerics.md), float32 rounds to nearest.
#pragma once
#include "block.cuh"

namespace gpukern::gemm::mma_sync {

// e5m2 has more exponents and fewer digits: "wide".
template <bool WideA, bool WideB> struct Mma8 : Mma<float8_t, 32> {
  using Base = Mma<float8_t, 32>;
  static constexpr bool gradients = false;  // a scaled product has no activation, so no gradient of one
  static GPUKERN_D void product(float (&d)[4], const Base::A& a, const Base::B& b) {
    if constexpr (WideA) mma_m16n8k32_e5m2_e4m3(d, a, b);
    else if constexpr (WideB) mma_m16n8k32_e4m3_e5m2(d, a, b);
    else mma_m16n8k32_e4m3_e4m3(d, a, b);
  }
};

// The scales of one tile of k from row (or column) x on; `left` of them exist.  Where 128 rows share a scale, all rows
// of a warp have the same one: no warp's part crosses the border of a group.
struct Scales {
  const float* first;
  int64_t step;
  int64_t left;
  GPUKERN_D Scales(const float* all, const Scale& s, int64_t x, int64_t extent, int64_t block)
      : first(all + block * s.k + (s.group > 1 ? x / kScaleBlock : x) * s.x),
        step(s.group > 1 ? 0 : s.x),
        left(extent - x) {}
  GPUKERN_D float operator[](int i) const { return i < left ? first[i * step] : 0; }
};

// Runs after each tile of k and adds its accumulators to `total`: times the block's scales where blocks have any, else
// unscaled, and the scales multiply the total at the end.  With use_fast_accum only the last tile is promoted.
template <int MI, int NI> struct Promotion {
  static_assert(kScaleBlock % (16 * MI) == 0 && kScaleBlock % (8 * NI) == 0);
  const Params& w;
  float total[MI][NI][4] = {};

  GPUKERN_D explicit Promotion(const Params& params) : w(params) {}

  template <class Sum> GPUKERN_D void operator()(const WarpTile& at, int64_t k, bool last, Sum& sum) {
    const Problem& p = argument(w.epilogue).p;
    const bool blocks = p.scaling.blocks();
    if (p.scaling.fast && !blocks && !last) return;
    if (!blocks) promote(sum);
    if (blocks || last) {
      const Data& data = argument(w.epilogue).data;
      const int lane = static_cast<int>(threadIdx.x % 32);
      const int64_t block = k / kScaleBlock;
      const Scales rows(data.scale_a, p.scaling.a, at.row + lane / 4, p.m, block);
      const Scales columns(data.scale_b, p.scaling.b, at.column + lane % 4 * 2, p.n, block);
      float by_column[NI][2];
#pragma unroll
      for (int j = 0; j < NI; ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e) by_column[j][e] = columns[j * 8 + e];
#pragma unroll
      for (int i = 0; i < MI; ++i)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const float by_row = rows[i * 16 + half * 8];
#pragma unroll
          for (int j = 0; j < NI; ++j)
#pragma unroll
            for (int e = 0; e < 2; ++e) {
              float &one = sum[i][j][2 * half + e], &all = total[i][j][2 * half + e];
              const float scale = by_row * by_column[j][e];
              all = blocks ? all + scale * one : scale * all;
              one = last ? all : 0;
            }
        }
    }
  }

  template <class Sum> GPUKERN_D void promote(Sum& sum) {
#pragma unroll
    for (int i = 0; i < MI; ++i)
#pragma unroll
      for (int j = 0; j < NI; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          total[i][j][e] += sum[i][j][e];
          sum[i][j][e] = 0;
        }
  }
};

}  // namespace gpukern::gemm::mma_sync
