// The launcher of the SIMT rows, and the rows of float32, float64 and complex numbers.
#include "rows.h"

namespace gpukern::gemm::simt {

extern template int run_row<half_t>(int, const Problem&, const Data&, Stream);
extern template int run_row<bfloat16_t>(int, const Problem&, const Data&, Stream);
extern template int run_row<uint8_t>(int, const Problem&, const Data&, Stream);
extern template int run_row<int8_t>(int, const Problem&, const Data&, Stream);
extern template int run_row<int16_t>(int, const Problem&, const Data&, Stream);
extern template int run_row<int32_t>(int, const Problem&, const Data&, Stream);
extern template int run_row<int64_t>(int, const Problem&, const Data&, Stream);
extern template int run_row<float8_t>(int, const Problem&, const Data&, Stream);

int launch(int row, const Problem& p, const Data& data, Stream stream) {
  if (p.m == 0 || p.n == 0 || p.batch == 0) return 0;
  return with_storage(p.type, [&](auto x) { return run_row<decltype(x)>(row, p, data, stream); });
}

}  // namespace gpukern::gemm::simt
