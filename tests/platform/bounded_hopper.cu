// A kernel of each way that Hopper's warpgroups share their work, for test_waits.py: what the compiler makes of the
// build for the first runs must be the pipeline that it makes of the shipped one.
#include "gemm/arch/wgmma/configurations.h"

namespace gpukern::gemm::wgmma {
#define GPUKERN_KERNEL_OF(ID, T, WORD, A, B) \
  template __global__ void product<ID, T, WORD, WORD, Major::A, Major::B>(GPUKERN_GRID_CONST const Params);
GPUKERN_KERNEL_OF(w256x128, bfloat16_t, bfloat16_t, k, mn)
GPUKERN_KERNEL_OF(d128x16, bfloat16_t, bfloat16_t, k, k)
GPUKERN_KERNEL_OF(p128x128, bfloat16_t, bfloat16_t, mn, k)
GPUKERN_KERNEL_OF(t256x128, float, bfloat16_t, k, k)
GPUKERN_KERNEL_OF(q256x128, float8_t, e4m3_t, k, k)
}  // namespace gpukern::gemm::wgmma
