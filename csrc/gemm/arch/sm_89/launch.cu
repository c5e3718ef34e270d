// The launcher of 8-bit floats on mma.sync.
#include "rows.h"

namespace gpukern::gemm::sm_89 {

int launch(int row, const Problem& p, const Data& data, Stream stream) {
  if (p.m == 0 || p.n == 0 || p.batch == 0) return 0;
  Compiled c{};
  int index = 0;
#define GPUKERN_ROW(ID, BM, BN, WM, WN, STAGES) \
  if (index++ == row) c = compiled<BM, BN, WM, WN, STAGES>(p.type, p.scaling.b_type);
  GPUKERN_SM89_TILES(GPUKERN_ROW)
#undef GPUKERN_ROW
  return c.kernel ? run(row, c, p, data, stream) : platform::kNoKernel;  // selection names no other row
}

}  // namespace gpukern::gemm::sm_89
