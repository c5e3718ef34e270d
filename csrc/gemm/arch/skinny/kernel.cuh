// Skinny products, D = W x for up to 8 vectors x: every element of W is read once and used once for each vector, so the
// time depends on how many bytes of W are in flight.  One source for CUDA, HIP and the machine model.
//
// by_rows: k lies along memory                        by_columns: W's rows do
//
//          k -->   packets of 16 bytes                         4 to 32 threads side by side, a packet each
//   4   [ t0 ][ t1 ][ t2 ] .. [ t0 ][ t1 ] ..            k  0  [ t0  ][ t1  ] .. [ t31 ]   ]
//   rows[ t0 ][ t1 ][ t2 ] .. [ t0 ][ t1 ] ..               1  [ t32 ][ t33 ] .. [ t63 ]   ]  a round of 256 threads
//   of  [ t0 ][ t1 ][ t2 ] .. [ t0 ][ t1 ] ..               :                              ]
//   W   [ t0 ][ t1 ][ t2 ] .. [ t0 ][ t1 ] ..               8  [ t0  ][ t1  ] .. [ t31 ]
//
//   8 to 256 threads share four rows: four sums           the threads of a column share k: a packet's width of sums
//   a vector in each, added up over lanes, then           a vector in each, added up over lanes, then over warps
//   over warps
//
// The ladder: one thread for each sum -> neighbouring threads load neighbouring packets -> several packets at once
// (four of 16 bytes by rows, eight by columns) -> by rows the next four in flight while these are multiplied -> k
// shared by as many threads as fill the device.  W bypasses L1.  x does not, and needs no shared memory: all blocks of
// an SM walk along k together, so L1 keeps what the first of them loads, however long k is, and no barrier interrupts
// the loads.  A value of x serves four rows, so with 8 vectors each byte of W takes two bytes from L1.
//
// Operands that packets cannot load are loaded element by element with any strides, neighbouring threads side by side.
// The problem alone decides the order in which sums are added.
#pragma once
#include "../../../primitives/reduce.h"
#include "../../../primitives/rotate.h"
#include "../../emit.cuh"
#include "tiles.h"

