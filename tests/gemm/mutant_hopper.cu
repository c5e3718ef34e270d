// Some rows of sm_90a under the machine model, compiled from a tree in which one line is wrong (mutants.py): each way
// to share the work, both operands shared, every layout between them, tf32, float8 and terms of one and of two parts a
// warpgroup, and copies of what TMA does not bring.
#include "gemm/arch/sm_90a/pack.cuh"
#include "gemm/arch/sm_90a/rows.h"

namespace gpukern::gemm::sm_90a {

template <class T, class W, int BM, int BN, Consumers Way, Major A, Major B> constexpr Compiled kernel() {
  return {&product<T, W, W, BM, BN, Way, A, B>, A, B, type_of<T>()};
}
template <int BM, int BN, Consumers Way, Major B> Compiled either(const Problem& p) {
  using T = bfloat16_t;
  return a_lies_along_k(p) ? kernel<T, T, BM, BN, Way, Major::k, B>()
                           : kernel<T, T, BM, BN, Way, Major::mn, Major::k>();
}

struct Here;
int divide(const Problem& p, const Data& data, terms::Division& d, Stream stream) {
  return terms::divide<Here>(p, data, d, stream);
}

int pack(const Problem& p, Data& data, Stream stream) { return pack_by_size(p, data, stream); }

int launch(int number, const Problem& given, const Data& data, Stream stream) {
  const Row& row = kRows[number];
  const std::string_view id = row.id;
  const Problem p = oriented(row, given), seen = as_brought(p);
  constexpr Major k = Major::k;
  constexpr Consumers together = Consumers::together, in_turns = Consumers::in_turns, promoting = Consumers::promoting;
  if (id == "t128x64") return run(row, compiled<bfloat16_t, 128, 64, Consumers::terms>(p), given, p, data, stream);
  if (id == "t256x128") return run(row, compiled<bfloat16_t, 256, 128, Consumers::terms>(p), given, p, data, stream);
  if (p.type == Type::f32) return run(row, kernel<float, tf32_t, 64, 64, in_turns, k, k>(), given, p, data, stream);
  if (id == "q128x16") return run(row, kernel<float8_t, e4m3_t, 128, 16, promoting, k, k>(), given, p, data, stream);
  if (id == "q256x128") return run(row, kernel<float8_t, e4m3_t, 256, 128, promoting, k, k>(), given, p, data, stream);
  using T = bfloat16_t;
  Compiled c{};
  if (id == "p64x64") c = either<64, 64, in_turns, k>(seen);
  if (id == "w256x128") c = either<256, 128, together, Major::mn>(seen);
  if (id == "w128x192") c = kernel<T, T, 128, 192, together, k, k>();
  if (id == "d128x16") c = compiled<T, 128, 16, together>(seen);
  return c.kernel ? run(row, c, given, p, data, stream) : -1;
}

}  // namespace gpukern::gemm::sm_90a
