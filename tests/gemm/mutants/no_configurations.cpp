// Launchers of folders that a library of mutants does not compile: a definition elsewhere takes their place.
#include "gemm/registry.h"

namespace gpukern::gemm {
#define GPUKERN_NO_CONFIGURATIONS(folder)                                                   \
  namespace folder {                                                                        \
  __attribute__((weak)) int launch(int, const Problem&, const Data&, Stream) { return -1; } \
  }
GPUKERN_GEMM_GPU_FOLDERS(GPUKERN_NO_CONFIGURATIONS)
#undef GPUKERN_NO_CONFIGURATIONS
}  // namespace gpukern::gemm
