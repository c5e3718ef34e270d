// The sums of tensor cores (model/cut_sums.h) behind a C function, for test_sums.py.
#include "platform/model/cut_sums.h"

using namespace gpukern::model;

namespace {
template <Cut How> void add(int way, int m, int k, const float* left, const float* right, float* sums) {
  if (way == 4) return cut::add<cut::Four, How>(m, 8, k, left, k, 1, right, sums);
  if (way == 8) return cut::add<cut::Eight, How>(m, 8, k, left, k, 1, right, sums);
  add_cut<How>(m, 8, k, left, k, 1, right, sums);
}
}  // namespace

// which: of the cuts; way: how many at once, 0: as this CPU has it; k: a multiple of the cut's block.
// left: [m][k]; right: [k][8]; sums: [m][8].
extern "C" __attribute__((visibility("default"))) void add_sums(int which, int way, int m, int k, const float* left,
                                                                const float* right, float* sums) {
  switch (which) {
    case 0: return add<kHopperCut16>(way, m, k, left, right, sums);
    case 1: return add<kHopperCut32>(way, m, k, left, right, sums);
    case 2: return add<kAmpereCut16>(way, m, k, left, right, sums);
    case 3: return add<kAmpereCut32>(way, m, k, left, right, sums);
    default: return add<kCut8>(way, m, k, left, right, sums);
  }
}
