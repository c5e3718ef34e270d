// float64 by m8n8k4; Hopper has a faster instruction (double_sm_90a.cu).
#include "configurations.h"

namespace gpukern::gemm::mma_sync {
template int run_configuration<double, Multiplier::mma>(int, const Problem&, const Data&, Stream);
}  // namespace gpukern::gemm::mma_sync
