// From accumulators to D: the epilogue and the store, the same for every kernel.
//
// A thread passes P neighbouring elements of D at a time, along a row or down a column.  They are loaded and stored as
// one packet where addresses allow, else one by one; elements outside D are dropped.
#pragma once
#include "../primitives/packets.h"
#include "../primitives/rotate.h"
#include "epilogue.h"

namespace gpukern::gemm {

// The epilogue's parameters; a launch passes them by value.
struct EpilogueParams {
  Problem p;
  Data data;
  bool down = false;   // packets run down a column of D
  bool plain = false;  // D is the accumulator as it is
  bool wide = false;   // D has the accumulator's type, the operands a narrower one
  bool d_packets = false, c_packets = false, residual_packets = false, saved_packets = false, aux_packets = false;
};

// Which way the packets of a tile run: along the unit stride of D.  Where rows or columns of D are summed too, packets
// run across the direction of that sum, so that each element of a thread's packets belongs to one sum.
inline bool runs_down(const Problem& p) {
  if (p.epilogue.sums != Sums::none) return p.epilogue.sums == Sums::rows;
  return p.d.column != 1 && p.d.row == 1;
}

// elements: of a packet.
inline EpilogueParams epilogue_params(const Problem& p, const Data& data, int elements, bool down = false) {
  EpilogueParams e{p, data, down};
  const Epilogue& last = p.epilogue;
  e.wide = p.out != p.type;
  const bool unscaled = whole(p.type) ? last.whole_alpha == 1 : last.alpha == 1 && last.alpha_imaginary == 0;
  e.plain = unscaled && !last.addend && !last.residual && last.activation == Activation::none &&
            last.derivative == Activation::none && !last.row_scale && !last.column_scale;
  const int bytes_of = elements * bytes(p.out);
  const auto fits = [&](const Layout& l) { return (e.down ? l.row : l.column) == 1 && l.align >= bytes_of; };
  e.d_packets = fits(p.d);
  e.c_packets = last.addend && fits(p.c);
  e.residual_packets = last.residual && fits(p.residual);
  e.saved_packets = last.derivative != Activation::none && fits(p.saved);
  e.aux_packets = last.aux && fits(p.aux);
  return e;
}

// The problem of one range of k in split-K: D is a matrix of partial sums, without an epilogue.
// is_transposed: p is the transpose of the caller's problem.  The partial sums lie as for the caller's problem, so that
// D is stored along its rows.
inline Problem partial_of(Problem p, bool is_transposed = false) {
  if (is_transposed) return transposed(partial_of(transposed(p)));
  p.out = accumulator(p.type);
  p.epilogue = {};
  p.d = {p.n, 1, p.m * p.n, 16};
  if (p.n * bytes(p.out) % 16) p.d.align = bytes(p.out);
  return p;
}
inline Data partial_of(Data d) {
  d.d = d.partial;
  d.c = d.residual = d.saved = d.row_scale = d.column_scale = nullptr;
  d.bias = d.scale_result = nullptr;
  d.sums = d.parts = d.aux = nullptr;
  return d;
}

// Out of line, so that the formulas' constants do not occupy registers throughout.  Every kernel has a copy, so the
// formulas of gradients are only in kernels that apply them (Backward; problem.h, needs_separate_epilogue).
template <bool Backward, class V> GPUKERN_OUTLINE V activated(Activation kind, bool backward, V g, V x) {
  return activate(kind, Backward && backward, g, x);
}

// A scale in the accumulator's type.
template <class V> GPUKERN_D V scale_of(DType type, double x, double imaginary, int64_t integer) {
  if constexpr (is_complex<V>) return {static_cast<decltype(V::re)>(x), static_cast<decltype(V::re)>(imaginary)};
  else return whole(type) ? static_cast<V>(integer) : static_cast<V>(x);
}

// P elements of C, S or the residual, of O, or of Wide where D has that type.
template <class O, class Wide, class V, int P>
GPUKERN_D void load_tensor(const EpilogueParams& w, const void* from, const Layout& l, int64_t offset, bool packets,
                           int left, V (&v)[P]) {
  if constexpr (!std::is_same_v<O, Wide>)
    if (w.wide)
      return primitives::load_neighbours(static_cast<const Wide*>(from) + offset, l, packets, w.down, left, v);
  primitives::load_neighbours(static_cast<const O*>(from) + offset, l, packets, w.down, left, v);
}

// activation(alpha * r c * sum + beta * C) * derivative'(S) + residual.  Backward: with training's parts of the
// epilogue, the derivative and the aux.
template <bool Backward, class O, class Wide, class V, int P>
GPUKERN_D void complete(const EpilogueParams& w, int64_t batch, int64_t row, int64_t column, int left, V (&v)[P]) {
  // The parameters are read where they are used.  Read from w itself, each pointer is known to be global memory and
  // takes two scalar registers from the start: more than gfx90a has beside 8 vectors.
  const Problem& p = argument(w).p;
  const Data& data = argument(w).data;
  const Epilogue& e = p.epilogue;
  const V alpha = scale_of<V>(p.type, e.alpha, e.alpha_imaginary, e.whole_alpha);
#pragma unroll
  for (int i = 0; i < P; ++i) v[i] *= alpha;
  if constexpr (std::is_floating_point_v<V>) {
#pragma unroll 1
    for (int side = 0; side < 2; ++side) {
      if (!(side == 0 ? e.row_scale : e.column_scale)) continue;
      const Layout& l = side == 0 ? p.row_scale : p.column_scale;
      const V* from = static_cast<const V*>(side == 0 ? data.row_scale : data.column_scale);
      from += batch * l.batch + row * l.row + column * l.column;
      V scale[P];
      primitives::load_neighbours(from, l, false, w.down, left, scale);
#pragma unroll
      for (int i = 0; i < P; ++i) v[i] *= scale[i];
    }
  }
  // Steps 0, 2 and 3 load C, S and the residual; 1 is the activation.  Loops over the steps and over the elements, so
  // that the kernel has one copy of the loads and of the calls of a formula.
#pragma unroll 1
  for (int step = 0; step < 4; ++step) {
    if (!Backward && step == 2) continue;
    const Activation kind = step == 1 ? e.activation : e.derivative;
    if (step == 0 ? !e.addend : step == 3 ? !e.residual : kind == Activation::none) continue;
    V x[P] = {};
    if (step != 1) {
      const Layout& l = step == 0 ? p.c : step == 2 ? p.saved : p.residual;
      const void* const from = step == 0 ? data.c : step == 2 ? data.saved : data.residual;
      const bool packets = step == 0 ? w.c_packets : step == 2 ? w.saved_packets : w.residual_packets;
      load_tensor<O, Wide>(w, from, l, batch * l.batch + row * l.row + column * l.column, packets, left, x);
    }
    if (step == 0) {
      const V beta = scale_of<V>(p.type, e.beta, e.beta_imaginary, e.whole_beta);
#pragma unroll
      for (int i = 0; i < P; ++i) v[i] += beta * x[i];
    } else if (step == 3) {
#pragma unroll
      for (int i = 0; i < P; ++i) v[i] += x[i];
    } else if constexpr (std::is_floating_point_v<V>) {
      if (Backward && step == 1 && e.aux) {
        const int64_t offset = batch * p.aux.batch + row * p.aux.row + column * p.aux.column;
        primitives::store_neighbours(static_cast<O*>(data.aux) + offset, p.aux, w.aux_packets, w.down, left, v,
                                     [](V number) { return Number<O>::narrow(number); });
      }
#pragma unroll 1
      for (int i = 0; i < P; ++i) {
        v[0] = activated<Backward>(kind, step == 2, v[0], step == 2 ? x[0] : v[0]);
        rotate(v), rotate(x);
      }
    }
  }
}

// The same out of line, for CUDA: the compiler's front end then processes it once for all kernels of a file.  The P
// accumulators go by value, so that a call passes them in registers.
template <class V, int P> struct Several {
  V v[P];
};
template <class O, class Wide, class V, int P>
GPUKERN_OUTLINE_CUDA Several<V, P> completed(const EpilogueParams& w, int64_t batch, int64_t row, int64_t column,
                                             int left, Several<V, P> sums) {
  complete<true, O, Wide>(w, batch, row, column, left, sums.v);
  return sums;
}

// P elements of D.
template <class O, class V, int P, class Narrow>
GPUKERN_D void store_result(const EpilogueParams& w, const Layout& l, int64_t offset, int left, const V (&v)[P],
                            Narrow narrow) {
  primitives::store_neighbours(static_cast<O*>(w.data.d) + offset, l, w.d_packets, w.down, left, v, narrow);
}

// How many of P neighbours from (row, column) on lie inside D.
template <int P> GPUKERN_D int packet_left(const EpilogueParams& w, const Problem& p, int64_t row, int64_t column) {
  const int64_t along = w.down ? p.m - row : p.n - column;
  return along < P ? static_cast<int>(along) : P;
}

// Applies the epilogue to P accumulators from (row, column) on and stores them as O, or as Wide where D has that type.
// v then holds the results before rounding; false: none of them lies inside D.
template <bool Backward, class O, class Wide = O, class V, int P>
GPUKERN_D bool emit_as(const EpilogueParams& w, int64_t batch, int64_t row, int64_t column, V (&v)[P]) {
  const Problem& p = argument(w).p;
  if (row >= p.m || column >= p.n) return false;
  const int left = packet_left<P>(w, p, row, column);
  if (!w.plain) {
    if constexpr (Backward) {  // the tensor cores' kernels and split/: many kernels, or a large epilogue
      Several<V, P> sums;
#pragma unroll
      for (int i = 0; i < P; ++i) sums.v[i] = v[i];
      sums = completed<O, Wide>(w, batch, row, column, left, sums);
#pragma unroll
      for (int i = 0; i < P; ++i) v[i] = sums.v[i];
    } else {
      complete<false, O, Wide>(w, batch, row, column, left, v);
    }
  }
  const int64_t offset = batch * p.d.batch + row * p.d.row + column * p.d.column;
  if constexpr (!std::is_same_v<O, Wide>)
    if (w.wide) {
      store_result<Wide>(w, p.d, offset, left, v, [](V x) { return Number<Wide>::narrow(x); });
      return true;
    }
  store_result<O>(w, p.d, offset, left, v, [](V x) { return Number<O>::narrow(x); });
  return true;
}

// Accumulators of a scaled product; the mainloop has multiplied by the scales already.
template <int P>
GPUKERN_D void emit_scaled(const EpilogueParams& w, int64_t batch, int64_t row, int64_t column, float (&v)[P]) {
  const Problem& p = argument(w).p;
  if (column >= p.n || row >= p.m) return;
  const int left = packet_left<P>(w, p, row, column);
  const bool same = p.scaling.is_transposed != w.down;  // one number of the bias for all of them
  const float* const bias = w.data.bias ? w.data.bias + (p.scaling.is_transposed ? row : column) : nullptr;
#pragma unroll
  for (int i = 0; i < P; ++i) {
    if (bias && i < left) v[i] += bias[same ? 0 : i];
    if (w.data.scale_result) v[i] *= *w.data.scale_result;
  }
  const int64_t offset = batch * p.d.batch + row * p.d.row + column * p.d.column;
  switch (p.out) {
    case DType::f32: return store_result<float>(w, p.d, offset, left, v, [](float x) { return x; });
    case DType::f16:
      return store_result<half_t>(w, p.d, offset, left, v, [](float x) { return from_float<half_t>(x); });
    case DType::bf16:
      return store_result<bfloat16_t>(w, p.d, offset, left, v, [](float x) { return from_float<bfloat16_t>(x); });
    default: {
      const Format8 format = format_of(p.out);
      store_result<float8_t>(w, p.d, offset, left, v, [&](float x) { return narrow(x, format); });
    }
  }
}

// As elements of T, or of the accumulator's type.
template <class T, bool Backward = false, class V, int P>
GPUKERN_D bool emit(const EpilogueParams& w, int64_t batch, int64_t row, int64_t column, V (&v)[P]) {
  if constexpr (std::is_same_v<T, float8_t>) {
    emit_scaled(w, batch, row, column, v);
    return true;
  } else {
    return emit_as<Backward, T, typename Number<T>::Wide>(w, batch, row, column, v);
  }
}

}  // namespace gpukern::gemm
