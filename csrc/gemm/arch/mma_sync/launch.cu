// The launcher of this folder's configurations, and the kernels of tf32 and bytes.
#include "configurations.h"

namespace gpukern::gemm::mma_sync {

extern template int run_configuration<half_t, Multiplier::mma>(int, const Problem&, const Data&, Stream);
extern template int run_configuration<bfloat16_t, Multiplier::mma>(int, const Problem&, const Data&, Stream);
extern template int run_configuration<double, Multiplier::mma>(int, const Problem&, const Data&, Stream);
extern template int run_configuration<float, Multiplier::multiply_add>(int, const Problem&, const Data&, Stream);
extern template int run_configuration<double, Multiplier::wide_double>(int, const Problem&, const Data&, Stream);
extern template int run_configuration<float8_t, Multiplier::float8>(int, const Problem&, const Data&, Stream);
int run_terms_row(int row, const Problem&, const Data&, Stream);

namespace {
int run_mma(int row, const Problem& p, const Data& data, Stream stream) {
  switch (p.type) {
    case DType::f16: return run_configuration<half_t, Multiplier::mma>(row, p, data, stream);
    case DType::bf16: return run_configuration<bfloat16_t, Multiplier::mma>(row, p, data, stream);
    case DType::f32: return run_configuration<float, Multiplier::mma>(row, p, data, stream);
#ifndef GPUKERN_WITHOUT_double  // a source that this build compiles for no device (build_rules.py)
    case DType::f64: return run_configuration<double, Multiplier::mma>(row, p, data, stream);
#endif
    default: return run_configuration<int8_t, Multiplier::mma>(row, p, data, stream);
  }
}
}  // namespace

int launch(int row, const Problem& p, const Data& data, Stream stream) {
  if (p.m == 0 || p.n == 0 || p.batch == 0) return 0;
  switch (multiplier_of(kConfigurations[row])) {
    case Multiplier::terms: return run_terms_row(row, p, data, stream);
    case Multiplier::multiply_add: return run_configuration<float, Multiplier::multiply_add>(row, p, data, stream);
#ifndef GPUKERN_WITHOUT_double_sm_90a
    case Multiplier::wide_double: return run_configuration<double, Multiplier::wide_double>(row, p, data, stream);
#endif
#ifndef GPUKERN_WITHOUT_float8
    case Multiplier::float8: return run_configuration<float8_t, Multiplier::float8>(row, p, data, stream);
#endif
    case Multiplier::mma: return run_mma(row, p, data, stream);
    default: return platform::kNoKernel;
  }
}

}  // namespace gpukern::gemm::mma_sync
