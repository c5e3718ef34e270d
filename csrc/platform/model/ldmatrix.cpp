// ldmatrix and stmatrix, according to the PTX ISA.
#include "ldmatrix.h"

#include <cstring>

#include "fragments.h"
#include "memory.h"

namespace gpukern::model {
namespace {

struct MatrixLane {
  uint32_t* registers;
  char* row;  // null in lanes whose address is ignored
};

// Lane 8 j + i gives the address of row i of matrix j; the addresses of further lanes are ignored.
char* row_of_lane(int count, uint32_t address, Kind kind, Place at) {
  need_a_warp_of_32(at);
  if (self().number % 32 >= 8 * count) return nullptr;
  char* const row = shared_pointer(address, 16, 16, at);
  access(row, 16, kind, at);
  return row;
}

template <class Move> void for_halves(int count, bool transposed, void* const* lanes, Move move) {
  for (int j = 0; j < count; ++j)
    for (int lane = 0; lane < 32; ++lane)
      for (int half = 0; half < 2; ++half) {
        const Element at = matrix_8x8(lane, half, transposed);
        uint32_t* const value = static_cast<const MatrixLane*>(lanes[lane])->registers + j;
        move(reinterpret_cast<char*>(value) + 2 * half,
             static_cast<const MatrixLane*>(lanes[8 * j + at.row])->row + 2 * at.column);
      }
}

}  // namespace

void load_matrices(uint32_t* registers, int count, uint32_t address, bool transposed, Place at) {
  MatrixLane me{registers, row_of_lane(count, address, Kind::read, at)};
  collective(full_mask(), &me, at, [=](void* const* lanes) {
    for_halves(count, transposed, lanes, [](char* value, const char* element) { std::memcpy(value, element, 2); });
  });
}

void store_matrices(const uint32_t* registers, int count, uint32_t address, bool transposed, Place at) {
  uint32_t values[4];
  std::copy(registers, registers + count, values);
  MatrixLane me{values, row_of_lane(count, address, Kind::write, at)};
  collective(full_mask(), &me, at, [=](void* const* lanes) {
    for_halves(count, transposed, lanes, [](const char* value, char* element) { std::memcpy(element, value, 2); });
  });
}

}  // namespace gpukern::model
