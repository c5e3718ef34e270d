// float32 as bfloat16 terms.
#include "term_configurations.h"

namespace gpukern::gemm::mma_sync {

int run_terms_row(int row, const Problem& p, const Data& data, Stream stream) {
  int index = 0;
#define GPUKERN_CONFIGURATION(ID, MULTIPLIER, ...)                                 \
  if constexpr (Multiplier::MULTIPLIER == Multiplier::terms)                       \
    if (index == row) return run_terms<ID>(kConfigurations[row], p, data, stream); \
  ++index;
  GPUKERN_MMA_SYNC_TILES(GPUKERN_CONFIGURATION)
#undef GPUKERN_CONFIGURATION
  return platform::kNoKernel;  // selection names no such configuration
}

}  // namespace gpukern::gemm::mma_sync
