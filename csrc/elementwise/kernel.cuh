// The elementwise kernels: one source for CUDA, HIP and the machine model, instantiated for every variant of every op.
//
//   rows<F, V, Size>   memory in 16-byte packets:   out  |lead|####|####|####|##  |     one row, U packets per thread,
//   (rows.cuh)                                      in    ....####|####|####|##        all loads before the arithmetic
//   any<L, V, N>       one element at a time, of any type and stride, two per thread; or a 32 x 32 tile, where operands
//                      that are dense along the other dimension are transposed in shared memory
//
// A kernel has one formula, or all of a family with N operands, selected by number (formulas.cuh): so the address
// arithmetic, which is most of the code, is compiled once.
//
// The steps of optimisation: one element per thread -> packets (half types: 2x and more) -> several packets in flight
// (64 bytes per thread, 48 KB per SM) -> address arithmetic once, in the plan.  Formulas are in ops/ and memory access
// is in plan.h, so that a change of one cannot break the other.
#pragma once
#include "launch.h"
#include "rows.cuh"

GPUKERN_ELEMENTWISE_BEGIN

// ---- strided and tiles --------------------------------------------------------------------------

// The offsets of one element in all operands, from its linear index.
template <int Operands> GPUKERN_D void locate(const Plan& p, uint32_t index, int64_t (&offset)[Operands]) {
#pragma unroll
  for (int k = 0; k < Operands; ++k) offset[k] = 0;
#pragma unroll 1
  for (int d = 0; d < p.ndim; ++d) {
    const uint32_t next = p.divide[d].quotient(index);
    const int64_t digit = index - next * p.divide[d].divisor;
    index = next;
#pragma unroll
    for (int k = 0; k < Operands; ++k) offset[k] += digit * p.part[k].stride[d];
  }
}

// The block's tile: its corner, and the offset from the dimensions beyond the first two.
struct TileCorner {
  int64_t i, j, outer;
  GPUKERN_D explicit TileCorner(const Plan& p) {
    const uint32_t block = blockIdx.x, column = p.tiles[0].quotient(block), rest = p.tiles[1].quotient(column);
    i = int64_t{block - column * p.tiles[0].divisor} * kTile;
    j = int64_t{column - rest * p.tiles[1].divisor} * kTile;
    outer = rest;
  }
  // Linear index of an element of the tile, or -1 outside the tensor.
  GPUKERN_D int64_t index(const Plan& p, int down, int along) const {
    if (i + down >= p.shape[0] || j + along >= p.shape[1]) return -1;
    return (outer * p.shape[1] + j + along) * p.shape[0] + i + down;
  }
};

// Binary search for the formula: every thread of a launch takes the same branch.
template <class L, class V, int N, int Low, int High> GPUKERN_D V choose(int which, const V* x, const V* s) {
  if constexpr (High - Low == 1) {
    return Numbered<L, V, N, false, Low>::type::run(x, s);
  } else {
    constexpr int middle = (Low + High) / 2;
    return which < middle ? choose<L, V, N, Low, middle>(which, x, s) : choose<L, V, N, middle, High>(which, x, s);
  }
}

template <class L, class V, int N> GPUKERN_KERNEL GPUKERN_BOUNDS(kTileThreads) any(GPUKERN_GRID_CONST const Plan p) {
  constexpr int E = kEach, line = kTile + 1;  // odd, so that the elements of a tile's column lie in different banks
  const int thread = static_cast<int>(threadIdx.x), fast = thread % kTile, slow = thread / kTile;
  const bool tile = p.path == Path::tile;
  const TileCorner corner(p);
  V* const transposed = reinterpret_cast<V*>(shared_memory());  // [N][kTile][line], for the operands `across`
  int64_t offset[E][N + 1];
  bool inside[E];

  // Loads the operands with this `across`; all loads are in flight before the first is used.
  const auto fetch = [&](bool across, V(&x)[E][N]) {
#pragma unroll
    for (int e = 0; e < E; ++e) {
      const int step = slow + e * (kTileThreads / kTile);
      int64_t index = (int64_t{blockIdx.x} * E + e) * blockDim.x + thread;
      if (tile) index = across ? corner.index(p, step, fast) : corner.index(p, fast, step);
      else if (index >= p.count) index = -1;
      inside[e] = index >= 0;
      locate<N + 1>(p, static_cast<uint32_t>(inside[e] ? index : 0), offset[e]);
    }
    uint64_t raw[E][N];
#pragma unroll
    for (int k = 0; k < N; ++k)
#pragma unroll
      for (int e = 0; e < E; ++e) {
        const Part& part = p.part[k + 1];
        raw[e][k] = inside[e] && part.across == across ? read_bits(part.data + offset[e][k + 1], part.size) : 0;
      }
#pragma unroll
    for (int k = 0; k < N; ++k)
#pragma unroll
      for (int e = 0; e < E; ++e) x[e][k] = decode<V>(raw[e][k], p.part[k + 1].dtype);
  };

  V x[E][N];
  if (tile) {
    fetch(true, x);
#pragma unroll
    for (int e = 0; e < E; ++e)
#pragma unroll
      for (int k = 0; k < N; ++k)
        if (p.part[k + 1].across) transposed[(k * kTile + slow + e * (kTileThreads / kTile)) * line + fast] = x[e][k];
    syncthreads();
  }
  fetch(false, x);
#pragma unroll
  for (int e = 0; e < E; ++e)
#pragma unroll
    for (int k = 0; k < N; ++k)
      if (p.part[k + 1].across) x[e][k] = transposed[(k * kTile + fast) * line + slow + e * (kTileThreads / kTile)];
  const Plan& later = argument(p);  // for fields that are read only from here on
  V s[kMaxScalars];
#pragma unroll
  for (int k = 0; k < kMaxScalars; ++k) s[k] = scalar_of<V>(later, k);
#pragma unroll 1
  for (int e = 0; e < E; ++e) {  // one copy of each formula, as above
    if (inside[0]) {
      const V y = choose<L, V, N, 0, kFormulas<L, V, N>.count>(later.formula, x[0], s);
      write_bits(p.part[0].data + offset[0][0], later.part[0].size, encode<V>(y, later.part[0].dtype));
    }
#pragma unroll
    for (int next = 1; next < E; ++next) {
      inside[next - 1] = inside[next];
      offset[next - 1][0] = offset[next][0];
#pragma unroll
      for (int k = 0; k < N; ++k) x[next - 1][k] = x[next][k];
    }
  }
}

