// The sums of tensor cores (model/cut_sums.h) behind a C function, for test_sums.py.
#include "platform/model/cut_sums.h"

using namespace gpukern::model;

// which: of the cuts; k: a multiple of its block.  left: [k]; right: [k][8]; sums: [8].
extern "C" __attribute__((visibility("default"))) void add_sums(int which, int k, const float* left, const float* right,
                                                                float* sums) {
  switch (which) {
    case 0: return add_cut<kHopperCut16>(8, k, left, 1, right, 8, sums);
    case 1: return add_cut<kHopperCut32>(8, k, left, 1, right, 8, sums);
    case 2: return add_cut<kAmpereCut16>(8, k, left, 1, right, 8, sums);
    case 3: return add_cut<kAmpereCut32>(8, k, left, 1, right, 8, sums);
    default: return add_cut<kCut8>(8, k, left, 1, right, 8, sums);
  }
}
