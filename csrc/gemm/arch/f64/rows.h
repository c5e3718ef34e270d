// The rows of the table, launched as sm_80's are.
#pragma once
#include "../sm_80/launch.cuh"
#include "kernel.cuh"

namespace gpukern::gemm::f64 {

using sm_80::Compiled;

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