// ---- launching ----------------------------------------------------------------------------------

using Function = void (*)(const Plan);

// The packet kernels of one variant, null where none is compiled.
struct RowKernels {
  Function by_size[3][4] = {};  // by compute type and element size 1, 2, 4, 8
  int formula[3] = {};          // by compute type: the number of the formula, if the kernel has several
  unsigned conditions = 0;
};

constexpr int size_index(int size) { return size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3; }

template <class L, class Op, int Variant, class V, int... Sizes>
void fill_type(RowKernels& kernels, Compute compute, int op) {
  constexpr Packets whose = packets_of<Op, Variant, V>();
  if constexpr (whose != Packets::none) {
    using K = Kernel<Op, Variant>;
    using F = std::conditional_t<whose == Packets::own, Own<K>, Shared<L, K::inputs>>;
    const int type = static_cast<int>(compute);
    ((kernels.by_size[type][size_index(Sizes)] = &rows<F, V, Sizes>), ...);
    if constexpr (whose == Packets::shared) kernels.formula[type] = kFormulas<L, V, K::inputs, true>.find(op, Variant);
  }
}

template <class L, class Op, int Variant> void fill(RowKernels* row, int op) {
  if constexpr (has_variant<Op>(Variant)) {
    row[Variant].conditions = Conditions<Kernel<Op, Variant>>::bits;
    fill_type<L, Op, Variant, float, 2, 4>(row[Variant], Compute::f32, op);
    fill_type<L, Op, Variant, double, 8>(row[Variant], Compute::f64, op);
    fill_type<L, Op, Variant, int64_t, 1, 2, 4, 8>(row[Variant], Compute::i64, op);
  }
  if constexpr (Variant < kMaxInputs) fill<L, Op, Variant + 1>(row, op);
}

// The kernels of one family.
template <class L> struct KernelTable;
template <class... Ops> struct KernelTable<List<Ops...>> {
  using L = List<Ops...>;
  RowKernels rows[sizeof...(Ops)][1 + kMaxInputs] = {};

  KernelTable() {
    int op = 0;
    ((fill<L, Ops, 0>(rows[op], op), ++op), ...);
  }

  // The kernel without packets, and the formula's number in it.
  template <class V, int N = 1> static Function pick(const Call& call, int& formula) {
    if constexpr (N > kMaxRead) {
      return nullptr;
    } else {
      if (call.inputs != N) return pick<V, N + 1>(call, formula);
      formula = kFormulas<L, V, N>.find(call.op, call.variant);
      if constexpr (kFormulas<L, V, N>.count > 0) return formula < 0 ? nullptr : &any<L, V, N>;
      else return nullptr;
    }
  }

  int launch(const Call& call, const Device& device, Stream stream) const {
    const RowKernels none, &mine = call.variant <= kMaxInputs ? rows[call.op][call.variant] : none;
    const int size = row_size(call, mine.conditions);
    const int type = static_cast<int>(call.compute);
    const Function dense = size ? mine.by_size[type][size_index(size)] : nullptr;
    Plan plan = make_plan(call, device, mine.conditions, dense != nullptr);
    Function kernel = dense;
    plan.formula = mine.formula[type];
    size_t shared = 0;
    if (plan.path != Path::rows) {
      kernel = call.compute == Compute::f32   ? pick<float>(call, plan.formula)
               : call.compute == Compute::f64 ? pick<double>(call, plan.formula)
                                              : pick<int64_t>(call, plan.formula);
      const size_t element = call.compute == Compute::f32 ? sizeof(float) : sizeof(double);
      if (plan.path == Path::tile) shared = call.inputs * kTile * (kTile + 1) * element;
    }
    if (!kernel) return platform::kNoKernel;  // not reached: the catalogue offers only compiled variants
    return platform::launch(kernel, dim3(static_cast<unsigned>(plan.blocks)), dim3(plan.threads), shared, stream, plan);
  }
};

GPUKERN_ELEMENTWISE_END
