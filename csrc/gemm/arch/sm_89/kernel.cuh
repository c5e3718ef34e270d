// sm_80's kernel with products of 8-bit floats, each tile of k of which (128, a block of scales) is added to float32
// sums: tensor cores may keep 14 bits of what they add (docs/numerics.md), and float32 sums round to nearest.
#pragma once
#include "../sm_80/kernel.cuh"
#include "tiles.h"

namespace gpukern::gemm::sm_89 {

using sm_80::WarpTile;
using sm_80::Work;

// e5m2 has more exponents and fewer digits: "wide".
template <bool WideA, bool WideB> struct Mma8 : sm_80::Mma<float8_t, 32> {
  using Base = sm_80::Mma<float8_t, 32>;
  static constexpr bool gradients = false;  // nothing follows a scaled product
  static GPUKERN_D void product(float (&d)[4], const Base::A& a, const Base::B& b) {
    if constexpr (WideA) mma_m16n8k32_e5m2_e4m3(d, a, b);
    else if constexpr (WideB) mma_m16n8k32_e4m3_e5m2(d, a, b);
    else mma_m16n8k32_e4m3_e4m3(d, a, b);
  }
};

// total += scale_a scale_b sum behind each tile of k, or behind the last where sums may be as coarse as they come.
template <int MI, int NI> struct Promotion {
  const Work& w;
  float total[MI][NI][4] = {};

  GPUKERN_D explicit Promotion(const Work& work) : w(work) {}

  template <class Sum> GPUKERN_D void operator()(const WarpTile& at, int64_t k, bool last, Sum& sum) {
    const Problem& p = argument(w.ending).p;
    const Data& data = argument(w.ending).data;
    const Scale &a = p.scaling.a, &b = p.scaling.b;
    if (p.scaling.fast && !p.scaling.blocks() && !last) return;
    const int lane = static_cast<int>(threadIdx.x % 32);
    const int64_t block = k / kScaleBlock;
    float columns[NI][2];
#pragma unroll
    for (int j = 0; j < NI; ++j)
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int64_t column = at.column + j * 8 + lane % 4 * 2 + e;
        columns[j][e] = column < p.n ? data.scale_b[column / b.group * b.x + block * b.k] : 0;
      }
#pragma unroll
    for (int i = 0; i < MI; ++i)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int64_t row = at.row + i * 16 + half * 8 + lane / 4;
        const float by = row < p.m ? data.scale_a[row / a.group * a.x + block * a.k] : 0;
#pragma unroll
        for (int j = 0; j < NI; ++j)
#pragma unroll
          for (int e = 0; e < 2; ++e) {
            float &one = sum[i][j][2 * half + e], &all = total[i][j][2 * half + e];
            all += by * columns[j][e] * one;
            one = last ? all : 0;
          }
      }
  }
};

template <int BM, int BN, int WM, int WN, int Stages, bool WideA, bool WideB>
GPUKERN_KERNEL GPUKERN_BOUNDS(BM / WM * (BN / WN) * 32, (WM * WN > 1024 ? 1 : 2))
    product(GPUKERN_GRID_CONST const Work w) {
  using At = Mma8<WideA, WideB>;
  sm_80::multiply_tile<float8_t, BM, BN, kScaleBlock, WM, WN, Stages, true, true, At>(w, Promotion<WM / 16, WN / 8>(w));
}

}  // namespace gpukern::gemm::sm_89
