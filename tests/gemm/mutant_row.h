// One configuration of mma_sync under the machine model: the only one that is compiled.
#pragma once
#include "gemm/arch/mma_sync/rows.h"

namespace gpukern::gemm::mma_sync {

template <class C, class T> int run_one(int number, const Problem& given, const Data& data, Stream stream) {
  const Row& row = kRows[number];
  const Problem p = oriented(row, given);
  return run<T>(row, compiled<C, T>(p), given, p, turned(row, given), apart(p), data, stream);
}

}  // namespace gpukern::gemm::mma_sync
