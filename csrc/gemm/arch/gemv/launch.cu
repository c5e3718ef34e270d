// The launcher of the rows for thin products, and the rows of floats.
#include "rows.h"

namespace gpukern::gemm::gemv {

extern template int run_row<uint8_t>(int, const Problem&, const Data&, Stream);
extern template int run_row<int8_t>(int, const Problem&, const Data&, Stream);
extern template int run_row<int16_t>(int, const Problem&, const Data&, Stream);
extern template int run_row<int32_t>(int, const Problem&, const Data&, Stream);
extern template int run_row<int64_t>(int, const Problem&, const Data&, Stream);

int launch(int row, const Problem& p, const Data& data, Stream stream) {
  if (p.m == 0 || p.n == 0 || p.batch == 0) return 0;
  return with_storage(p.type, [&](auto x) { return run_row<decltype(x)>(row, p, data, stream); });
}

}  // namespace gpukern::gemm::gemv
