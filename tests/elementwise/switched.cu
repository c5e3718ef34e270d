// One op under the machine model, compiled from a tree that has many faults, one of which is on at a time
// (tests/gemm/mutants/switched.py).
#include "formulas/ops/arithmetic.h"

#include "elementwise/kernel.cuh"

GPUKERN_ELEMENTWISE_BEGIN
int launch_arithmetic(const Call& call, const Device& device, Stream stream) {
  static const KernelTable<List<arithmetic::Add>> table;
  const int64_t limit = call.scalar[0] == 2 ? 97 : kIndexLimit;  // slices where the sum is with twice the second
  return for_slices(call, limit, [&](const Call& slice) { return table.launch(slice, device, stream); });
}
GPUKERN_ELEMENTWISE_END
