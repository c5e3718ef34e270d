// The model of ../../primitives/ldmatrix.h.
#pragma once
#include "words.h"

namespace gpukern {

namespace model {
void load_matrices(uint32_t* registers, int count, uint32_t address, bool transposed, Place at);
void store_matrices(const uint32_t* registers, int count, uint32_t address, bool transposed, Place at);
}  // namespace model

template <int N> void ldmatrix(uint32_t (&r)[N], uint32_t address, GPUKERN_SAID_AT) {
  static_assert(N == 1 || N == 2 || N == 4);
  model::load_matrices(r, N, address, false, GPUKERN_HERE("ldmatrix"));
}
template <int N> void ldmatrix_trans(uint32_t (&r)[N], uint32_t address, GPUKERN_SAID_AT) {
  static_assert(N == 1 || N == 2 || N == 4);
  model::load_matrices(r, N, address, true, GPUKERN_HERE("ldmatrix_trans"));
}
template <int N> void stmatrix(uint32_t address, const uint32_t (&r)[N], GPUKERN_SAID_AT) {
  static_assert(N == 1 || N == 2 || N == 4);
  model::store_matrices(r, N, address, false, GPUKERN_HERE("stmatrix"));
}
template <int N> void stmatrix_trans(uint32_t address, const uint32_t (&r)[N], GPUKERN_SAID_AT) {
  static_assert(N == 1 || N == 2 || N == 4);
  model::store_matrices(r, N, address, true, GPUKERN_HERE("stmatrix_trans"));
}

}  // namespace gpukern
