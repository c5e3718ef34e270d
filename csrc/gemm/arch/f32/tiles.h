// f32: strict float32 on the ordinary cores of NVIDIA devices from Ampere on, with the ring of tiles that cp.async
// fills for sm_80's tensor cores (simt's rows, which any device has, bring theirs through registers, two tiles at a
// time). One line is one kernel for each layout; nothing outside this table can be launched.
#pragma once
#include "../../mma.h"

namespace gpukern::gemm::f32 {

constexpr const char* kName = "f32";
using namespace mma;
constexpr unsigned kFloat = bit(DType::f32);
constexpr int kStep = 16;  // bytes of k that one read of shared memory brings

// deep: bytes of k a tile; wm x wn: a warp's part, of which lane 4 g + q has every eighth row and every fourth pair of
// columns.  64x32 a warp is 8 x 8 sums a lane: 64 multiply-adds for 4 reads of 16 bytes.
// 128x128: one block of 8 warps an SM, for its registers; fewest reads of L2.  64x64: smaller results, four blocks an
// SM.  32x32: results too small for either.  16x128: 9..16 rows, where the other operand is what takes the time.
// clang-format off
//      id         bm   bn  deep  wm  wn stages
#define GPUKERN_F32_TILES(ROW)                  \
    ROW(f128x128,  128, 128,  64, 64, 32, 4)    \
    ROW(f64x64,     64,  64,  64, 32, 32, 4)    \
    ROW(f32x32,     32,  32, 128, 16, 32, 3)    \
    ROW(f16x128,    16, 128, 128, 16, 32, 4)
// clang-format on

#define GPUKERN_ROW(ID, BM, BN, DEEP, WM, WN, STAGES) \
  Row{#ID, kFloat, BM, BN, DEEP / 4, WM, WN, threads_of(BM, BN, WM, WN), STAGES * (BM + BN) * DEEP, STAGES},
inline constexpr Row kRows[] = {GPUKERN_F32_TILES(GPUKERN_ROW)};
#undef GPUKERN_ROW
constexpr int kCount = sizeof(kRows) / sizeof(Row);

constexpr int kMostPad = 16;  // of a slab's line, in numbers (fragments.cuh)
static_assert(all_fit(kRows, {.registers = 64, .threads = 64, .pad = kMostPad}),
              "a row of this table does not fit: sums, shared memory, or the epilogue's part of it");

// A thin row has all four layouts and lays the thin side along m.
constexpr bool thin(const Row& r) { return r.bm == 16; }
constexpr bool turned(const Row& r, const Problem& p) { return thin(r) ? p.n < p.m : fourth_layout(p); }
constexpr Problem oriented(const Row& r, const Problem& p) { return turned(r, p) ? transposed(p) : p; }

constexpr Reason serves(const Device& d) {
  return d.vendor == Vendor::nvidia && d.target >= 80 ? nullptr
                                                      : "it needs cp.async, which NVIDIA GPUs have from sm_80 on";
}
constexpr Reason supports(const Problem& p, const Device& d) {
  if (Reason why = serves(d)) return why;
  if (p.type != DType::f32) return "it multiplies float32 only";
  if (p.precision != Precision::strict)
    return "it multiplies in strict float32 only; this call allows tf32 or asks for bfloat16 terms";
  if (Reason why = refused_result(p)) return why;
  return refused_extents(p);
}
constexpr Reason yields(const Problem&, const Device&) { return nullptr; }
constexpr Reason refuses(const Row& r, const Problem&, const Device& d) {
  return r.shared > d.shared_bytes ? kNoRoom : nullptr;
}

constexpr int64_t tiles_of(const Row& r, const Problem& given) {
  const Problem p = oriented(r, given);
  return ceil_div(p.m, r.bm) * ceil_div(p.n, r.bn) * p.batch;
}
// Blocks that an SM holds: of 64 sums a lane as many as have registers (a block of 256 threads takes all); of fewer, as
// many as have shared memory.
constexpr int64_t blocks_an_sm(const Row& r, const Device& d) {
  const int64_t by_registers = r.tm * r.tn > 1024 ? 1 : 512 / r.threads, by_shared = d.shared_bytes / r.shared;
  return by_shared < by_registers ? (by_shared > 1 ? by_shared : 1) : by_registers;
}

constexpr bool inside(const Row&, const Problem&, int, int) { return false; }
constexpr int64_t workspace(const Problem&) { return 0; }
constexpr bool apart(const Problem& p) { return ends_apart(p); }
constexpr int part_rows(const Row&, const Problem&) { return 0; }
constexpr int splits(const Row& r, const Problem& p, const Device& d) {
  return p.batch_invariant ? 1 : splits_of(tiles_of(r, p), ceil_div(p.k, r.bk), d.sm_count * blocks_an_sm(r, d));
}

// Modelled cycles a step of k: what one SM gets of the tiles, each as slow as the slowest of instruction issue (4 warps
// a cycle: multiply-adds, one of 12 of which waits for a bank of registers, and reads of four k), shared memory (two
// cycles a read of 16 bytes, most lanes of which ask for the same) and L2 (about 46 bytes a cycle and SM), and an
// eighth of the others; a lone block waits for its own latency.
constexpr double cost(const Row& r, const Problem& p, const Device& d) {
  const int ranges = splits(r, p, d);
  const double sms = d.sm_count > 0 ? d.sm_count : 1, tiles = double(tiles_of(r, p)) * ranges;
  const double warps = r.threads / 32.0, reads = (r.tm / 8.0 + r.tn / 4.0) / 4;
  const double issue = warps / 4 * (1.08 * r.tm * r.tn / 32 + reads);
  const double shared = warps * reads * 2;
  const double l2 = (r.bm + r.bn) * 4.0 / 46;
  const double busy = together(issue, shared, l2);
  const double turns = double(ceil_div(int64_t(tiles), int64_t(sms)));
  const double alone = r.tm * r.tn / 32.0 * (warps > 4 ? warps / 4 : 1.0) + 300.0 / r.bk;  // 300: a barrier's latency
  const double depth = double(ceil_div(ceil_div(p.k, r.bk), ranges)) * r.bk;
  return 1500 + depth * (turns * busy > alone ? turns * busy : alone) + double(r.bm * r.bn) / 8 +
         split_cost(ranges, double(p.m) * double(p.n) * double(p.batch), sms);
}

// Runs one row; returns 0 or the runtime's error code.
int launch(int row, const Problem&, const Data&, Stream);

}  // namespace gpukern::gemm::f32
