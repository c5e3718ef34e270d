// The order of the tiles, and how many go into one launch.
//
// Blocks take tiles in bands of kBand rows, column by column, so that the blocks that run together share both the rows
// of A and the columns of B in L2: with 132 blocks in flight and 128x128 tiles a band of 8 reads 8 + 17 tiles a step of
// k where plain row order reads 1 + 132.
#pragma once
#include <cstdint>

#include "../core/index.h"

namespace gpukern::gemm {

constexpr int kBand = 8;
constexpr int64_t kGridLimit = 2147483647;  // blocks along x; y and z end at 65,535 and are not used

template <class I> struct TileIndexOf {
  I batch, row, column;
};
using TileIndex = TileIndexOf<int64_t>;

// The `index`-th tile of batch x rows x columns tiles.  In 32 bits if these suffice: a 64-bit division is expensive.
template <class I> constexpr TileIndexOf<I> tile_in_bands(I index, I rows, I columns) {
  const I per_batch = rows * columns;
  const I batch = index / per_batch;
  index -= batch * per_batch;
  const I band = index / (I{kBand} * columns);
  const I first = band * I{kBand};
  const I height = rows - first < I{kBand} ? rows - first : I{kBand};
  index -= first * columns;
  return {batch, first + index % height, index / height};
}
constexpr TileIndex tile_at(int64_t index, int64_t rows, int64_t columns) {
  return tile_in_bands<int64_t>(index, rows, columns);
}

// Matrices for one launch when each has `tiles` tiles; 0 if not even one fits.
constexpr int64_t batches_per_launch(int64_t tiles) {
  return tiles > kGridLimit ? 0 : kGridLimit / (tiles > 0 ? tiles : 1);
}

// Modelled cycles of three things that overlap: the slowest, and an eighth of the others, which does not hide behind
// it.
constexpr double together(double a, double b, double c) {
  const double slowest = a > b ? (a > c ? a : c) : (b > c ? b : c);
  return slowest + (a + b + c - slowest) / 8;
}

// ---- k split over several blocks ----------------------------------------------------------------
// Each block has a range of k and writes partial sums; split/ adds them in the order of the ranges, so the result is
// the same on every run.  It costs 8 bytes of traffic for each range of an element of D, and one more launch.

constexpr int kMaxSplits = 64;
constexpr int kLeastSteps = 8;  // tiles of k; with fewer a block's start and epilogue cost more than it saves

// Ranges for a product of `tiles` tiles, `steps` tiles of k deep, on a device that runs `slots` blocks at a time.
constexpr int splits_of(int64_t tiles, int64_t steps, int64_t slots) {
  if (tiles <= 0 || tiles * 2 > slots) return 1;
  const int64_t most = steps / kLeastSteps, wanted = slots / tiles;
  const int64_t n = wanted < most ? wanted : most;
  return static_cast<int>(n < 1 ? 1 : n > kMaxSplits ? kMaxSplits : n);
}

struct Range {
  int64_t first, end;
};
// The `index`-th of `splits` ranges of k, each a multiple of `step` but for the last.
constexpr Range range_of(int64_t k, int64_t step, int splits, int index) {
  const int64_t each = ceil_div(ceil_div(k, step), splits) * step;
  const int64_t first = each * index < k ? each * index : k;
  return {first, first + each < k ? first + each : k};
}

// Cycles of one SM: writing and reading the partial sums at about 46 bytes a cycle and SM, and the launch.
constexpr double split_cost(int splits, double elements, double sms) {
  return splits == 1 ? 0 : 2000 + 8.0 * splits * elements / (46.0 * sms);
}

}  // namespace gpukern::gemm
