// A kernel of each way that Hopper's warpgroups share their work, for test_waits.py: what the compiler makes of the
// build for the first runs must be the pipeline that it makes of the shipped one.
#include "gemm/arch/wgmma/configurations.h"

namespace gpukern::gemm::wgmma {
#define GPUKERN_KERNEL_OF(T, WORD, BM, BN, WAY, A, B)                                          \
  template __global__ void product<T, WORD, WORD, BM, BN, Consumers::WAY, Major::A, Major::B>( \
      GPUKERN_GRID_CONST const Params);
GPUKERN_KERNEL_OF(bfloat16_t, bfloat16_t, 256, 128, cooperative, k, mn)
GPUKERN_KERNEL_OF(bfloat16_t, bfloat16_t, 128, 16, cooperative, k, k)
GPUKERN_KERNEL_OF(bfloat16_t, bfloat16_t, 128, 128, ping_pong, mn, k)
GPUKERN_KERNEL_OF(bfloat16_t, bfloat16_t, 256, 128, terms, k, k)
GPUKERN_KERNEL_OF(float8_t, e4m3_t, 256, 128, promoting, k, k)
}  // namespace gpukern::gemm::wgmma
