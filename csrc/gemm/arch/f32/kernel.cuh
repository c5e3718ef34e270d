// sm_80's kernel with multiply-adds of the ordinary cores in place of mma.sync.
//
// What it has before simt's: no register holds what is on its way from global memory, three tiles are under way instead
// of one, and what is read from shared memory for the next four k comes while the present ones are multiplied.
// Predicted, not yet measured: 0.95 of cuBLAS at 4096^3, whose kernel of the same tile it resembles.
#pragma once
#include "fragments.cuh"
#include "tiles.h"

namespace gpukern::gemm::f32 {

using sm_80::Work;

template <int BM, int BN, int BK, int WM, int WN, int Stages, bool AlongA, bool AlongB>
GPUKERN_KERNEL GPUKERN_BOUNDS(BM / WM * (BN / WN) * 32, (WM * WN > 1024 ? 1 : 512 / (BM / WM * (BN / WN) * 32)))
    product(GPUKERN_GRID_CONST const Work w) {
  sm_80::multiply_tile<float, BM, BN, BK, WM, WN, Stages, AlongA, AlongB, MultiplyAdd<AlongA, AlongB>>(w);
}

}  // namespace gpukern::gemm::f32
