// Sums of columns of D: the warps that store D write partial sums (parts), and split/ adds these in order.
#pragma once
#include "../primitives/reduce.h"
#include "emit.cuh"

namespace gpukern::gemm {

// Sums the columns of a warp's part of D: lanes with the same columns add their sums, and the warp stores the result in
// `Data::parts`, [part][column].  If packets run down the columns of D, rows are summed.  `across`: packets side by
// side.
template <int WM, int WN, int P>
GPUKERN_D void store_part(const EpilogueParams& w, int64_t row0, int64_t column0, int across, float (&total)[P]) {
  const Problem& p = argument(w).p;
  const int lane = static_cast<int>(threadIdx.x % 32);
  primitives::add_lanes(total, across, 32);
  const int64_t length = w.down ? p.m : p.n, first = (w.down ? row0 : column0) + lane * P;
  const int64_t part = w.down ? column0 / WN : row0 / WM;
  const bool there = lane < across && (w.down ? column0 < p.n : row0 < p.m);
  float* const to = static_cast<float*>(argument(w).data.parts) + part * length + first;
#pragma unroll
  for (int e = 0; e < P; ++e) {
    if (there && first + e < length) to[e] = total[e];
    total[e] = 0;
  }
}

}  // namespace gpukern::gemm
