// The launcher of the sm_80 rows, and the rows of tf32, float64 and bytes.
#include "rows.h"

namespace gpukern::gemm::sm_80 {

extern template int run_row<half_t>(int, const Problem&, const Data&, Stream);
extern template int run_row<bfloat16_t>(int, const Problem&, const Data&, Stream);

int launch(int row, const Problem& p, const Data& data, Stream stream) {
  if (p.m == 0 || p.n == 0 || p.batch == 0) return 0;
  switch (p.type) {
    case DType::f16: return run_row<half_t>(row, p, data, stream);
    case DType::bf16: return run_row<bfloat16_t>(row, p, data, stream);
    case DType::f32: return run_row<float>(row, p, data, stream);
    case DType::f64: return run_row<double>(row, p, data, stream);
    default: return run_row<int8_t>(row, p, data, stream);
  }
}

}  // namespace gpukern::gemm::sm_80
