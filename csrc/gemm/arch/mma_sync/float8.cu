// 8-bit floats, from Ada on.
#include "configurations.h"

namespace gpukern::gemm::mma_sync {
template int run_configuration<float8_t, Multiplier::float8>(int, const Problem&, const Data&, Stream);
}  // namespace gpukern::gemm::mma_sync
