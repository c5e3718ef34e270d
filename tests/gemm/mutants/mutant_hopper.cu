// Some configurations of wgmma under the machine model, compiled from a tree in which one line is wrong (mutants.py):
// each way to share the work, both operands shared, every layout between them, tf32, float8 and terms of one and of two
// parts a warpgroup, and copies of what TMA does not bring.
#include "gemm/arch/wgmma/configurations.h"
#include "gemm/arch/wgmma/pack.cuh"
#include "mutant.h"

namespace gpukern::gemm::wgmma {

template <class T, class W, int BM, int BN, Consumers Way, Major A, Major B> constexpr CompiledKernel kernel() {
  return {&product<T, W, W, BM, BN, Way, A, B>, A, B, type_of<T>()};
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
  constexpr Consumers cooperative = Consumers::cooperative, ping_pong = Consumers::ping_pong,
                      promoting = Consumers::promoting;
  if (id == "t128x64") GPUKERN_PART(2, return compiled<T, 128, 64, Consumers::terms>(p));
  if (id == "t256x128") GPUKERN_PART(3, return compiled<T, 256, 128, Consumers::terms>(p));
  if (p.type == DType::f32) GPUKERN_PART(4, return kernel<float, tf32_t, 64, 64, ping_pong, k, k>());
  if (id == "q128x16") GPUKERN_PART(5, return kernel<float8_t, e4m3_t, 128, 16, promoting, k, k>());
  if (id == "q256x128") GPUKERN_PART(6, return kernel<float8_t, e4m3_t, 256, 128, promoting, k, k>());
  const Problem seen = as_loaded(p);
  const bool along_k = a_lies_along_k(seen);
  if (id == "p64x64" && along_k) GPUKERN_PART(7, return kernel<T, T, 64, 64, ping_pong, k, k>());
  if (id == "p64x64") GPUKERN_PART(8, return kernel<T, T, 64, 64, ping_pong, mn, k>());
  if (id == "w256x128" && along_k) GPUKERN_PART(9, return kernel<T, T, 256, 128, cooperative, k, mn>());
  if (id == "w256x128") GPUKERN_PART(10, return kernel<T, T, 256, 128, cooperative, mn, k>());
  if (id == "w128x192") GPUKERN_PART(11, return kernel<T, T, 128, 192, cooperative, k, k>());
  if (id == "d128x16") GPUKERN_PART(12, return compiled<T, 128, 16, cooperative>(seen));
  return {};
}

int launch(int number, const Problem& given, const Data& data, Stream stream) {
  const Configuration& row = kConfigurations[number];
  const Problem p = oriented(row, given);
  const CompiledKernel c = chosen(row.id, p);
  return c.kernel ? run(row, c, given, p, data, stream) : -1;
}

}  // namespace gpukern::gemm::wgmma
