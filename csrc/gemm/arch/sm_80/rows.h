// The rows of one type: kernels and the switch that launches them.  Each type has a .cu of its own, so that they
// compile side by side.
#pragma once
#include "../../split/split.h"
#include "kernel.cuh"
#include "tiles.h"

namespace gpukern::gemm::sm_80 {

// turned: p is the transposed of what was asked.
template <class T, int BM, int BN, int BK, int WM, int WN, int Stages, bool AlongA, bool AlongB>
int run(const Problem& p, const Data& data, bool turned, Stream stream) {
  constexpr int threads = BM / WM * (BN / WN) * 32;
  constexpr size_t shared = size_t(Stages) * (BM + BN) * BK * sizeof(T);
  using V = typename Number<T>::V;
  const bool split = data.splits > 1 || apart(p);
  const Problem stored = split ? partial_of(p, turned) : p;
  Work w{ending_of(stored, split ? partial_of(data) : data, 16 / int(sizeof(V)), runs_down(stored)),
         {AlongA ? p.a.row : p.a.column, AlongA ? p.a.column : p.a.row, Bring::elements},
         {AlongB ? p.b.column : p.b.row, AlongB ? p.b.row : p.b.column, Bring::elements},
         0,
         p.batch,
         data.splits};
  w.a.bring = bring_of<T>(w.a.unit, p.a.align);
  w.b.bring = bring_of<T>(w.b.unit, p.b.align);
  const int64_t tiles = ceil_div(p.m, BM) * ceil_div(p.n, BN), at_once = batches_per_launch(tiles);
  for (int64_t left = p.batch * data.splits; left > 0; left -= at_once, w.first_batch += at_once) {
    const int64_t blocks = tiles * (left < at_once ? left : at_once);
    if (const int error = platform::launch(&product<T, BM, BN, BK, WM, WN, Stages, AlongA, AlongB>,
                                           dim3(static_cast<unsigned>(blocks)), dim3(threads), shared, stream, w))
      return error;
  }
  return split::end(turned ? transposed(p) : p, data, split, turned ? WN : WM, stream);
}

// The kernel for the layouts as they lie.
template <class T, int BM, int BN, int BK, int WM, int WN, int Stages>
int run_layout(int row, const Problem& given, const Data& given_data, Stream stream) {
  const Problem p = oriented(kRows[row], given);
  const bool t = turned(kRows[row], given);
  const Data data = turned(kRows[row], given) ? transposed(given_data) : given_data;
  const bool along_a = a_along_k(p), along_b = b_along_k(p);
  if (along_a && along_b) return run<T, BM, BN, BK, WM, WN, Stages, true, true>(p, data, t, stream);
  if constexpr (sizeof(T) > 1) {
    if (along_a) return run<T, BM, BN, BK, WM, WN, Stages, true, false>(p, data, t, stream);
    if (!along_b) return run<T, BM, BN, BK, WM, WN, Stages, false, false>(p, data, t, stream);
    if constexpr (BM == 16) return run<T, BM, BN, BK, WM, WN, Stages, false, true>(p, data, t, stream);
  }
  return -1;  // `oriented` leaves no such layout
}

template <class T> int run_row(int row, const Problem& p, const Data& data, Stream stream) {
  int index = 0;
#define GPUKERN_ROW(ID, TYPES, BM, BN, DEEP, WM, WN, STAGES)                                                     \
  if constexpr ((TYPES & bit(type_of<T>())) != 0)                                                                \
    if (index == row) return run_layout<T, BM, BN, DEEP / int(sizeof(T)), WM, WN, STAGES>(row, p, data, stream); \
  ++index;
  GPUKERN_SM80_TILES(GPUKERN_ROW)
#undef GPUKERN_ROW
  return -1;  // selection names no such row
}

}  // namespace gpukern::gemm::sm_80
