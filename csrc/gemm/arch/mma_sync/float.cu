// Strict float32: multiply-adds.
#include "configurations.h"

namespace gpukern::gemm::mma_sync {
template int run_configuration<float, Multiplier::multiply_add>(int, const Problem&, const Data&, Stream);
}  // namespace gpukern::gemm::mma_sync
