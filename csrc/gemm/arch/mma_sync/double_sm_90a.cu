// float64 on Hopper's tensor cores.
#include "configurations.h"

namespace gpukern::gemm::mma_sync {
template int run_configuration<double, Multiplier::wide_double>(int, const Problem&, const Data&, Stream);
}  // namespace gpukern::gemm::mma_sync
