// What torch's autocast does to a product: its lists name a device, so ours do.
#include <ATen/autocast_mode.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <torch/library.h>

#include "gemm.h"

namespace gpukern::gemm {
namespace {

enum class Policy { lower, promote, keep };

at::ScalarType widest(const c10::IValue& value, at::ScalarType type, c10::DeviceType device) {
  if (value.isTensor()) return at::autocast::prioritize(type, value.toTensor(), device);
  if (!value.isTensorList()) return type;
  for (const Tensor& t : value.toTensorVector()) type = at::autocast::prioritize(type, t, device);
  return type;
}
c10::IValue cast(c10::IValue value, at::ScalarType type, c10::DeviceType device) {
  if (value.isTensor())
    return value.toTensor().defined() ? at::autocast::cached_cast(type, value.toTensor(), device) : value;
  if (!value.isTensorList()) return value;
  c10::List<Tensor> all;
  for (const Tensor& t : value.toTensorVector()) all.push_back(at::autocast::cached_cast(type, t, device));
  return all;
}

// precision= applies to float32, so a call with it is not lowered.
bool asks_for_float32(const c10::FunctionSchema& schema, const torch::jit::Stack& stack, size_t base) {
  const auto place = schema.argumentIndexWithName("precision");
  return place && !stack[base + *place].isNone();
}

// Lower: every factor in the lower precision.  Promote: in the widest among them.  Keep: as they are, and the products
// that the op is made of must not be lowered either.
template <c10::DeviceType device, Policy policy>
void autocast(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const c10::impl::ExcludeDispatchKeyGuard guard(at::autocast::get_autocast_dispatch_key_from_device_type(device));
  if constexpr (policy != Policy::keep) {
    const size_t count = op.schema().arguments().size(), base = stack->size() - count;
    at::ScalarType type = at::autocast::get_lower_precision_fp_from_device_type(device);
    if (policy == Policy::lower && asks_for_float32(op.schema(), *stack, base)) type = at::kFloat;
    if (policy == Policy::promote)
      for (size_t k = base; k < stack->size(); ++k) type = widest((*stack)[k], type, device);
    for (size_t k = base; k < stack->size(); ++k) (*stack)[k] = cast((*stack)[k], type, device);
  }
  op.callBoxed(stack);
}

template <c10::DeviceType device, Policy policy>
void implement(torch::Library& m, std::initializer_list<const char*> names) {
  for (const char* name : names) m.impl(name, torch::CppFunction::makeFromBoxedFunction<&autocast<device, policy>>());
}

}  // namespace

void implement_autocast(torch::Library& m, c10::DeviceType device) {
  if (device == c10::kCPU) {
    implement<c10::kCPU, Policy::lower>(m, {"mm", "bmm", "addmm", "baddbmm", "addbmm", "matmul", "linear",
                                            "mm_activation_backward", "mm_activation_backward_bias_grad", "mlp"});
    // These ops are not on torch's list, but the ops that they call are.
    implement<c10::kCPU, Policy::keep>(m, {"addr", "addr_", "bilinear", "scaled_product"});
    return;
  }
  implement<c10::kCUDA, Policy::lower>(
      m, {"mm", "bmm", "mv", "addmm", "baddbmm", "addmv", "addbmm", "addr", "matmul", "linear", "einsum",
          "chain_matmul", "multi_dot", "mm_activation_backward", "mm_activation_backward_bias_grad", "mlp"});
  implement<c10::kCUDA, Policy::keep>(m, {"scaled_product"});  // what its scales are for would be rounded away
  implement<c10::kCUDA, Policy::promote>(m, {"dot", "vdot", "bilinear", "tensordot"});
}

}  // namespace gpukern::gemm
