// The words that every GPU has.
#include "harness.h"

namespace gpukern::conformance {
namespace {

GPUKERN_CASE(shfl_xor, 1, 64, 0) {
  const int t = static_cast<int>(threadIdx.x);
  for (int lanes = 1, k = 0; lanes < 32; lanes *= 2, ++k) output[k * 64 + t] = shfl_xor(input[t], lanes);
}

}  // namespace
}  // namespace gpukern::conformance
