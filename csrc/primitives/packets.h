// P neighbours of a matrix in memory: one packet if its address allows, else one by one, and only those inside the
// matrix.  The matrix has strides `row` and `column`; `down`: the neighbours lie along a column.
#pragma once
#include "../core/number.h"

namespace gpukern::primitives {

// Loads elements of O, `left` of them; the others become 0.
template <class O, class Strides, class V, int P>
GPUKERN_D void load_neighbours(const O* from, const Strides& l, bool packets, bool down, int left, V (&v)[P]) {
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

// Stores elements of O, `left` of them.
template <class O, class Strides, class V, int P, class Narrow>
GPUKERN_D void store_neighbours(O* to, const Strides& l, bool packets, bool down, int left, const V (&v)[P],
                                Narrow narrow) {
  if (packets && left == P) {
    Packet<O, P> packet;
#pragma unroll
    for (int i = 0; i < P; ++i) packet.v[i] = narrow(v[i]);
    store_packet(reinterpret_cast<Packet<O, P>*>(to), packet);
  } else {
    const int64_t step = down ? l.row : l.column;
#pragma unroll
    for (int i = 0; i < P; ++i)
      if (i < left) to[i * step] = narrow(v[i]);
  }
}

}  // namespace gpukern::primitives
