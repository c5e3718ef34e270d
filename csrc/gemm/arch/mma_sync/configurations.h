// The kernels of one type and multiplier, and the switch that launches them.  They are in a few .cu, which compile side
// by side; more would each pay for the front end.
#pragma once
#include "launch.cuh"

namespace gpukern::gemm::mma_sync {

// The kernel for the operands' layouts.
template <class C, class T> CompiledKernel compiled(const Problem& p) {
  if constexpr (C::multiplier == Multiplier::float8) {
    if (p.type == DType::e5m2) return {&scaled_product<C, T, true, false>, true, true};
    if (p.scaling.b_type == DType::e5m2) return {&scaled_product<C, T, false, true>, true, true};
    return {&scaled_product<C, T, false, false>, true, true};
  } else {
    const bool along_a = a_along_k(p), along_b = b_along_k(p);
    if (along_a && along_b) return {&product<C, T, true, true>, true, true};
    if constexpr (sizeof(T) > 1) {
      if (along_a) return {&product<C, T, true, false>, true, false};
      if (!along_b) return {&product<C, T, false, false>, false, false};
      if constexpr (C::bm == 16) return {&product<C, T, false, true>, false, true};
    }
    return {};  // `oriented` leaves no such layout
  }
}

// p: `given` as the kernel multiplies it.
template <class T>
int run_kernel(int row, const CompiledKernel& c, const Problem& given, const Problem& p, const Data& data,
               Stream stream) {
  if (!c.kernel) return platform::kNoKernel;  // selection names no such configuration
  return run<T>(kConfigurations[row], c, given, p, transposes(kConfigurations[row], given), separate_epilogue(p), data,
                stream);
}

template <class T, Multiplier M> int run_configuration(int row, const Problem& given, const Data& data, Stream stream) {
  const Problem p = oriented(kConfigurations[row], given);
  CompiledKernel c{};
  int index = 0;
#define GPUKERN_CONFIGURATION(ID, MULTIPLIER, TYPES, ...)                        \
  if constexpr (Multiplier::MULTIPLIER == M && (TYPES & bit(type_of<T>())) != 0) \
    if (index == row) c = compiled<ID, T>(p);                                    \
  ++index;
  GPUKERN_MMA_SYNC_TILES(GPUKERN_CONFIGURATION)
#undef GPUKERN_CONFIGURATION
  return run_kernel<T>(row, c, given, p, data, stream);
}

}  // namespace gpukern::gemm::mma_sync
