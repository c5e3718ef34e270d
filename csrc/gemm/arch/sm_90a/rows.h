// The rows of one type: the tensor maps, the grid, and the switch that launches the kernel.  Each type has a .cu of its
// own, so that they compile side by side.
#pragma once
#include "../../split/split.h"
#include "kernel.cuh"

namespace gpukern::gemm::sm_90a {

// The map of a matrix of which one copy moves `along` neighbours of `lines` lines; false where TMA takes no such
// matrix.
inline bool describe(const void* address, const Layout& l, const Lines& m, int64_t batch, int size, uint32_t along,
                     uint32_t lines, Operand& o) {
  o.batched = batch > 1 && l.batch != 0;
  const auto padded = [&](int64_t elements) { return static_cast<uint64_t>(ceil_div(elements * size, 16) * 16); };
  const uint64_t line = m.lines > 1 ? static_cast<uint64_t>(m.step * size) : padded(m.along);
  const uint64_t matrix = o.batched ? static_cast<uint64_t>(l.batch * size) : line * static_cast<uint64_t>(m.lines);
  o.matrices_inside = matrix < line;  // outer strides are never smaller than inner ones
  TensorMapFields f;
  f.address = const_cast<void*>(address);
  f.rank = 3;
  f.element_bytes = size;
  const int at_line = o.matrices_inside ? 2 : 1, at_matrix = 3 - at_line;
  f.extent[0] = static_cast<uint64_t>(m.along), f.box[0] = along;
  f.extent[at_line] = static_cast<uint64_t>(m.lines), f.box[at_line] = lines, f.stride[at_line] = line;
  f.extent[at_matrix] = o.batched ? static_cast<uint64_t>(batch) : 1, f.box[at_matrix] = 1;
  f.stride[at_matrix] = matrix;
  f.swizzle = static_cast<Swizzle>(along * size);
  return platform::tensor_map(f, o.map) == nullptr;
}

// The map of an operand's tile of X rows or columns, or of the half that a block of a pair brings.
template <class T, int X, Major M>
bool describe_tile(const void* address, const Layout& l, const Lines& m, int64_t batch, bool half, Operand& o) {
  constexpr uint32_t span = kSpan / sizeof(T);
  const uint32_t lines = (M == Major::k ? X : span) / (half ? 2 : 1);
  return describe(address, l, m, batch, sizeof(T), span, lines, o);
}

// Whether D is the sums times alpha, in the operands' type, and lies as TMA stores it.
inline bool ends_by_tma(const Problem& p) {
  const Epilogue& e = p.epilogue;
  return p.out == p.type && !e.addend && !e.residual && e.activation == Activation::none &&
         e.derivative == Activation::none && !e.row_scale && !e.column_scale && e.sums == Sums::none &&
         brought(p.d, lines_of_d(p)) && (p.batch == 1 || p.d.batch != 0);
}

// turned: p is the transposed of what was asked.
template <class T, int BM, int BN, Consumers Way, Major A, Major B>
int run(const Row& row, const Problem& p, Data data, bool turned, Stream stream) {
  using S = Shape<T, BM, BN, Way, A, B>;
  const bool split = data.splits > 1;
  // Ranges are whole steps, so that there may be fewer than were asked for: each of them has some.
  const int64_t steps = ceil_div(p.k, S::BK), range_steps = ceil_div(steps, data.splits);
  data.splits = static_cast<int>(ceil_div(steps, range_steps));
  const Problem stored = split ? partial_of(p, turned) : p;
  Work w{ending_of(stored, split ? partial_of(data) : data, 4, runs_down(stored))};
  w.batches = static_cast<int>(p.batch);
  w.steps = static_cast<int>(steps);
  w.range_steps = static_cast<int>(range_steps);
  w.cluster = data.cluster ? data.cluster : cluster_of(row, p, data.splits, data.processors);
  const bool pair = w.cluster > 1;
  if (!describe_tile<T, BM, A>(data.a, p.a, lines_of_a(p), p.batch, pair && !S::shares_b, w.a) ||
      !describe_tile<T, BN, B>(data.b, p.b, lines_of_b(p), p.batch, pair && S::shares_b, w.b))
    return platform::kNoTensorMap;
  w.by_tma = ends_by_tma(stored) && describe(data.d, p.d, lines_of_d(p), p.batch, sizeof(T), kOut<S>, 16, w.d);
  const Grid grid = grid_of(row, p, w.cluster);
  w.rows = static_cast<uint32_t>(grid.rows);
  w.columns = static_cast<uint32_t>(grid.columns);
  w.tiles = static_cast<uint32_t>(grid.rows * grid.columns * p.batch * data.splits);
  const int64_t room = data.processors / w.cluster;
  const int64_t clusters = w.tiles < room ? w.tiles : room > 0 ? room : 1;
  if (const int error = platform::launch_clusters(&product<T, BM, BN, Way, A, B>, w.cluster, true,
                                                  dim3(static_cast<unsigned>(clusters * w.cluster)), dim3(kThreads),
                                                  static_cast<size_t>(row.shared), stream, w))
    return error;
  return split::end(turned ? transposed(p) : p, data, split, turned ? kOut<S> : 16, stream);
}

// The kernel for the layouts as they lie.
template <class T, int BM, int BN, Consumers Way>
int run_layout(const Row& row, const Problem& given, const Data& given_data, Stream stream) {
  const Problem p = oriented(row, given);
  const bool t = turned(row, given);
  const Data data = t ? transposed(given_data) : given_data;
  constexpr Major k = Major::k, mn = Major::mn;
  if (b_along_k(p)) {
    return a_along_k(p) ? run<T, BM, BN, Way, k, k>(row, p, data, t, stream)
                        : run<T, BM, BN, Way, mn, k>(row, p, data, t, stream);
  }
  if constexpr (BN % 64 == 0)
    return a_along_k(p) ? run<T, BM, BN, Way, k, mn>(row, p, data, t, stream)
                        : run<T, BM, BN, Way, mn, mn>(row, p, data, t, stream);
  return platform::kNoKernel;  // selection names no such row
}

template <class T> int run_row(int row, const Problem& p, const Data& data, Stream stream) {
  int index = 0;
#define GPUKERN_ROW(ID, TYPES, BM, BN, CONSUMERS)                                                      \
  if constexpr ((TYPES & bit(type_of<T>())) != 0)                                                      \
    if (index == row) return run_layout<T, BM, BN, Consumers::CONSUMERS>(kRows[row], p, data, stream); \
  ++index;
  GPUKERN_SM90A_TILES(GPUKERN_ROW)
#undef GPUKERN_ROW
  return platform::kNoKernel;  // selection names no such row
}

}  // namespace gpukern::gemm::sm_90a
