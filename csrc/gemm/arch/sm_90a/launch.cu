// The launcher of the sm_90a rows, and the rows of float16.
#include "rows.h"

namespace gpukern::gemm::sm_90a {

template int run_row<half_t>(int, const Problem&, const Data&, Stream);
extern template int run_row<bfloat16_t>(int, const Problem&, const Data&, Stream);

int launch(int row, const Problem& p, const Data& data, Stream stream) {
  if (p.m == 0 || p.n == 0 || p.batch == 0) return 0;
  return p.type == Type::f16 ? run_row<half_t>(row, p, data, stream) : run_row<bfloat16_t>(row, p, data, stream);
}

}  // namespace gpukern::gemm::sm_90a
