// From sums to D: the epilogue and the store, the same for every kernel.
//
// A thread hands over P neighbours of D at a time, along a row or down a column.  They are loaded and stored as one
// packet where addresses allow, else one by one; what lies outside D is dropped.
#pragma once
#include "epilogue.h"
#include "number.cuh"

namespace gpukern::gemm {

// What a kernel is told of its end; a launch passes it by value.
struct Ending {
  Problem p;
  Data data;
  bool down = false;   // packets run down a column of D
  bool plain = false;  // D is the sum as it is
  bool wide = false;   // D has the accumulator's type, the operands a narrower one
  bool d_packets = false, c_packets = false, residual_packets = false;
};

// elements: of a packet.
inline Ending ending_of(const Problem& p, const Data& data, int elements, bool down = false) {
  Ending e{p, data, down};
  const Epilogue& last = p.epilogue;
  e.wide = p.out != p.type;
  const bool unscaled = whole(p.type) ? last.whole_alpha == 1 : last.alpha == 1 && last.alpha_imaginary == 0;
  e.plain = unscaled && !last.addend && !last.residual && last.activation == Activation::none;
  const int bytes_of = elements * bytes(p.out);
  const auto fits = [&](const Layout& l) { return (e.down ? l.row : l.column) == 1 && l.align >= bytes_of; };
  e.d_packets = fits(p.d);
  e.c_packets = last.addend && fits(p.c);
  e.residual_packets = last.residual && fits(p.residual);
  return e;
}

// The problem of which each of several ranges of k is a part: its sums as they are, range by range.
inline Problem partial_of(Problem p) {
  p.out = accumulator(p.type);
  p.epilogue = {};
  p.d = {p.n, 1, p.m * p.n, 16};
  if (p.n * bytes(p.out) % 16) p.d.align = bytes(p.out);
  return p;
}
inline Data partial_of(Data d) {
  d.d = d.partial;
  d.c = d.residual = nullptr;
  d.bias = d.scale_result = nullptr;
  return d;
}

// Out of line, so that the formulas' constants are not kept in registers all along.
template <class V> GPUKERN_OUTLINE V activated(Activation kind, V x) { return activate(kind, x); }

// P elements of C or of the residual from (row, column) on, `left` of which are there.
template <class O, class V, int P>
GPUKERN_D void fetch(const O* from, const Layout& l, bool packets, bool down, int left, V (&v)[P]) {
  if (packets && left >= P) {
    const auto packet = load_packet(reinterpret_cast<const Packet<O, P>*>(from));
#pragma unroll
    for (int i = 0; i < P; ++i) v[i] = Number<O>::widen(packet.v[i]);
  } else {
    const int64_t step = down ? l.row : l.column;
#pragma unroll
    for (int i = 0; i < P; ++i) v[i] = i < left ? Number<O>::widen(from[i * step]) : V{};
  }
}

// A scale in the type of the sums.
template <class V> GPUKERN_D V scale_of(Type type, double x, double imaginary, int64_t integer) {
  if constexpr (is_complex<V>) return {static_cast<decltype(V::re)>(x), static_cast<decltype(V::re)>(imaginary)};
  else return whole(type) ? static_cast<V>(integer) : static_cast<V>(x);
}

// activation(alpha * sum + beta * C) + residual.
template <class O, class V, int P>
GPUKERN_D void complete(const Ending& w, int64_t batch, int64_t row, int64_t column, int left, V (&v)[P]) {
  const Problem& p = argument(w).p;  // the addresses come from w itself, which says that they are global memory
  const Epilogue& e = p.epilogue;
  const V alpha = scale_of<V>(p.type, e.alpha, e.alpha_imaginary, e.whole_alpha);
  const V beta = scale_of<V>(p.type, e.beta, e.beta_imaginary, e.whole_beta);
#pragma unroll
  for (int i = 0; i < P; ++i) v[i] *= alpha;
  if (e.addend) {
    V c[P];
    fetch(static_cast<const O*>(w.data.c) + batch * p.c.batch + row * p.c.row + column * p.c.column, p.c, w.c_packets,
          w.down, left, c);
#pragma unroll
    for (int i = 0; i < P; ++i) v[i] += beta * c[i];
  }
  if constexpr (std::is_floating_point_v<V>) {
    if (e.activation != Activation::none) {
#pragma unroll
      for (int i = 0; i < P; ++i) v[i] = activated(e.activation, v[i]);
    }
  }
  if (e.residual) {
    V r[P];
    fetch(static_cast<const O*>(w.data.residual) + batch * p.residual.batch + row * p.residual.row +
              column * p.residual.column,
          p.residual, w.residual_packets, w.down, left, r);
#pragma unroll
    for (int i = 0; i < P; ++i) v[i] += r[i];
  }
}

// Stores P numbers, `left` of which are there, as elements of type O.
template <class O, class V, int P, class Narrow>
GPUKERN_D void put(const Ending& w, int64_t batch, int64_t row, int64_t column, int left, const V (&v)[P],
                   Narrow narrow) {
  const Problem& p = argument(w).p;
  O* const to = static_cast<O*>(w.data.d) + batch * p.d.batch + row * p.d.row + column * p.d.column;
  if (w.d_packets && left == P) {
    Packet<O, P> packet;
#pragma unroll
    for (int i = 0; i < P; ++i) packet.v[i] = narrow(v[i]);
    store_packet(reinterpret_cast<Packet<O, P>*>(to), packet);
  } else {
    const int64_t step = w.down ? p.d.row : p.d.column;
#pragma unroll
    for (int i = 0; i < P; ++i)
      if (i < left) to[i * step] = narrow(v[i]);
  }
}

// Stores P sums from (row, column) on as elements of type O.
template <class O, class V, int P>
GPUKERN_D void emit_as(const Ending& w, int64_t batch, int64_t row, int64_t column, V (&v)[P]) {
  const Problem& p = argument(w).p;
  if (row >= p.m || column >= p.n) return;
  const int64_t along = w.down ? p.m - row : p.n - column;
  const int left = along < P ? static_cast<int>(along) : P;
  if (!w.plain) complete<O>(w, batch, row, column, left, v);
  put<O>(w, batch, row, column, left, v, [](V x) { return Number<O>::narrow(x); });
}
// Sums of a scaled product: each block's scales are in them.
template <int P>
GPUKERN_D void emit_scaled(const Ending& w, int64_t batch, int64_t row, int64_t column, float (&v)[P]) {
  const Problem& p = argument(w).p;
  if (row >= p.m || column >= p.n) return;
  const int left = p.n - column < P ? static_cast<int>(p.n - column) : P;
#pragma unroll
  for (int i = 0; i < P; ++i) {
    if (w.data.bias && i < left) v[i] += w.data.bias[column + i];
    if (w.data.scale_result) v[i] *= *w.data.scale_result;
  }
  switch (p.out) {
    case Type::f32: return put<float>(w, batch, row, column, left, v, [](float x) { return x; });
    case Type::f16: return put<half_t>(w, batch, row, column, left, v, [](float x) { return from_float<half_t>(x); });
    case Type::bf16:
      return put<bfloat16_t>(w, batch, row, column, left, v, [](float x) { return from_float<bfloat16_t>(x); });
    default: {
      const Format8 format = format_of(p.out);
      put<float8_t>(w, batch, row, column, left, v, [&](float x) { return narrow(x, format); });
    }
  }
}

// As elements of T, or of the type that sums of T have.
template <class T, class V, int P>
GPUKERN_D void emit(const Ending& w, int64_t batch, int64_t row, int64_t column, V (&v)[P]) {
  using Wide = typename Number<T>::Wide;
  if constexpr (std::is_same_v<T, float8_t>) {
    emit_scaled(w, batch, row, column, v);
  } else {
    if constexpr (!std::is_same_v<T, Wide>) {
      if (w.wide) return emit_as<Wide>(w, batch, row, column, v);
    }
    emit_as<T>(w, batch, row, column, v);
  }
}

}  // namespace gpukern::gemm
