// The configurations of one type: the tensor maps, the grid, and the switch that launches the kernel.  Types are in two
// .cu, which compile side by side.
#pragma once
#include "../../../platform/cluster_launch.h"
#include "../../../primitives/tma.h"
#include "../../split/split.h"
#include "kernel.cuh"

namespace gpukern::gemm::wgmma {

// The tensor map of a matrix, whose boxes are `along` neighbours of `lines` lines; false where TMA cannot load such a
// matrix.
inline bool describe(const void* address, const Layout& l, const Lines& m, int64_t batch, int size, uint32_t along,
                     uint32_t lines, bool to_tf32, TmaMatrix& o) {
  o.batched = batch > 1 && l.batch != 0;
  const auto padded = [&](int64_t elements) { return static_cast<uint64_t>(ceil_div(elements * size, 16) * 16); };
  const uint64_t line = m.lines > 1 ? static_cast<uint64_t>(m.step * size) : padded(m.along);
  const uint64_t matrix = o.batched ? static_cast<uint64_t>(l.batch * size) : line * static_cast<uint64_t>(m.lines);
  o.matrices_inside = matrix < line;  // outer strides are never smaller than inner ones
  TensorMapFields f;
  f.address = const_cast<void*>(address);
  f.rank = 3;
  f.element_bytes = size;
  f.to_tf32 = to_tf32;
  const int at_line = o.matrices_inside ? 2 : 1, at_matrix = 3 - at_line;
  f.extent[0] = static_cast<uint64_t>(m.along), f.box[0] = along;
  f.extent[at_line] = static_cast<uint64_t>(m.lines), f.box[at_line] = lines, f.stride[at_line] = line;
  f.extent[at_matrix] = o.batched ? static_cast<uint64_t>(batch) : 1, f.box[at_matrix] = 1;
  f.stride[at_matrix] = matrix;
  f.swizzle = static_cast<Swizzle>(along * size);
  return platform::tensor_map(f, o.map) == nullptr;
}

// Whether TMA can store D: it is alpha A B, in the operands' type of 16 bits, and has a layout that TMA takes.
inline bool ends_by_tma(const Problem& p) {
  const Epilogue& e = p.epilogue;
  return bytes(p.type) == 2 && p.out == p.type && !e.addend && !e.residual && e.activation == Activation::none &&
         e.derivative == Activation::none && !e.row_scale && !e.column_scale && e.sums == Sums::none &&
         loadable(p.d, lines_of_d(p)) && (p.batch == 1 || p.d.batch != 0);
}

// A kernel and what its launch needs to know.  One function launches all kernels of a file, so that the host's part is
// compiled once and not for every tile and layout.
struct CompiledKernel {
  void (*kernel)(Params);
  Major a, b;
  DType type;  // of the operands as they are loaded
};

// An operand as TMA loads it: the caller's, or the copy or terms that a pass wrote.
struct LoadedOperand {
  const void* at;
  Layout layout;
  int64_t batch;
  int term = 0;  // matrices of one term; 0: the operand is not in terms
};

// The map of an operand's tile of x rows or columns, or of the half that a block of a pair loads.
inline bool describe_tile(const LoadedOperand& from, const Lines& m, const CompiledKernel& c, int x, Major major,
                          bool half, TmaMatrix& o) {
  const int span = kSpan / bytes(c.type), lines = (major == Major::k ? x : span) / (half ? 2 : 1);
  if (!describe(from.at, from.layout, m, from.batch, bytes(c.type), static_cast<uint32_t>(span),
                static_cast<uint32_t>(lines), c.type == DType::f32, o))
    return false;
  o.term = from.term;
  if (from.term) o.batched = from.term > 1;
  return true;
}

// The terms of an operand: TMA sees all their matrices as one batch.
inline LoadedOperand matrix_of(const terms::Operand& o, int terms, bool by_rows) {
  const terms::TermLayout& p = o.place;
  const Layout l = by_rows ? Layout{p.pitch, 1, p.matrix(), 16} : Layout{1, p.pitch, p.matrix(), 16};
  return {o.to, l, terms * p.batches, static_cast<int>(p.batches)};
}

// The passes before a product, which launch.cu defines for all files: terms::divide, and pack_by_size (pack.cuh).
int divide(const Problem& p, const Data& data, terms::Division& d, Stream stream);
int pack(const Problem& p, Data& data, Stream stream);

// Both operands' maps, after the pass that they need.  p: the problem as the configuration multiplies it (oriented).
inline int describe_operands(const Configuration& r, const CompiledKernel& c, const Problem& p, bool is_transposed,
                             Data data, Params& w, Stream stream) {
  if (workspace(p) && !data.workspace) return platform::kNoKernel;
  if (packed(p))
    if (const int error = pack(p, data, stream)) return error;
  const Problem q = as_loaded(p);
  LoadedOperand a{data.a, q.a, q.batch}, b{data.b, q.b, q.batch};
  if (in_terms(p)) {
    terms::Division d;
    if (const int error = divide(p, data, d, stream)) return error;
    a = matrix_of(d.a, d.terms, c.a == Major::k);
    b = matrix_of(d.b, d.terms, c.b == Major::mn);
    w.products = term_products(p.precision);
    for (int i = 0; i < w.products; ++i) w.pairs[i] = terms::pair(i, w.products, is_transposed);
  }
  const bool pair = w.cluster > 1, by_b = shares_b(r);
  const Lines lines_a = lines_of(a.layout, p.m, p.k, c.a == Major::k);
  const Lines lines_b = lines_of(b.layout, p.k, p.n, c.b == Major::mn);
  const bool described = describe_tile(a, lines_a, c, r.bm, c.a, pair && !by_b, w.a) &&
                         describe_tile(b, lines_b, c, r.bn, c.b, pair && by_b, w.b);
  return described ? 0 : platform::kNoTensorMap;
}

// p: `given` as the configuration multiplies it (oriented).
inline int run(const Configuration& r, const CompiledKernel& c, const Problem& given, const Problem& p,
               const Data& given_data, Stream stream) {
  const bool t = transposes(r, given);
  Data data = t ? transposed(given_data) : given_data;
  const int out = out_of(r.bn);
  const bool in_cluster =
      data.splits > 1 && gathers(r.bm, r.bn) && (data.cluster < 0 || inside(r, given, data.splits, data.processors));
  const bool split = data.splits > 1 && !in_cluster;
  // Ranges are whole steps, so there may be fewer than requested: no range may be empty.
  const int64_t steps = ceil_div(p.k, step_of(p)), range_steps = ceil_div(steps, data.splits);
  data.splits = static_cast<int>(ceil_div(steps, range_steps));
  const Problem stored = split ? partial_of(p, t) : p;
  Params w{epilogue_params(stored, split ? partial_of(data) : data, 4, runs_down(stored))};
  const Extents extents{p.m, p.n, p.batch};
  w.batches = static_cast<int>(p.batch);
  w.steps = static_cast<int>(steps);
  w.range_steps = static_cast<int>(range_steps);
  w.ranges = in_cluster ? data.splits : 1;
  if (!in_cluster) w.cluster = data.cluster > 0 ? data.cluster : cluster_of(r, extents, data.splits, data.processors);
  if (const int error = describe_operands(r, c, p, t, data, w, stream)) return error;
  w.by_tma = !in_cluster && ends_by_tma(stored) &&
             describe(data.d, p.d, lines_of_d(p), p.batch, bytes(p.type), static_cast<uint32_t>(out), 16, false, w.d);
  const Grid grid = grid_of(r, extents, w.cluster);
  w.rows = static_cast<uint32_t>(grid.rows);
  w.columns = static_cast<uint32_t>(grid.columns);
  w.tiles = static_cast<uint32_t>(grid.rows * grid.columns * p.batch * (in_cluster ? 1 : data.splits));
  const int blocks = w.cluster * w.ranges;
  // Where the ring holds the accumulators at the end, each block has one tile only.
  const int64_t room = in_cluster ? w.tiles : data.processors / blocks;
  const int64_t clusters = w.tiles < room ? w.tiles : room > 0 ? room : 1;
  if (const int error =
          platform::launch_clusters(c.kernel, blocks, true, dim3(static_cast<unsigned>(clusters * blocks)),
                                    dim3(kThreads), static_cast<size_t>(r.shared), stream, w))
    return error;
  return split::end(given, data, split, t ? out : 16, stream);
}

// A configuration's kernel for the layouts of the operands, or for their float8 formats.
template <class C, class T> CompiledKernel compiled(const Problem& p) {
  constexpr Major k = Major::k, mn = Major::mn;
  using Loaded = typename Shape<C, T, T, T, k, k>::T;
  constexpr DType type = type_of<Loaded>();
  const bool along_a = a_lies_along_k(p), along_b = b_lies_along_k(p);
  if constexpr (std::is_same_v<T, float8_t>) {
    const bool wide_a = p.type == DType::e5m2, wide_b = p.scaling.b_type == DType::e5m2;  // in exponents
    if (!wide_a && !wide_b) return {&product<C, T, e4m3_t, e4m3_t, k, k>, k, k, type};
    if (!wide_a) return {&product<C, T, e4m3_t, e5m2_t, k, k>, k, k, type};
    if (!wide_b) return {&product<C, T, e5m2_t, e4m3_t, k, k>, k, k, type};
  } else {
    using W = typename Word<Loaded>::Is;
    if (along_a && along_b) return {&product<C, T, W, W, k, k>, k, k, type};
    if constexpr (sizeof(Loaded) == 2)
      if (along_b) return {&product<C, T, W, W, mn, k>, mn, k, type};
    if constexpr (sizeof(Loaded) == 2 && C::bn % 64 == 0) {
      if (along_a) return {&product<C, T, W, W, k, mn>, k, mn, type};
      return {&product<C, T, W, W, mn, mn>, mn, mn, type};
    }
  }
  return {};
}

template <class T> int run_configuration(int row, const Problem& given, const Data& data, Stream stream) {
  const Problem p = oriented(kConfigurations[row], given), seen = as_loaded(p);
  CompiledKernel c{};
  int index = 0;
#define GPUKERN_CONFIGURATION(ID, TYPES, BM, BN, CONSUMERS) \
  if constexpr ((TYPES & bit(type_of<T>())) != 0)           \
    if (index == row) c = compiled<ID, T>(seen);            \
  ++index;
  GPUKERN_WGMMA_TILES(GPUKERN_CONFIGURATION)
#undef GPUKERN_CONFIGURATION
  if (!c.kernel) return platform::kNoKernel;  // selection names no such configuration
  return run(kConfigurations[row], c, given, p, data, stream);
}

}  // namespace gpukern::gemm::wgmma
