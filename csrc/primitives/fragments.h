// The fragments of a warp for one step of k, and their product: 32 bytes of k are one mma.sync of 16-bit, tf32 and
// 8-bit elements, and two of double; on Hopper 128 bytes are one of double.
//
// In a 16 x 8 part of D lane l holds (row, columns) = (l / 4, 2 (l % 4) + {0, 1}) and (l / 4 + 8, the same): the layout
// of every accumulator here.
#pragma once
#include "ldmatrix.h"
#include "mma.h"
#include "tile.h"

namespace gpukern::primitives {

// Registers of 16 rows of A, of 8 columns of B, and of the part of D, for `Bytes` of k.
template <class T, int Bytes> struct Step {
  static_assert(Bytes == 32, "one product of these types takes 32 bytes of k");
  using A = uint32_t[4];
  using B = uint32_t[2];
  using Sum = std::conditional_t<std::is_same_v<T, int8_t>, int, float>;
};
template <int Bytes> struct Step<double, Bytes> {
  using A = double[Bytes / 16];
  using B = double[Bytes / 32];
  using Sum = double;
};

GPUKERN_D void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], half_t) {
  mma_m16n8k16_f16(d, a, b);
}
GPUKERN_D void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], bfloat16_t) {
  mma_m16n8k16_bf16(d, a, b);
}
GPUKERN_D void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], float) {
  mma_m16n8k8_tf32(d, a, b);
}
GPUKERN_D void multiply(int (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], int8_t) {
  mma_m16n8k32_s8(d, a, b);
}
GPUKERN_D void multiply(double (&d)[4], const double (&a)[2], const double (&b)[1], double) {
  double upper[2] = {d[0], d[1]}, lower[2] = {d[2], d[3]};
  mma_m8n8k4_f64(upper, {a[0]}, b);
  mma_m8n8k4_f64(lower, {a[1]}, b);
  d[0] = upper[0], d[1] = upper[1], d[2] = lower[0], d[3] = lower[1];
}
GPUKERN_D void multiply(double (&d)[4], const double (&a)[8], const double (&b)[4], double) {
  mma_m16n8k16_f64(d, a, b);
}

// mma truncates float32 to its upper 19 bits.  Rounding to nearest first halves the error and makes its sign random.
template <class T, int N> GPUKERN_D void prepare(uint32_t (&r)[N]) {
  if constexpr (std::is_same_v<T, float>) {
#pragma unroll
    for (int i = 0; i < N; ++i) {
      float x;
      memcpy(&x, &r[i], 4);
      r[i] = round_to_tf32(x);
    }
  }
}

template <class R, class Tile> GPUKERN_D R read(const char* tile, int x, int k) {
  return *reinterpret_cast<const R*>(tile + Tile::place_of(x, k));
}

// Rows x .. x + 15 of A at the step-th `Bytes` of k.
template <class T, int Bytes, class Tile>
GPUKERN_D void load_a(typename Step<T, Bytes>::A& r, const char* tile, int x, int step, int lane) {
  using A = typename Step<T, Bytes>::A;
  constexpr int deep = Bytes / Tile::size;
  if constexpr (Tile::scalar) {
#pragma unroll
    for (int i = 0; i < static_cast<int>(std::extent_v<A>); ++i)
      r[i] = read<std::remove_extent_t<A>, Tile>(tile, x + lane / 4 + i % 2 * 8, step * deep + lane % 4 + i / 2 * 4);
  } else if constexpr (Tile::along_k) {
    ldmatrix(r, shared_address(tile) + Tile::place(x + lane % 16, 2 * step + lane / 16));
  } else {
    ldmatrix_trans(r, shared_address(tile) + Tile::place(step * deep + lane / 16 * 8 + lane % 8, x / 8 + lane / 8 % 2));
  }
  if constexpr (Tile::size != 8) prepare<T>(r);
}

// Columns x .. x + 15 of B, as two parts of 8.
template <class T, int Bytes, class Tile>
GPUKERN_D void load_b(typename Step<T, Bytes>::B (&r)[2], const char* tile, int x, int step, int lane) {
  using B = typename Step<T, Bytes>::B;
  constexpr int deep = Bytes / Tile::size;
  if constexpr (Tile::scalar) {
#pragma unroll
    for (int part = 0; part < 2; ++part)
#pragma unroll
      for (int i = 0; i < static_cast<int>(std::extent_v<B>); ++i)
        r[part][i] = read<std::remove_extent_t<B>, Tile>(tile, x + part * 8 + lane / 4, step * deep + lane % 4 + i * 4);
  } else {
    uint32_t all[4];
    if constexpr (Tile::along_k)
      ldmatrix(all, shared_address(tile) + Tile::place(x + lane / 16 * 8 + lane % 8, 2 * step + lane / 8 % 2));
    else
      ldmatrix_trans(all,
                     shared_address(tile) + Tile::place(step * deep + lane / 8 % 2 * 8 + lane % 8, x / 8 + lane / 16));
    r[0][0] = all[0], r[0][1] = all[1], r[1][0] = all[2], r[1][1] = all[3];
  }
  if constexpr (Tile::size != 8) {
    prepare<T>(r[0]);
    prepare<T>(r[1]);
  }
}

}  // namespace gpukern::primitives
