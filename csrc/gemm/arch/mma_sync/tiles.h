// mma_sync: cp.async loads tiles into shared memory and warps multiply them, on every NVIDIA device from Ampere on: by
// mma.sync, or by multiply-adds for types that tensor cores do not multiply.
// A configuration is one kernel for each of its types and layouts; nothing outside this table can be launched.
#pragma once
#include "multipliers.h"

namespace gpukern::gemm::mma_sync {

constexpr const char* kName = "mma_sync";

// The k that tensor cores sum before the accumulators of terms are promoted: tensor cores truncate, so their error
// grows with k.  256 is 16 steps of k, and one addition for every 16 x pairs of mma.sync.  All configurations of terms
// use the same chunk, so that their results are bitwise equal.
constexpr int kChunk = 256;

// deep: bytes of k a tile; wm x wn: a warp's part.
// mma: with 64x64 a warp needs 64 bytes of shared memory for 4096 multiply-adds of 16 bits, half of its bandwidth; with
// 32x32 it needs all of it, so that is for small results only.  128x256: fewest reads of L2, one block an SM.
// 128x128: two blocks an SM, one stores while the other multiplies.  64x128, 64x64: more blocks for smaller results.
// 16x128: 9..16 rows (decoding), six stages in flight.
// wide_double: with 32x32 a warp reads 64 bytes of shared memory for 128 multiply-adds, half of its bandwidth; its
// accumulators, the fragments of A and two sets of B's take 160 registers.  128x64: one block of 8 warps an SM.
// float8: a tile of k is a block of scales, after which accumulators are promoted.  With two sets of accumulators a
// warp's part is half of that for 16 bits: 64x32 is 64 + 64 registers a lane.  terms have two sets too, because tensor
// cores may truncate when they add.
// multiply_add: 64x32 a warp is 8 x 8 accumulators a lane: 64 multiply-adds for 4 reads of 16 bytes.  128x128: one
// block of 8 warps an SM, for its registers.  64x64: smaller results, four blocks an SM.
// clang-format off
//      id         multiplier    types    bm   bn  deep  wm  wn stages
#define GPUKERN_MMA_SYNC_TILES(ROW)                                  \
    ROW(m128x64,   wide_double,  kDouble, 128,  64, 256, 32, 32, 4)  \
    ROW(m64x64,    wide_double,  kDouble,  64,  64, 256, 32, 32, 3)  \
    ROW(m32x32,    wide_double,  kDouble,  32,  32, 256, 16, 16, 4)  \
    ROW(h128x256,  mma,          kHalf,   128, 256,  64, 64, 64, 4)  \
    ROW(h128x128,  mma,          kHalf,   128, 128,  64, 64, 64, 4)  \
    ROW(h64x128,   mma,          kHalf,    64, 128,  64, 32, 64, 4)  \
    ROW(h64x64,    mma,          kHalf,    64,  64, 128, 32, 32, 3)  \
    ROW(h16x128,   mma,          kHalf,    16, 128, 128, 16, 32, 5)  \
    ROW(t128x128,  mma,          kFloat,  128, 128,  64, 64, 32, 4)  \
    ROW(t64x64,    mma,          kFloat,   64,  64, 128, 32, 32, 3)  \
    ROW(d64x64,    mma,          kDouble,  64,  64, 128, 32, 32, 3)  \
    ROW(d32x32,    mma,          kDouble,  32,  32, 128, 16, 16, 4)  \
    ROW(i128x128,  mma,          kByte,   128, 128,  64, 64, 64, 4)  \
    ROW(i64x64,    mma,          kByte,    64,  64, 128, 32, 32, 3)  \
    ROW(o128x128,  float8,       kFormats,128, 128, 128, 64, 32, 3)  \
    ROW(o64x64,    float8,       kFormats, 64,  64, 128, 32, 32, 3)  \
    ROW(e128x128,  terms,        kFloat,  128, 128,  64, 64, 32, 4)  \
    ROW(e64x64,    terms,        kFloat,   64,  64, 128, 32, 32, 3)  \
    ROW(f128x128,  multiply_add, kFloat,  128, 128,  64, 64, 32, 4)  \
    ROW(f64x64,    multiply_add, kFloat,   64,  64,  64, 32, 32, 4)  \
    ROW(f32x32,    multiply_add, kFloat,   32,  32, 128, 16, 32, 3)  \
    ROW(f16x128,   multiply_add, kFloat,   16, 128, 128, 16, 32, 4)
// clang-format on

constexpr int element(Multiplier m, unsigned types) {
  if (const int own = facts(m).element) return own;
  return types == kHalf ? 2 : types == kFloat ? 4 : types == kDouble ? 8 : 1;
}

// The .cu of its kernels, if `targets` has a line for it.
constexpr const char* source(Multiplier m, unsigned types) {
  return m == Multiplier::mma && types == kDouble ? "double" : facts(m).source;
}

#define GPUKERN_CONFIGURATION(ID, MULTIPLIER, TYPES, BM, BN, DEEP, WM, WN, STAGES) \
  Configuration{#ID,                                                               \
                TYPES,                                                             \
                BM,                                                                \
                BN,                                                                \
                DEEP / element(Multiplier::MULTIPLIER, TYPES),                     \
                WM,                                                                \
                WN,                                                                \
                threads_of(BM, BN, WM, WN),                                        \
                STAGES * (BM + BN) * DEEP,                                         \
                STAGES,                                                            \
                static_cast<int>(Multiplier::MULTIPLIER),                          \
                source(Multiplier::MULTIPLIER, TYPES)},
inline constexpr Configuration kConfigurations[] = {GPUKERN_MMA_SYNC_TILES(GPUKERN_CONFIGURATION)};
#undef GPUKERN_CONFIGURATION
constexpr int kCount = sizeof(kConfigurations) / sizeof(Configuration);

constexpr bool all_fit() {
  for (const Configuration& r : kConfigurations) {
    const Multiplier m = multiplier_of(r);
    const Facts& most = facts(m);
    const bool whole_chunks = m != Multiplier::terms || kChunk % r.bk == 0;
    if (!fits(r, {most.registers, most.least_threads, most.pad, most.shared}) || !whole_chunks) return false;
  }
  return true;
}
static_assert(all_fit(), "a configuration does not fit: accumulators, shared memory, the epilogue's part of it");

// A skinny configuration has all four layouts and lays the short side along m.
constexpr bool skinny(const Configuration& r) { return r.bm == 16; }
constexpr bool transposes(const Configuration& r, const Problem& p) { return skinny(r) ? p.n < p.m : fourth_layout(p); }
constexpr Problem oriented(const Configuration& r, const Problem& p) { return transposes(r, p) ? transposed(p) : p; }

constexpr Reason supports(const Problem& p, const Device& d) {
  if (Reason why = serves(d)) return why;
  if (!(bit(p.type) & (kHalf | kFloat | kDouble | kByte | kFloat8)))
    return "it multiplies neither complex numbers nor integers of more than 8 bits";
  if (is_float8(p.type)) {
    if (Reason why = refused_formats(p)) return why;
    if (Reason why = lacks(d, Multiplier::float8)) return why;
  }
  if (Reason why = refused_result(p)) return why;
  if (p.type == DType::u8 && p.out != DType::u8) return "its uint8 products have uint8 results only (modulo 256)";
  if (Reason why = refused_extents(p)) return why;
  return multiplies(Multiplier::terms, p) ? terms::refused_operands(p) : nullptr;
}

constexpr Reason refuses(const Configuration& r, const Problem& p, const Device& d) {
  const Multiplier m = multiplier_of(r);
  if (!(r.types & bit(p.type))) return "it is not compiled for this type";
  if (!multiplies(m, p)) {
    if (m == Multiplier::terms) return terms::kNoTerms;
    return m == Multiplier::mma
               ? "it multiplies float32 as tf32; pass precision=\"tf32\" or set torch's allow_tf32 switch"
               : "it multiplies in strict float32; this call allows tf32 or asks for bfloat16 terms";
  }
  if (Reason why = lacks(d, m)) return why;
  return r.shared > d.shared_bytes ? kNoRoom : nullptr;
}

constexpr int64_t tiles_of(const Configuration& r, const Problem& given) {
  const Problem p = oriented(r, given);
  return ceil_div(p.m, r.bm) * ceil_div(p.n, r.bn) * p.batch;
}
// Blocks that an SM holds: by its registers (kernel.cuh has the same figures) and by shared memory.
constexpr int64_t blocks_an_sm(const Configuration& r, const Device& d) {
  const auto less = [](int64_t a, int64_t b) { return a < b ? a : b > 1 ? b : 1; };
  const int64_t by_shared = d.shared_bytes / r.shared;
  switch (multiplier_of(r)) {
    case Multiplier::wide_double: return facts(Multiplier::wide_double).shared / r.shared;
    case Multiplier::float8: return r.threads > 128 ? 1 : 2;
    case Multiplier::terms: return r.threads > 128 ? 1 : 3;
    case Multiplier::multiply_add: return less(r.tm * r.tn > 1024 ? 1 : 512 / r.threads, by_shared);
    default: return less(r.threads > 128 ? 1 : r.tm * r.tn > 1024 ? 2 : 3, by_shared);
  }
}

constexpr Traits traits(const Configuration& r) {
  const Multiplier m = multiplier_of(r);
  return {
      .lanes = 32,
      .precisions = m == Multiplier::terms ? kInTerms : bit(m == Multiplier::mma ? Precision::tf32 : Precision::strict),
      .tensor_cores = m != Multiplier::multiply_add,
      .multiplier = facts(m).name,
      .clock = m == Multiplier::wide_double ? kClock : 0,
      .part_rows = m == Multiplier::multiply_add || r.types == kDouble ? 0
                   : skinny(r)                                         ? r.tn
                                                                       : r.tm};
}
constexpr Reason yields(const Problem&, const Device&) { return nullptr; }
constexpr bool inside(const Configuration&, const Problem&, int, int) { return false; }
constexpr int64_t workspace(const Problem& p) { return multiplies(Multiplier::terms, p) ? terms::workspace(p) : 0; }
// For float64 and ordinary cores split/ runs the epilogue of backward's products (problem.h).
constexpr bool separate_epilogue(const Problem& p) {
  return (needs_separate_epilogue(p.type) || multiplies(Multiplier::multiply_add, p)) && needs_separate_epilogue(p);
}
constexpr int part_rows(const Configuration& r, const Problem& p) { return transposes(r, p) ? r.tn : r.tm; }
constexpr int splits(const Configuration& r, const Problem& p, const Device& d) {
  return p.batch_invariant ? 1 : splits_of(tiles_of(r, p), ceil_div(p.k, r.bk), d.sm_count * blocks_an_sm(r, d));
}

// ---- modelled cycles ------------------------------------------------------------------------------------------------

// Multiply-adds, cycles of a step of four k for one SM's share of the tiles.  It takes the slowest of these, and an
// eighth of the others: instruction issue (4 warps a cycle: reads of four k, and multiply-adds, of which one in 12
// waits for a register bank), shared memory (two cycles a read of 16 bytes, since most lanes read the same address) and
// L2 (about 46 bytes a cycle and SM).  If an SM has one block only, nothing hides its latency.
constexpr double multiply_add_cost(const Configuration& r, const Problem& p, const Device& d) {
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
  return depth * (turns * busy > alone ? turns * busy : alone) + double(r.bm * r.bn) / 8 +
         split_cost(ranges, double(p.m) * double(p.n) * double(p.batch), sms);
}

// Memory's part of a float64 product: the least time that it can take.
constexpr double double_memory_cost(const Problem& p) {
  const double a = double(p.m) * (p.a.batch == 0 ? 1 : double(p.batch));
  const double b = double(p.n) * (p.b.batch == 0 ? 1 : double(p.batch));
  const double moved = 8 * ((a + b) * double(p.k) + double(p.m) * double(p.n) * double(p.batch));
  return moved / (kBandwidth / kClock);
}

constexpr double cost(const Configuration& r, const Problem& p, const Device& d) {
  const Multiplier m = multiplier_of(r);
  const Facts& f = facts(m);
  if (m == Multiplier::multiply_add) return f.start + multiply_add_cost(r, p, d);
  const int size = element(m, r.types), products = m == Multiplier::terms ? term_products(p.precision) : 1;
  const double rate = f.rate > 0 ? f.rate : r.types == kDouble ? 64 : 2048.0 / size;
  const double multiplying = tiles_cost(r, p, d, Pace{size, f.step, rate, f.least}, tiles_of(r, p), splits(r, p, d),
                                        products > 0 ? products : 1);
  if (m == Multiplier::terms) return f.start + terms::division_cost(p, d.sm_count > 0 ? d.sm_count : 1) + multiplying;
  const double memory = m == Multiplier::wide_double ? double_memory_cost(p) : 0;
  return f.start + (multiplying > memory ? multiplying : memory);
}

// Runs one configuration; returns 0 or the runtime's error code.
int launch(int row, const Problem&, const Data&, Stream);

}  // namespace gpukern::gemm::mma_sync
