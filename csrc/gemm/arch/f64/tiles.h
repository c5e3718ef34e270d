// f64: float64 on Hopper's tensor cores.  mma.m16n8k16 began there; m8n8k4, which sm_80's rows say, is an eighth of it
// an instruction and, by what others measured, about half of the rate there.
// One line is one kernel for each layout; nothing outside this table can be launched.
#pragma once
#include "../../mma.h"

namespace gpukern::gemm::f64 {

constexpr const char* kName = "f64";

constexpr int kStep = 128;  // bytes of k that one product takes
constexpr int kDeep = 256;  // bytes of k a tile: two sets of fragments take turns
constexpr int64_t kShared = 227 * 1024;

// wm x wn: a warp's part.  A warp of 32x32 reads 64 bytes of shared memory for 128 multiply-adds, half of what there
// is; its sums, the fragments of A and two sets of B's are 160 registers.  128x64: one block of 8 warps an SM, fewest
// reads of L2.  64x64: two blocks, one stores while the other multiplies.  32x32: results too small for either.
// Their names are no other folder's, so that sm_80's d64x64 can be forced by its own.
// clang-format off
//      id         bm   bn  wm  wn stages
#define GPUKERN_F64_TILES(ROW)         \
    ROW(m128x64,  128,  64, 32, 32, 4) \
    ROW(m64x64,    64,  64, 32, 32, 3) \
    ROW(m32x32,    32,  32, 16, 16, 4)
// clang-format on

#define GPUKERN_ROW(ID, BM, BN, WM, WN, STAGES) \
  Row{#ID, kDouble, BM, BN, kDeep / 8, WM, WN, mma::threads_of(BM, BN, WM, WN), STAGES * (BM + BN) * kDeep, STAGES},
inline constexpr Row kRows[] = {GPUKERN_F64_TILES(GPUKERN_ROW)};
#undef GPUKERN_ROW
constexpr int kCount = sizeof(kRows) / sizeof(Row);

static_assert(mma::all_fit(kRows, {.registers = 64, .shared = kShared}),
              "a row of this table does not fit: sums, shared memory, or the epilogue's part of it");

// Three layouts are compiled, as in sm_80.
constexpr bool turned(const Problem& p) { return mma::fourth_layout(p); }
constexpr Problem oriented(const Problem& p) { return turned(p) ? transposed(p) : p; }

constexpr Reason serves(const Device& d) {
  return d.vendor == Vendor::nvidia && d.target == 90 ? nullptr : "it is compiled for Hopper GPUs (sm_90a) only";
}
constexpr Reason supports(const Problem& p, const Device& d) {
  if (Reason why = serves(d)) return why;
  if (p.type != DType::f64) return "it multiplies float64 only";
  if (Reason why = refused_result(p)) return why;
  return refused_extents(p);
}
constexpr Reason yields(const Problem&, const Device&) { return nullptr; }
constexpr Reason refuses(const Row& r, const Problem&, const Device& d) {
  return r.shared > d.shared_bytes ? mma::kNoRoom : nullptr;
}

constexpr int64_t tiles_of(const Row& r, const Problem& given) {
  const Problem p = oriented(given);
  return ceil_div(p.m, r.bm) * ceil_div(p.n, r.bn) * p.batch;
}
// Blocks that an SM holds: by shared memory, whose parts are a third, a half or the whole.
constexpr int64_t blocks_an_sm(const Row& r) { return kShared / r.shared; }

constexpr bool inside(const Row&, const Problem&, int, int) { return false; }
constexpr int64_t workspace(const Problem&) { return 0; }
constexpr bool apart(const Problem& p) { return ends_apart(p); }
constexpr int part_rows(const Row&, const Problem&) { return 0; }
constexpr int splits(const Row& r, const Problem& p, const Device& d) {
  return p.batch_invariant ? 1 : splits_of(tiles_of(r, p), ceil_div(p.k, r.bk), d.sm_count * blocks_an_sm(r));
}

// Modelled cycles, by 128 bytes of k: 128 multiply-adds an SM and cycle (67e12 a second on 132 of them); and nothing is
// faster than memory, at 4.3e12 bytes a second.
constexpr double cost(const Row& r, const Problem& p, const Device& d) {
  const mma::Pace pace{8, kStep, 128, 150};
  const double multiplying = mma::tiles_cost(r, p, d, pace, tiles_of(r, p), splits(r, p, d));
  const double a = double(p.m) * (p.a.batch == 0 ? 1 : double(p.batch));
  const double b = double(p.n) * (p.b.batch == 0 ? 1 : double(p.batch));
  const double moved = 8 * ((a + b) * double(p.k) + double(p.m) * double(p.n) * double(p.batch));
  const double memory = moved / (4.3e12 / 1.7e9);
  return 1500 + (multiplying > memory ? multiplying : memory);
}

// Runs one row; returns 0 or the runtime's error code.
int launch(int row, const Problem&, const Data&, Stream);

}  // namespace gpukern::gemm::f64
