// wgmma: tiles that TMA loads, multiplied from shared memory, for Hopper.
// A configuration is one kernel for each of its types and layouts; nothing outside this table can be launched.
#pragma once
#include "../../../primitives/tensor_map.h"
#include "operands.h"

namespace gpukern::gemm::wgmma {

constexpr const char* kName = "wgmma";

// How the two consumer warpgroups share the work.  cooperative: one tile, half of its rows each.  ping_pong: a tile
// each, so that one stores while the other multiplies.  promoting: cooperative, and ordinary cores add the accumulators
// of 128 of k to a second set, rounding to nearest: Hopper's tensor cores keep 14 bits of sums of float8.
// terms: promoting, for float32 as bfloat16 terms (../../terms.h).
enum class Consumers : uint8_t { cooperative, ping_pong, promoting, terms };

constexpr unsigned kHalf = bit(DType::f16) | bit(DType::bf16);
constexpr unsigned kTf32 = bit(DType::f32);  // only if the problem allows tf32
constexpr unsigned kByte = bit(DType::u8) | bit(DType::i8);
constexpr unsigned kEight = bit(DType::e4m3) | bit(DType::e5m2);  // both, but not e5m2 twice
constexpr unsigned kTerms = bit(DType::f32);                      // only for the precisions bf16xN
constexpr unsigned kAll = kHalf | kTf32 | kByte | kEight;

// A thread has at most 128 accumulators: with more there are too few registers (160 spill in any epilogue but a plain
// store).  256x128 and 128x256: fewest reads of L2 a multiply-add; the cost decides which of them fits m and n
// better.  128x224, x192, x160: results whose last wave 128x256 would leave half empty (by the model up to a fifth of
// the time of Llama's and DeepSeek's layers).  Ping-pong 128x128 and 64x256: short k, or an epilogue that takes long.
// 64x128, 64x64: results of less than a wave.  128x16, 128x32: the transposed product of few rows (decoding), whose
// weights lie along m.  Promoting configurations and those of terms have a second set of accumulators, for 64 rows at a
// time; promoting ones are no wider than the 128 columns that share a scale.
// clang-format off
//      id         types   bm   bn  consumers
#define GPUKERN_WGMMA_TILES(TILE)                 \
    TILE(w256x128,  kAll,   256, 128, cooperative) \
    TILE(w128x256,  kAll,   128, 256, cooperative) \
    TILE(w128x224,  kHalf,  128, 224, cooperative) \
    TILE(w128x192,  kHalf,  128, 192, cooperative) \
    TILE(w128x160,  kHalf,  128, 160, cooperative) \
    TILE(p128x128,  kAll,   128, 128, ping_pong)   \
    TILE(p64x256,   kHalf,   64, 256, ping_pong)   \
    TILE(p64x128,   kHalf,   64, 128, ping_pong)   \
    TILE(p64x64,    kAll,    64,  64, ping_pong)   \
    TILE(d128x32,   kHalf,  128,  32, cooperative) \
    TILE(d128x16,   kAll,   128,  16, cooperative) \
    TILE(q256x128,  kEight, 256, 128, promoting)   \
    TILE(q128x128,  kEight, 128, 128, promoting)   \
    TILE(q128x64,   kEight, 128,  64, promoting)   \
    TILE(q128x16,   kEight, 128,  16, promoting)   \
    TILE(t256x128,  kTerms, 256, 128, terms)       \
    TILE(t128x64,   kTerms, 128,  64, terms)       \
    TILE(t128x16,   kTerms, 128,  16, terms)
// clang-format on

constexpr int kThreads = 384;       // a producer warpgroup and two consumers
constexpr int kStaging = 8 * 4096;  // for the epilogue: 4 KB for each of 8 warps
constexpr int kMostStages = 10;
constexpr int64_t kShared = 227 * 1024;  // the most bytes that a block may have
constexpr int kBarriers = 16 * kMostStages;

constexpr int stages_of(int bm, int bn) {
  const int fit = static_cast<int>((kShared - kStaging - kBarriers) / ((bm + bn) * kSpan));
  return fit < kMostStages ? fit : kMostStages;
}
constexpr int64_t shared_of(int bm, int bn) {
  return int64_t{stages_of(bm, bn)} * (bm + bn) * kSpan + kStaging + kBarriers;
}

#define GPUKERN_CONFIGURATION(ID, TYPES, BM, BN, CONSUMERS)                 \
  Configuration{#ID,                                                        \
                TYPES,                                                      \
                BM,                                                         \
                BN,                                                         \
                kSpan / 2,                                                  \
                Consumers::CONSUMERS == Consumers::ping_pong ? BM : BM / 2, \
                BN,                                                         \
                kThreads,                                                   \
                shared_of(BM, BN),                                          \
                stages_of(BM, BN)},
inline constexpr Configuration kConfigurations[] = {GPUKERN_WGMMA_TILES(GPUKERN_CONFIGURATION)};
#undef GPUKERN_CONFIGURATION
constexpr int kCount = sizeof(kConfigurations) / sizeof(Configuration);

// tm x tn is a warpgroup's part of the tile; bk is that of 16-bit types.
constexpr bool promotes(const Configuration& r) { return r.types == kEight; }
constexpr bool fits(const Configuration& r) {
  return r.tm % 64 == 0 && r.tm * r.tn / 128 <= 128 && r.tn % 16 == 0 && r.stages >= 4 && r.shared <= kShared &&
         (!promotes(r) || kScaleBlock % r.bn == 0);
}
constexpr bool adds_terms(const Configuration& r) { return r.types == kTerms; }
constexpr Traits traits(const Configuration& r) {
  return {.lanes = 32,
          .precisions = adds_terms(r) ? kInTerms : bit(Precision::tf32),
          .tensor_cores = true,
          .multiplier = adds_terms(r) ? "wgmma of bfloat16 terms"
                        : promotes(r) ? "wgmma, promoted"
                                      : "wgmma",
          .clock = kClock,
          .tma = true,
          .overlaps = true,
          .part_rows = 16};
}
// k of a stage, and of a step.  Consumers take a step at a time, and ranges of k are multiples of it.
constexpr int kTermStep = 128;
constexpr int stage_of(const Problem& p) { return kSpan / (in_terms(p) ? 2 : bytes(p.type)); }
constexpr int step_of(const Problem& p) { return in_terms(p) ? kTermStep : stage_of(p); }
constexpr bool all_fit() {
  for (const Configuration& r : kConfigurations)
    if (!fits(r)) return false;
  return true;
}
static_assert(all_fit(), "a configuration does not fit: accumulators, stages or shared memory");

constexpr bool ping_pong(const Configuration& r) { return r.tm == r.bm; }
constexpr bool skinny(const Configuration& r) { return r.bn <= 32; }

// D is stored along its rows, so a column-major D is computed as the row-major D of the transposed product.  A skinny
// configuration lays the short side along n.
constexpr bool transposes(const Configuration& r, const Problem& p) {
  return skinny(r) ? p.m < p.n : p.d.column != 1 && p.d.row == 1;
}
constexpr Problem oriented(const Configuration& r, const Problem& p) { return transposes(r, p) ? transposed(p) : p; }
// Of an oriented problem only what selection needs for every configuration: a Problem is 500 bytes, and to transpose it
// each time took most of selection's time.
struct Extents {
  int64_t m, n, batch;
};
constexpr Extents extents_of(const Configuration& r, const Problem& p) {
  return transposes(r, p) ? Extents{p.n, p.m, p.batch} : Extents{p.m, p.n, p.batch};
}

constexpr Reason serves(const Device& d) {
  return d.vendor == Vendor::nvidia && d.target == 90 ? nullptr
                                                      : "it needs wgmma, which only Hopper GPUs have (sm_90a)";
}

constexpr bool reached(const Scale& s, int64_t x, int64_t k) {
  const int64_t blocks = ceil_div(k, kScaleBlock), last = s.x * x + s.k * blocks;
  return last < (int64_t{1} << 31) && s.x >= 0 && s.k >= 0;
}

constexpr Reason supports(const Problem& p, const Device& d) {
  if (Reason why = serves(d)) return why;
  if (p.type == DType::f32 && p.precision != Precision::tf32 && !in_terms(p))
    return "it multiplies float32 as tf32 or as bfloat16 terms only; pass precision=\"tf32\" or precision=\"bf16x3\"";
  const auto fnuz = [](DType t) { return t == DType::e4m3fnuz || t == DType::e5m2fnuz; };
  if (is_float8(p.type) && (fnuz(p.type) || fnuz(p.scaling.b_type)))
    return "NVIDIA tensor cores take float8_e4m3fn and float8_e5m2, not the fnuz formats";
  if (p.type == DType::e5m2 && p.scaling.b_type == DType::e5m2)
    return "it has no kernel for two float8_e5m2 operands; torch has none either";
  if (!(bit(p.type) & kAll)) return "wgmma does not multiply this type";
  if (Reason why = refused_result(p)) return why;
  if (is_float8(p.type) && !(reached(p.scaling.a, p.m, p.k) && reached(p.scaling.b, p.n, p.k)))
    return "the offsets of the scales do not fit in 32 bits";
  if (p.type == DType::u8 && p.out != DType::u8) return "its uint8 products have uint8 results only (modulo 256)";
  if (p.k == 0) return "k is 0, so there is nothing to load";
  constexpr int64_t most = (int64_t{1} << 31) - 1024;  // a pair's tile beyond the edge
  if (p.m >= most || p.n >= most || p.k >= most || p.batch >= most)
    return "an extent is too large for TMA, whose coordinates have 31 bits";
  if (in_terms(p))
    return 3 * p.batch >= most ? "an extent is too large for TMA, whose coordinates have 31 bits"
                               : terms::refused_operands(p);
  return packed(p) ? refused_copies(p) : nullptr;
}
// TMA may load a single row but not the same row among others.  batch_invariant promises one order of additions, so
// this folder then serves both.
constexpr Reason yields(const Problem& p, const Device& d) {
  if (p.batch_invariant || !packed(p) || packing_pays(p, d)) return nullptr;
  return "TMA cannot load the operands in their layout, and copying them first would take longer than it saves";
}

constexpr Reason refuses(const Configuration& r, const Problem& given, const Device& d) {
  if (!(r.types & bit(given.type))) return "it is not compiled for this type";
  if (given.type == DType::f32 && adds_terms(r) != in_terms(given))
    return adds_terms(r) ? terms::kNoTerms : "it multiplies float32 as tf32, and this call asks for bfloat16 terms";
  if (is_float8(given.type)) {
    const bool fast = given.scaling.fast && !given.scaling.blocks();
    if (promotes(r) && fast) return "it promotes partial sums to float32, which use_fast_accum=True makes unnecessary";
    if (!promotes(r) && !fast)
      return "it accumulates in reduced precision, which needs use_fast_accum=True and no block scales";
  }
  if (r.shared > d.shared_bytes) return "a block's stages do not fit in this device's shared memory";
  const bool t = transposes(r, given);
  const Extents p = extents_of(r, given);
  const Scale& columns = t ? given.scaling.a : given.scaling.b;
  if (promotes(r) && r.tm > 64 && given.scaling.blocks() && columns.group == 1 && columns.x != 0)
    return "it has too few registers for a scale per column and block of 128 along k";
  const bool along_k = t ? a_lies_along_k(given) : b_lies_along_k(given);  // the operand that has the columns
  if (r.bn % 64 != 0 && !along_k && !(t ? copy_of_a(given) : copy_of_b(given)).matrices)
    return "its tile width is not a multiple of 64, so B (if transposed: A) must be contiguous along k";
  if (skinny(r) && p.n > 2 * r.bn) return "it serves skinny results only, with few rows or few columns";
  const double tiles = double(ceil_div(p.m, r.bm)) * double(ceil_div(p.n, r.bn)) * double(p.batch);
  return tiles * kMaxSplits * 2 > double(kGridLimit) ? kTooManyTiles : nullptr;
}

// The two blocks of a pair share the larger operand's tile: each loads half of it for both.  If they share A, their
// tiles lie side by side in D, else one below the other.
constexpr bool shares_b(const Configuration& r) { return r.bn >= r.bm; }

struct Grid {
  int64_t rows, columns;  // of clusters; a cluster has one tile or two
  int cluster;
};
constexpr Grid grid_of(const Configuration& r, const Extents& p, int cluster) {
  const int64_t rows = ceil_div(p.m, r.bm), columns = ceil_div(p.n, r.bn);
  return {shares_b(r) ? ceil_div(rows, cluster) : rows, shares_b(r) ? columns : ceil_div(columns, cluster), cluster};
}
constexpr int64_t waves(int64_t tiles, int64_t sms) { return ceil_div(tiles, sms > 0 ? sms : 1); }

// Blocks of a cluster.  Pairs read half as much of the shared operand.  They do not pay where tiles are few, since L2
// keeps up anyway, nor where an odd tile's missing partner costs a wave.
constexpr int cluster_of(const Configuration& r, const Extents& p, int64_t ranges, int64_t sms) {
  const int64_t tiles = ceil_div(p.m, r.bm) * ceil_div(p.n, r.bn) * p.batch * ranges;
  const Grid pairs = grid_of(r, p, 2);
  const int64_t paired = 2 * pairs.rows * pairs.columns * p.batch * ranges;
  return tiles > sms / 2 && sms % 2 == 0 && waves(paired, sms) == waves(tiles, sms) && paired < tiles + tiles / 8 ? 2
                                                                                                                  : 1;
}

constexpr int64_t tiles_of(const Configuration& r, const Extents& p) {
  return ceil_div(p.m, r.bm) * ceil_div(p.n, r.bn) * p.batch;
}

constexpr int64_t workspace(const Problem& p) { return in_terms(p) ? terms::workspace(p) : packed_bytes(p); }
constexpr bool separate_epilogue(const Problem&) { return false; }
// Columns that a warp stores at a time, 16 rows of them.  A partial sum of columns covers such a part.
constexpr int out_of(int bn) { return bn % 64 == 0 ? 64 : bn % 32 == 0 ? 32 : 16; }
constexpr int part_rows(const Configuration& r, const Problem& p) { return transposes(r, p) ? out_of(r.bn) : 16; }
constexpr int splits(const Configuration& r, const Problem& p, const Device& d) {
  return p.batch_invariant ? 1 : splits_of(tiles_of(r, extents_of(r, p)), ceil_div(p.k, step_of(p)), d.sm_count);
}

// Cycles in which the blocks of a cluster add the ranges of a tile (ranges.cuh): two cluster barriers, and the
// accumulators of one tile for each block at about 16 bytes a cycle and SM, the rate between SMs.
constexpr int kMostInside = 8;  // blocks of a cluster, on any device
constexpr double inside_cost(int bm, int bn) { return 800 + double(bm) * bn * 4 / 16; }
// Whether that can be less than through global memory, for as many tiles as SMs: only for tiles up to 64x128.
constexpr bool gathers(int bm, int bn) { return inside_cost(bm, bn) < split_cost(2, double(bm) * bn / 2, 1); }
// Clusters that run at once.  A cluster stays within a group of 18 SMs; the last group may be smaller.
constexpr int64_t clusters_at_once(int blocks, int sms) { return sms / 18 * (18 / blocks) + sms % 18 / blocks; }
constexpr bool inside(const Configuration& r, const Problem& given, int ranges, int sms) {
  const Extents p = extents_of(r, given);
  const double elements = double(p.m) * double(p.n) * double(p.batch);
  return gathers(r.bm, r.bn) && ranges > 1 && ranges <= kMostInside &&
         tiles_of(r, p) <= clusters_at_once(ranges, sms) && given.epilogue.sums == Sums::none &&
         inside_cost(r.bm, r.bn) < split_cost(ranges, elements, sms);
}

// Bytes that memory moves: both operands, as they are multiplied, and D.
constexpr double moved(const Problem& p) {
  const double a = double(p.m) * (p.a.batch == 0 ? 1 : double(p.batch));
  const double b = double(p.n) * (p.b.batch == 0 ? 1 : double(p.batch));
  const double in = in_terms(p) ? 2.0 * terms::terms_of(p.precision) : bytes(p.type);
  return (a + b) * double(p.k) * in + double(p.m) * double(p.n) * double(p.batch) * bytes(p.out);
}

// Modelled cycles (docs/hopper.md) for one SM's share of the tiles.  A step of k takes the slowest of these, and an
// eighth of the others: tensor cores (2048 multiply-adds of 16 bits a cycle, of which 0.96 are reached; as many bytes
// of other types), shared memory (128 bytes a cycle; A is read again for each 64 rows) and L2 (64 bytes a cycle and SM,
// 6154 for all).  Promotion is an addition for each accumulator, 128 a cycle; half of them hide behind the other
// warpgroup's products.  Terms are two for each accumulator of two stages, after a pass over the operands.  D is stored
// at 4.3e12 bytes a second, partly behind the next tile's multiplication with ping-pong.  No product is faster than
// memory, which loads each operand once and stores D.  Copies of operands come before all this.
constexpr double cost(const Configuration& r, const Problem& given, const Device& d) {
  const Extents p = extents_of(r, given);
  const int ranges = splits(r, given, d);
  const double sms = d.sm_count > 0 ? d.sm_count : 1;
  const bool in_cluster = inside(r, given, ranges, d.sm_count);
  const int cluster = in_cluster ? 1 : cluster_of(r, p, ranges, d.sm_count);
  const Grid grid = grid_of(r, p, cluster);
  const double tiles = double(grid.rows) * double(grid.columns) * cluster * double(p.batch) * ranges;
  const double busy = tiles < sms ? tiles : sms;
  const double rate = 6154 / busy < 64 ? 6154 / busy : 64;
  const double shared_rows = shares_b(r) ? r.bm + double(r.bn) / cluster : double(r.bm) / cluster + r.bn;
  const double turns = double(waves(static_cast<int64_t>(tiles), d.sm_count));
  // One warpgroup alone does not quite fill the tensor cores: nothing hides its waits.
  const double alone = ping_pong(r) && turns == 1 ? 1.05 : 1;
  const double mma = double(r.bm) * r.bn * r.bk / 2048 / 0.96 * alone;
  const double smem = (r.bm / 64.0) * (r.bk / 16.0) * (2048 + 32.0 * r.bn) / 128;
  const double l2 = shared_rows * r.bk * 2 / rate;
  const double promotion = promotes(r) || adds_terms(r) ? double(r.bm) * r.bn / 128 / 2 : 0;
  const double stage = together(mma, smem, l2) + promotion;
  const double products = adds_terms(r) ? term_products(given.precision) : 1;
  const double stages =
      double(ceil_div(ceil_div(given.k, step_of(given)), ranges)) * step_of(given) / stage_of(given) * products;
  const double store = r.bm * r.bn * double(bytes(given.out)) * sms / kMemory;
  const double exposed = ping_pong(r) && turns > 1 ? store / 2 : store;
  // 1200 cycles to start, 600 to fill the ring.  Between tiles cooperative consumers wait for their first products.
  const double elements = double(p.m) * double(p.n) * double(p.batch);
  const double adding = in_cluster ? inside_cost(r.bm, r.bn) : split_cost(ranges, elements, sms);
  const double multiplying = turns * (stages * stage + (ping_pong(r) ? 40 : 200)) + exposed + adding;
  const double memory = moved(given) / kMemory;
  const double longer = multiplying > memory ? multiplying : memory;
  return 1800 + longer + (multiplying + memory - longer) / 8 +
         (adds_terms(r) ? 3000 + terms::division_cost(given, sms) : packing_cost(given));
}

// Runs one configuration; returns 0 or the runtime's error code.
int launch(int row, const Problem&, const Data&, Stream);

}  // namespace gpukern::gemm::wgmma
