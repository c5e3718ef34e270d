// A row of sm_89 under the machine model, compiled from a tree in which one line is wrong (test_folder_mutants.py).
#include "gemm/arch/sm_89/rows.h"
#include "mutant_split.h"

namespace gpukern::gemm::sm_89 {

int launch(int row, const Problem& p, const Data& data, Stream stream) {
  ask_for_split(data);
  return run(row, compiled<64, 64, 32, 32, 3>(p.type, p.scaling.b_type), p, data, stream);
}

}  // namespace gpukern::gemm::sm_89
