// sm_80: mma.sync on tiles that cp.async brings, for every NVIDIA device from Ampere on.
// One line is one kernel for each of its types and layouts; nothing outside this table can be launched.
#pragma once
#include "../../mma.h"

namespace gpukern::gemm::sm_80 {

constexpr const char* kName = "sm_80";
using namespace mma;
using mma::serves;

constexpr unsigned kHalf = bit(DType::f16) | bit(DType::bf16);
constexpr unsigned kTf32 = bit(DType::f32);  // only where the problem allows tf32
constexpr unsigned kByte = bit(DType::u8) | bit(DType::i8);

// deep: bytes of k a tile; wm x wn: a warp's part.  64x64 a warp reads 64 bytes of shared memory for 4096 multiply-adds
// of 16 bits, half of what it can; 32x32 reads as fast as it multiplies and is for results too small for more.
// 128x256: fewest reads of L2, one block an SM.  128x128: two blocks an SM, one stores while the other multiplies.
// 64x128, 64x64: more blocks for smaller results.  16x128: 9..16 rows (decoding), six stages of loads under way.
// clang-format off
//      id         types    bm   bn  deep  wm  wn stages
#define GPUKERN_SM80_TILES(ROW)                        \
    ROW(h128x256,  kHalf,   128, 256,  64, 64, 64, 4)  \
    ROW(h128x128,  kHalf,   128, 128,  64, 64, 64, 4)  \
    ROW(h64x128,   kHalf,    64, 128,  64, 32, 64, 4)  \
    ROW(h64x64,    kHalf,    64,  64, 128, 32, 32, 3)  \
    ROW(h16x128,   kHalf,    16, 128, 128, 16, 32, 5)  \
    ROW(t128x128,  kTf32,   128, 128,  64, 64, 32, 4)  \
    ROW(t64x64,    kTf32,    64,  64, 128, 32, 32, 3)  \
    ROW(d64x64,    kDouble,  64,  64, 128, 32, 32, 3)  \
    ROW(d32x32,    kDouble,  32,  32, 128, 16, 16, 4)  \
    ROW(i128x128,  kByte,   128, 128,  64, 64, 64, 4)  \
    ROW(i64x64,    kByte,    64,  64, 128, 32, 32, 3)
// clang-format on

constexpr int size_of(unsigned types) { return types == kHalf ? 2 : types == kTf32 ? 4 : types == kDouble ? 8 : 1; }

#define GPUKERN_ROW(ID, TYPES, BM, BN, DEEP, WM, WN, STAGES) \
  Row{#ID, TYPES, BM, BN, DEEP / size_of(TYPES), WM, WN, threads_of(BM, BN, WM, WN), STAGES * (BM + BN) * DEEP, STAGES},
inline constexpr Row kRows[] = {GPUKERN_SM80_TILES(GPUKERN_ROW)};
#undef GPUKERN_ROW
constexpr int kCount = sizeof(kRows) / sizeof(Row);

static_assert(all_fit(kRows, {.registers = 128}),
              "a row of this table does not fit: accumulators, shared memory, or the epilogue's part of it");

// A thin row has all four layouts and lays the thin side along m.
constexpr bool thin(const Row& r) { return r.bm == 16; }
constexpr bool turned(const Row& r, const Problem& p) { return thin(r) ? p.n < p.m : fourth_layout(p); }
constexpr Problem oriented(const Row& r, const Problem& p) { return turned(r, p) ? transposed(p) : p; }

constexpr Reason supports(const Problem& p, const Device& d) {
  if (Reason why = serves(d)) return why;
  if (p.type == DType::f32 && p.precision != Precision::tf32)
    return "it multiplies float32 as tf32 only; pass precision=\"tf32\" or set torch's allow_tf32 switch";
  if (is_float8(p.type)) return "it has no float8 kernel: mma.sync takes float8 from sm_89 on";
  if (!(bit(p.type) & (kHalf | kTf32 | kDouble | kByte))) return "tensor cores do not multiply this type";
  if (Reason why = refused_result(p)) return why;
  if (p.type == DType::u8 && p.out != DType::u8) return "its uint8 products have uint8 results only (modulo 256)";
  return refused_extents(p);
}

constexpr Reason refuses(const Row& r, const Problem& p, const Device& d) {
  if (!(r.types & bit(p.type))) return "it is not compiled for this type";
  return r.shared > d.shared_bytes ? kNoRoom : nullptr;
}

constexpr int64_t tiles_of(const Row& r, const Problem& given) {
  const Problem p = oriented(r, given);
  return ceil_div(p.m, r.bm) * ceil_div(p.n, r.bn) * p.batch;
}
// Blocks that an SM holds: by shared memory, and by its registers (kernel.cuh).
constexpr int64_t blocks_an_sm(const Row& r, const Device& d) {
  const int64_t by_registers = r.threads > 128 ? 1 : r.tm * r.tn > 1024 ? 2 : 3, by_shared = d.shared_bytes / r.shared;
  return by_shared < by_registers ? (by_shared > 1 ? by_shared : 1) : by_registers;
}

constexpr Reason yields(const Problem&, const Device&) { return nullptr; }
constexpr bool inside(const Row&, const Problem&, int, int) { return false; }
constexpr int64_t workspace(const Problem&) { return 0; }
constexpr bool apart(const Problem& p) { return ends_apart(p.type) && ends_apart(p); }
constexpr int part_rows(const Row& r, const Problem& p) { return turned(r, p) ? r.tn : r.tm; }
constexpr int splits(const Row& r, const Problem& p, const Device& d) {
  return p.batch_invariant ? 1 : splits_of(tiles_of(r, p), ceil_div(p.k, r.bk), d.sm_count * blocks_an_sm(r, d));
}

// Modelled cycles; multiply-adds are those of sm_80, by 32 bytes of k.
constexpr double cost(const Row& r, const Problem& p, const Device& d) {
  const int size = size_of(r.types);
  const Pace pace{size, 32, r.types == kDouble ? 64 : 2048.0 / size, 60};
  return 1500 + tiles_cost(r, p, d, pace, tiles_of(r, p), splits(r, p, d));
}

// Runs one row; returns 0 or the runtime's error code.
int launch(int row, const Problem&, const Data&, Stream);

}  // namespace gpukern::gemm::sm_80
