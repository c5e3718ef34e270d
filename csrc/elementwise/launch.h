// The arguments of an elementwise launch: plain data, from a TensorIterator (gpu_path.cpp) or a test.
#pragma once
#include <cstdint>

#include "../formulas/op.h"
#include "../formulas/ops/families.h"
#include "../platform/device.h"

GPUKERN_ELEMENTWISE_BEGIN

constexpr int kMaxDims = 8;
constexpr int kMaxRead = 1 + kMaxInputs;  // a gradient reads g and the inputs

struct Operand {
  void* data;
  DType dtype;
  int64_t stride[kMaxDims];  // bytes; 0 if broadcast
};

struct Call {
  int family, op, variant;  // indices in the catalogue; op.h numbers the variants
  Compute compute;
  int ndim, inputs;
  int64_t shape[kMaxDims];  // innermost first; neighbouring dimensions are merged where all operands allow it
  Operand out, in[kMaxRead];
  double scalar[kMaxScalars];    // Compute::f32 and f64
  int64_t iscalar[kMaxScalars];  // Compute::i64
};

// One per family: launches one variant of one of its ops on a stream; 0, or the runtime's error.
#define GPUKERN_DECLARE_LAUNCH(family) int launch_##family(const Call&, const Device&, Stream);
GPUKERN_FAMILIES(GPUKERN_DECLARE_LAUNCH)
#undef GPUKERN_DECLARE_LAUNCH

GPUKERN_ELEMENTWISE_END
