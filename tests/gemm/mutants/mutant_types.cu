// Small rows of the types beside the usual ones, compiled from a tree in which one line is wrong (type_mutants.py).
#include "gemm/arch/simt/rows.h"
#include "mutant_split.h"

namespace gpukern::gemm::simt {

int launch(int, const Problem& p, const Data& data, Stream stream) {
  ask_for_split(data);
  if (p.type == DType::c64) GPUKERN_PART(1, return run<Complex<float>, 32, 32, 8, 4, 4>(p, data, stream));
  if (p.type == DType::c128) GPUKERN_PART(2, return run<Complex<double>, 32, 32, 8, 4, 4>(p, data, stream));
  if (is_float8(p.type)) GPUKERN_PART(3, return run<float8_t, 32, 32, 8, 4, 4>(p, data, stream));
  return -1;
}

}  // namespace gpukern::gemm::simt
