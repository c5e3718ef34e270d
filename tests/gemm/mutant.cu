// The smallest rows of sm_80 and of terms under the machine model, compiled from a tree in which one line is wrong
// (mutants.py).
#if GPUKERN_MUTANT_TERMS
#include "gemm/arch/terms/rows.h"
#else
#include "gemm/arch/sm_80/rows.h"
#endif
#include "gemm/split/split.cu"

namespace gpukern::gemm {

#if GPUKERN_MUTANT_TERMS
namespace terms {
int launch(int, const Problem& p, const Data& data, Stream stream) {
  return run_layout<64, 64, 64, 32, 32, 3>(p, data, stream);
}
}  // namespace terms
#else
namespace sm_80 {
constexpr int row_named(const char* id) {
  for (int i = 0; i < kCount; ++i)
    if (std::string_view(kRows[i].id) == id) return i;
  return -1;
}

int launch(int, const Problem& p, const Data& data, Stream stream) {
#if GPUKERN_MUTANT_TF32
  return run_layout<float, 64, 64, 32, 32, 32, 3>(row_named("t64x64"), p, data, stream);
#else
  return run_layout<bfloat16_t, 64, 64, 64, 32, 32, 3>(row_named("h64x64"), p, data, stream);
#endif
}
}  // namespace sm_80
#endif

}  // namespace gpukern::gemm
