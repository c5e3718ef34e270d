#include "rows.h"

namespace gpukern::gemm::sm_80 {
template int run_row<float>(int, const Problem&, const Data&, Stream);
}  // namespace gpukern::gemm::sm_80
