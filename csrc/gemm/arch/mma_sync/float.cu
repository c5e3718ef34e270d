// Strict float32: multiply-adds.
#include "rows.h"

namespace gpukern::gemm::mma_sync {
template int run_row<float, Multiplier::multiply_add>(int, const Problem&, const Data&, Stream);
}  // namespace gpukern::gemm::mma_sync
