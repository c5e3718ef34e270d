// The order of the tiles, and how many go into one launch.
//
// Blocks take tiles in bands of kBand rows, column by column, so that the blocks that run together share both the rows
// of A and the columns of B in L2: with 132 blocks in flight and 128x128 tiles a band of 8 reads 8 + 17 tiles a step of
// k where plain row order reads 1 + 132.
#pragma once
#include <cstdint>

namespace gpukern::gemm {

constexpr int64_t kBand = 8;
constexpr int64_t kGridLimit = 2147483647;  // blocks along x; y and z end at 65,535 and are not used

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct TileIndex {
  int64_t batch, row, column;
};

// The `index`-th tile of batch x rows x columns tiles.
constexpr TileIndex tile_at(int64_t index, int64_t rows, int64_t columns) {
  const int64_t per_batch = rows * columns;
  const int64_t batch = index / per_batch;
  index -= batch * per_batch;
  const int64_t band = index / (kBand * columns);
  const int64_t first = band * kBand;
  const int64_t height = rows - first < kBand ? rows - first : kBand;
  index -= first * columns;
  return {batch, first + index % height, index / height};
}

// Matrices that one launch takes when each has `tiles` tiles; 0 where not even one fits.
constexpr int64_t batches_per_launch(int64_t tiles) {
  return tiles > kGridLimit ? 0 : kGridLimit / (tiles > 0 ? tiles : 1);
}

}  // namespace gpukern::gemm
