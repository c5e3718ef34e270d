// The product on Ampere's tensor cores: a ring of tiles that cp.async fills, ldmatrix, mma.sync.
//
//             k ->                                   shared memory, a ring of `Stages` tiles of A and of B
//      A  +---+---+---+---+                        +--------+--------+--------+--------+
//         | 0 | 1 | 2 | 3 | ..      cp.async  ->   |  k+3   |   k    |  k+1   |  k+2   |
//         +---+---+---+---+                        +--------+--------+--------+--------+
//                                                   being      being    under way or
//      D  +-------+-------+                         asked for  read     already there
//         | warp0 | warp1 |   a warp: WM x WN of D, in parts of 16 x 8 that one mma.sync adds to
//         +-------+-------+
//
// The ladder, with what others measured for each step on an A100 (bfloat16, 4096^3, TFLOP/s): tiles in shared memory
// and mma.sync 60 -> cp.async 65 -> no bank conflicts (turned chunks) 191 -> a ring of stages and ldmatrix 221, of
// cuBLAS's 244.  Beyond it here: the fragments of the next 32 bytes of k are read while the present ones are
// multiplied, across the barrier too; bands of tiles that share L2 (schedule.h); each warp stores its own part, so that
// no block waits for its slowest warp.  Predicted, not yet measured: 0.9 of cuBLAS on sm_80, 0.6 on sm_90, whose own
// instructions are faster.
//
// What one barrier a tile must order.  A tile's slot is asked for again only after every warp has read its last
// fragments, which lie in registers before the warp comes to the barrier in the tile's last step; and a tile is read
// only after the barrier that follows each thread's wait for its own copies.
#pragma once
#include "../../parts.cuh"
#include "../../turn.cuh"
#include "fragments.cuh"

namespace gpukern::gemm::sm_80 {

struct Work {
  Ending ending;  // first: see emit.cuh
  Source a, b;
  int64_t first_batch, batches;
  int splits;  // blocks that share the k of one tile
};

// A warp's part of D, 16 rows at a time: from fragments to a slab of the warp's own in shared memory, and from there to
// D in packets along its rows (or down its columns).
template <class T, int MI, int WN, class At = Mma<T, 32>, class Sum>
GPUKERN_D void store(const Work& w, int64_t slice, int64_t row0, int64_t column0, char* shared,
                     Sum (&sum)[MI][WN / 8][4]) {
  using V = typename Number<T>::V;
  constexpr int each = 16 / static_cast<int>(sizeof(V)), pitch = WN + At::pad, side = At::side;
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  V* const slab = reinterpret_cast<V*>(shared) + warp * (16 * pitch);
  // A lane's packets lie below one another (or side by side, down the columns), so it has one sum an element.
  constexpr bool can_sum = At::gradients && std::is_same_v<V, float>;
  static_assert(32 % (WN / each) == 0 && 32 % (16 / each) == 0);
  [[maybe_unused]] V total[each] = {};
#pragma unroll 1
  for (int i = 0; i < MI; ++i) {
#pragma unroll
    for (int j = 0; j < WN / 8; j += side) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        Packet<V, 2 * side> packet;
#pragma unroll
        for (int e = 0; e < 2 * side; ++e) packet.v[e] = static_cast<V>(sum[0][j + e / 2][2 * half + e % 2]);
        V* const to = slab + At::row(lane / 4, half) * pitch + At::column(j, lane % 4);
        store_packet(reinterpret_cast<Packet<V, 2 * side>*>(to), packet);
      }
    }
    syncwarp();
#pragma unroll 1
    for (int q = lane; q < 16 * WN / each; q += 32) {  // one copy of what follows, for both directions
      int row = q / (WN / each), column = q % (WN / each) * each;
      V v[each];
      if (w.ending.down) {
        row = q % (16 / each) * each, column = q / (16 / each);
#pragma unroll
        for (int e = 0; e < each; ++e) v[e] = slab[(row + e) * pitch + column];
      } else {
        const auto packet = load_packet(reinterpret_cast<const Packet<V, each>*>(slab + row * pitch + column));
#pragma unroll
        for (int e = 0; e < each; ++e) v[e] = packet.v[e];
      }
      const bool stored = emit<T, At::gradients>(w.ending, slice, row0 + i * 16 + row, column0 + column, v);
      if constexpr (can_sum)
        if (stored && w.ending.data.parts) {
#pragma unroll
          for (int e = 0; e < each; ++e) total[e] += v[e];
        }
    }
    syncwarp();
    turn(sum);
    if constexpr (can_sum)
      if (w.ending.data.parts && (w.ending.down || i + 1 == MI))
        store_part<16 * MI, WN>(w.ending, row0 + (w.ending.down ? i * 16 : 0), column0,
                                w.ending.down ? 16 / each : WN / each, total);
  }
}

// Blocks that an SM shall have registers for: 32 sums a thread leave room for as many as shared memory holds.
template <class T, int WM, int WN>
constexpr int kBlocks = WM * WN * sizeof(typename Number<T>::V) > 4096 ? 1
                        : sizeof(T) == 2                               ? 4
                                                                       : 3;

// Where a warp's part of D begins, and its matrix or range of one.
struct WarpTile {
  int64_t slice, row, column;
};
// What most tiles of k end with.
struct Nothing {
  template <class Sum> GPUKERN_D void operator()(const WarpTile&, int64_t, bool, Sum&) const {}
};

