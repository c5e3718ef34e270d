// Small rows of the types beside the usual ones, compiled from a tree in which one line is wrong (type_mutants.py).
#include "gemm/arch/simt/configurations.h"
#include "mutant_split.h"

namespace gpukern::gemm::simt {

int launch(int, const Problem& p, const Data& data, Stream stream) {
  ask_for_split(data);
  if (p.type == DType::c64) GPUKERN_PART(1, return run<z32x32, Complex<float>>(p, data, stream));
  if (p.type == DType::c128) GPUKERN_PART(2, return run<z32x32, Complex<double>>(p, data, stream));
  if (is_float8(p.type)) GPUKERN_PART(3, return run<q32x32, float8_t>(p, data, stream));
  return -1;
}

}  // namespace gpukern::gemm::simt
