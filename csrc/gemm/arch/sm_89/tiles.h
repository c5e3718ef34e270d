// sm_89: products of 8-bit floats by mma.sync, which began with Ada.  sm_90 and sm_100 compile the words too, to
// conversions and products of 16 bits, 255 registers of them: Hopper's wgmma has rows of its own, and elsewhere
// ordinary cores multiply what they widen once (simt). One line is one kernel for each pair of formats; nothing outside
// this table can be launched.
#pragma once
#include "../../mma.h"

namespace gpukern::gemm::sm_89 {

constexpr const char* kName = "sm_89";
using namespace mma;
constexpr unsigned kFormats = bit(DType::e4m3) | bit(DType::e5m2);

// A tile of k is a block of scales, after which sums go to float32: tensor cores may cut what they add.  So there are
// two sets of sums, and a warp has half of what a row of 16 bits has: 64 x 32 is 64 + 64 registers a lane. wm x wn: a
// warp's part.  128x128: 8 warps, one block an SM.  64x64: results too small for it, two blocks.
// clang-format off
//      id         bm   bn  wm  wn stages
#define GPUKERN_SM89_TILES(ROW)         \
    ROW(o128x128,  128, 128,  64, 32, 3) \
    ROW(o64x64,     64,  64,  32, 32, 3)
// clang-format on

#define GPUKERN_ROW(ID, BM, BN, WM, WN, STAGES) \
  Row{#ID, kFormats, BM, BN, kScaleBlock, WM, WN, threads_of(BM, BN, WM, WN), STAGES * (BM + BN) * kScaleBlock, STAGES},
inline constexpr Row kRows[] = {GPUKERN_SM89_TILES(GPUKERN_ROW)};
#undef GPUKERN_ROW
constexpr int kCount = sizeof(kRows) / sizeof(Row);

static_assert(all_fit(kRows, {.registers = 64}),
              "a row of this table does not fit: sums, shared memory, or the epilogue's part of it");

constexpr Reason serves(const Device& d) {
  const bool own = d.vendor == Vendor::nvidia && (d.target == 89 || d.target >= 120);
  return own ? nullptr : "it needs float8 mma.sync of sm_89 or sm_120; other GPUs convert float8 before each product";
}
constexpr Reason supports(const Problem& p, const Device& d) {
  if (Reason why = serves(d)) return why;
  if (!is_float8(p.type)) return "it multiplies float8 only";
  if (!(bit(p.type) & kFormats) || !(bit(p.scaling.b_type) & kFormats))
    return "NVIDIA tensor cores take float8_e4m3fn and float8_e5m2, not the fnuz formats";
  if (p.type == DType::e5m2 && p.scaling.b_type == DType::e5m2)
    return "it has no kernel for two float8_e5m2 operands; torch has none either";
  if (Reason why = refused_result(p)) return why;
  return refused_extents(p);
}
constexpr Reason yields(const Problem&, const Device&) { return nullptr; }
constexpr Reason refuses(const Row& r, const Problem&, const Device& d) {
  return r.shared > d.shared_bytes ? kNoRoom : nullptr;
}

constexpr int64_t tiles_of(const Row& r, const Problem& p) {
  return ceil_div(p.m, r.bm) * ceil_div(p.n, r.bn) * p.batch;
}
// Blocks that an SM holds: one of 256 threads by its registers, two of 128 by 99 KB of shared memory.
constexpr int64_t blocks_an_sm(const Row& r) { return r.threads > 128 ? 1 : 2; }

constexpr bool inside(const Row&, const Problem&, int, int) { return false; }
constexpr int64_t workspace(const Problem&) { return 0; }
constexpr bool apart(const Problem&) { return false; }
constexpr int part_rows(const Row&, const Problem&) { return 0; }
constexpr int splits(const Row& r, const Problem& p, const Device& d) {
  return p.batch_invariant ? 1 : splits_of(tiles_of(r, p), ceil_div(p.k, r.bk), d.sm_count * blocks_an_sm(r));
}

// Modelled cycles, as in sm_80; 1024 multiply-adds an SM and cycle are those of Ada's float32 sums.
constexpr double cost(const Row& r, const Problem& p, const Device& d) {
  return 1500 + tiles_cost(r, p, d, Pace{1, 32, 1024, 60}, tiles_of(r, p), splits(r, p, d));
}

// Runs one row; returns 0 or the runtime's error code.
int launch(int row, const Problem&, const Data&, Stream);

}  // namespace gpukern::gemm::sm_89
