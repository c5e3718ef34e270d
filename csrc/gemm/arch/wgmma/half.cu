#include "configurations.h"

namespace gpukern::gemm::wgmma {
template int run_configuration<half_t>(int, const Problem&, const Data&, Stream);
template int run_configuration<bfloat16_t>(int, const Problem&, const Data&, Stream);
}  // namespace gpukern::gemm::wgmma
