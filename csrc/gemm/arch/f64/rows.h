// The rows: sm_80's kernel and launch with Hopper's step of float64.
#pragma once
#include "../sm_80/launch.cuh"
#include "tiles.h"

namespace gpukern::gemm::f64 {

using sm_80::Compiled;
using sm_80::Work;

template <int BM, int BN, int WM, int WN, int Stages, bool AlongA, bool AlongB>
GPUKERN_KERNEL GPUKERN_BOUNDS(BM / WM * (BN / WN) * 32, (kShared / (Stages * (BM + BN) * kDeep)))
    product(GPUKERN_GRID_CONST const Work w) {
  sm_80::multiply_tile<double, BM, BN, kDeep / 8, WM, WN, Stages, AlongA, AlongB, kStep>(w);
}

// The kernel for the layouts as they lie; `oriented` leaves no other.
template <int BM, int BN, int WM, int WN, int Stages> Compiled compiled(bool along_a, bool along_b) {
  if (along_a && along_b) return {&product<BM, BN, WM, WN, Stages, true, true>, true, true};
  if (along_a) return {&product<BM, BN, WM, WN, Stages, true, false>, true, false};
  return {&product<BM, BN, WM, WN, Stages, false, false>, false, false};
}

inline int run(int row, const Compiled& c, const Problem& given, const Data& data, Stream stream) {
  const Problem p = oriented(given);
  return sm_80::run<double>(kRows[row], c, given, p, turned(given), apart(p), data, stream);
}

}  // namespace gpukern::gemm::f64
