// The second pass of split-K: D = epilogue(the partial sums of one or more ranges of k, added).  They have the
// accumulator's type and lie as [range][batch][m][n].
//
// A thread has 16 bytes of neighbouring partial sums and walks the ranges in order, with four loads in flight:
// memory-bound, and additions have the same order on every run.  One kernel for each type of D, and one for scaled
// products; the epilogue is that of every product.
#pragma once
#include "../emit.cuh"
#include "../schedule.h"

namespace gpukern::gemm::split {

constexpr int kThreads = 256;

struct Params {
  EpilogueParams epilogue;  // first: see emit.cuh
  const void* partial;
  int splits;
  int64_t packets, across;  // packets of all matrices, of one row
  int rows;                 // where columns are summed: packets of a thread, of which `packets` counts only the first
  bool aligned;
};

// sum += the partial sums of all ranges, for one packet of D.
template <class V, int P> GPUKERN_D void add_packets(const Params& w, int64_t line, int64_t column, V (&sum)[P]) {
  const Problem& p = w.epilogue.p;
  const int left = p.n - column < P ? static_cast<int>(p.n - column) : P;
  const int64_t slice = p.batch * p.m * p.n;
  const V* from = static_cast<const V*>(w.partial) + line * p.n + column;
#pragma unroll 4
  for (int range = 0; range < w.splits; ++range, from += slice) {
    V v[P];
    if (w.aligned) {
      const auto packet = load_packet(reinterpret_cast<const Packet<V, P>*>(from));
#pragma unroll
      for (int i = 0; i < P; ++i) v[i] = packet.v[i];
    } else {
#pragma unroll
      for (int i = 0; i < P; ++i) v[i] = i < left ? from[i] : V{};
    }
#pragma unroll
    for (int i = 0; i < P; ++i) sum[i] += v[i];
  }
}

template <class O> GPUKERN_KERNEL GPUKERN_BOUNDS(kThreads) sum_ranges(GPUKERN_GRID_CONST const Params w) {
  using V = typename Number<O>::V;
  constexpr int each = 16 / static_cast<int>(sizeof(V));
  const Problem& p = w.epilogue.p;
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= w.packets) return;
  const int64_t line = index / w.across, column = (index - line * w.across) * each;
  const int64_t batch = line / p.m, row = line - batch * p.m;
  V sum[each] = {};
  add_packets(w, line, column, sum);
  if constexpr (std::is_same_v<O, float8_t>) emit_scaled(w.epilogue, batch, row, column, sum);
  else emit_as<std::is_floating_point_v<V>, O>(w.epilogue, batch, row, column, sum);
}

// ---- the sums of columns --------------------------------------------------------------------------------------------

// The same for one matrix whose columns are summed too: a thread has w.rows packets, one below the other, and writes
// the sums of the columns it has stored, [part][n].  Neighbouring threads have neighbouring packets, so no sums have to
// be added across threads.  Parameters are read again for each packet (emit.cuh), as scalar registers are too few for
// them.  D's type is chosen at run time, so that the kernel has float32's formulas once.
template <class V> GPUKERN_KERNEL GPUKERN_BOUNDS(kThreads) sum_ranges_and_columns(GPUKERN_GRID_CONST const Params w) {
  constexpr int each = 16 / static_cast<int>(sizeof(V));
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= w.packets) return;
  const int64_t part = index / w.across, column = (index - part * w.across) * each;
  V total[each] = {};
#pragma unroll 1
  for (int64_t row = part * w.rows; row < (part + 1) * w.rows; ++row) {
    const Params& now = argument(w);
    if (row >= now.epilogue.p.m) break;
    V sum[each] = {};
    add_packets(now, row, column, sum);
    if constexpr (std::is_same_v<V, double>) emit_as<true, double>(now.epilogue, 0, row, column, sum);
    else if (now.epilogue.p.out == DType::f16) emit_as<true, half_t>(now.epilogue, 0, row, column, sum);
    else if (now.epilogue.p.out == DType::bf16) emit_as<true, bfloat16_t>(now.epilogue, 0, row, column, sum);
    else emit_as<true, float>(now.epilogue, 0, row, column, sum);
#pragma unroll
    for (int i = 0; i < each; ++i) total[i] += sum[i];
  }
  const int64_t n = argument(w).epilogue.p.n;
  V* const to = static_cast<V*>(argument(w).epilogue.data.parts) + part * n + column;
#pragma unroll
  for (int i = 0; i < each; ++i)
    if (column + i < n) to[i] = total[i];
}

// A block's columns, and the parts that it loads at a time: a bias may be short and have thousands of parts.
constexpr int kLine = 32, kLines = 32;

struct Parts {
  const void* from;  // [count][length]
  void* to;
  int64_t count, length;
  DType out;
};

// Adds all parts: a thread adds every kLines-th, then the threads' sums are added in their order.
template <class V> GPUKERN_KERNEL GPUKERN_BOUNDS(kLine* kLines) sum_parts(GPUKERN_GRID_CONST const Parts w) {
  const int thread = static_cast<int>(threadIdx.x), line = thread / kLine;
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kLine + thread % kLine;
  V sum = 0;
  if (column < w.length) {
#pragma unroll 8
    for (int64_t part = line; part < w.count; part += kLines)
      sum += static_cast<const V*>(w.from)[part * w.length + column];
  }
  V* const shared = reinterpret_cast<V*>(shared_memory());  // [line][column]
  shared[thread] = sum;
  syncthreads();
  if (line > 0 || column >= w.length) return;
  for (int other = 1; other < kLines; ++other) sum += shared[other * kLine + thread];
  if constexpr (std::is_same_v<V, double>) static_cast<double*>(w.to)[column] = sum;
  else if (w.out == DType::f16) static_cast<half_t*>(w.to)[column] = from_float<half_t>(sum);
  else if (w.out == DType::bf16) static_cast<bfloat16_t*>(w.to)[column] = from_float<bfloat16_t>(sum);
  else static_cast<float*>(w.to)[column] = sum;
}

}  // namespace gpukern::gemm::split
