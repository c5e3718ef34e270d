#include "rows.h"

namespace gpukern::gemm::gemv {
template int run_row<double>(int, const Problem&, const Data&, Stream);
}  // namespace gpukern::gemm::gemv
