// The launcher, and the configurations of float32 (tf32 and terms), bytes and float8.
#include "configurations.h"
#include "pack.cuh"

namespace gpukern::gemm::wgmma {

extern template int run_configuration<half_t>(int, const Problem&, const Data&, Stream);
extern template int run_configuration<bfloat16_t>(int, const Problem&, const Data&, Stream);

struct Here;  // names this folder's pass (divide.cuh)
int divide(const Problem& p, const Data& data, terms::Division& d, Stream stream) {
  return terms::divide<Here>(p, data, d, stream);
}

int pack(const Problem& p, Data& data, Stream stream) { return pack_by_size(p, data, stream); }

int launch(int row, const Problem& p, const Data& data, Stream stream) {
  if (p.m == 0 || p.n == 0 || p.batch == 0) return 0;
  switch (p.type) {
    case DType::f16: return run_configuration<half_t>(row, p, data, stream);
    case DType::bf16: return run_configuration<bfloat16_t>(row, p, data, stream);
    case DType::f32: return run_configuration<float>(row, p, data, stream);
    case DType::e4m3:
    case DType::e5m2: return run_configuration<float8_t>(row, p, data, stream);
    default: return run_configuration<int8_t>(row, p, data, stream);
  }
}

}  // namespace gpukern::gemm::wgmma
