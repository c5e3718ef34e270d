// Kernels of the primitives that every GPU has, each with the faults that people make: F is 0 for the kernel as it
// should be, else a number of the table in test_faults.py.
#pragma once
#include "primitives/named_barrier.h"

namespace gpukern::faults {

struct Problem {
  const void *a, *b;
  void* c;
  int m, n, k;
};

GPUKERN_D int lane() { return static_cast<int>(threadIdx.x % 32); }
GPUKERN_D int warp() { return static_cast<int>(threadIdx.x / 32); }

// ---- C = A B in float; blocks of 256 threads, tiles of 16 x 16; block z has every second tile of k ------------------

constexpr int kTile = 16;
template <int F> constexpr size_t kProductShared = (2 * kTile * kTile - (F == 108 ? 16 : 0)) * sizeof(float);

template <int F> GPUKERN_KERNEL product(GPUKERN_GRID_CONST const Problem p) {
  const auto* const a = static_cast<const float*>(p.a);
  const auto* const b = static_cast<const float*>(p.b);
  auto* const c = static_cast<float*>(p.c);
  auto* const a_tile = reinterpret_cast<float*>(shared_memory());
  float* const b_tile = a_tile + kTile * kTile;
  const int x = static_cast<int>(threadIdx.x) % kTile, y = static_cast<int>(threadIdx.x) / kTile;
  const int row = static_cast<int>(blockIdx.y) * kTile + y, column = static_cast<int>(blockIdx.x) * kTile + x;
  float sum = 0;
  for (int k0 = static_cast<int>(blockIdx.z) * kTile; k0 < p.k; k0 += kTile * static_cast<int>(gridDim.z)) {
    if (F != 109 || x < kTile - 1)
      a_tile[y * kTile + x] = row < p.m && (F == 103 || k0 + x < p.k) ? a[row * p.k + k0 + x] : 0;
    b_tile[y * kTile + x] = k0 + y < p.k && column < p.n ? b[(k0 + y) * p.n + column] : 0;
    if (F == 106) {
      if (y < 8) syncthreads();
    } else if (F == 107) {
      syncwarp();
    } else if (F != 101) {
      syncthreads();
    }
    for (int k = 0; k < kTile; ++k)
      sum += a_tile[y * kTile + k] * (F == 105 ? b_tile[x * kTile + k] : b_tile[k * kTile + x]);
    if (F != 102) syncthreads();
  }
  if (!((row < p.m || F == 104) && column < p.n)) return;
  if (F == 110) c[row * p.n + column] += sum;
  else atomic_add(&c[row * p.n + column], sum);
}

// ---- c = sums of the rows of A; a block of 64 threads a row
// ------------------------------------------------------------

template <int F> GPUKERN_KERNEL row_sum(GPUKERN_GRID_CONST const Problem p) {
  GPUKERN_SHARED(float, partial, [2]);
  const float* const row = static_cast<const float*>(p.a) + static_cast<int>(blockIdx.x) * p.k;
  float sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < p.k; i += 64) sum += row[i];
  if (F == 111) {
    if (lane() < 16)
      for (int step = 8; step; step /= 2) sum += shfl_down(sum, step);
  } else {
    for (int step = F == 112 ? 8 : 16; step; step /= 2)
      sum += F == 114 ? shfl_up(sum, step) : shfl_down(sum, step, F == 113 ? 16 : 32);
  }
  if (F == 117 && threadIdx.x == 0) sum += static_cast<float>(*reinterpret_cast<const double*>(row + 1)) * 0;
  if (lane() == (F == 115 ? 1 : 0)) partial[F == 118 ? warp() + 1 : warp()] = sum;
  if (F != 116) syncthreads();
  if (threadIdx.x == 0) static_cast<float*>(p.c)[blockIdx.x] = partial[0] + partial[1];
}

// ---- c[1 ..] = the positive numbers of a, c[0] how many; one block of 96 threads; any order
// ----------------------------

template <int F> GPUKERN_KERNEL compact(GPUKERN_GRID_CONST const Problem p) {
  GPUKERN_SHARED(unsigned, count, );
  const auto* const a = static_cast<const int*>(p.a);
  auto* const c = static_cast<int*>(p.c);
  if (F != 126 && threadIdx.x == 0) count = 0;
  if (F != 125) syncthreads();
  for (int i0 = 0; i0 < p.k; i0 += 96) {
    const int i = i0 + static_cast<int>(threadIdx.x);
    const int value = i < p.k ? a[i] : 0;
    if (F == 124 && i >= p.k) break;  // the vote below is then one of some lanes
    const LaneMask keep = ballot(value > 0);
    const LaneMask below = keep & ((LaneMask{1} << (lane() + (F == 121))) - 1);
    unsigned base = 0;
    if (lane() == 0) {
      const auto found = static_cast<unsigned>(__builtin_popcountll(keep));
      if (F == 122) {
        base = count;
        count = base + found;
      } else {
        base = atomic_add(&count, found);
      }
    }
    base = shfl(base, F == 123 ? 1 : 0);
    if (value > 0) c[1 + base + __builtin_popcountll(below)] = value;
  }
  if (F != 127) syncthreads();
  if (threadIdx.x == 95) c[0] = static_cast<int>(count);
}

// ---- c = 3 a: warp 0 loads rounds of 64 numbers, warps 1 and 2 use them
// -----------------------------------------------

template <int F> GPUKERN_KERNEL hand_over(GPUKERN_GRID_CONST const Problem p) {
  GPUKERN_SHARED(int, stage, [64]);
  constexpr int full = 1, empty = 2;
  const auto* const a = static_cast<const int*>(p.a);
  const int rounds = p.k / 64;
  if (warp() == 0) {
    for (int round = 0; round < rounds; ++round) {
      if (round > 0 && F != 134) barrier_sync(F == 132 ? full : empty, 96);
      for (int i = lane(); i < 64; i += 32) stage[i] = a[round * 64 + i];
      if (F == 137) syncwarp();
      if (F != 135 && F != 137) barrier_arrive(full, F == 131 ? 64 : 96);
    }
    return;
  }
  for (int round = 0; round < rounds; ++round) {
    if (F == 133) barrier_arrive(full, 96);
    else barrier_sync(F == 138 ? 16 + full : full, 96);
    const bool again = round + 1 < rounds;  // the producer waits for this round's end
    if (F == 136 && again) barrier_arrive(empty, 96);
    const int at = (warp() - 1) * 32 + lane();
    static_cast<int*>(p.c)[round * 64 + at] = 3 * stage[at];
    if (F != 136 && again) barrier_arrive(empty, 96);
  }
}

}  // namespace gpukern::faults
