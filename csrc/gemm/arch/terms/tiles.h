// terms: float32 products as sums of products of bfloat16 terms, on sm_80's tensor cores, where a call asks for it
// (precision="bf16x3", "bf16x6", "bf16x9").
// One line is one kernel for each layout; nothing outside this table can be launched.
//
// Predicted, not measured, from 45 TFLOP/s of strict float32 on an H100: mma.sync multiplies bfloat16 at 490, so three
// products a float32 one are 160 and six are 80, less a twentieth for splitting the operands first.
#pragma once
#include "../../mma.h"
#include "../../terms.h"

namespace gpukern::gemm::terms {

constexpr const char* kName = "terms";
using namespace mma;
using mma::serves;

// k that is summed on the tensor cores before the sums go to registers that round to nearest: tensor cores cut, so
// their error grows with k; 256 is 16 of their steps, and one addition for every 16 x pairs mma.sync.  The same for
// every row of the table, so that they agree bitwise.
constexpr int kChunk = 256;

constexpr Reason yields(const Problem&, const Device&) { return nullptr; }
constexpr bool inside(const Row&, const Problem&, int, int) { return false; }
constexpr bool apart(const Problem&) { return false; }

// ---- the table ----------------------------------------------------------------------------------

constexpr unsigned kFloat = bit(DType::f32);

// Two sets of sums, so a warp has half of what a bfloat16 row's has: 64 x 32 is 64 + 64 registers a thread.
// deep: bytes of k a tile; wm x wn: a warp's part.  128x128: 8 warps, one block an SM.  64x64: results too small for
// it.
// clang-format off
//      id         bm   bn  deep  wm  wn stages
#define GPUKERN_TERMS_TILES(ROW)             \
    ROW(e128x128,  128, 128,  64, 64, 32, 4) \
    ROW(e64x64,     64,  64, 128, 32, 32, 3)
// clang-format on

#define GPUKERN_ROW(ID, BM, BN, DEEP, WM, WN, STAGES) \
  Row{#ID, kFloat, BM, BN, DEEP / 2, WM, WN, threads_of(BM, BN, WM, WN), STAGES * (BM + BN) * DEEP, STAGES},
inline constexpr Row kRows[] = {GPUKERN_TERMS_TILES(GPUKERN_ROW)};
#undef GPUKERN_ROW
constexpr int kCount = sizeof(kRows) / sizeof(Row);

constexpr bool chunks_are_whole() {
  for (const Row& r : kRows)
    if (kChunk % r.bk != 0) return false;
  return true;
}
static_assert(all_fit(kRows, {.registers = 64}) && chunks_are_whole(),
              "a row of this table does not fit: sums, shared memory, or tiles in a chunk of k");

// Three layouts are compiled, as in sm_80.
constexpr bool turned(const Problem& p) { return fourth_layout(p); }
constexpr Problem oriented(const Problem& p) { return turned(p) ? transposed(p) : p; }

constexpr Reason supports(const Problem& p, const Device& d) {
  if (Reason why = serves(d)) return why;
  if (p.type != DType::f32 || p.out != DType::f32) return "it multiplies float32 only, split into bfloat16 terms";
  if (!term_products(p.precision)) return kNoTerms;
  if (Reason why = refused_extents(p)) return why;
  return refused_operands(p);
}

constexpr Reason refuses(const Row& r, const Problem&, const Device& d) {
  return r.shared > d.shared_bytes ? kNoRoom : nullptr;
}

constexpr int64_t tiles_of(const Row& r, const Problem& given) {
  const Problem p = oriented(given);
  return ceil_div(p.m, r.bm) * ceil_div(p.n, r.bn) * p.batch;
}
// Blocks that an SM holds by its registers: up to 255 a thread of 256, 168 of 128.
constexpr int64_t blocks_an_sm(const Row& r) { return r.threads > 128 ? 1 : 3; }

constexpr int part_rows(const Row& r, const Problem& p) { return turned(p) ? r.tn : r.tm; }
constexpr int splits(const Row& r, const Problem& p, const Device& d) {
  return p.batch_invariant ? 1 : splits_of(tiles_of(r, p), ceil_div(p.k, r.bk), d.sm_count * blocks_an_sm(r));
}

// As in sm_80, once for each product of terms, and before it the pass that divides the operands.
constexpr double cost(const Row& r, const Problem& p, const Device& d) {
  const int products = term_products(p.precision);
  const double times = products > 0 ? products : 1, sms = d.sm_count > 0 ? d.sm_count : 1;
  return 3000 + division_cost(p, sms) +
         tiles_cost(r, p, d, Pace{2, 32, 1024, 60}, tiles_of(r, p), splits(r, p, d), times);
}

// Runs one row; returns 0 or the runtime's error code.
int launch(int row, const Problem&, const Data&, Stream);

}  // namespace gpukern::gemm::terms
