#include "rows.h"

namespace gpukern::gemm::simt {
template int run_row<uint8_t>(int, const Problem&, const Data&, Stream);
template int run_row<int8_t>(int, const Problem&, const Data&, Stream);
template int run_row<int16_t>(int, const Problem&, const Data&, Stream);
template int run_row<int32_t>(int, const Problem&, const Data&, Stream);
template int run_row<int64_t>(int, const Problem&, const Data&, Stream);
template int run_row<float8_t>(int, const Problem&, const Data&, Stream);
}  // namespace gpukern::gemm::simt
