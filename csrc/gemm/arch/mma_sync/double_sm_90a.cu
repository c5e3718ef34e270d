// float64 on Hopper's tensor cores.
#include "rows.h"

namespace gpukern::gemm::mma_sync {
template int run_row<double, Multiplier::wide_double>(int, const Problem&, const Data&, Stream);
}  // namespace gpukern::gemm::mma_sync
