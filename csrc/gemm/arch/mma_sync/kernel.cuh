// The kernels: one for each configuration, type and layout; its demangled name shows which: product<h128x256, ..>.
#pragma once
#include "block.cuh"
#include "multiply_add.cuh"
#include "promotion.cuh"
#include "tiles.h"

namespace gpukern::gemm::mma_sync {

template <Multiplier M, int BM, int BN, int Deep, int WM, int WN, int Stages> struct TileConfiguration {
  static constexpr Multiplier multiplier = M;
  static constexpr int bm = BM, bn = BN, deep = Deep, wm = WM, wn = WN, stages = Stages;
  static constexpr int threads = threads_of(BM, BN, WM, WN);
};
#define GPUKERN_CONFIGURATION(ID, MULTIPLIER, TYPES, ...) \
  struct ID : TileConfiguration<Multiplier::MULTIPLIER, __VA_ARGS__> {};
GPUKERN_MMA_SYNC_TILES(GPUKERN_CONFIGURATION)
#undef GPUKERN_CONFIGURATION

// Blocks that an SM must have registers for.  mma: with 32 accumulators a thread there are registers for as many blocks
// as shared memory holds.
template <class C, class T> constexpr int blocks_for_registers() {
  switch (C::multiplier) {
    case Multiplier::wide_double:
      return static_cast<int>(facts(C::multiplier).shared) / (C::stages * (C::bm + C::bn) * C::deep);
    case Multiplier::float8: return C::wm * C::wn > 1024 ? 1 : 2;
    case Multiplier::terms: return C::threads > 128 ? 1 : 3;
    case Multiplier::multiply_add: return C::wm * C::wn > 1024 ? 1 : 512 / C::threads;
    default: return C::wm * C::wn * sizeof(typename Number<T>::V) > 4096 ? 1 : sizeof(T) == 2 ? 4 : 3;
  }
}

template <Multiplier M, class T, bool AlongA, bool AlongB> struct InstructionOf {
  using type = Mma<T, facts(M).step>;
};
template <class T, bool AlongA, bool AlongB> struct InstructionOf<Multiplier::multiply_add, T, AlongA, AlongB> {
  using type = MultiplyAdd<AlongA, AlongB>;
};

template <class C, class T, bool AlongA, bool AlongB>
GPUKERN_KERNEL GPUKERN_BOUNDS(C::threads, (blocks_for_registers<C, T>())) product(GPUKERN_GRID_CONST const Params w) {
  multiply_tile<C, T, AlongA, AlongB, typename InstructionOf<C::multiplier, T, AlongA, AlongB>::type>(w);
}

// Of 8-bit floats.
template <class C, class T, bool WideA, bool WideB>
GPUKERN_KERNEL GPUKERN_BOUNDS(C::threads, (blocks_for_registers<C, T>()))
    scaled_product(GPUKERN_GRID_CONST const Params w) {
  multiply_tile<C, T, true, true, Mma8<WideA, WideB>>(w, Promotion<C::wm / 16, C::wn / 8>(w));
}

}  // namespace gpukern::gemm::mma_sync
