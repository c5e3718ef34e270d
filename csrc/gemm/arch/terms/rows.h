// The two launches of a row: the pass that writes the terms, and the product of them.
#pragma once
#include "../../split/split.h"
#include "kernel.cuh"

namespace gpukern::gemm::terms {

struct Here;  // names this folder's pass (divide.cuh)

template <int BM, int BN, int BK, int WM, int WN, int Stages, bool AlongA, bool AlongB>
int run(const Problem& p, const Data& data, const Division& d, bool turned, Stream stream) {
  constexpr int threads = threads_of(BM, BN, WM, WN);
  constexpr size_t shared = size_t(Stages) * (BM + BN) * BK * sizeof(bfloat16_t);
  const bool split = data.splits > 1;
  const Problem stored = split ? partial_of(p, turned) : p;
  const auto matrix = [](const Operand& o) {
    return Matrix{o.to, o.place.term(), o.place.batches == 1 ? 0 : o.place.matrix(), o.place.pitch};
  };
  Work w{{ending_of(stored, split ? partial_of(data) : data, 4, runs_down(stored)), {}, {}, 0, p.batch, data.splits},
         matrix(d.a),
         matrix(d.b),
         {},
         term_products(p.precision)};
  for (int i = 0; i < w.count; ++i) w.pairs[i] = pair(i, w.count, turned);
  const int64_t tiles = ceil_div(p.m, BM) * ceil_div(p.n, BN), at_once = batches_per_launch(tiles);
  for (int64_t left = p.batch * data.splits; left > 0; left -= at_once, w.product.first_batch += at_once) {
    const int64_t blocks = tiles * (left < at_once ? left : at_once);
    if (const int error = platform::launch(&product<BM, BN, BK, WM, WN, Stages, AlongA, AlongB>,
                                           dim3(static_cast<unsigned>(blocks)), dim3(threads), shared, stream, w))
      return error;
  }
  return split::end(turned ? transposed(p) : p, data, split, turned ? WN : WM, stream);
}

// The kernel for the layouts as they lie.
template <int BM, int BN, int BK, int WM, int WN, int Stages>
int run_layout(const Problem& given, const Data& given_data, Stream stream) {
  const Problem p = oriented(given);
  const bool t = turned(given);
  const Data data = t ? transposed(given_data) : given_data;
  if (!term_products(p.precision) || (workspace(p) > 0 && !data.workspace)) return platform::kNoKernel;
  Division d;
  if (const int error = divide<Here>(p, data, d, stream)) return error;
  if (!d.a.place.along_k) return run<BM, BN, BK, WM, WN, Stages, false, false>(p, data, d, t, stream);
  if (d.b.place.along_k) return run<BM, BN, BK, WM, WN, Stages, true, true>(p, data, d, t, stream);
  return run<BM, BN, BK, WM, WN, Stages, true, false>(p, data, d, t, stream);
}

}  // namespace gpukern::gemm::terms
