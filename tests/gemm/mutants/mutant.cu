// Small configurations of mma_sync under the machine model, compiled from a tree in which one line is wrong
// (mutants.py).
#if GPUKERN_MUTANT_TERMS
#include "gemm/arch/mma_sync/term_configurations.h"
#else
#include "mutant_configuration.h"
#endif
#include "mutant_split.h"

namespace gpukern::gemm::mma_sync {

int launch(int row, const Problem& p, const Data& data, Stream stream) {
  ask_for_split(data);
#if GPUKERN_MUTANT_TERMS
  return run_terms<e64x64>(kConfigurations[row], p, data, stream);
#elif GPUKERN_MUTANT_TF32
  return run_one<t64x64, float>(row, p, data, stream);
#else
  return run_one<h64x64, bfloat16_t>(row, p, data, stream);
#endif
}

}  // namespace gpukern::gemm::mma_sync
