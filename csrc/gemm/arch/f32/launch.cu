// The launcher of strict float32 on ordinary cores, from Ampere on.
#include "rows.h"

namespace gpukern::gemm::f32 {

int launch(int row, const Problem& given, const Data& data, Stream stream) {
  if (given.m == 0 || given.n == 0 || given.batch == 0) return 0;
  const Problem p = oriented(kRows[row], given);
  Compiled c{};
  int index = 0;
#define GPUKERN_ROW(ID, BM, BN, DEEP, WM, WN, STAGES) \
  if (index++ == row) c = compiled<BM, BN, DEEP / 4, WM, WN, STAGES>(a_along_k(p), b_along_k(p));
  GPUKERN_F32_TILES(GPUKERN_ROW)
#undef GPUKERN_ROW
  return c.kernel ? run(row, c, given, data, stream) : platform::kNoKernel;  // selection names no other row
}

}  // namespace gpukern::gemm::f32
