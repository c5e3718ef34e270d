// mma.sync as a multiplier: 16-bit, tf32 and 8-bit elements by 32 bytes of k, double by 32 or by 128.
#pragma once
#include "../../../primitives/fragments.h"
#include "../../emit.cuh"

namespace gpukern::gemm::mma_sync {

using namespace primitives;

// The interface of a multiplier, which the mainloop and store.cuh use: the registers of one product, how 16 rows and 16
// columns are read from the tiles, and where lane 4 g + q has them in its slab (`side` parts of 8 columns lie side by
// side; `pad` keeps the slab's lines off each other's banks).
template <class T, int Bytes> struct Mma : Step<T, Bytes> {
  using typename Step<T, Bytes>::A;
  using typename Step<T, Bytes>::B;
  using typename Step<T, Bytes>::Sum;
  static constexpr int bytes = Bytes;                                        // of k that one product takes
  static constexpr bool gradients = !needs_separate_epilogue(type_of<T>());  // the kernel has backward's epilogue
  static constexpr int side = 1, pad = 8;
  static GPUKERN_HD int row(int g, int half) { return g + half * 8; }
  static GPUKERN_HD int column(int part, int q) { return part * 8 + q * 2; }

  template <class Tile> static GPUKERN_D void read_a(A& r, const char* tile, int x, int step, int lane) {
    load_a<T, Bytes, Tile>(r, tile, x, step, lane);
  }
  template <class Tile> static GPUKERN_D void read_b(B (&r)[2], const char* tile, int x, int step, int lane) {
    load_b<T, Bytes, Tile>(r, tile, x, step, lane);
  }
  static GPUKERN_D void product(Sum (&d)[4], const A& a, const B& b) { multiply(d, a, b, T()); }
};

}  // namespace gpukern::gemm::mma_sync
