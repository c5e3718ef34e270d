// The elementwise kernels: one source for CUDA, HIP and the machine model, instantiated for every variant of every op.
//
//   rows<K, V, Size>   memory in 16-byte packets:   out  |lead|####|####|####|##  |     one row, U packets a thread,
//                                                   in    ....####|####|####|##        all loads before the arithmetic
//   any<L, V, N>       an element at a time, of any type and stride, two a thread; or a 32 x 32 tile, where operands
//                      that are dense along the other dimension turn in shared memory.  One kernel has all formulas of
//                      a family that read N operands, and picks one by number: the address arithmetic is compiled once
//
// The ladder: one element a thread -> packets (half types: x2 and more) -> several packets in flight (64 bytes a
// thread, 48 KB a processor) -> no address arithmetic that the plan can do once.  What a formula computes is in ops/;
// what memory looks like is in plan.h; a changed formula cannot break an address and the other way round.
#pragma once
#include "../platform/gpu.h"
#include "convert.cuh"
#include "launch.h"
#include "plan.h"

GPUKERN_ELEMENTWISE_BEGIN

// Inputs of a kernel that are conditions, bool whatever the others are, as bits.
template <class K> struct Conditions {
  static constexpr unsigned bits = 0;
};
template <class Op> struct Conditions<Value<Op>> {
  static constexpr unsigned bits = Op::spec.condition;
};
template <class Op, int I> struct Conditions<Grad<Op, I>> {
  static constexpr unsigned find() {
    unsigned found = 0;
    int place = 1;  // g comes first
    for (int k = 0; k < Op::spec.inputs; ++k)
      if (Grad<Op, I>::bits >> k & 1) found |= (Op::spec.condition >> k & 1u) << place++;
    return found;
  }
  static constexpr unsigned bits = Op::spec.saves == Saves::result ? 0 : find();
};

template <class V> GPUKERN_HD V scalar_of(const Plan& p, int k) {
  if constexpr (std::is_same_v<V, int64_t>) return p.iscalar[k];
  else return static_cast<V>(p.scalar[k]);
}

template <class K, class V> GPUKERN_D V compute(const V (&x)[K::inputs], const Plan& p) {
  V s[K::scalars + 1] = {};
#pragma unroll
  for (int k = 0; k < K::scalars; ++k) s[k] = scalar_of<V>(p, k);
  return K::run(static_cast<const V*>(x), static_cast<const V*>(s));
}

// ---- rows ---------------------------------------------------------------------------------------

// Where packet q lies: the position of its first element in its row, and every operand's row.
template <int Operands> struct Spot {
  int64_t position;
  int64_t row[Operands];

  GPUKERN_D void find(const Plan& p, int64_t q, int each) {
#pragma unroll
    for (int k = 0; k < Operands; ++k) row[k] = 0;
    if (p.ndim == 1) {
      position = q * each - p.lead;
      return;
    }
    uint32_t rest = static_cast<uint32_t>(q), next = p.divide[0].quotient(rest);
    position = static_cast<int64_t>(rest - next * p.divide[0].divisor) * each - p.lead;
#pragma unroll 1
    for (int d = 1; d < p.ndim; ++d) {
      rest = next;
      next = p.divide[d].quotient(rest);
      const int64_t index = rest - next * p.divide[d].divisor;
#pragma unroll
      for (int k = 0; k < Operands; ++k) row[k] += index * p.part[k].stride[d];
    }
  }
};

// E elements of one size from a row, as wide as the addresses allow; what lies outside the row reads as 0.
template <int Size, int E>
GPUKERN_D Packet<Bits<Size>, E> read(const Part& part, const char* row, int64_t position, int64_t length) {
  const auto* from = reinterpret_cast<const Bits<Size>*>(row) + position;
  const bool whole = position >= 0 && position + E <= length;
  if (part.width == 0) {
    const Bits<Size> one = *reinterpret_cast<const Bits<Size>*>(row);
    Packet<Bits<Size>, E> packet;
#pragma unroll
    for (int j = 0; j < E; ++j) packet.v[j] = one;
    return packet;
  }
  if (whole && part.width == Size * E) {
    const auto* at = reinterpret_cast<const Packet<Bits<Size>, E>*>(from);
    if (Size * E == 16 && part.unaliased) return load_packet_once(at);
    return load_packet(at);
  }
  return read_pieces<Size, E>(from, part.width, position, length);
}

template <int Size, int E>
GPUKERN_D void write(const Part& part, int64_t row, int64_t position, int64_t length,
                     const Packet<Bits<Size>, E>& packet) {
  auto* to = reinterpret_cast<Bits<Size>*>(part.data + row) + position;
  if (position >= 0 && position + E <= length && part.width == Size * E)
    store_packet(reinterpret_cast<Packet<Bits<Size>, E>*>(to), packet);
  else write_pieces<Size, E>(to, packet, part.width, position, length);
}

