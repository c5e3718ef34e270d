// What an added folder's launcher refers to and its test does not compile (test_growth.py).
#include "gemm/arch/turing/configurations.h"
#include "gemm/registry.h"

namespace gpukern::gemm {
#define GPUKERN_NO_LAUNCH(folder)                                                           \
  namespace folder {                                                                        \
  __attribute__((weak)) int launch(int, const Problem&, const Data&, Stream) { return -1; } \
  }
GPUKERN_GEMM_GPU_FOLDERS(GPUKERN_NO_LAUNCH)
#undef GPUKERN_NO_LAUNCH

namespace turing {
#define GPUKERN_NO_KERNEL(T) \
  template <> int run_configuration<T>(int, const Problem&, const Data&, Stream) { return -1; }
GPUKERN_NO_KERNEL(half_t)
GPUKERN_NO_KERNEL(bfloat16_t)
GPUKERN_NO_KERNEL(uint8_t)
GPUKERN_NO_KERNEL(int8_t)
GPUKERN_NO_KERNEL(int16_t)
GPUKERN_NO_KERNEL(int32_t)
GPUKERN_NO_KERNEL(int64_t)
GPUKERN_NO_KERNEL(float8_t)
#undef GPUKERN_NO_KERNEL
}  // namespace turing
}  // namespace gpukern::gemm
