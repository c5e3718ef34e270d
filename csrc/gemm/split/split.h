// The second half of a product whose k was split: the sums of all ranges, added in the order of the ranges.  And that
// of sums of columns: the parts, added in their order.
#pragma once
#include "../../platform/device.h"
#include "../problem.h"
#include "../schedule.h"

namespace gpukern::gemm::split {

// data.partial has data.splits results; D gets their sum and p's epilogue.  0 or the runtime's error code.
int add_ranges(const Problem& p, const Data& data, Stream stream);
// data.parts has as many as `rows` rows each are D's; data.sums gets theirs.
int add_parts(const Problem& p, const Data& data, int rows, Stream stream);

// Rows of D that a thread of add_ranges ends where columns are summed, each part of sums being of as many: up to 64
// while enough threads are left to fill a device with their loads, or the parts would take longer to be added than the
// rows. The problem alone decides, so sums are the same on each.
constexpr int part_rows(const Problem& p) {
  const int64_t across = ceil_div(p.n, 16 / bytes(accumulator(p.type)));
  int rows = 4;
  while (rows < 64 && (ceil_div(p.m, 2 * rows) * across >= 32768 || 64 * rows * rows < p.m)) rows *= 2;
  return rows;
}

// What follows the kernels of a row.  apart: they wrote data.partial; else D, and the parts of `rows` rows.
inline int end(const Problem& p, const Data& data, bool apart, int rows, Stream stream) {
  if (apart) return add_ranges(p, data, stream);
  return p.epilogue.sums == Sums::none ? 0 : add_parts(p, data, rows, stream);
}

}  // namespace gpukern::gemm::split
