// The SIMT product: register tiles over double-buffered shared memory, one source for CUDA, HIP and the machine model.
//
// A block computes a BM x BN tile of D, BK of k at a time; a thread TM x TN of it, as groups of 16 bytes, so that the
// reads of shared memory are 16 bytes wide and free of bank conflicts:
//
//        lx ->  8 threads x GN columns, TN / GN groups             warp tile: 4 TM x 8 TN
//     ly   +----+----+  +----+----+        shared: A[k][row], B[k][column], kept in the type of the accumulator,
//     |    | t0 | t1 |  | t0 | t1 |                padded by 16 bytes a line
//     v    +----+----+  +----+----+        k+1 is on its way from global memory to registers while k is multiplied
//
// The ladder: one value a thread -> shared tiles (x8) -> register tiles (x8) -> 16-byte loads -> two buffers, one
// barrier a step -> bands of tiles that share L2 (schedule.h).  Layouts are a run-time matter: each operand is walked
// along its unit stride with packets where addresses allow, element by element with any strides where they do not.
#pragma once
#include "../../../platform/gpu.h"
#include "../../epilogue.h"
#include "../../problem.h"
#include "../../schedule.h"

namespace gpukern::gemm::simt {

// Storage T, accumulator V.  Integers wrap, which unsigned arithmetic does by definition.
template <class T> struct Number {
  using V = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;
  static GPUKERN_HD V widen(T x) { return static_cast<V>(x); }
  static GPUKERN_HD T narrow(V x) { return static_cast<T>(x); }
};
template <class T> struct Rounded {
  using V = float;
  static GPUKERN_HD V widen(T x) { return to_float(x); }
  static GPUKERN_HD T narrow(V x) { return from_float<T>(x); }
};
template <class T> struct Native {
  using V = T;
  static GPUKERN_HD V widen(T x) { return x; }
  static GPUKERN_HD T narrow(V x) { return x; }
};
template <> struct Number<half_t> : Rounded<half_t> {};
template <> struct Number<bfloat16_t> : Rounded<bfloat16_t> {};
template <> struct Number<float> : Native<float> {};
template <> struct Number<double> : Native<double> {};

// What a launch passes.  walk_*: the operand is walked along k (else along its row or column); packets_*: 16-byte
// loads.
struct Work {
  Problem p;
  Data data;
  int64_t first_batch;
  bool a_along_k, b_along_k, a_packets, b_packets, d_packets;
};

constexpr int min_of(int a, int b) { return a < b ? a : b; }
// What a tile has of the elements that are left: one register, where the number itself takes two.
GPUKERN_HD int left_of(int64_t left, int tile) { return left < tile ? static_cast<int>(left) : tile; }

// Brings an X x BK tile from global memory to shared memory, by way of registers.
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

  GPUKERN_D static int x_of(int q, bool along_k) { return along_k ? q / (BK / width) : q % (X / width) * width; }
  GPUKERN_D static int k_of(int q, bool along_k) { return along_k ? q % (BK / width) * width : q / (X / width); }

  GPUKERN_D void start(const T* tile, int thread, int64_t x_stride, int64_t k_stride, bool along_k) {
#pragma unroll
    for (int i = 0; i < packets; ++i) {
      const int q = thread + i * Threads;
      at[i] = tile + x_of(q, along_k) * x_stride + k_of(q, along_k) * k_stride;
    }
  }
  // x_left, k_left: what is left of the matrix from this tile's corner on; the rest reads as 0.
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
  GPUKERN_D void store(V* shared, int thread, bool along_k) const {
#pragma unroll
    for (int i = 0; i < packets; ++i) {
      const int q = thread + i * Threads;
      V* to = shared + k_of(q, along_k) * line + x_of(q, along_k);
      if (along_k) {
#pragma unroll
        for (int j = 0; j < width; ++j) to[j * line] = Number<T>::widen(held[i][j]);
      } else {
#pragma unroll
        for (int j = 0; j < width; j += group) {
          Packet<V, group> packet;
#pragma unroll
          for (int e = 0; e < group; ++e) packet.v[e] = Number<T>::widen(held[i][j + e]);
          store_packet(reinterpret_cast<Packet<V, group>*>(to + j), packet);
        }
      }
    }
  }
};

