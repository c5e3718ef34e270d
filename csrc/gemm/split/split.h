// The second pass of split-K: adds the partial sums of all ranges of k, in the order of the ranges.  Likewise for sums
// of columns: adds their parts in order.
#pragma once
#include "../../platform/device.h"
#include "../problem.h"
#include "../schedule.h"

namespace gpukern::gemm::split {

// D = p's epilogue of the sum of the data.splits results in data.partial.  Returns 0 or the runtime's error code.
int add_ranges(const Problem& p, const Data& data, Stream stream);
// data.sums = the sum of data.parts, each of which covers `rows` rows of D.
int add_parts(const Problem& p, const Data& data, int rows, Stream stream);

// Rows of D that a thread of add_ranges stores where columns are summed; a part is the sum of as many.  Up to 64, if
// enough threads are left to fill a device with loads, or if fewer would make so many parts that adding them takes
// longer than the rows.  The problem alone decides, so that sums are the same on every device.
constexpr int part_rows(const Problem& p) {
  const int64_t across = ceil_div(p.n, 16 / bytes(accumulator(p.type)));
  int rows = 4;
  while (rows < 64 && (ceil_div(p.m, 2 * rows) * across >= 32768 || 64 * rows * rows < p.m)) rows *= 2;
  return rows;
}

// Runs after the kernels of a product.  apart: they wrote data.partial; else D, and parts of `rows` rows each.
inline int end(const Problem& p, const Data& data, bool apart, int rows, Stream stream) {
  if (apart) return add_ranges(p, data, stream);
  return p.epilogue.sums == Sums::none ? 0 : add_parts(p, data, rows, stream);
}

}  // namespace gpukern::gemm::split
