// The multiplier for types without a tensor-core instruction: multiply-adds of 16 rows x 8 columns and four k.  Lane
// 4 g + q has two rows and two columns of them, as with mma.sync.
//
// Reads of shared memory are 16 bytes wide whichever way a tile's lines run, so all layouts are loaded as they lie:
//
//     lines along k:  four k of one row or column                    rows g, g + 8        columns 2 q, 2 q + 1 (+ 8)
//     lines along x:  two rows of one k, or four columns of one k    rows 2 g, 2 g + 1    columns 4 q .. 4 q + 3
//
// Only the slab (store.cuh) depends on which rows and columns a lane has.  They are chosen so that the lanes of one
// read are in different banks: eight consecutive lines, or neighbours of one line.
//
// Its advantages over simt: loads from global memory take no registers, three tiles are in flight instead of one, and
// shared memory is read for the next four k while the present ones are multiplied.
// Predicted, not yet measured: 0.95 of cuBLAS at 4096^3, whose kernel of the same tile it resembles.
#pragma once
#include "mma.cuh"

namespace gpukern::gemm::mma_sync {

constexpr int kDeep = 4;  // k of one product

template <bool AlongA, bool AlongB> struct MultiplyAdd {
  using A = float[2][kDeep];  // [row][k]
  using B = float[2][kDeep];  // [column][k] of 8 columns
  using Sum = float;
  static constexpr int bytes = kDeep * 4;
  static constexpr bool gradients = false;  // as in all kernels of ordinary cores: problem.h, needs_separate_epilogue
  static constexpr int side = AlongB ? 1 : 2;
  // The padding of a slab's line: then packets of 8 bytes of 16 lanes, or of 16 bytes of 8 lanes, are in different
  // banks.
  static constexpr int pad = AlongB ? (AlongA ? 8 : 4) : (AlongA ? 16 : 8);
  static GPUKERN_HD int row(int g, int half) { return AlongA ? g + half * 8 : 2 * g + half; }
  static GPUKERN_HD int column(int part, int q) { return part * 8 + q * (AlongB ? 2 : 4); }

  template <class Tile> static GPUKERN_D void read_a(A& r, const char* tile, int x, int step, int lane) {
    const int g = lane / 4, k = step * kDeep;
    if constexpr (AlongA) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const auto packet = read<Packet<float, 4>, Tile>(tile, x + row(g, half), k);
#pragma unroll
        for (int i = 0; i < kDeep; ++i) r[half][i] = packet.v[i];
      }
    } else {
#pragma unroll
      for (int i = 0; i < kDeep; ++i) {
        const auto packet = read<Packet<float, 2>, Tile>(tile, x + row(g, 0), k + i);
#pragma unroll
        for (int half = 0; half < 2; ++half) r[half][i] = packet.v[half];
      }
    }
  }

  // Two parts of 8 columns from x on.
  template <class Tile> static GPUKERN_D void read_b(B (&r)[2], const char* tile, int x, int step, int lane) {
    const int q = lane % 4, k = step * kDeep;
    if constexpr (AlongB) {
#pragma unroll
      for (int part = 0; part < 2; ++part)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const auto packet = read<Packet<float, 4>, Tile>(tile, x + column(part, q) + e, k);
#pragma unroll
          for (int i = 0; i < kDeep; ++i) r[part][e][i] = packet.v[i];
        }
    } else {
#pragma unroll
      for (int i = 0; i < kDeep; ++i) {
        const auto packet = read<Packet<float, 4>, Tile>(tile, x + column(0, q), k + i);
#pragma unroll
        for (int e = 0; e < 4; ++e) r[e / 2][e % 2][i] = packet.v[e];
      }
    }
  }

  // In the order of k, so that every configuration on ordinary cores adds in the same order.
  static GPUKERN_D void product(float (&d)[4], const A& a, const B& b) {
#pragma unroll
    for (int k = 0; k < kDeep; ++k)
#pragma unroll
      for (int i = 0; i < 4; ++i) multiply_add(d[i], a[i / 2][k], b[i % 2][k]);
  }
};

}  // namespace gpukern::gemm::mma_sync
