// Small rows of the types beside the usual ones, compiled from a tree in which one line is wrong (type_mutants.py).
#include "gemm/arch/simt/rows.h"
#include "gemm/split/split.cu"

namespace gpukern::gemm::simt {

int launch(int, const Problem& p, const Data& data, Stream stream) {
  switch (p.type) {
    case Type::c64: return run<Complex<float>, 32, 32, 8, 4, 4>(p, data, stream);
    case Type::c128: return run<Complex<double>, 32, 32, 8, 4, 4>(p, data, stream);
    case Type::e4m3:
    case Type::e5m2:
    case Type::e4m3fnuz:
    case Type::e5m2fnuz: return run<float8_t, 32, 32, 8, 4, 4>(p, data, stream);
    default: return -1;
  }
}

}  // namespace gpukern::gemm::simt
