// simt: fused multiply-adds on the ordinary cores of any GPU, CUDA and HIP from one source.
// A configuration is one kernel for each of its types; nothing outside this table can be launched.
#pragma once
#include "../../refusals.h"

namespace gpukern::gemm::simt {

constexpr const char* kName = "simt";
constexpr int64_t kStaticShared = 48 * 1024;  // what a block has on every device without an attribute at launch

// 128x128 with 8x8 a thread: 16 multiply-adds for each value read from shared memory; 165 registers, 1 block an SM.
// 64x64 and 32x32 fill the device when the result is small; 16x128 and 128x16 waste no rows on skinny products.
// clang-format off
//      id        types    bm   bn   bk  tm  tn
#define GPUKERN_SIMT_TILES(ROW)                  \
    ROW(s128x128, kSingle, 128, 128, 16, 8, 8)   \
    ROW(s64x64,   kSingle,  64,  64, 16, 4, 4)   \
    ROW(s32x32,   kSingle,  32,  32, 16, 4, 4)   \
    ROW(s16x128,  kSingle,  16, 128, 16, 4, 4)   \
    ROW(s128x16,  kSingle, 128,  16, 16, 4, 2)   \
    ROW(d64x64,   kDouble,  64,  64, 16, 4, 4)   \
    ROW(d32x32,   kDouble,  32,  32, 16, 4, 4)   \
    ROW(w64x64,   kWhole,   64,  64, 16, 4, 4)   \
    ROW(z64x64,   kComplex, 64,  64,  8, 4, 4)   \
    ROW(z32x32,   kComplex, 32,  32,  8, 4, 4)   \
    ROW(q64x64,   kFloat8,  64,  64, 16, 4, 4)   \
    ROW(q32x32,   kFloat8,  32,  32,  8, 4, 4)
// clang-format on

// Tiles are kept in the type they are accumulated in: float32 for those of 8 and 16 bits, 8 bytes at most for integers.
constexpr int64_t element(unsigned types) { return types & (kSingle | kFloat8) ? 4 : types == kComplex ? 16 : 8; }
// Two buffers of both tiles; 16 bytes of padding a line keep the transposing stores off one bank.
constexpr int64_t shared_bytes(unsigned types, int bm, int bn, int bk) {
  return 2 * bk * ((bm + bn) * element(types) + 32);
}

// The .cu of its kernels, if `targets` has a line for it.
constexpr const char* source(unsigned types) { return types & (kSingle | kDouble) ? "float" : nullptr; }

#define GPUKERN_CONFIGURATION(ID, TYPES, BM, BN, BK, TM, TN)                                                      \
  Configuration{#ID, TYPES, BM,           BN, BK, TM, TN, (BM / TM) * (BN / TN), shared_bytes(TYPES, BM, BN, BK), \
                2,   0,     source(TYPES)},
inline constexpr Configuration kConfigurations[] = {GPUKERN_SIMT_TILES(GPUKERN_CONFIGURATION)};
#undef GPUKERN_CONFIGURATION
constexpr int kCount = sizeof(kConfigurations) / sizeof(Configuration);

constexpr bool fits(const Configuration& r) {
  const int rows = r.bm / r.tm, columns = r.bn / r.tn;
  return r.bm % r.tm == 0 && r.bn % r.tn == 0 && rows % 4 == 0 && columns % 8 == 0 && r.threads >= 64 &&
         r.threads <= 256 && r.bm * r.bk % r.threads == 0 && r.bn * r.bk % r.threads == 0 && r.shared <= kStaticShared;
}
constexpr bool all_fit() {
  for (const Configuration& r : kConfigurations)
    if (!fits(r)) return false;
  return true;
}
static_assert(all_fit(), "a configuration does not fit: threads in 4x8 groups, loads shared evenly, 48 KB");

constexpr Reason serves(const Device& d) {
  return d.vendor == Vendor::host ? "it runs on GPUs, and this device is the CPU" : nullptr;
}

constexpr Reason supports(const Problem& p, const Device& d) {
  if (Reason why = serves(d)) return why;
  if (Reason why = refused_result(p)) return why;
  return refused_extents(p);
}

constexpr Reason refuses(const Configuration& r, const Problem& p, const Device& d) {
  if (!(r.types & bit(p.type))) return "it is not compiled for this type";
  if (r.shared > d.shared_bytes) return "a block's tiles do not fit in this device's shared memory";
  return nullptr;
}

// Blocks that an SM holds by their registers: 165 a thread where a thread has 64 sums.
constexpr int64_t blocks_an_sm(const Configuration& r) { return r.tm * r.tn > 16 ? 1 : 2; }

constexpr Reason yields(const Problem&, const Device&) { return nullptr; }
constexpr Traits traits(const Configuration&) {
  return {.precisions = bit(Precision::strict), .multiplier = "multiply-add"};
}
constexpr bool inside(const Configuration&, const Problem&, int, int) { return false; }
constexpr int64_t workspace(const Problem&) { return 0; }
constexpr bool separate_epilogue(const Problem& p) { return needs_separate_epilogue(p); }
constexpr int part_rows(const Configuration&, const Problem&) { return 0; }
constexpr int splits(const Configuration& r, const Problem& p, const Device& d) {
  const int64_t tiles = ceil_div(p.m, r.bm) * ceil_div(p.n, r.bn) * p.batch;
  return p.batch_invariant ? 1 : splits_of(tiles, ceil_div(p.k, r.bk), d.sm_count * blocks_an_sm(r));
}

// Modelled cycles of a step of k for one SM's share of the tiles: the slowest of instruction issue (4 warps a cycle),
// shared memory (128 bytes a cycle) and L2 (about 46 bytes a cycle and SM).  If an SM has one block only, nothing hides
// its latency.  A thread issues its multiply-adds, its reads of shared memory, about 4 instructions for each value it
// loads from global memory (load, widen, store, address: a 64x64 tile has fewer than four of 32x32), and 2 for the
// loop.  The constants are from published measurements; a tuning run on a device ranks the configurations again.
constexpr double cost(const Configuration& r, const Problem& p, const Device& d) {
  const double sms = d.sm_count > 0 ? d.sm_count : 1;
  const int ranges = splits(r, p, d);
  const double tiles = double(ceil_div(p.m, r.bm)) * double(ceil_div(p.n, r.bn)) * double(p.batch) * ranges;
  const double turns = tiles <= sms ? 1 : tiles / sms;  // tiles of one SM share it, so a last uneven turn costs little
  const double wide = p.type == DType::c128 ? 4 : r.types & (kSingle | kFloat8) ? 1 : 2, warps = r.threads / 32.0;
  const double multiplied = r.types == kComplex ? 2 * wide : wide;  // four of half as wide numbers
  const double loaded = double(r.bm + r.bn) / r.threads;
  const double issue = warps / 4 * (r.tm * r.tn * multiplied + (r.tm + r.tn) / 2.0 + 4 * loaded + 2);
  const double shared = warps * (r.tm + r.tn) / 4.0 * wide;
  const double l2 = (r.bm + r.bn) * double(bytes(p.type)) / 46.0;
  const double busy = issue > shared ? (issue > l2 ? issue : l2) : (shared > l2 ? shared : l2);
  const double alone =
      r.tm * r.tn * (warps > 4 ? warps / 4 : 1.0) * multiplied + 40;  // 40: a load's latency over 16 of k
  const double k = double(p.k > 16 * ranges ? p.k : 16 * ranges) / ranges;
  return k * (turns * busy > alone ? turns * busy : alone) + double(r.bm * r.bn) / 8 +
         split_cost(ranges, double(p.m) * double(p.n) * double(p.batch), sms);
}

// Runs one configuration; returns 0 or the runtime's error code.
int launch(int row, const Problem&, const Data&, Stream);

}  // namespace gpukern::gemm::simt
