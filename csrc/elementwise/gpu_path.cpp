#include "gpu_path.h"

#include "gpukern_built.h"

#ifndef GPUKERN_BUILT_elementwise
#define GPUKERN_BUILT_elementwise 0
#endif

#if GPUKERN_BUILT_elementwise
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "../core/scalar_type.h"
#include "../formulas/ops/families.h"
#include "../platform/device.h"
#include "launch.h"
#endif

namespace gpukern::elementwise::gpu_path {

#if GPUKERN_BUILT_elementwise

bool serves(c10::Device device) { return device.is_cuda(); }

namespace {

int launch(const Call& call, const Device& device, Stream stream) {
  using Launch = int (*)(const Call&, const Device&, Stream);
#define GPUKERN_LAUNCH(family) &launch_##family,
  static constexpr Launch families[] = {GPUKERN_FAMILIES(GPUKERN_LAUNCH)};
#undef GPUKERN_LAUNCH
  return families[call.family](call, device, stream);
}

// Loops over the iterator's dimensions beyond kMaxDims, outermost last.
void launch_slices(const Call& call, at::TensorIteratorBase& iter, const Device& device, Stream stream) {
  const int extra = std::max(0, iter.ndim() - kMaxDims);
  std::vector<int64_t> index(extra, 0);
  for (bool more = true; more;) {
    Call slice = call;
    for (int d = 0; d < extra; ++d) {
      const int dim = kMaxDims + d;
      slice.out.data = static_cast<char*>(slice.out.data) + index[d] * iter.strides(0)[dim];
      for (int k = 0; k < call.inputs; ++k)
        slice.in[k].data = static_cast<char*>(slice.in[k].data) + index[d] * iter.strides(k + 1)[dim];
    }
    const int error = launch(slice, device, stream);
    TORCH_CHECK(error == 0, "gpukern: launching an elementwise kernel failed: ", platform::error_string(error));
    more = false;
    for (int d = 0; d < extra && !more; ++d) {
      more = ++index[d] < iter.shape()[kMaxDims + d];
      if (!more) index[d] = 0;
    }
  }
}

}  // namespace

void run(at::TensorIteratorBase& iter, const Op& op, int variant, Compute compute, const double* f64,
         const int64_t* i64) {
  const c10::Device where = iter.device(0);
  const c10::DeviceGuard guard(where);
  const c10::impl::VirtualGuardImpl impl(where.type());
  const Stream stream = impl.getStream(where).native_handle();
  Call call{};
  call.family = op.family;
  call.op = op.index;
  call.variant = variant;
  call.compute = compute;
  call.ndim = std::min(iter.ndim(), kMaxDims);
  call.inputs = iter.ntensors() - 1;
  for (int d = 0; d < call.ndim; ++d) call.shape[d] = iter.shape()[d];
  for (int k = 0; k < iter.ntensors(); ++k) {
    Operand& operand = k == 0 ? call.out : call.in[k - 1];
    operand.data = iter.data_ptr(k);
    operand.dtype = *dtype_of(iter.dtype(k));
    for (int d = 0; d < call.ndim; ++d) operand.stride[d] = iter.strides(k)[d];
  }
  for (int k = 0; k < op.spec->scalars; ++k) {
    if (compute == Compute::i64) call.iscalar[k] = i64[k];
    else call.scalar[k] = f64[k];
  }
  launch_slices(call, iter, current_device(where.index()), stream);
}

#else

bool serves(c10::Device) { return false; }
void run(at::TensorIteratorBase&, const Op&, int, Compute, const double*, const int64_t*) {
  TORCH_INTERNAL_ASSERT(false, "gpukern: no GPU kernels are built");
}

#endif

}  // namespace gpukern::elementwise::gpu_path
