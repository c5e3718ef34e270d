#include "rows.h"

namespace gpukern::gemm::simt {
template int run_row<float8_t>(int, const Problem&, const Data&, Stream);
}  // namespace gpukern::gemm::simt
