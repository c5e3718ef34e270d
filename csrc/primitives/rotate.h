// An array in registers in a loop that is not unrolled: the loop always takes the first element and rotates the array.
// A variable index would put the array into local memory.
#pragma once
#include "../platform/gpu.h"

namespace gpukern {

// Moves the first of N elements to the end; N rotations restore the order.
template <class V, int N> GPUKERN_D void rotate(V (&x)[N]) {
  const V first = x[0];
#pragma unroll
  for (int i = 0; i + 1 < N; ++i) x[i] = x[i + 1];
  x[N - 1] = first;
}
template <class V, int M, int N> GPUKERN_D void rotate(V (&x)[M][N]) {
#pragma unroll
  for (int j = 0; j < N; ++j) {
    const V first = x[0][j];
#pragma unroll
    for (int i = 0; i + 1 < M; ++i) x[i][j] = x[i + 1][j];
    x[M - 1][j] = first;
  }
}
template <class V, int M, int N, int L> GPUKERN_D void rotate(V (&x)[M][N][L]) {
#pragma unroll
  for (int j = 0; j < N; ++j)
#pragma unroll
    for (int e = 0; e < L; ++e) {
      const V first = x[0][j][e];
#pragma unroll
      for (int i = 0; i + 1 < M; ++i) x[i][j][e] = x[i + 1][j][e];
      x[M - 1][j][e] = first;
    }
}

// Moves the first By of M times N elements, in row-major order, to the end.
template <int By, class V, int M, int N> GPUKERN_D void rotate(V (&x)[M][N]) {
  V first[By];
#pragma unroll
  for (int e = 0; e < By; ++e) first[e] = x[0][e];
#pragma unroll
  for (int f = 0; f < M * N; ++f)
    x[f / N][f % N] = f + By < M * N ? x[(f + By) / N][(f + By) % N] : first[f + By - M * N];
}

}  // namespace gpukern
