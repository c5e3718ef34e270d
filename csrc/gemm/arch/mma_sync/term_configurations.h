// The two launches of a product of bfloat16 terms: the pass that writes the terms, and the product of them.
#pragma once
#include "../../split/split.h"
#include "terms.cuh"

namespace gpukern::gemm::mma_sync {

struct Here;  // names this folder's pass (divide.cuh)

template <class C, bool AlongA, bool AlongB>
int run_terms(const Problem& p, const Data& data, const terms::Division& d, bool is_transposed, Stream stream) {
  constexpr size_t shared = size_t(C::stages) * (C::bm + C::bn) * C::deep;
  const bool split = data.splits > 1;
  const Problem stored = split ? partial_of(p, is_transposed) : p;
  const auto operand = [](const terms::Operand& o) {
    return TermsOfOperand{o.to, o.place.term(), o.place.batches == 1 ? 0 : o.place.matrix(), o.place.pitch};
  };
  TermParams w{
      {epilogue_params(stored, split ? partial_of(data) : data, 4, runs_down(stored)), {}, {}, 0, p.batch, data.splits},
      operand(d.a),
      operand(d.b),
      {},
      term_products(p.precision)};
  for (int i = 0; i < w.count; ++i) w.pairs[i] = terms::pair(i, w.count, is_transposed);
  const int64_t tiles = ceil_div(p.m, C::bm) * ceil_div(p.n, C::bn), at_once = batches_per_launch(tiles);
  for (int64_t left = p.batch * data.splits; left > 0; left -= at_once, w.product.first_batch += at_once) {
    const int64_t blocks = tiles * (left < at_once ? left : at_once);
    if (const int error = platform::launch(&term_product<C, float, AlongA, AlongB>, dim3(static_cast<unsigned>(blocks)),
                                           dim3(C::threads), shared, stream, w))
      return error;
  }
  return split::end(is_transposed ? transposed(p) : p, data, split, is_transposed ? C::wn : C::wm, stream);
}

// The kernel for the operands' layouts.
template <class C> int run_terms(const Configuration& r, const Problem& given, const Data& given_data, Stream stream) {
  const Problem p = oriented(r, given);
  const bool t = transposes(r, given);
  const Data data = t ? transposed(given_data) : given_data;
  if (!term_products(p.precision) || (workspace(p) > 0 && !data.workspace)) return platform::kNoKernel;
  terms::Division d;
  if (const int error = terms::divide<Here>(p, data, d, stream)) return error;
  if (!d.a.place.along_k) return run_terms<C, false, false>(p, data, d, t, stream);
  if (d.b.place.along_k) return run_terms<C, true, true>(p, data, d, t, stream);
  return run_terms<C, true, false>(p, data, d, t, stream);
}

}  // namespace gpukern::gemm::mma_sync
