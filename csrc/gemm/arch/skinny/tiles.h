// skinny: products with a side of at most 8, D = W x for 1 to 8 vectors x, on the ordinary cores of any GPU.
//
// Such a product reads every element of W once and does little with it, so configurations differ in how they read W:
//   r1, r8   threads side by side along k: for a W whose rows lie along memory (the weights of a linear layer)
//   c1, c8   threads side by side along W's rows: for a W whose columns do (x @ W, or a transposed matrix)
// r1 and c1: one vector, any type.  r8 and c8: up to 8 vectors, the types of networks.  A W without a unit stride is
// read element by element, by the form that reads nearer elements together.
//
// Predicted, not measured.  An H200 moves 4.26 TB/s of 4.8 in the best published kernel for this problem; that takes 25
// to 48 KB in flight on each processor (Little's law with 0.7 to 1.3 us).  In 16-bit types r1 holds 3 blocks of 256
// threads with 64 bytes in flight each, and more only while the first of them arrive (nvcc loads the next four packets
// after the first multiply-adds): 48 KB; c1 3 with up to 128: 96 KB; r8 2 with 64 to 128: 32 to 64 KB; c8 2 with 64:
// 32 KB.  Of what a copy reaches, for one vector in 16 bits:
//   57344 x 7168   by rows     3584 blocks, 9 turns of the device                                   0.97   4.1 TB/s
//   57344 x 7168   by columns   448 blocks, 256 bytes side by side, a second turn with few of them   0.87   3.7 TB/s
//   7168 x 16384   by rows      896 blocks, 2.3 turns, the last one uneven                           0.85   3.6 TB/s
//   7168 x 16384   by columns   224 blocks, k in two ranges of other blocks: not reckoned; with one  0.70   3.0 TB/s
#pragma once
#include "../../refusals.h"

