// The configurations of one type: kernels and the switch that launches them.  Types are in a few .cu, which compile
// side by side; more would each pay for the front end.
#pragma once
#include "../../split/split.h"
#include "kernel.cuh"
#include "tiles.h"

namespace gpukern::gemm::skinny {

inline int run(void (*kernel)(Params), Form form, const Configuration& r, const Problem& given, const Data& given_data,
               Stream stream) {
  const Problem p = upright(given);
  const Data data = transposes(given) ? transposed(given_data) : given_data;
  const bool split = data.splits > 1 || needs_separate_epilogue(p);
  Params w{};
  w.epilogue = epilogue_params(split ? partial_of(p, transposes(given)) : p, split ? partial_of(data) : data, 1);
  w.batches = p.batch;
  w.splits = data.splits;
  w.deep = depth_of(form, p);
  w.share = form == Form::rows ? row_threads(p) : column_lanes(p);
  if (form == Form::columns) {
    w.step = kThreads / w.share * p.a.column;
    w.x_step = kThreads / w.share * p.b.row;
  }
  w.packets = form == Form::rows ? row_packets(p) : column_packets(p);
  w.tiles = tiles_of(form, p);
  const int64_t at_once = batches_per_launch(w.tiles);
  for (int64_t left = p.batch * data.splits; left > 0; left -= at_once, w.first_batch += at_once) {
    const int64_t blocks = w.tiles * (left < at_once ? left : at_once);
    const size_t shared = static_cast<size_t>(r.shared);
    if (const int error =
            platform::launch(kernel, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), shared, stream, w))
      return error;
  }
  return split::end(given, data, split, 0, stream);
}

template <class T> int run_configuration(int row, const Problem& p, const Data& data, Stream stream) {
  int index = 0;
#define GPUKERN_CONFIGURATION(ID, TYPES, FORM, VECTORS)                                                 \
  if constexpr (((TYPES) & bit(type_of<T>())) != 0)                                                     \
    if (index == row) return run(&by_##FORM<ID, T>, Form::FORM, kConfigurations[row], p, data, stream); \
  ++index;
  GPUKERN_SKINNY_TILES(GPUKERN_CONFIGURATION)
#undef GPUKERN_CONFIGURATION
  return -1;  // selection names no such configuration
}

}  // namespace gpukern::gemm::skinny
