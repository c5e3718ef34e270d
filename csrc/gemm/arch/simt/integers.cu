#include "configurations.h"

namespace gpukern::gemm::simt {
template int run_configuration<uint8_t>(int, const Problem&, const Data&, Stream);
template int run_configuration<int8_t>(int, const Problem&, const Data&, Stream);
template int run_configuration<int16_t>(int, const Problem&, const Data&, Stream);
template int run_configuration<int32_t>(int, const Problem&, const Data&, Stream);
template int run_configuration<int64_t>(int, const Problem&, const Data&, Stream);
template int run_configuration<float8_t>(int, const Problem&, const Data&, Stream);
}  // namespace gpukern::gemm::simt
