// The GPU kernels of one family (GPUKERN_FAMILY), and the launcher that finds them.
#define GPUKERN_STRING_(x) #x
#define GPUKERN_STRING(x) GPUKERN_STRING_(x)
// clang-format off
#define GPUKERN_PATH_(x) ../formulas/ops/x.h
// clang-format on
#define GPUKERN_PATH(x) GPUKERN_STRING(GPUKERN_PATH_(x))
#include GPUKERN_PATH(GPUKERN_FAMILY)

#include "kernel.cuh"

#define GPUKERN_LAUNCH__(family) launch_##family
#define GPUKERN_LAUNCH_(family) GPUKERN_LAUNCH__(family)

GPUKERN_ELEMENTWISE_BEGIN

int GPUKERN_LAUNCH_(GPUKERN_FAMILY)(const Call& call, const Device& device, Stream stream) {
  static const KernelTable<GPUKERN_FAMILY::Ops> table;
  return for_slices(call, kIndexLimit, [&](const Call& slice) { return table.launch(slice, device, stream); });
}

GPUKERN_ELEMENTWISE_END