// Where a thread's TM x TN part lies in the block's tile.
template <class V, int TM, int TN, int WarpColumns> struct Place {
  static constexpr int gm = min_of(TM, 16 / int(sizeof(V))), gn = min_of(TN, 16 / int(sizeof(V)));
  int row, column;  // of its first element
  GPUKERN_D explicit Place(int thread) {
    const int warp = thread / 32, lane = thread % 32;
    row = warp / WarpColumns * (4 * TM) + lane / 8 * gm;
    column = warp % WarpColumns * (8 * TN) + lane % 8 * gn;
  }
  GPUKERN_D int row_of(int i) const { return row + i / gm * (4 * gm) + i % gm; }
  GPUKERN_D int column_of(int j) const { return column + j / gn * (8 * gn) + j % gn; }
};

// The first of N numbers, or of N rows of them, goes to the end; after N turns all are back in their places.
template <class V, int N> GPUKERN_D void turn(V (&x)[N]) {
  const V first = x[0];
#pragma unroll
  for (int i = 0; i + 1 < N; ++i) x[i] = x[i + 1];
  x[N - 1] = first;
}
template <class V, int M, int N> GPUKERN_D void turn(V (&x)[M][N]) {
#pragma unroll
  for (int j = 0; j < N; ++j) {
    const V first = x[0][j];
#pragma unroll
    for (int i = 0; i + 1 < M; ++i) x[i][j] = x[i + 1][j];
    x[M - 1][j] = first;
  }
}

// Out of line, so that the formulas' constants are not kept in registers all along.
template <class V> GPUKERN_OUTLINE V activated(Activation kind, V x) { return activate(kind, x); }

// activation(alpha * sum + beta * C) + residual, to D.
template <class T, int TM, int TN, class At>
GPUKERN_D void finish(const Work& w, int64_t batch, int64_t row0, int64_t column0, const At& place,
                      typename Number<T>::V (&sum)[TM][TN]) {
  using V = typename Number<T>::V;
  using N = Number<T>;
  const Problem& p = argument(w).p;  // its addresses come from w, which says that they are global memory
  const Epilogue& e = p.epilogue;
  const bool whole_type = !floating(p.type);
  const V alpha = whole_type ? static_cast<V>(e.whole_alpha) : static_cast<V>(e.alpha);
  const V beta = whole_type ? static_cast<V>(e.whole_beta) : static_cast<V>(e.beta);
  const T* c = static_cast<const T*>(w.data.c) + (e.addend ? batch * p.c.batch : 0);
  const T* residual = static_cast<const T*>(w.data.residual) + (e.residual ? batch * p.residual.batch : 0);
  T* d = static_cast<T*>(w.data.d) + batch * p.d.batch;

  if (e.addend || e.residual || e.activation != Activation::none || alpha != V(1)) {
    // One copy of the formulas and of the addressing, not TM * TN of them: the element in turn is always sum[0][0].
    // An index that moves would put the array into memory; moving the array costs TM + TN moves an element.
#pragma unroll 1
    for (int i = 0; i < TM; ++i) {
      const int64_t row = row0 + place.row_of(i);
#pragma unroll 1
      for (int j = 0; j < TN; ++j) {
        const int64_t column = column0 + place.column_of(j);
        const bool inside = row < p.m && column < p.n;
        V v = sum[0][0] * alpha;
        if (e.addend && inside) v += beta * N::widen(c[row * p.c.row + column * p.c.column]);
        if constexpr (std::is_floating_point_v<V>) v = activated(e.activation, v);
        if (e.residual && inside) v += N::widen(residual[row * p.residual.row + column * p.residual.column]);
        sum[0][0] = v;
        turn(sum[0]);
      }
      turn(sum);
    }
  }
#pragma unroll
  for (int i = 0; i < TM; ++i) {
    const int64_t row = row0 + place.row_of(i);
    if (row >= p.m) continue;
#pragma unroll
    for (int g = 0; g < TN; g += At::gn) {
      const int64_t column = column0 + place.column_of(g);
      Packet<T, At::gn> packet;
#pragma unroll
      for (int j = 0; j < At::gn; ++j) packet.v[j] = N::narrow(sum[i][g + j]);
      T* to = d + row * p.d.row + column * p.d.column;
      if (w.d_packets && column + At::gn <= p.n) {
        store_packet(reinterpret_cast<Packet<T, At::gn>*>(to), packet);
      } else {
#pragma unroll
        for (int j = 0; j < At::gn; ++j)
          if (column + j < p.n) to[j * p.d.column] = packet.v[j];
      }
    }
  }
}

