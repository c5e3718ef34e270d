// What no table of tiles takes, and what the tables of mma.sync share.  Plain C++, as the tables are.
#pragma once
#include "../platform/device.h"
#include "problem.h"
#include "schedule.h"

namespace gpukern::gemm {

constexpr Reason refused_result(const Problem& p) {
  if (!gives(p.type, p.out))
    return is_float8(p.type) ? "a scaled product's result is a float of 8, 16 or 32 bits"
                             : "a result is of the operands' type or the accumulator's";
  if (!floating(p.type) && p.epilogue.activation != Activation::none) return "an activation needs a floating type";
  if (!floating(p.type) && p.epilogue.derivative != Activation::none) return "a derivative needs a floating type";
  if (!floating(p.type) && (p.epilogue.row_scale || p.epilogue.column_scale))
    return "scales of rows and columns need a floating type";
  if (p.epilogue.sums != Sums::none && (!floating(p.type) || p.batch != 1))
    return "sums of columns are of one matrix of a floating type";
  return nullptr;
}

constexpr Reason kTooManyTiles = "the result has more tiles than a grid has blocks";
// For tables whose smallest tile is 16 wide.
constexpr Reason refused_extents(const Problem& p) {
  const int64_t columns = ceil_div(p.n, 16);
  return ceil_div(p.m, 16) > kGridLimit / (columns > 0 ? columns : 1) ? kTooManyTiles : nullptr;
}

// Whether an operand lies along k: its unit stride, or any stride where it has none.
constexpr bool a_lies_along_k(const Problem& p) { return p.a.column == 1 || p.a.row != 1; }
constexpr bool b_lies_along_k(const Problem& p) { return p.b.row == 1 || p.b.column != 1; }

// ---- warps that multiply by mma.sync, from sm_80 on ---------------------------------------------

namespace mma {
constexpr int64_t kLeastShared = 99 * 1024;  // what sm_86, sm_89 and sm_120 give a block
constexpr int threads_of(int bm, int bn, int wm, int wn) { return bm / wm * (bn / wn) * 32; }

// Whether an operand is walked along k: where it lies so, and bytes always.
constexpr bool a_along_k(const Problem& p) { return bytes(p.type) == 1 || a_lies_along_k(p); }
constexpr bool b_along_k(const Problem& p) { return bytes(p.type) == 1 || b_lies_along_k(p); }
// Three of the four layouts are compiled: where A lies by columns and B by columns too, the transposed product has A by
// rows and B by rows.
constexpr bool fourth_layout(const Problem& p) { return !a_along_k(p) && b_along_k(p); }

constexpr Reason serves(const Device& d) {
  return d.vendor == Vendor::nvidia && d.target >= 80 ? nullptr : "mma.sync of these types begins with NVIDIA's sm_80";
}
}  // namespace mma

}  // namespace gpukern::gemm
