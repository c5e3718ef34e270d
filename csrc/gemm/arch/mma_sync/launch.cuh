// The launch of a kernel.  One function launches all kernels of a type, so that the host's part is compiled once and
// not for every tile and layout.
#pragma once
#include "../../split/split.h"
#include "kernel.cuh"

namespace gpukern::gemm::mma_sync {

// A kernel and the layout that it is for.
struct CompiledKernel {
  void (*kernel)(Params);
  bool along_a, along_b;
};

// p: `given` as the configuration multiplies it; t: it is transposed.  apart: split/ runs the epilogue.
template <class T>
int run(const Configuration& r, const CompiledKernel& c, const Problem& given, const Problem& p, bool t, bool apart,
        const Data& given_data, Stream stream) {
  const Data data = t ? transposed(given_data) : given_data;
  using V = typename Number<T>::V;
  const bool split = data.splits > 1 || apart;
  const Problem stored = split ? partial_of(p, t) : p;
  Params w{epilogue_params(stored, split ? partial_of(data) : data, 16 / int(sizeof(V)), runs_down(stored)),
           {c.along_a ? p.a.row : p.a.column, c.along_a ? p.a.column : p.a.row, LoadMode::elements},
           {c.along_b ? p.b.column : p.b.row, c.along_b ? p.b.row : p.b.column, LoadMode::elements},
           0,
           p.batch,
           data.splits};
  w.a.mode = load_mode_of<T>(w.a.unit, p.a.align);
  w.b.mode = load_mode_of<T>(w.b.unit, p.b.align);
  const int64_t tiles = ceil_div(p.m, r.bm) * ceil_div(p.n, r.bn), at_once = batches_per_launch(tiles);
  for (int64_t left = p.batch * data.splits; left > 0; left -= at_once, w.first_batch += at_once) {
    const int64_t blocks = tiles * (left < at_once ? left : at_once);
    if (const int error = platform::launch(c.kernel, dim3(static_cast<unsigned>(blocks)), dim3(r.threads),
                                           static_cast<size_t>(r.shared), stream, w))
      return error;
  }
  return split::end(given, data, split, t ? r.tn : r.tm, stream);
}

}  // namespace gpukern::gemm::mma_sync
