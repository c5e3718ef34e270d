// The launcher of the rows that multiply bfloat16 terms.
#include "rows.h"

namespace gpukern::gemm::terms {

int launch(int row, const Problem& p, const Data& data, Stream stream) {
  if (p.m == 0 || p.n == 0 || p.batch == 0) return 0;
  int index = 0;
#define GPUKERN_ROW(ID, BM, BN, DEEP, WM, WN, STAGES) \
  if (index++ == row) return run_layout<BM, BN, DEEP / 2, WM, WN, STAGES>(p, data, stream);
  GPUKERN_TERMS_TILES(GPUKERN_ROW)
#undef GPUKERN_ROW
  return -1;  // selection names no such row
}

}  // namespace gpukern::gemm::terms
