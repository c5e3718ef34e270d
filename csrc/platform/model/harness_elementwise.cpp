// Elementwise kernels under the model.
#include "../../elementwise/plan.h"
#include "harness.h"

using namespace gpukern;
namespace ew = elementwise;

namespace {

Device device_with(int processors, int wave) {
  Device d;
  d.vendor = wave == 64 ? Vendor::amd : Vendor::nvidia;
  d.target = wave == 64 ? 0x942 : 90;
  d.sm_count = processors;
  d.shared_bytes = wave == 64 ? 64 * 1024 : 227 * 1024;
  d.wave = wave;
  return d;
}

ew::Call elementwise_call(const int* which, const int64_t* shape, void* const* data, const int* dtypes,
                          const int64_t* strides, const double* scalars, const int64_t* whole_scalars) {
  ew::Call call{};
  call.family = which[0];
  call.op = which[1];
  call.variant = which[2];
  call.compute = static_cast<ew::Compute>(which[3]);
  call.ndim = which[4];
  call.inputs = which[5];
  for (int d = 0; d < call.ndim; ++d) call.shape[d] = shape[d];
  for (int k = 0; k <= call.inputs; ++k) {
    ew::Operand& x = k == 0 ? call.out : call.in[k - 1];
    x.data = data[k];
    x.dtype = static_cast<gpukern::DType>(dtypes[k]);
    for (int d = 0; d < call.ndim; ++d) x.stride[d] = strides[k * ew::kMaxDims + d];
  }
  for (int s = 0; s < ew::kMaxScalars; ++s) {
    call.scalar[s] = scalars[s];
    call.iscalar[s] = whole_scalars[s];
  }
  return call;
}

}  // namespace

// which: family, index in it, variant, compute type, dimensions, inputs, processors, most elements of a slice (0:
// 2^31).  operands: the output, then the inputs, each with kMaxDims strides in bytes; shape and strides innermost
// first.
GPUKERN_EXPORT const char* gpukern_model_elementwise(const int* which, const int64_t* shape, void* const* data,
                                                     const int* dtypes, const int64_t* strides, const double* scalars,
                                                     const int64_t* whole_scalars) {
  const ew::Call call = elementwise_call(which, shape, data, dtypes, strides, scalars, whole_scalars);
  using Launch = int (*)(const ew::Call&, const Device&, Stream);
#define GPUKERN_LAUNCH(family) &ew::launch_##family,
  static constexpr Launch families[] = {GPUKERN_FAMILIES(GPUKERN_LAUNCH)};
#undef GPUKERN_LAUNCH
  const Device device = device_with(which[6], model::settings().wave);
  const int64_t limit = which[7] ? which[7] : ew::kIndexLimit;
  return model::answer(ew::for_slices(
      call, limit, [&](const ew::Call& slice) { return families[call.family](slice, device, nullptr); }));
}

// The plan of the same call: path, unroll, lead, threads, blocks, count, then width and across of each operand.
GPUKERN_EXPORT void gpukern_model_plan(const int* which, const int64_t* shape, void* const* data, const int* dtypes,
                                       const int64_t* strides, int conditions, int64_t* found) {
  const double none[ew::kMaxScalars] = {};
  const int64_t no_whole[ew::kMaxScalars] = {};
  const ew::Call call = elementwise_call(which, shape, data, dtypes, strides, none, no_whole);
  const ew::Plan p = ew::make_plan(call, device_with(which[6], model::settings().wave), conditions, true);
  const int64_t facts[] = {static_cast<int64_t>(p.path), p.unroll, p.lead, p.threads, p.blocks, p.count};
  for (const int64_t fact : facts) *found++ = fact;
  for (int k = 0; k <= call.inputs; ++k) {
    *found++ = p.part[k].width;
    *found++ = p.part[k].across;
  }
}

GPUKERN_EXPORT uint32_t gpukern_model_divide(uint32_t divisor, uint32_t n) {
  return gpukern::Divider(divisor).quotient(n);
}
