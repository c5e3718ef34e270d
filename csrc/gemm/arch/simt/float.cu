#include "rows.h"

namespace gpukern::gemm::simt {
template int run_row<float>(int, const Problem&, const Data&, Stream);
template int run_row<double>(int, const Problem&, const Data&, Stream);
}  // namespace gpukern::gemm::simt
