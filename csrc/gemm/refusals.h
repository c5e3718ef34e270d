// What no table of tiles takes.  Plain C++, as the tables are.
#pragma once
#include "../platform/device.h"
#include "problem.h"
#include "schedule.h"

namespace gpukern::gemm {

constexpr Reason refused_result(const Problem& p) {
  if (!gives(p.type, p.out))
    return is_float8(p.type) ? "the result of a scaled product must be a float type of 8, 16 or 32 bits"
                             : "the result must have the operands' type or the accumulator's";
  if (!floating(p.type) && p.epilogue.activation != Activation::none) return "an activation needs a floating type";
  if (!floating(p.type) && p.epilogue.derivative != Activation::none) return "a derivative needs a floating type";
  if (!floating(p.type) && (p.epilogue.row_scale || p.epilogue.column_scale))
    return "row and column scales need a floating type";
  if (p.epilogue.sums != Sums::none && (!floating(p.type) || p.batch != 1))
    return "column sums need a single matrix of a floating type";
  if (p.epilogue.aux && (!floating(p.type) || p.out != p.type || p.epilogue.activation == Activation::none))
    return "an auxiliary output needs an activation, and a result of the operands' floating type";
  return nullptr;
}

constexpr Reason kTooManyTiles = "the result has more tiles than a grid can have blocks";
// For tables whose smallest tile is 16 wide.
constexpr Reason refused_extents(const Problem& p) {
  const int64_t columns = ceil_div(p.n, 16);
  return ceil_div(p.m, 16) > kGridLimit / (columns > 0 ? columns : 1) ? kTooManyTiles : nullptr;
}

// Whether an operand lies along k: its unit stride, or any stride where it has none.
constexpr bool a_lies_along_k(const Problem& p) { return p.a.column == 1 || p.a.row != 1; }
constexpr bool b_lies_along_k(const Problem& p) { return p.b.row == 1 || p.b.column != 1; }

}  // namespace gpukern::gemm
