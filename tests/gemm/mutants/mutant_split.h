// Part 0 of a mutant: what adds ranges of k and parts of sums.
#pragma once
#include "gemm/split/split.h"
#include "mutant.h"

#if GPUKERN_PARTS & 1
#include "gemm/split/split.cu"
#else
namespace gpukern::gemm::split {
int add_ranges(const Problem&, const Data&, Stream) { return -1; }
int add_parts(const Problem&, const Data&, int, Stream) { return -1; }
}  // namespace gpukern::gemm::split
#endif

// There is room for ranges or parts only where they are added.
inline void ask_for_split(const gpukern::gemm::Data& data) {
  if (data.partial || data.parts) asked |= 1;
}
