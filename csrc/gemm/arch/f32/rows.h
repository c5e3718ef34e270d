// The rows of the table, launched as sm_80's are.
#pragma once
#include "../sm_80/launch.cuh"
#include "kernel.cuh"

namespace gpukern::gemm::f32 {

using sm_80::Compiled;

// The kernel for the layouts as they lie.
template <int BM, int BN, int BK, int WM, int WN, int Stages> Compiled compiled(bool along_a, bool along_b) {
  if (along_a && along_b) return {&product<BM, BN, BK, WM, WN, Stages, true, true>, true, true};
  if (along_a) return {&product<BM, BN, BK, WM, WN, Stages, true, false>, true, false};
  if (!along_b) return {&product<BM, BN, BK, WM, WN, Stages, false, false>, false, false};
  if constexpr (BM == 16) return {&product<BM, BN, BK, WM, WN, Stages, false, true>, false, true};
  return {};  // `oriented` leaves no such layout
}

inline int run(int row, const Compiled& c, const Problem& given, const Data& data, Stream stream) {
  const Row& r = kRows[row];
  return sm_80::run<float>(r, c, given, oriented(r, given), turned(r, given), apart(given), data, stream);
}

}  // namespace gpukern::gemm::f32