// Copies of a formula in a kernel: one hides another's latency, and cheap ones are not drowned by the loop's own work.
template <class K> constexpr int formulas() { return K::Op::spec.linear ? 4 : 2; }
constexpr int min_of(int a, int b) { return a < b ? a : b; }

// Drops the first Step elements.
template <int Step, class T, int E> GPUKERN_D void shift(Packet<T, E>& packet) {
#pragma unroll
  for (int j = 0; j + Step < E; ++j) packet.v[j] = packet.v[j + Step];
}

template <class K, class V, int Size> GPUKERN_KERNEL GPUKERN_BOUNDS(kThreads) rows(GPUKERN_GRID_CONST const Plan p) {
  constexpr int E = kPacket / Size, U = packets_for(K::inputs), N = K::inputs;
  constexpr unsigned condition = Conditions<K>::bits;
  const int64_t first = int64_t{blockIdx.x} * (int64_t{blockDim.x} * p.unroll) + threadIdx.x;
  const int64_t length = p.shape[0];

  Spot<N + 1> spot[U];
  Packet<Bits<Size>, E> in[U][N];
#pragma unroll
  for (int u = 0; u < U; ++u) {
    const int64_t q = first + u * int64_t{blockDim.x};
    if (u >= p.unroll || q >= p.count) continue;
    spot[u].find(p, q, E);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const Part& part = p.part[k + 1];
      const char* row = part.data + spot[u].row[k + 1];
      if (condition >> k & 1) {  // a byte an element, kept in the packet of the other operands
        const auto bytes = read<1, E>(part, row, spot[u].position, length);
#pragma unroll
        for (int j = 0; j < E; ++j) in[u][k].v[j] = bytes.v[j];
      } else {
        in[u][k] = read<Size, E>(part, row, spot[u].position, length);
      }
    }
  }
  const Plan& later = argument(p);  // for what is read only now
  // A few copies of the formula: the next elements are moved into their place, which costs less than the code.
#pragma unroll 1
  for (int u = 0; u < p.unroll; ++u) {
    const int64_t q = first + u * int64_t{blockDim.x};
    if (q >= p.count) break;
    constexpr int step = min_of(E, formulas<K>());
    Packet<Bits<Size>, E> out;
#pragma unroll 1
    for (int done = 0; done < E; done += step) {
      Bits<Size> results[step];
#pragma unroll
      for (int j = 0; j < step; ++j) {
        V x[N];
#pragma unroll
        for (int k = 0; k < N; ++k)
          x[k] = (condition >> k & 1) ? V(in[0][k].v[j] != 0 ? 1 : 0)
                                      : decode_row<V, Size>(in[0][k].v[j], later.part[0].dtype);
        results[j] = encode_row<V, Size>(compute<K, V>(x, later), later.part[0].dtype);
      }
      shift<step>(out);
#pragma unroll
      for (int j = 0; j < step; ++j) out.v[E - step + j] = results[j];
#pragma unroll
      for (int k = 0; k < N; ++k) shift<step>(in[0][k]);
    }
    write<Size, E>(p.part[0], spot[0].row[0], spot[0].position, length, out);
#pragma unroll
    for (int next = 1; next < U; ++next) {
      spot[next - 1] = spot[next];
#pragma unroll
      for (int k = 0; k < N; ++k) in[next - 1][k] = in[next][k];
    }
  }
}

// ---- strided and tiles --------------------------------------------------------------------------

// The offsets of one element: its linear index, taken apart.
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

// The block's tile: its corner, and what the dimensions beyond the first two add up to.
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

// The formulas of a list that read N operands and compute in V, numbered.
struct Formula {
  int op, variant;
};
template <class L, class V, int N> struct Formulas;
template <class... Ops, class V, int N> struct Formulas<List<Ops...>, V, N> {
  Formula all[sizeof...(Ops) * kVariants + 1] = {};
  int count = 0;

  template <class Op, int Variant> constexpr void add(int op) {
    if constexpr (has_variant<Op>(Variant)) {
      constexpr bool whole = std::is_same_v<V, int64_t>;
      if constexpr (Kernel<Op, Variant>::inputs == N && (!whole || (Variant == 0 && has_integers<Op>())))
        all[count++] = {op, Variant};
    }
    if constexpr (Variant + 1 < kVariants) add<Op, Variant + 1>(op);
  }
  constexpr Formulas() {
    int op = 0;
    (add<Ops, 0>(op++), ...);
  }
  constexpr int find(int op, int variant) const {
    for (int i = 0; i < count; ++i)
      if (all[i].op == op && all[i].variant == variant) return i;
    return -1;
  }
};
template <class L, class V, int N> inline constexpr Formulas<L, V, N> kFormulas{};

template <int I, class L> struct At;
template <int I, class First, class... Rest> struct At<I, List<First, Rest...>> : At<I - 1, List<Rest...>> {};
template <class First, class... Rest> struct At<0, List<First, Rest...>> {
  using type = First;
};