namespace gpukern::gemm::skinny {

constexpr const char* kName = "skinny";
constexpr int kThreads = 256;
constexpr int kMost = 8;  // vectors: from 9 on a matrix unit's smallest tile (16) is more than half used
// Rows of W that a thread multiplies at a time: 64 bytes in flight, and a value of x is loaded once for four rows.
constexpr int kRowsEach = 4;
constexpr unsigned kAll = kSingle | kDouble | kWhole;

enum class Form { rows, columns };

// clang-format off
//      id   types  form     vectors
#define GPUKERN_SKINNY_TILES(ROW)   \
    ROW(r1,  kAll,     rows,    1)  \
    ROW(r8,  kSingle,  rows,    8)  \
    ROW(c1,  kAll,     columns, 1)  \
    ROW(c8,  kSingle,  columns, 8)
// clang-format on

// ---- how a block's threads lie on W ---------------------------------------------------------------------------------

// The product with its long side along m: W is A, m x k, and the vectors are B, k x n.
constexpr bool transposes(const Problem& p) { return p.m < p.n; }
constexpr Problem upright(const Problem& p) { return transposes(p) ? transposed(p) : p; }

// Elements of a packet: 16 bytes, but 8 elements at most, because by columns each is a sum for each of 8 vectors: 64
// registers.
constexpr int width_of(DType t) { return bytes(t) > 1 ? 16 / bytes(t) : 8; }
constexpr int packet_bytes(DType t) { return width_of(t) * bytes(t); }

// Whether a matrix can be read by packets along a unit stride.
constexpr bool in_packets(DType t, const Layout& l, int64_t along) { return along == 1 && l.align >= packet_bytes(t); }
// By rows x is read by packets too.
constexpr bool row_packets(const Problem& p) {
  return in_packets(p.type, p.a, p.a.column) && in_packets(p.type, p.b, p.b.row);
}
constexpr bool column_packets(const Problem& p) { return in_packets(p.type, p.a, p.a.row); }

// Blocks that fill the largest devices: by rows four for each of 132 SMs; by columns two, since a thread has more bytes
// in flight and a narrower block would read shorter runs of memory.
constexpr int kRowBlocks = 528, kColumnBlocks = 264;

constexpr int64_t row_tile(int threads) { return kThreads / threads * kRowsEach; }
constexpr int64_t column_tile(DType t, int across) { return across * width_of(t); }
constexpr bool too_few(const Problem& p, int64_t tile, int blocks) {
  return double(ceil_div(p.m, tile)) * double(p.batch) < blocks;
}

// Threads that share four rows of W: enough for one packet of k each, from 8 (128 bytes, a cache line) to 64; up to 256
// if there are too few blocks and each thread still has two packets.  The problem alone decides, so that additions have
// the same order on every device with the same warp size.
constexpr int row_threads(const Problem& p) {
  const int64_t each = row_packets(p) ? width_of(p.type) : 4;
  int threads = 8;
  while (threads < 64 && p.k > threads * each) threads *= 2;
  while (threads < kThreads && too_few(p, row_tile(threads), kRowBlocks) && p.k > 2 * threads * each) threads *= 2;
  return threads;
}

// Threads side by side along W's rows; the others share k.  A warp reads 512 contiguous bytes.  If there are too few
// blocks, and k is long enough to be shared by more threads, it reads down to 64, which memory delivers at once.
constexpr int column_lanes(const Problem& p) {
  int lanes = 32;
  while (lanes > 4 && too_few(p, column_tile(p.type, lanes), kColumnBlocks) && p.k > 8 * (kThreads / lanes)) lanes /= 2;
  return lanes;
}

constexpr int64_t tiles_of(Form form, const Problem& p) {
  return ceil_div(p.m, form == Form::rows ? row_tile(row_threads(p)) : column_tile(p.type, column_lanes(p)));
}

// The k that a block takes at a time: ranges of k are multiples of it.
constexpr int depth_of(Form form, const Problem& p) {
  return form == Form::rows ? row_threads(p) * width_of(p.type) : kThreads / column_lanes(p);
}

// ---- the table ------------------------------------------------------------------------------------------------------

// Rows: the sums of each group of lanes.  Columns: two buffers of all threads' sums for one vector.
constexpr int64_t shared_bytes(Form form, int vectors) {
  return form == Form::rows ? kThreads / 8 * kRowsEach * vectors * 8 : 2 * kThreads * 8 * 4;
}

// Tile: a block's part of the long side at most, vectors, threads that share k at least.
#define GPUKERN_CONFIGURATION(ID, TYPES, FORM, VECTORS)                                  \
  Configuration{#ID,     TYPES,    Form::FORM == Form::rows ? int(row_tile(8)) : 32 * 8, \
                VECTORS, 8,        Form::FORM == Form::rows ? kRowsEach : 8,             \
                VECTORS, kThreads, shared_bytes(Form::FORM, VECTORS)},
inline constexpr Configuration kConfigurations[] = {GPUKERN_SKINNY_TILES(GPUKERN_CONFIGURATION)};
#undef GPUKERN_CONFIGURATION
constexpr int kCount = sizeof(kConfigurations) / sizeof(Configuration);

constexpr Form form_of(const Configuration& r) { return r.tm == kRowsEach ? Form::rows : Form::columns; }

constexpr Reason serves(const Device& d) {
  return d.vendor == Vendor::host ? "it runs on GPUs, and this device is the CPU" : nullptr;
}

constexpr Reason supports(const Problem& p, const Device& d) {
  if (Reason why = serves(d)) return why;
  if (is_float8(p.type)) return "it has no float8 kernel; tiled kernels serve scaled products of any shape";
  if (bit(p.type) & kComplex) return "it has no complex kernel; tiled kernels serve complex products of any shape";
  const int64_t vectors = p.m < p.n ? p.m : p.n;
  if (Reason why = refused_result(p)) return why;
  if (p.batch_invariant)
    return "batch_invariant=True rules it out: it sums in another order than kernels for more rows";
  if (vectors > 1 && !(bit(p.type) & kSingle))
    return "it multiplies this type by one vector only; this product has more";
  if (vectors > kMost)
    return "it serves results of at most 8 rows or columns; for larger ones tiled kernels reuse each load more";
  if ((p.m > p.n ? p.m : p.n) / row_tile(kThreads) > kGridLimit) return kTooManyTiles;
  return nullptr;
}

constexpr Reason refuses(const Configuration& r, const Problem& p, const Device& d) {
  if (!(r.types & bit(p.type))) return "it is not compiled for this type";
  if ((p.m < p.n ? p.m : p.n) > r.bn) return "it multiplies by one vector only; this product has more";
  if (r.shared > d.shared_bytes) return "a block's partial sums do not fit in this device's shared memory";
  return nullptr;
}

constexpr Reason yields(const Problem&, const Device&) { return nullptr; }
constexpr Traits traits(const Configuration& r) {
  const bool by_rows = form_of(r) == Form::rows;
  return {.precisions = bit(Precision::strict),
          .multiplier = by_rows ? "multiply-add along rows" : "multiply-add along columns",
          .clock = kClock,
          .vectors = r.bn};
}
constexpr bool inside(const Configuration&, const Problem&, int, int) { return false; }
constexpr int64_t workspace(const Problem&) { return 0; }
constexpr bool separate_epilogue(const Problem& p) { return needs_separate_epilogue(p); }
constexpr int part_rows(const Configuration&, const Problem&) { return 0; }
constexpr int splits(const Configuration& r, const Problem& given, const Device& d) {
  const Problem p = upright(given);
  const Form form = form_of(r);
  return splits_of(tiles_of(form, p) * p.batch, ceil_div(p.k, depth_of(form, p)), 4 * d.sm_count);
}

// Modelled cycles: loading W, at 19 bytes a cycle and SM (4.3 TB/s on 132 SMs at 1.7 GHz), and 2000 cycles for each
// wave of blocks to start, wait for memory and add up.  If neighbouring threads do not load neighbouring elements, each
// loads a sector of 32 bytes; single elements cost about a third more than packets.
constexpr double cost(const Configuration& r, const Problem& given, const Device& d) {
  const Problem p = upright(given);
  const Form form = form_of(r);
  const double sms = d.sm_count > 0 ? d.sm_count : 1, size = bytes(p.type);
  const int64_t stride = form == Form::rows ? p.a.column : p.a.row;
  const double apart = stride < 0 ? -double(stride) : double(stride), most = 32 / size;
  const double waste = apart < 1 ? 1 : apart < most ? apart : most;
  const double single = (form == Form::rows ? row_packets(p) : column_packets(p)) ? 1 : 1.3;
  const double read = double(p.m) * double(p.k) * double(p.batch) * size * waste * single / (19 * sms);
  const int ranges = splits(r, given, d);
  const double turns = double(tiles_of(form, p)) * double(p.batch) * ranges / (4 * sms);
  const double idle = r.bn > p.n ? 1.01 : 1;  // a configuration for more vectors has fewer threads on an SM
  return (read + 2000 * (turns > 1 ? turns : 1)) * idle +
         split_cost(ranges, double(p.m) * double(p.n) * double(p.batch), sms);
}

// Runs one configuration; returns 0 or the runtime's error code.
int launch(int row, const Problem&, const Data&, Stream);

}  // namespace gpukern::gemm::skinny
