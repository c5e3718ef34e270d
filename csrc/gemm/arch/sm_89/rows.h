// The rows of the table, launched as sm_80's are.
#pragma once
#include "../sm_80/launch.cuh"
#include "kernel.cuh"

namespace gpukern::gemm::sm_89 {

using sm_80::Compiled;

// The kernel for a pair of formats; `supports` leaves no other.
template <int BM, int BN, int WM, int WN, int Stages> Compiled compiled(DType a, DType b) {
  if (a == DType::e5m2) return {&product<BM, BN, WM, WN, Stages, true, false>, true, true};
  if (b == DType::e5m2) return {&product<BM, BN, WM, WN, Stages, false, true>, true, true};
  return {&product<BM, BN, WM, WN, Stages, false, false>, true, true};
}

inline int run(int row, const Compiled& c, const Problem& p, const Data& data, Stream stream) {
  return sm_80::run<float8_t>(kRows[row], c, p, p, false, apart(p), data, stream);
}

}  // namespace gpukern::gemm::sm_89
