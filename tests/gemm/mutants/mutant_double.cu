// A row of f64 under the machine model, compiled from a tree in which one line is wrong (test_folder_mutants.py).
#include "gemm/arch/f64/rows.h"
#include "mutant_split.h"

namespace gpukern::gemm::f64 {

int launch(int row, const Problem& given, const Data& data, Stream stream) {
  ask_for_split(data);
  const Problem p = oriented(given);
  return run(row, compiled<32, 32, 16, 16, 4>(a_lies_along_k(p), b_lies_along_k(p)), given, data, stream);
}

}  // namespace gpukern::gemm::f64
