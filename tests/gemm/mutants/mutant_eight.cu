// A configuration of 8-bit floats under the machine model, compiled from a tree in which one line is wrong
// (test_folder_mutants.py).
#include "mutant_configuration.h"
#include "mutant_split.h"

namespace gpukern::gemm::mma_sync {

int launch(int row, const Problem& p, const Data& data, Stream stream) {
  ask_for_split(data);
  return run_one<o64x64, float8_t>(row, p, data, stream);
}

}  // namespace gpukern::gemm::mma_sync
