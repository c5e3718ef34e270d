// A row of f32 under the machine model, compiled from a tree in which one line is wrong (test_folder_mutants.py).
#include "gemm/arch/f32/rows.h"
#include "mutant_split.h"

namespace gpukern::gemm::f32 {

int launch(int row, const Problem& given, const Data& data, Stream stream) {
  ask_for_split(data);
  const Problem p = oriented(kRows[row], given);
  return run(row, compiled<32, 32, 32, 16, 32, 3>(a_along_k(p), b_along_k(p)), given, data, stream);
}

}  // namespace gpukern::gemm::f32
