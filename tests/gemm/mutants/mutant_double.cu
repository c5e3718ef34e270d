// A configuration of wide float64 under the machine model, compiled from a tree in which one line is wrong
// (test_folder_mutants.py).
#include "mutant_configuration.h"
#include "mutant_split.h"

namespace gpukern::gemm::mma_sync {

int launch(int row, const Problem& p, const Data& data, Stream stream) {
  ask_for_split(data);
  return run_one<m32x32, double>(row, p, data, stream);
}

}  // namespace gpukern::gemm::mma_sync
