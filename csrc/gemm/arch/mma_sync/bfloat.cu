#include "configurations.h"

namespace gpukern::gemm::mma_sync {
template int run_configuration<bfloat16_t, Multiplier::mma>(int, const Problem&, const Data&, Stream);
}  // namespace gpukern::gemm::mma_sync
