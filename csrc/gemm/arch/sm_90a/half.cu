#include "rows.h"

namespace gpukern::gemm::sm_90a {
template int run_row<half_t>(int, const Problem&, const Data&, Stream);
template int run_row<bfloat16_t>(int, const Problem&, const Data&, Stream);
}  // namespace gpukern::gemm::sm_90a
