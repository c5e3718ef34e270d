// C = A B' in bfloat16: A is m x k and B n x k, row by row.  Tiles of 64 x 64 x 32 in two stages that cp.async fills,
// ldmatrix and mma.sync, and an epilogue that rearranges the tile in shared memory with stmatrix.
#pragma once
#include "primitives/cp_async.h"
#include "primitives/ldmatrix.h"
#include "primitives/mma.h"
#include "simt.cuh"

namespace gpukern::faults {

constexpr int kBlock = 64, kDeep = 32, kStages = 2, kOutPitch = kBlock + 8;
template <int F> constexpr int kPitch = F == 207 ? kDeep + 4 : kDeep + 8;
template <int F> constexpr size_t kMmaShared = 2 * kStages * kBlock * kPitch<F> * 2;

// What lies in shared memory: stages of A, then of B.
template <int F> struct Tiles {
  bfloat16_t* base;
  GPUKERN_D bfloat16_t* a(int stage, int row, int k) const { return base + (stage * kBlock + row) * kPitch<F> + k; }
  GPUKERN_D bfloat16_t* b(int stage, int row, int k) const { return a(kStages + stage, row, k); }
};

// Issues the load of one packet of 8 elements of row `row` from k on; what lies outside the matrix becomes 0.
template <int F>
GPUKERN_D void copy_packet(bfloat16_t* to, const bfloat16_t* from, int row, int rows, int k, int depth) {
  const bool there = F == 208 || row < rows;
  int valid = there && (F == 213 || k < depth) ? 16 : 0;
  if (F == 214 && valid) valid = 8;  // elements, not bytes
  const bfloat16_t* const source = from + (there ? row : 0) * depth + (k < depth || F == 213 ? k : 0) + (F == 230);
  cp_async<16>(shared_address(to), source, valid);
  if (F == 228 && valid == 0) *to = from_float<bfloat16_t>(0);
}

template <int F> GPUKERN_D void copy_stage(const Tiles<F>& tiles, const Problem& p, int stage, int k0) {
  for (int i = static_cast<int>(threadIdx.x); i < kBlock * kDeep / 8; i += 128) {
    const int row = i / 4, k = i % 4 * 8;
    copy_packet<F>(tiles.a(stage, row, k), static_cast<const bfloat16_t*>(p.a),
                   static_cast<int>(blockIdx.y) * kBlock + row, p.m, k0 + k, p.k);
    copy_packet<F>(tiles.b(stage, row, k), static_cast<const bfloat16_t*>(p.b),
                   static_cast<int>(blockIdx.x) * kBlock + row, p.n, k0 + k, p.k);
  }
  if (F != 203 && F != 226) cp_async_commit();
}

// One stage: 16 rows a warp, 8 fragments of 8 columns.
template <int F> GPUKERN_D void multiply_stage(const Tiles<F>& tiles, int stage, float (&sums)[8][4]) {
  const int l = lane();
  for (int k = 0; k < kDeep; k += 16) {
    uint32_t a[4];
    const int row = warp() * 16 + (F == 206 ? l / 2 : l % 16), half = k + (F == 217 ? l / 8 % 2 : l / 16) * 8;
    if (F == 216) ldmatrix_trans(a, shared_address(tiles.a(stage, row, half)));
    else ldmatrix(a, shared_address(tiles.a(stage, row, half)));
    if (F == 210) {
      const uint32_t one = a[1];
      a[1] = a[2];
      a[2] = one;
    }
    for (int j = 0; j < 8; ++j) {
      uint32_t b[2];
      const uint32_t from = shared_address(tiles.b(stage, (F == 229 ? j + 1 : j) * 8 + l % 8, k + l / 8 % 2 * 8));
      if (F == 209) ldmatrix_trans(b, from);
      else ldmatrix(b, from);
      if (F == 218) {
        const uint32_t swapped[2] = {b[1], b[0]};
        mma_m16n8k16_bf16(sums[j], a, swapped);
      } else if (F == 219) {
        mma_m16n8k16_f16(sums[j], a, b);
      } else {
        mma_m16n8k16_bf16(sums[j], a, b);
      }
    }
  }
}

GPUKERN_D uint32_t pair(float low, float high) {
  const bfloat16_t both[2] = {from_float<bfloat16_t>(low), from_float<bfloat16_t>(high)};
  uint32_t bits;
  memcpy(&bits, both, 4);
  return bits;
}

// Each warp rearranges its own 16 rows in the memory of the stages, then stores packets of 8.
template <int F> GPUKERN_D void store_tile(const Problem& p, const float (&sums)[8][4]) {
  auto* const out = reinterpret_cast<bfloat16_t*>(shared_memory()) + warp() * 16 * kOutPitch;
  const int l = lane();
  for (int j = 0; j < 8; j += 2) {  // matrices: rows 0-7 and 8-15 of fragment j, then of the next
    const uint32_t r[4] = {pair(sums[j][0], sums[j][1]), pair(sums[j][2], sums[j][3]),
                           pair(sums[j + 1][0], sums[j + 1][1]), pair(sums[j + 1][2], sums[j + 1][3])};
    const uint32_t to =
        shared_address(out + (F == 221 ? l / 2 : l % 16) * kOutPitch + (j + (F == 224 ? l % 2 : l / 16)) * 8);
    if (F == 222) stmatrix_trans(to, r);
    else stmatrix(to, r);
  }
  if (F != 223) syncwarp();
  for (int i = l; i < 16 * 8; i += 32) {
    const int row = static_cast<int>(blockIdx.y) * kBlock + (F == 231 ? 0 : warp() * 16) + i / 8;
    const int column = static_cast<int>(blockIdx.x) * kBlock + i % 8 * 8;
    if ((row < p.m || F == 211) && column < p.n)
      store_packet(reinterpret_cast<Packet<bfloat16_t, 8>*>(static_cast<bfloat16_t*>(p.c) + row * p.n + column),
                   load_packet(reinterpret_cast<const Packet<bfloat16_t, 8>*>(out + i / 8 * kOutPitch + i % 8 * 8)));
  }
}

template <int F> GPUKERN_KERNEL mma_product(GPUKERN_GRID_CONST const Problem p) {
  const Tiles<F> tiles{reinterpret_cast<bfloat16_t*>(shared_memory())};
  float sums[8][4] = {};
  copy_stage<F>(tiles, p, 0, 0);
  int stage = 0;
  for (int k = 0; k < p.k; k += kDeep, stage ^= 1) {
    if (k + kDeep < p.k || F == 225) {
      copy_stage<F>(tiles, p, F == 212 ? stage : stage ^ 1, k + kDeep);
      cp_async_wait<F == 204 ? 2 : 1>();
    } else {
      cp_async_wait<F == 205 ? 1 : 0>();
    }
    if (F == 226) cp_async_commit();  // behind the wait
    if (F == 232) syncwarp();
    else if (F != 201) syncthreads();
    multiply_stage<F>(tiles, stage, sums);
    if (F != 202 && !(F == 220 && k + kDeep >= p.k)) syncthreads();
  }
  store_tile<F>(p, sums);
}

}  // namespace gpukern::faults
