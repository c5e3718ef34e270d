#include "configurations.h"

namespace gpukern::gemm::simt {
template int run_configuration<float>(int, const Problem&, const Data&, Stream);
template int run_configuration<double>(int, const Problem&, const Data&, Stream);
}  // namespace gpukern::gemm::simt
