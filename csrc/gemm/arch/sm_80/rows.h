// The rows of one type: kernels and the switch that launches them.  Types are in a few .cu, which compile side by
// side; more would each pay for the front end.
#pragma once
#include "launch.cuh"
#include "tiles.h"

namespace gpukern::gemm::sm_80 {

// The kernel for the layouts as they lie.
template <class T, int BM, int BN, int BK, int WM, int WN, int Stages> Compiled compiled(bool along_a, bool along_b) {
  if (along_a && along_b) return {&product<T, BM, BN, BK, WM, WN, Stages, true, true>, true, true};
  if constexpr (sizeof(T) > 1) {
    if (along_a) return {&product<T, BM, BN, BK, WM, WN, Stages, true, false>, true, false};
    if (!along_b) return {&product<T, BM, BN, BK, WM, WN, Stages, false, false>, false, false};
    if constexpr (BM == 16) return {&product<T, BM, BN, BK, WM, WN, Stages, false, true>, false, true};
  }
  return {};  // `oriented` leaves no such layout
}

template <class T> int run_row(int row, const Problem& given, const Data& data, Stream stream) {
  const Problem p = oriented(kRows[row], given);
  Compiled c{};
  int index = 0;
#define GPUKERN_ROW(ID, TYPES, BM, BN, DEEP, WM, WN, STAGES)                                                      \
  if constexpr ((TYPES & bit(type_of<T>())) != 0)                                                                 \
    if (index == row) c = compiled<T, BM, BN, DEEP / int(sizeof(T)), WM, WN, STAGES>(a_along_k(p), b_along_k(p)); \
  ++index;
  GPUKERN_SM80_TILES(GPUKERN_ROW)
#undef GPUKERN_ROW
  if (!c.kernel) return platform::kNoKernel;  // selection names no such row
  return run<T>(kRows[row], c, given, p, turned(kRows[row], given), apart(p), data, stream);
}

}  // namespace gpukern::gemm::sm_80
