// The SIMT product: register tiles over double-buffered shared memory, one source for CUDA, HIP and the machine model.
//
// A block computes a BM x BN tile of D, BK of k at a time; a thread TM x TN of it, as groups of 16 bytes, so that the
// reads of shared memory are 16 bytes wide and free of bank conflicts:
//
//        lx ->  8 threads x GN columns, TN / GN groups             warp tile: 4 TM x 8 TN
//     ly   +----+----+  +----+----+        shared: A[k][row], B[k][column], kept in the type of the accumulator,
//     |    | t0 | t1 |  | t0 | t1 |                padded by 16 bytes a line
//     v    +----+----+  +----+----+        k+1 is loaded from global memory to registers while k is multiplied
//
// The ladder: one value a thread -> shared tiles (x8) -> register tiles (x8) -> 16-byte loads -> two buffers, one
// barrier a step -> bands of tiles that share L2 (schedule.h).  Layouts are known at run time: each operand is walked
// along its unit stride, in packets where addresses allow, else element by element with any strides.
#pragma once
#include "../../../primitives/rotate.h"
#include "../../emit.cuh"
#include "../../schedule.h"
#include "tiles.h"

namespace gpukern::gemm::simt {

// The kernel's parameters.  *_along_k: the operand is walked along k (else along m or n); *_packets: 16-byte loads.
// splits: blocks that share the k of one tile.
struct Params {
  EpilogueParams epilogue;  // first: see emit.cuh
  int64_t first_batch, batches;
  int splits;
  bool a_along_k, b_along_k, a_packets, b_packets;
};

// Converts an element of an operand to the type that is multiplied.
template <class T> struct Reading {
  GPUKERN_D Reading(const Problem&, bool /*of_b*/) {}
  GPUKERN_D auto operator()(T x) const { return Number<T>::widen(x); }
};
template <class R> struct Reading<Complex<R>> {
  bool conjugated;
  GPUKERN_D Reading(const Problem& p, bool of_b) : conjugated(of_b ? p.conjugate_b : p.conjugate_a) {}
  GPUKERN_D Complex<R> operator()(Complex<R> x) const { return conjugated ? conjugate(x) : x; }
};
template <> struct Reading<float8_t> {
  Format8 format;
  GPUKERN_D Reading(const Problem& p, bool of_b) : format(format_of(of_b ? p.scaling.b_type : p.type)) {}
  GPUKERN_D float operator()(float8_t x) const { return widen(x, format); }
};

// Loads an X x BK tile from global memory to shared memory, through registers.
template <class T, int X, int BK, int Threads> struct Loader {
  using V = typename Number<T>::V;
  static constexpr int each = X * BK / Threads;                    // elements a thread
  static constexpr int width = min_of(16 / int(sizeof(T)), each);  // elements a packet
  static constexpr int packets = each / width;
  static constexpr int group = min_of(16 / int(sizeof(V)), width);  // elements a store to shared memory
  static constexpr int line = X + 16 / int(sizeof(V));
  static_assert(each % width == 0 && BK % width == 0 && X % width == 0 && width % group == 0);

  const T* at[packets];  // the next packet's first element
  T held[packets][width];

  // Along k, the lanes of a warp take `side` packets of each line.  For 4-byte numbers they fill a sector of 32 bytes,
  // so that more lines are in a warp and its transposing stores keep off each other's banks.
  static constexpr int side = sizeof(T) == 4 && sizeof(V) == 4 ? 8 / width : BK / width, lines = 32 / side;
  static_assert(X % lines == 0 && BK / width % side == 0);
  GPUKERN_D static int x_of(int q, bool along_k) {
    return along_k ? q / 32 / (BK / width / side) * lines + q % 32 / side : q % (X / width) * width;
  }
  GPUKERN_D static int k_of(int q, bool along_k) {
    return along_k ? (q / 32 % (BK / width / side) * side + q % side) * width : q / (X / width);
  }

  GPUKERN_D void start(const T* tile, int thread, int64_t x_stride, int64_t k_stride, bool along_k) {
#pragma unroll
    for (int i = 0; i < packets; ++i) {
      const int q = thread + i * Threads;
      at[i] = tile + x_of(q, along_k) * x_stride + k_of(q, along_k) * k_stride;
    }
  }
  // x_left, k_left: how much of the matrix is left from this tile's corner on; zeros are loaded beyond it.
  GPUKERN_D void load(int thread, int x_left, int k_left, int64_t x_stride, int64_t k_stride, bool along_k,
                      bool whole) {
    const int64_t step = along_k ? k_stride : x_stride;
#pragma unroll
    for (int i = 0; i < packets; ++i) {
      const int q = thread + i * Threads;
      const int x = x_of(q, along_k), k = k_of(q, along_k);
      const int left = along_k ? (x < x_left ? k_left - k : 0) : (k < k_left ? x_left - x : 0);
      if (whole && left >= width) {
        const auto packet = load_packet_once(reinterpret_cast<const Packet<T, width>*>(at[i]));
#pragma unroll
        for (int j = 0; j < width; ++j) held[i][j] = packet.v[j];
      } else {
#pragma unroll
        for (int j = 0; j < width; ++j) held[i][j] = j < left ? at[i][j * step] : T{};
      }
      at[i] += BK * k_stride;
    }
  }
  GPUKERN_D void store(V* shared, int thread, bool along_k, const Reading<T>& read) const {
#pragma unroll
    for (int i = 0; i < packets; ++i) {
      const int q = thread + i * Threads;
      V* to = shared + k_of(q, along_k) * line + x_of(q, along_k);
      if (along_k) {
#pragma unroll
        for (int j = 0; j < width; ++j) to[j * line] = read(held[i][j]);
      } else {
#pragma unroll
        for (int j = 0; j < width; j += group) {
          Packet<V, group> packet;
#pragma unroll
          for (int e = 0; e < group; ++e) packet.v[e] = read(held[i][j + e]);
          store_packet(reinterpret_cast<Packet<V, group>*>(to + j), packet);
        }
      }
    }
  }
};

// The rows and columns of a thread's TM x TN part of the block's tile.
template <class V, int TM, int TN, int WarpColumns> struct ThreadTile {
  static constexpr int gm = min_of(TM, 16 / int(sizeof(V))), gn = min_of(TN, 16 / int(sizeof(V)));
  int row, column;  // of its first element
  GPUKERN_D explicit ThreadTile(int thread) {
    const int warp = thread / 32, lane = thread % 32;
    row = warp / WarpColumns * (4 * TM) + lane / 8 * gm;
    column = warp % WarpColumns * (8 * TN) + lane % 8 * gn;
  }
  GPUKERN_D int row_of(int i) const { return row + i / gm * (4 * gm) + i % gm; }
  GPUKERN_D int column_of(int j) const { return column + j / gn * (8 * gn) + j % gn; }
};

// The loop is not unrolled, so that there is one copy of the epilogue and not TM.  The row to store is always sum[0]: a
// variable index would put the array into local memory; rotating it costs TM moves a column.
template <class T, int TM, int TN, class At>
GPUKERN_D void finish(const Params& w, int64_t batch, int64_t row0, int64_t column0, const At& place,
                      typename Number<T>::V (&sum)[TM][TN]) {
#pragma unroll 1
  for (int i = 0; i < TM; ++i) {
    const int64_t row = row0 + place.row_of(i);
#pragma unroll
    for (int g = 0; g < TN; g += At::gn) {
      typename Number<T>::V v[At::gn];
#pragma unroll
      for (int j = 0; j < At::gn; ++j) v[j] = sum[0][g + j];
      emit<T>(w.epilogue, batch, row, column0 + place.column_of(g), v);
    }
    rotate(sum);
  }
}

// total += scale_a scale_b sum, and sum = 0: after each block of k that has scales of its own, and at the end of k.
template <int TM, int TN, class At>
GPUKERN_D void add_scaled(const EpilogueParams& w, int64_t row0, int64_t column0, int64_t block, const At& place,
                          float (&sum)[TM][TN], float (&total)[TM][TN]) {
  const Problem& p = argument(w).p;
  const Scale &a = p.scaling.a, &b = p.scaling.b;
  float scale[TN];
#pragma unroll
  for (int j = 0; j < TN; ++j) {
    const int64_t column = column0 + place.column_of(j);
    scale[j] = column < p.n ? w.data.scale_b[column / b.group * b.x + block * b.k] : 0;
  }
#pragma unroll
  for (int i = 0; i < TM; ++i) {
    const int64_t row = row0 + place.row_of(i);
    const float by = row < p.m ? w.data.scale_a[row / a.group * a.x + block * a.k] : 0;
#pragma unroll
    for (int j = 0; j < TN; ++j) {
      total[i][j] += by * scale[j] * sum[i][j];
      sum[i][j] = 0;
    }
  }
}

template <int BM, int BN, int BK, int TM, int TN> struct TileConfiguration {
  static constexpr int bm = BM, bn = BN, bk = BK, tm = TM, tn = TN, threads = (BM / TM) * (BN / TN);
};
#define GPUKERN_CONFIGURATION(ID, TYPES, ...) \
  struct ID : TileConfiguration<__VA_ARGS__> {};
GPUKERN_SIMT_TILES(GPUKERN_CONFIGURATION)
#undef GPUKERN_CONFIGURATION

template <class C, class T> GPUKERN_KERNEL GPUKERN_BOUNDS(C::threads) product(GPUKERN_GRID_CONST const Params w) {
  using V = typename Number<T>::V;
  constexpr int BM = C::bm, BN = C::bn, BK = C::bk, TM = C::tm, TN = C::tn, threads = C::threads;
  // Steps of k whose fragments may be loaded together; for 16-byte types there are registers for no more than two.
  constexpr int deep = sizeof(V) > 8 ? 2 : 8;
  using LoadA = Loader<T, BM, BK, threads>;
  using LoadB = Loader<T, BN, BK, threads>;
  using At = ThreadTile<V, TM, TN, BN / (8 * TN)>;

  V* const shared_a = reinterpret_cast<V*>(shared_memory());  // [2][BK][LoadA::line]
  V* const shared_b = shared_a + 2 * BK * LoadA::line;        // [2][BK][LoadB::line]
  const int thread = static_cast<int>(threadIdx.x);
  const Problem& p = w.epilogue.p;
  const Data& data = w.epilogue.data;

  // Slices number the ranges of k of all matrices: first the first range of every matrix, then the second.
  const TileIndex tile = tile_at(blockIdx.x, ceil_div(p.m, BM), ceil_div(p.n, BN));
  const int64_t slice = w.first_batch + tile.batch, batch = slice % w.batches;
  const int64_t row0 = tile.row * BM, column0 = tile.column * BN;
  const Range range = range_of(p.k, BK, w.splits, static_cast<int>(slice / w.batches));
  LoadA a;
  LoadB b;
  a.start(static_cast<const T*>(data.a) + batch * p.a.batch + row0 * p.a.row + range.first * p.a.column, thread,
          p.a.row, p.a.column, w.a_along_k);
  b.start(static_cast<const T*>(data.b) + batch * p.b.batch + column0 * p.b.column + range.first * p.b.row, thread,
          p.b.column, p.b.row, w.b_along_k);
  const int rows_left = left_of(p.m - row0, BM), columns_left = left_of(p.n - column0, BN);
  const auto load = [&](int64_t k) {
    const int k_left = left_of(range.end - k, BK);
    a.load(thread, rows_left, k_left, p.a.row, p.a.column, w.a_along_k, w.a_packets);
    b.load(thread, columns_left, k_left, p.b.column, p.b.row, w.b_along_k, w.b_packets);
  };
  const auto store = [&](int buffer) {
    a.store(shared_a + buffer * (BK * LoadA::line), thread, w.a_along_k, Reading<T>(p, false));
    b.store(shared_b + buffer * (BK * LoadB::line), thread, w.b_along_k, Reading<T>(p, true));
  };

  const At place(thread);
  constexpr bool scaled = std::is_same_v<T, float8_t>;
  V sum[TM][TN] = {};
  [[maybe_unused]] V total[scaled ? TM : 1][scaled ? TN : 1] = {};
  int buffer = 0;
  if (range.first < range.end) {
    load(range.first);
    store(0);
  }
  syncthreads();
  for (int64_t k = range.first; k < range.end; k += BK) {
    const bool more = k + BK < range.end;
    if (more) load(k + BK);
    const V* line_a = shared_a + buffer * (BK * LoadA::line) + place.row;
    const V* line_b = shared_b + buffer * (BK * LoadB::line) + place.column;
#pragma unroll deep
    for (int kk = 0; kk < BK; ++kk) {
      V fa[TM], fb[TN];
#pragma unroll
      for (int i = 0; i < TM; i += At::gm) {
        const auto packet = *reinterpret_cast<const Packet<V, At::gm>*>(line_a + kk * LoadA::line + i * 4);
#pragma unroll
        for (int e = 0; e < At::gm; ++e) fa[i + e] = packet.v[e];
      }
#pragma unroll
      for (int j = 0; j < TN; j += At::gn) {
        const auto packet = *reinterpret_cast<const Packet<V, At::gn>*>(line_b + kk * LoadB::line + j * 8);
#pragma unroll
        for (int e = 0; e < At::gn; ++e) fb[j + e] = packet.v[e];
      }
#pragma unroll
      for (int i = 0; i < TM; ++i)
#pragma unroll
        for (int j = 0; j < TN; ++j) multiply_add(sum[i][j], fa[i], fb[j]);
    }
    if constexpr (scaled) {
      static_assert(kScaleBlock % BK == 0);
      if (!more || (p.scaling.blocks() && (k + BK) % kScaleBlock == 0))
        add_scaled(w.epilogue, row0, column0, k / kScaleBlock, place, sum, total);
    }
    buffer ^= 1;
    if (more) store(buffer);  // the last barrier has shown that no thread reads this buffer any more
    syncthreads();
  }
  if constexpr (scaled) finish<T, TM, TN>(w, slice, row0, column0, place, total);
  else finish<T, TM, TN>(w, slice, row0, column0, place, sum);
}

}  // namespace gpukern::gemm::simt
