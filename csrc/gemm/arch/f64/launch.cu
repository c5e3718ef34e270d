// The launcher of float64 on Hopper's tensor cores.
#include "rows.h"

namespace gpukern::gemm::f64 {

int launch(int row, const Problem& given, const Data& data, Stream stream) {
  if (given.m == 0 || given.n == 0 || given.batch == 0) return 0;
  const Problem p = oriented(given);
  Compiled c{};
  int index = 0;
#define GPUKERN_ROW(ID, BM, BN, WM, WN, STAGES) \
  if (index++ == row) c = compiled<BM, BN, WM, WN, STAGES>(a_lies_along_k(p), b_lies_along_k(p));
  GPUKERN_F64_TILES(GPUKERN_ROW)
#undef GPUKERN_ROW
  return c.kernel ? run(row, c, given, data, stream) : platform::kNoKernel;  // selection names no other row
}

}  // namespace gpukern::gemm::f64
