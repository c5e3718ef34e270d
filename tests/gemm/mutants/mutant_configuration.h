// One configuration of mma_sync under the machine model: the only one that is compiled.
#pragma once
#include "gemm/arch/mma_sync/configurations.h"

namespace gpukern::gemm::mma_sync {

template <class C, class T> int run_one(int number, const Problem& given, const Data& data, Stream stream) {
  const Problem p = oriented(kConfigurations[number], given);
  return run_kernel<T>(number, compiled<C, T>(p), given, p, data, stream);
}

}  // namespace gpukern::gemm::mma_sync
