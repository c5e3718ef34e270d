// sm_80's kernel with Hopper's step of float64: 16 of k in one product, where Ampere's takes 4.
#pragma once
#include "../sm_80/kernel.cuh"
#include "tiles.h"

namespace gpukern::gemm::f64 {

using sm_80::Work;

template <int BM, int BN, int WM, int WN, int Stages, bool AlongA, bool AlongB>
GPUKERN_KERNEL GPUKERN_BOUNDS(BM / WM * (BN / WN) * 32, (kShared / (Stages * (BM + BN) * kDeep)))
    product(GPUKERN_GRID_CONST const Work w) {
  sm_80::multiply_tile<double, BM, BN, kDeep / 8, WM, WN, Stages, AlongA, AlongB, sm_80::Mma<double, kStep>>(w);
}

}  // namespace gpukern::gemm::f64
