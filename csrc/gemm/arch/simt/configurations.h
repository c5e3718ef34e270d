// The configurations of one type: kernels and the switch that launches them.  Types are in a few .cu, which compile
// side by side; more would each pay for the front end.
#pragma once
#include "../../split/split.h"
#include "kernel.cuh"

namespace gpukern::gemm::simt {

// Whether packets of `width` elements along a unit stride are aligned everywhere.
constexpr bool packets_fit(int64_t unit, int align, int width, int size) { return unit == 1 && align >= width * size; }

// Along the unit stride; with none, along the shorter one.
constexpr bool along_k(int64_t k_stride, int64_t x_stride) {
  const int64_t k = k_stride < 0 ? -k_stride : k_stride, x = x_stride < 0 ? -x_stride : x_stride;
  return k_stride == 1 || (x_stride != 1 && k <= x);
}

template <class C, class T> int run(const Problem& p, const Data& data, Stream stream) {
  constexpr int size = sizeof(T);
  using V = typename Number<T>::V;
  using LoadA = Loader<T, C::bm, C::bk, C::threads>;
  using LoadB = Loader<T, C::bn, C::bk, C::threads>;
  constexpr size_t shared = 2 * C::bk * (LoadA::line + LoadB::line) * sizeof(V);
  const bool split = data.splits > 1 || needs_separate_epilogue(p);
  const Problem stored = split ? partial_of(p) : p;
  Params w{
      epilogue_params(stored, split ? partial_of(data) : data, ThreadTile<V, C::tm, C::tn, C::bn / (8 * C::tn)>::gn),
      0,
      p.batch,
      data.splits,
      along_k(p.a.column, p.a.row),
      along_k(p.b.row, p.b.column),
      false,
      false};
  w.a_packets = packets_fit(w.a_along_k ? p.a.column : p.a.row, p.a.align, LoadA::width, size);
  w.b_packets = packets_fit(w.b_along_k ? p.b.row : p.b.column, p.b.align, LoadB::width, size);
  const int64_t tiles = ceil_div(p.m, C::bm) * ceil_div(p.n, C::bn), at_once = batches_per_launch(tiles);
  for (int64_t left = p.batch * data.splits; left > 0; left -= at_once, w.first_batch += at_once) {
    const int64_t blocks = tiles * (left < at_once ? left : at_once);
    if (const int error =
            platform::launch(&product<C, T>, dim3(static_cast<unsigned>(blocks)), dim3(C::threads), shared, stream, w))
      return error;
  }
  return split::end(p, data, split, 0, stream);
}

template <class T> int run_configuration(int row, const Problem& p, const Data& data, Stream stream) {
  int index = 0;
#define GPUKERN_CONFIGURATION(ID, TYPES, ...)             \
  if constexpr ((TYPES & bit(type_of<T>())) != 0)         \
    if (index == row) return run<ID, T>(p, data, stream); \
  ++index;
  GPUKERN_SIMT_TILES(GPUKERN_CONFIGURATION)
#undef GPUKERN_CONFIGURATION
  return -1;  // selection names no such configuration
}

}  // namespace gpukern::gemm::simt
