// Tiles that TMA loads for wgmma: lines of 128 bytes, swizzled, in boxes of at most 256 lines.
#pragma once
#include "tma.h"

namespace gpukern::primitives {

// A batch of matrices as a kernel loads or stores it: coordinates are (along a line, line, matrix), the last two
// exchanged where matrices lie closer than lines do.
struct TmaMatrix {
  TensorMap map;
  bool batched = false, matrices_inside = false;
  int term = 0;  // of an operand in terms: matrices from one term to the next
};
struct MatrixIndex {
  int batch, term;
};

// One box, from (along, line) of a matrix; to this block, or to both of the cluster.
GPUKERN_D void load_box(const TmaMatrix& o, uint32_t to, int along, int line, MatrixIndex from, uint32_t full,
                        bool both) {
  const int matrix = (o.batched ? from.batch : 0) + from.term * o.term;
  const int at[3] = {along, o.matrices_inside ? matrix : line, o.matrices_inside ? line : matrix};
  if (both) tma_load_multicast(to, &o.map, at, full, 3);
  else tma_load(to, &o.map, at, full);
}

// The tile of X rows of A (or columns of B) from x on and of one stage of k.  If both blocks of a pair share it, the
// half that this block loads: k-major half of the lines, else half of the k.  Along x a box is 64 wide, and X / 64
// boxes lie one after another.
template <int X, Major M>
GPUKERN_D void load_tile(const TmaMatrix& o, uint32_t to, int x, int k, MatrixIndex from, uint32_t full, bool both,
                         int rank) {
  if constexpr (M == Major::k) {
    const int first = both ? rank * (X / 2) : 0;
    load_box(o, to + first * kSpan, k, x + first, from, full, both);
  } else {
    const int first = both ? rank * 32 : 0;
#pragma unroll
    for (int i = 0; i < X / 64; ++i)
      load_box(o, to + i * (64 * kSpan) + first * kSpan, x + i * 64, k + first, from, full, both);
  }
}

}  // namespace gpukern::primitives