namespace gpukern::gemm::skinny {

struct Params {
  EpilogueParams epilogue;              // first: see emit.cuh.  Upright: W is A, m x k; x is B, k x n, n <= 8
  int64_t first_batch, batches, tiles;  // tiles of one matrix
  int64_t step, x_step;  // by columns: strides from one round of k to the next; as parameters they take no registers
  int share;             // by rows: threads of four rows; by columns: threads side by side
  int splits, deep;      // ranges of k, each a multiple of `deep`
  bool packets;
};

// A packet in flight is kept as 32-bit words: as elements, each of them would take a register.
template <class T, int Width> using Words = Packet<uint32_t, int(sizeof(T)) * Width / 4>;
template <class T, int Width> GPUKERN_D Packet<T, Width> elements_of(const Words<T, Width>& words) {
  Packet<T, Width> packet;
  memcpy(static_cast<void*>(&packet), &words, sizeof packet);
  return packet;
}

// Blocks that an SM must hold.  It bounds the registers: 80 and 128 for each of 256 threads.
constexpr int blocks_at_once(int vectors) { return vectors == 1 ? 3 : 2; }

// What a block computes.  Slices number the ranges of k of all matrices: first the first range of every matrix, then
// the second.
struct BlockTile {
  int64_t slice, batch, tile;
  Range k;
  GPUKERN_D explicit BlockTile(const Params& w) {
    const int64_t block = blockIdx.x, matrix = block / w.tiles;
    slice = w.first_batch + matrix;
    batch = slice % w.batches;
    tile = block - matrix * w.tiles;
    k = range_of(w.epilogue.p.k, w.deep, w.splits, static_cast<int>(slice / w.batches));
  }
};

template <class T>
GPUKERN_D void finish(const Params& w, int64_t slice, int64_t row, int64_t column, typename Number<T>::V sum) {
  typename Number<T>::V one[1] = {sum};
  emit<T>(w.epilogue, slice, row, column, one);
}

// A configuration: the most vectors of x.  A kernel's demangled name shows which: by_rows<r8, ..>.
#define GPUKERN_CONFIGURATION(ID, TYPES, FORM, VECTORS) \
  struct ID {                                           \
    static constexpr int vectors = VECTORS;             \
  };
GPUKERN_SKINNY_TILES(GPUKERN_CONFIGURATION)
#undef GPUKERN_CONFIGURATION

// ---- by rows --------------------------------------------------------------------------------------------------------

template <class C, class T>
GPUKERN_KERNEL GPUKERN_BOUNDS(kThreads, blocks_at_once(C::vectors)) by_rows(GPUKERN_GRID_CONST const Params w) {
  using N = Number<T>;
  using V = typename N::V;
  constexpr int width = width_of(type_of<T>()), sums = C::vectors * kRowsEach;
  // Elements of a row in flight, where packets do not fit: several for the types of networks.
  constexpr int singles = std::is_same_v<V, float> ? 4 : 1;
  using Piece = Words<T, width>;
  const Problem& p = w.epilogue.p;
  const Data& data = w.epilogue.data;
  const int thread = static_cast<int>(threadIdx.x), share = w.share, mine = thread % share;
  const int vectors = static_cast<int>(p.n);
  const BlockTile place(w);
  const int64_t block_row = place.tile * row_tile(share), row0 = block_row + thread / share * kRowsEach;

  const T* row[kRowsEach];
#pragma unroll
  for (int r = 0; r < kRowsEach; ++r) {  // rows beyond the last: the last row is loaded again, and not stored
    const int64_t inside = row0 + r < p.m ? row0 + r : p.m - 1;
    row[r] = static_cast<const T*>(data.a) + place.batch * p.a.batch + inside * p.a.row + place.k.first * p.a.column;
  }
  const T* const x = static_cast<const T*>(data.b) + place.batch * p.b.batch + place.k.first * p.b.row;
  const int64_t depth = place.k.end - place.k.first;
  V sum[sums] = {};  // [vector][row]

  int64_t k = mine;
  if (w.packets) {
    const int64_t packets = depth / width;
    Piece held[kRowsEach] = {}, next[kRowsEach] = {};
    const auto load = [&](Piece(&to)[kRowsEach], int64_t at) {
#pragma unroll
      for (int r = 0; r < kRowsEach; ++r) to[r] = load_packet_once(reinterpret_cast<const Piece*>(row[r]) + at);
    };
    if (mine < packets) load(held, mine);
#pragma unroll 1
    for (int64_t at = mine; at < packets; at += share) {
      if (at + share < packets) load(next, at + share);
#pragma unroll
      for (int v = 0; v < C::vectors; ++v) {
        if (C::vectors > 1 && v >= vectors) break;
        const auto factor = elements_of<T, width>(load_packet(reinterpret_cast<const Piece*>(x + v * p.b.column) + at));
#pragma unroll
        for (int r = 0; r < kRowsEach; ++r) {
          const auto element = elements_of<T, width>(held[r]);
#pragma unroll
          for (int j = 0; j < width; ++j) sum[v * kRowsEach + r] += N::widen(element.v[j]) * N::widen(factor.v[j]);
        }
      }
#pragma unroll
      for (int r = 0; r < kRowsEach; ++r) held[r] = next[r];
    }
    k += packets * width;
  }
  // What is left, or all of it: elements, a few at a time, then one.
  const auto elements = [&](auto count) {
    constexpr int n = decltype(count)::value;
    T held[n][kRowsEach];
#pragma unroll
    for (int i = 0; i < n; ++i)
#pragma unroll
      for (int r = 0; r < kRowsEach; ++r) held[i][r] = row[r][(k + i * share) * p.a.column];
#pragma unroll
    for (int v = 0; v < C::vectors; ++v) {
      if (C::vectors > 1 && v >= vectors) break;
#pragma unroll
      for (int i = 0; i < n; ++i) {
        const V factor = N::widen(x[(k + i * share) * p.b.row + v * p.b.column]);
#pragma unroll
        for (int r = 0; r < kRowsEach; ++r) sum[v * kRowsEach + r] += N::widen(held[i][r]) * factor;
      }
    }
    k += n * share;
  };
  if constexpr (singles > 1)
#pragma unroll 1
    while (k + (singles - 1) * share < depth) elements(std::integral_constant<int, singles>());
#pragma unroll 1
  while (k < depth) elements(std::integral_constant<int, 1>());

  // Adds the sums of groups of lanes in a warp, then of the groups that share rows, in their order.
  const int lanes = share < warp_size() ? share : warp_size(), groups = share / lanes;
  const primitives::LaneSums<V, sums> total(sum, thread, lanes);
  V* const partial = reinterpret_cast<V*>(shared_memory());  // [group of lanes][vector][row]
#pragma unroll
  for (int i = 0; i < sums; ++i)
    if (i < total.kept) partial[thread / lanes * sums + total.first + i] = sum[i];
  syncthreads();
#pragma unroll 1
  for (int i = thread; i < kThreads / share * sums; i += kThreads) {
    const int quad = i / sums, v = i % sums / kRowsEach;
    const int64_t to = block_row + quad * kRowsEach + i % kRowsEach;
    if (to >= p.m || v >= vectors) continue;
    V all = partial[quad * groups * sums + i % sums];
    for (int g = 1; g < groups; ++g) all += partial[(quad * groups + g) * sums + i % sums];
    finish<T>(w, place.slice, to, v, all);
  }
}

// ---- by columns -----------------------------------------------------------------------------------------------------

template <class C, class T>
GPUKERN_KERNEL GPUKERN_BOUNDS(kThreads, blocks_at_once(C::vectors)) by_columns(GPUKERN_GRID_CONST const Params w) {
  using N = Number<T>;
  using V = typename N::V;
  constexpr int width = width_of(type_of<T>()), group = min_of(16 / int(sizeof(V)), width);
  // Packets in flight, as many as registers allow beside the sums; single elements take a register each.
  constexpr int rounds = C::vectors == 1 ? 8 : 4, singles = C::vectors == 1 && std::is_same_v<V, float> ? 2 : 1;
  using Piece = Words<T, width>;
  const Problem& p = w.epilogue.p;
  const Data& data = w.epilogue.data;
  const int thread = static_cast<int>(threadIdx.x), lane = thread % warp_size(), side = w.share;
  const int slices = kThreads / side, vectors = static_cast<int>(p.n);
  const BlockTile place(w);
  const int64_t tile0 = place.tile * (side * width), row0 = tile0 + thread % side * width;
  const int left = row0 < p.m ? left_of(p.m - row0, width) : 0;
  const bool whole = w.packets && left == width;

  int64_t k = place.k.first + thread / side;
  const T* from = static_cast<const T*>(data.a) + place.batch * p.a.batch + row0 * p.a.row + k * p.a.column;
  const T* x = static_cast<const T*>(data.b) + place.batch * p.b.batch + k * p.b.row;
  V sum[C::vectors][width] = {};

  const auto multiply = [&](auto count, bool by_packets) {
    // Two packets at a time are split into elements: all of them would take 32 registers beside 64 sums.
    constexpr int n = decltype(count)::value, together = C::vectors == 1 ? n : 2;
    Piece held[n];
    if (by_packets) {
#pragma unroll
      for (int i = 0; i < n; ++i) held[i] = load_packet_once(reinterpret_cast<const Piece*>(from + i * w.step));
    } else {
#pragma unroll
      for (int i = 0; i < n; ++i) {
        Packet<T, width> packet;
#pragma unroll
        for (int j = 0; j < width; ++j) packet.v[j] = j < left ? from[i * w.step + j * p.a.row] : T{};
        memcpy(&held[i], static_cast<const void*>(&packet), sizeof packet);
      }
    }
#pragma unroll together
    for (int i = 0; i < n; ++i, x += w.x_step) {
      const T* at = x;
      const auto element = elements_of<T, width>(held[0]);
#pragma unroll
      for (int v = 0; v < C::vectors; ++v, at += p.b.column) {
        if (C::vectors > 1 && v >= vectors) break;
        const V factor = N::widen(*at);
#pragma unroll
        for (int j = 0; j < width; ++j) sum[v][j] += N::widen(element.v[j]) * factor;
      }
      rotate(held);
    }
    from += n * w.step;
    k += n * slices;
  };
  if (whole) {
#pragma unroll 1
    while (k + (rounds - 1) * slices < place.k.end) multiply(std::integral_constant<int, rounds>(), true);
  } else if constexpr (singles > 1) {
#pragma unroll 1
    while (k + (singles - 1) * slices < place.k.end) multiply(std::integral_constant<int, singles>(), false);
  }
#pragma unroll 1
  while (k < place.k.end) multiply(std::integral_constant<int, 1>(), whole);

  // For each vector, adds the sums of the lanes with the same columns, then of the warps, in their order.  With two
  // buffers one barrier a vector is enough.
  const int warp = thread / warp_size(), warps = kThreads / warp_size();
#pragma unroll 1
  for (int v = 0; v < vectors; ++v) {
    V* const partial = reinterpret_cast<V*>(shared_memory()) + v % 2 * (kThreads * width);  // [warp][column]
    primitives::add_lanes(sum[0], side, warp_size());
    if (lane < side) {
#pragma unroll
      for (int j = 0; j < width; j += group) {
        Packet<V, group> packet;
#pragma unroll
        for (int e = 0; e < group; ++e) packet.v[e] = sum[0][j + e];
        store_packet(reinterpret_cast<Packet<V, group>*>(partial + (warp * side + lane) * width + j), packet);
      }
    }
    syncthreads();
    if (thread < side * width && tile0 + thread < argument(w.epilogue).p.m) {
      V all = partial[thread];
      for (int g = 1; g < warps; ++g) all += partial[g * side * width + thread];
      finish<T>(w, place.slice, tile0 + thread, v, all);
    }
    rotate(sum);
  }
}

}  // namespace gpukern::gemm::skinny
