// Some configurations of wgmma under the machine model, compiled from a tree in which one line is wrong (mutants.py):
// each way to share the work, both operands shared, every layout between them, tf32, float8 and terms of one and of two
// parts a warpgroup, and copies of what TMA cannot load.
#include "gemm/arch/wgmma/configurations.h"
#include "gemm/arch/wgmma/pack.cuh"
#include "mutant.h"

namespace gpukern::gemm::wgmma {

template <class C, class T, class W, Major A, Major B> constexpr CompiledKernel kernel() {
  return {&product<C, T, W, W, A, B>, A, B, type_of<T>()};
}

struct Here;
int divide(const Problem& p, const Data& data, terms::Division& d, Stream stream) {
  GPUKERN_PART(0, return terms::divide<Here>(p, data, d, stream));
  return -1;
}

int pack(const Problem& p, Data& data, Stream stream) {
  GPUKERN_PART(1, return pack_by_size(p, data, stream));
  return -1;
}

CompiledKernel chosen(std::string_view id, const Problem& p) {
  using T = bfloat16_t;
  constexpr Major k = Major::k, mn = Major::mn;
  if (id == "t128x64") GPUKERN_PART(2, return compiled<t128x64, float>(p));
  if (id == "t256x128") GPUKERN_PART(3, return compiled<t256x128, float>(p));
  if (p.type == DType::f32) GPUKERN_PART(4, return kernel<p64x64, float, tf32_t, k, k>());
  if (id == "q128x16") GPUKERN_PART(5, return kernel<q128x16, float8_t, e4m3_t, k, k>());
  if (id == "q256x128") GPUKERN_PART(6, return kernel<q256x128, float8_t, e4m3_t, k, k>());
  const Problem seen = as_loaded(p);
  const bool along_k = a_lies_along_k(seen);
  if (id == "p64x64" && along_k) GPUKERN_PART(7, return kernel<p64x64, T, T, k, k>());
  if (id == "p64x64") GPUKERN_PART(8, return kernel<p64x64, T, T, mn, k>());
  if (id == "w256x128" && along_k) GPUKERN_PART(9, return kernel<w256x128, T, T, k, mn>());
  if (id == "w256x128") GPUKERN_PART(10, return kernel<w256x128, T, T, mn, k>());
  if (id == "w128x192") GPUKERN_PART(11, return kernel<w128x192, T, T, k, k>());
  if (id == "d128x16") GPUKERN_PART(12, return compiled<d128x16, T>(seen));
  return {};
}

int launch(int number, const Problem& given, const Data& data, Stream stream) {
  const Configuration& row = kConfigurations[number];
  const Problem p = oriented(row, given);
  const CompiledKernel c = chosen(row.id, p);
  return c.kernel ? run(row, c, given, p, data, stream) : -1;
}

}  // namespace gpukern::gemm::wgmma
