// What a compiler's seconds are measured against (yardstick.py): nothing of the package, and never changed, or the
// seconds in yardstick.py no longer mean anything.  Templates for the front end, long unrolled loops for the back end.
#ifdef __HIP__
#include <hip/hip_runtime.h>
#endif

template <int N> struct Tile {
  float v[N];
};
template <int M, int N, bool Turned> __device__ float at(const float* from, int row, int column, int pitch) {
  return Turned ? from[column * pitch + row] : from[row * pitch + column];
}
template <int M, int N, int K, bool Turned>
__global__ void yardstick(const float* a, const float* b, float* d, int pitch, int steps) {
  __shared__ float left[K][M], right[K][N];
  Tile<N> sum[M / 8] = {};
  for (int step = 0; step < steps; ++step) {
    for (int i = static_cast<int>(threadIdx.x); i < M * K; i += 128)
      left[i / M][i % M] = at<M, K, Turned>(a, i % M, step * K + i / M, pitch);
    for (int i = static_cast<int>(threadIdx.x); i < N * K; i += 128)
      right[i / N][i % N] = at<K, N, Turned>(b, step * K + i / N, i % N, pitch);
    __syncthreads();
#pragma unroll
    for (int k = 0; k < K; ++k)
#pragma unroll
      for (int i = 0; i < M / 8; ++i)
#pragma unroll
        for (int j = 0; j < N; ++j) sum[i].v[j] += left[k][(i * 8 + threadIdx.x) % M] * right[k][j];
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < M / 8; ++i)
#pragma unroll
    for (int j = 0; j < N; ++j)
      d[(i * 128 + threadIdx.x) * N + j] = sum[i].v[j] / (1 + sum[i].v[(j + 1) % N] * sum[i].v[(j + 1) % N]);
}
#define LENGTH(M, N, K)                                                                             \
  template __global__ void yardstick<M, N, K, false>(const float*, const float*, float*, int, int); \
  template __global__ void yardstick<M, N, K, true>(const float*, const float*, float*, int, int);
LENGTH(32, 16, 16)
LENGTH(64, 8, 16)
LENGTH(32, 8, 32)
LENGTH(16, 32, 8)
