// float32 as bfloat16 terms.
#include "term_rows.h"

namespace gpukern::gemm::mma_sync {

int run_terms_row(int row, const Problem& p, const Data& data, Stream stream) {
  int index = 0;
#define GPUKERN_ROW(ID, MULTIPLIER, ...)                                 \
  if constexpr (Multiplier::MULTIPLIER == Multiplier::terms)             \
    if (index == row) return run_terms<ID>(kRows[row], p, data, stream); \
  ++index;
  GPUKERN_MMA_SYNC_TILES(GPUKERN_ROW)
#undef GPUKERN_ROW
  return platform::kNoKernel;  // selection names no such row
}

}  // namespace gpukern::gemm::mma_sync
