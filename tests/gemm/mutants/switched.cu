// A small row of every folder under the machine model, compiled from a tree that has many faults, one of which is on at
// a time (switched.py).
#include "gemm/arch/mma_sync/term_configurations.h"
#include "gemm/arch/simt/configurations.h"
#include "gemm/arch/skinny/configurations.h"
#include "gemm/arch/wgmma/configurations.h"
#include "gemm/arch/wgmma/pack.cuh"
#include "gemm/split/split.cu"
#include "mutant_configuration.h"

namespace gpukern::gemm {

namespace skinny {
int launch(int row, const Problem& p, const Data& data, Stream stream) {
  if (p.type == DType::f32) return run_configuration<float>(row, p, data, stream);
  return p.type == DType::bf16 ? run_configuration<bfloat16_t>(row, p, data, stream) : -1;
}
}  // namespace skinny

namespace simt {
int launch(int, const Problem& p, const Data& data, Stream stream) {
  if (p.type == DType::f32) return run<s32x32, float>(p, data, stream);
  return is_float8(p.type) ? run<q32x32, float8_t>(p, data, stream) : -1;
}
}  // namespace simt

namespace mma_sync {
int launch(int row, const Problem& p, const Data& data, Stream stream) {
  switch (multiplier_of(kConfigurations[row])) {
    case Multiplier::wide_double: return run_one<m32x32, double>(row, p, data, stream);
    case Multiplier::float8: return run_one<o64x64, float8_t>(row, p, data, stream);
    case Multiplier::terms: return run_terms<e64x64>(kConfigurations[row], p, data, stream);
    case Multiplier::multiply_add: return run_one<f32x32, float>(row, p, data, stream);
    default: return run_one<h64x64, bfloat16_t>(row, p, data, stream);
  }
}
}  // namespace mma_sync

namespace wgmma {
struct Here;
int divide(const Problem& p, const Data& data, terms::Division& d, Stream stream) {
  return terms::divide<Here>(p, data, d, stream);
}
int pack(const Problem& p, Data& data, Stream stream) { return pack_by_size(p, data, stream); }

int launch(int number, const Problem& given, const Data& data, Stream stream) {
  const Configuration& row = kConfigurations[number];
  const Problem p = oriented(row, given);
  const CompiledKernel c = compiled<p64x64, bfloat16_t>(as_loaded(p));
  return run(row, c, given, p, data, stream);
}
}  // namespace wgmma

}  // namespace gpukern::gemm
