// The rows of one type: kernels and the switch that launches them.  Types are in a few .cu, which compile side by
// side; more would each pay for the front end.
#pragma once
#include "../../split/split.h"
#include "kernel.cuh"
#include "tiles.h"

namespace gpukern::gemm::sm_80 {

// A kernel and what its launch must know of it.  All of a type are launched by one function: the host's part of it is
// compiled once, not for every tile and layout.
struct Compiled {
  void (*kernel)(Work);
  bool along_a, along_b;
};

// p: `given` as the row multiplies it (oriented).
template <class T>
int run(const Row& row, const Compiled& c, const Problem& given, const Problem& p, const Data& given_data,
        Stream stream) {
  const bool t = turned(row, given);
  const Data data = t ? transposed(given_data) : given_data;
  using V = typename Number<T>::V;
  const bool split = data.splits > 1 || apart(p);
  const Problem stored = split ? partial_of(p, t) : p;
  Work w{ending_of(stored, split ? partial_of(data) : data, 16 / int(sizeof(V)), runs_down(stored)),
         {c.along_a ? p.a.row : p.a.column, c.along_a ? p.a.column : p.a.row, Bring::elements},
         {c.along_b ? p.b.column : p.b.row, c.along_b ? p.b.row : p.b.column, Bring::elements},
         0,
         p.batch,
         data.splits};
  w.a.bring = bring_of<T>(w.a.unit, p.a.align);
  w.b.bring = bring_of<T>(w.b.unit, p.b.align);
  const int64_t tiles = ceil_div(p.m, row.bm) * ceil_div(p.n, row.bn), at_once = batches_per_launch(tiles);
  for (int64_t left = p.batch * data.splits; left > 0; left -= at_once, w.first_batch += at_once) {
    const int64_t blocks = tiles * (left < at_once ? left : at_once);
    if (const int error = platform::launch(c.kernel, dim3(static_cast<unsigned>(blocks)), dim3(row.threads),
                                           static_cast<size_t>(row.shared), stream, w))
      return error;
  }
  return split::end(given, data, split, t ? row.tn : row.tm, stream);
}

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
  return run<T>(kRows[row], c, given, p, data, stream);
}

}  // namespace gpukern::gemm::sm_80