// What a block does.  At: what multiplies; after: is told of each tile of k, by its first k and whether it is the last,
// and may do what it likes to the sums.
template <class T, int BM, int BN, int BK, int WM, int WN, int Stages, bool AlongA, bool AlongB, class At = Mma<T, 32>,
          class After = Nothing>
GPUKERN_D void multiply_tile(const Work& w, After after = {}) {
  constexpr int threads = BM / WM * (BN / WN) * 32, steps = BK * static_cast<int>(sizeof(T)) / At::bytes;
  constexpr int MI = WM / 16, NI = WN / 8;
  using TileA = Tile<T, BM, BK, threads, AlongA>;
  using TileB = Tile<T, BN, BK, threads, AlongB>;
  static_assert(steps % 2 == 0, "two sets of fragments of B take turns");

  const Problem& p = w.ending.p;
  const Data& data = w.ending.data;
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  const int warp_row = warp / (BN / WN) * WM, warp_column = warp % (BN / WN) * WN;

  // A slice is one matrix, or one range of k of one: the ranges of all matrices lie behind one another.
  const TileIndex tile = tile_at(blockIdx.x, ceil_div(p.m, BM), ceil_div(p.n, BN));
  const int64_t slice = w.first_batch + tile.batch, batch = slice % w.batches;
  const int64_t row0 = tile.row * BM, column0 = tile.column * BN;
  const WarpTile here{slice, row0 + warp_row, column0 + warp_column};
  const Range range = range_of(p.k, BK, w.splits, static_cast<int>(slice / w.batches));
  const int64_t tiles = ceil_div(range.end - range.first, BK);

  TileA a;
  TileB b;
  a.start(static_cast<const T*>(data.a) + batch * p.a.batch + row0 * p.a.row + range.first * p.a.column, w.a,
          p.m - row0);
  b.start(static_cast<const T*>(data.b) + batch * p.b.batch + column0 * p.b.column + range.first * p.b.row, w.b,
          p.n - column0);

  char* const shared = shared_memory();  // Stages of A, then Stages of B
  const auto ask = [&](int64_t k) {      // for the k-th tile
    const int slot = static_cast<int>(k % Stages);
    const int64_t left = range.end - range.first - k * BK;
    const int k_left = left < BK ? static_cast<int>(left) : BK;
    a.copy(shared + slot * TileA::bytes, w.a, k_left);
    b.copy(shared + Stages * TileA::bytes + slot * TileB::bytes, w.b, k_left);
  };

  // A's fragments are read anew where their last product is done, B's into the other set meanwhile.
  typename At::A fa[MI];
  struct Columns {
    typename At::B b[NI / 2][2];
  } even, odd;
  const auto read_a = [&](int i, int slot, int step) {
    At::template read_a<TileA>(fa[i], shared + slot * TileA::bytes, warp_row + i * 16, step, lane);
  };
  const auto read_b = [&](Columns& into, int slot, int step) {
    const char* const tile_b = shared + Stages * TileA::bytes + slot * TileB::bytes;
#pragma unroll
    for (int j = 0; j < NI / 2; ++j) At::template read_b<TileB>(into.b[j], tile_b, warp_column + j * 16, step, lane);
  };

#pragma unroll 1  // one copy of what asks, not Stages - 1
  for (int s = 0; s < Stages - 1; ++s) {
    if (s < tiles) ask(s);
    cp_async_commit();
  }
  cp_async_wait<Stages - 2>();
  syncthreads();
  if (tiles > 0) {
    read_b(even, 0, 0);
#pragma unroll
    for (int i = 0; i < MI; ++i) read_a(i, 0, 0);
  }

  typename At::Sum sum[MI][NI][4] = {};
  int slot = 0;
  for (int64_t k = 0; k < tiles; ++k) {
    // Behind the last tile its own first fragments are read once more: they are there, and nobody uses them.
    const int next = k + 1 == tiles ? slot : slot + 1 == Stages ? 0 : slot + 1;
    const auto take = [&](int step, const Columns& here, Columns& ahead) {
      const bool last = step == steps - 1;
      if (step == 0) {
        if (k + Stages - 1 < tiles) ask(k + Stages - 1);
        cp_async_commit();  // of nothing too: the wait counts groups
      }
      if (last) {
        cp_async_wait<Stages - 2>();
        syncthreads();
      }
      const int from = last ? next : slot, then = last ? 0 : step + 1;
      read_b(ahead, from, then);
#pragma unroll
      for (int i = 0; i < MI; ++i) {
#pragma unroll
        for (int j = 0; j < NI; ++j) At::product(sum[i][j], fa[i], here.b[j / 2][j % 2]);
        read_a(i, from, then);
      }
    };
#pragma unroll
    for (int step = 0; step < steps; step += 2) {
      take(step, even, odd);
      take(step + 1, odd, even);
    }
    after(here, range.first + k * BK, k + 1 == tiles, sum);
    slot = next;
  }
  syncthreads();  // the last fragments are read; now the stages are the epilogue's
  store<T, MI, WN, At>(w, slice, here.row, here.column, shared, sum);
}

template <class T, int BM, int BN, int BK, int WM, int WN, int Stages, bool AlongA, bool AlongB>
GPUKERN_KERNEL GPUKERN_BOUNDS(BM / WM * (BN / WN) * 32, (kBlocks<T, WM, WN>)) product(GPUKERN_GRID_CONST const Work w) {
  multiply_tile<T, BM, BN, BK, WM, WN, Stages, AlongA, AlongB>(w);
}

}  // namespace gpukern::gemm::sm_80