template <class T, int BM, int BN, int BK, int TM, int TN>
GPUKERN_KERNEL GPUKERN_BOUNDS((BM / TM) * (BN / TN)) product(GPUKERN_GRID_CONST const Work w) {
  using V = typename Number<T>::V;
  constexpr int threads = (BM / TM) * (BN / TN);
  using LoadA = Loader<T, BM, BK, threads>;
  using LoadB = Loader<T, BN, BK, threads>;
  using At = Place<V, TM, TN, BN / (8 * TN)>;

  V* const shared_a = reinterpret_cast<V*>(shared_memory());  // [2][BK][LoadA::line]
  V* const shared_b = shared_a + 2 * BK * LoadA::line;        // [2][BK][LoadB::line]
  const int thread = static_cast<int>(threadIdx.x);
  const Problem& p = w.p;

  const TileIndex tile = tile_at(blockIdx.x, ceil_div(p.m, BM), ceil_div(p.n, BN));
  const int64_t batch = w.first_batch + tile.batch, row0 = tile.row * BM, column0 = tile.column * BN;
  LoadA a;
  LoadB b;
  a.start(static_cast<const T*>(w.data.a) + batch * p.a.batch + row0 * p.a.row, thread, p.a.row, p.a.column,
          w.a_along_k);
  b.start(static_cast<const T*>(w.data.b) + batch * p.b.batch + column0 * p.b.column, thread, p.b.column, p.b.row,
          w.b_along_k);
  const int rows_left = left_of(p.m - row0, BM), columns_left = left_of(p.n - column0, BN);
  const auto load = [&](int64_t k) {
    const int k_left = left_of(p.k - k, BK);
    a.load(thread, rows_left, k_left, p.a.row, p.a.column, w.a_along_k, w.a_packets);
    b.load(thread, columns_left, k_left, p.b.column, p.b.row, w.b_along_k, w.b_packets);
  };
  const auto store = [&](int buffer) {
    a.store(shared_a + buffer * (BK * LoadA::line), thread, w.a_along_k);
    b.store(shared_b + buffer * (BK * LoadB::line), thread, w.b_along_k);
  };

  const At place(thread);
  V sum[TM][TN] = {};
  int buffer = 0;
  if (p.k > 0) {
    load(0);
    store(0);
  }
  syncthreads();
  for (int64_t k = 0; k < p.k; k += BK) {
    const bool more = k + BK < p.k;
    if (more) load(k + BK);
    const V* line_a = shared_a + buffer * (BK * LoadA::line) + place.row;
    const V* line_b = shared_b + buffer * (BK * LoadB::line) + place.column;
#pragma unroll 8
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
        for (int j = 0; j < TN; ++j) sum[i][j] += fa[i] * fb[j];
    }
    buffer ^= 1;
    if (more) store(buffer);  // the buffer that everybody left at the last barrier
    syncthreads();
  }
  finish<T, TM, TN>(w, batch, row0, column0, place, sum);
}

}  // namespace gpukern::gemm::simt