// By halves: every thread of a launch takes the same way.
template <class L, class V, int N, int Low, int High> GPUKERN_D V choose(int which, const V* x, const V* s) {
  if constexpr (High - Low == 1) {
    constexpr Formula f = kFormulas<L, V, N>.all[Low];
    return Kernel<typename At<f.op, L>::type, f.variant>::run(x, s);
  } else {
    constexpr int middle = (Low + High) / 2;
    return which < middle ? choose<L, V, N, Low, middle>(which, x, s) : choose<L, V, N, middle, High>(which, x, s);
  }
}

template <class L, class V, int N> GPUKERN_KERNEL GPUKERN_BOUNDS(kTileThreads) any(GPUKERN_GRID_CONST const Plan p) {
  constexpr int E = kEach, line = kTile + 1;  // the odd line keeps a tile's columns off one bank
  const int thread = static_cast<int>(threadIdx.x), fast = thread % kTile, slow = thread / kTile;
  const bool tile = p.path == Path::tile;
  const TileCorner corner(p);
  V* const turned = reinterpret_cast<V*>(shared_memory());  // [N][kTile][line], of the operands that lie across
  int64_t offset[E][N + 1];
  bool inside[E];

  // Operands that lie as `across` says; every read is under way before the first is used.
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
        if (p.part[k + 1].across) turned[(k * kTile + slow + e * (kTileThreads / kTile)) * line + fast] = x[e][k];
    syncthreads();
  }
  fetch(false, x);
#pragma unroll
  for (int e = 0; e < E; ++e)
#pragma unroll
    for (int k = 0; k < N; ++k)
      if (p.part[k + 1].across) x[e][k] = turned[(k * kTile + fast) * line + slow + e * (kTileThreads / kTile)];
  const Plan& later = argument(p);  // for what is read only now
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

// The rows kernels of one variant, null where none is compiled: `any` then serves, whose reads of neighbours are runs
// too. Second derivatives have no rows, and double has them only for values of ops that torch has: what the others
// would gain is not worth their code.
struct RowKernels {
  Function by_size[3][4] = {};  // by compute type and element size 1, 2, 4, 8
  unsigned conditions = 0;
};

constexpr int size_index(int size) { return size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3; }

template <class Op, int Variant> void fill(RowKernels* row) {
  if constexpr (has_variant<Op>(Variant) && Variant <= kMaxInputs) {
    using K = Kernel<Op, Variant>;
    constexpr int f32 = static_cast<int>(Compute::f32), f64 = static_cast<int>(Compute::f64),
                  i64 = static_cast<int>(Compute::i64);
    RowKernels& kernels = row[Variant];
    kernels.conditions = Conditions<K>::bits;
    kernels.by_size[f32][size_index(2)] = &rows<K, float, 2>;
    kernels.by_size[f32][size_index(4)] = &rows<K, float, 4>;
    if constexpr (Variant == 0 && !(Op::spec.aten && !*Op::spec.aten))
      kernels.by_size[f64][size_index(8)] = &rows<K, double, 8>;
    if constexpr (has_integers<Op>() && Variant == 0) {
      kernels.by_size[i64][size_index(1)] = &rows<K, int64_t, 1>;
      kernels.by_size[i64][size_index(2)] = &rows<K, int64_t, 2>;
      kernels.by_size[i64][size_index(4)] = &rows<K, int64_t, 4>;
      kernels.by_size[i64][size_index(8)] = &rows<K, int64_t, 8>;
    }
  }
  if constexpr (Variant < kMaxInputs) fill<Op, Variant + 1>(row);
}

// The kernels of one family.
template <class L> struct KernelTable;
template <class... Ops> struct KernelTable<List<Ops...>> {
  using L = List<Ops...>;
  RowKernels rows[sizeof...(Ops)][1 + kMaxInputs] = {};

  KernelTable() {
    int op = 0;
    (fill<Ops, 0>(rows[op++]), ...);
  }

  // The kernel without rows and the formula's number in it.
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
    const Function dense = size ? mine.by_size[static_cast<int>(call.compute)][size_index(size)] : nullptr;
    Plan plan = make_plan(call, device, mine.conditions, dense != nullptr);
    Function kernel = dense;
    size_t shared = 0;
    if (plan.path != Path::rows) {
      kernel = call.compute == Compute::f32   ? pick<float>(call, plan.formula)
               : call.compute == Compute::f64 ? pick<double>(call, plan.formula)
                                              : pick<int64_t>(call, plan.formula);
      const size_t element = call.compute == Compute::f32 ? sizeof(float) : sizeof(double);
      if (plan.path == Path::tile) shared = call.inputs * kTile * (kTile + 1) * element;
    }
    if (!kernel) return platform::kNoKernel;  // the catalogue offers no variant that is not compiled
    return platform::launch(kernel, dim3(static_cast<unsigned>(plan.blocks)), dim3(plan.threads), shared, stream, plan);
  }
};

GPUKERN_ELEMENTWISE_END
