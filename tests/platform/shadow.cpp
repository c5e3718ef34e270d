// Shadow (csrc/platform/model/shadow.h) beside a plain array with a cell for every byte.
#include "platform/model/shadow.h"

#include <cstdint>

namespace {

struct Cell {
  uint32_t last = 0, times = 0;
};
void touch(Cell& cell, uint32_t by) { cell = {by, cell.last == by ? cell.times : cell.times + 1}; }

}  // namespace

// How many bytes are not what the array has, after accesses of random places, sizes and makers.
extern "C" __attribute__((visibility("default"))) int shadow_differs(uint32_t seed, int bytes, int first,
                                                                     int accesses) {
  gpukern::model::Shadow<Cell> lines;
  lines.start(bytes / 2, first);
  lines.grow(bytes);
  std::vector<Cell> each(bytes);
  const auto random = [&](uint32_t below) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
  };
  for (int n = 0; n < accesses; ++n) {
    const uint32_t size = 1u << random(6), somewhere = random(bytes - size + 1), by = random(3);
    const uint32_t from = random(4) ? somewhere / size * size : somewhere;
    lines.each(from, size, [&](Cell& cell, size_t) { touch(cell, by); });
    for (uint32_t i = from; i < from + size; ++i) touch(each[i], by);
  }
  int different = 0;
  for (int i = 0; i < bytes; ++i)
    lines.each(i, 1, [&](const Cell& cell, size_t at) {
      different += at != size_t(i) || cell.last != each[i].last || cell.times != each[i].times;
    });
  return different;
}
