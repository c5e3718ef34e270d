// torch resolves the bits for ops that return a tensor.  For one that writes into an argument its fallback takes the
// result off the stack, and ops of ours that write return nothing: whatever lay on the stack was taken for a tensor.
// These kernels do what it does, op by op: the op reads and writes plain tensors, and what it wrote is copied back.
#include "lazy_views.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/native/Resize.h>
#include <torch/library.h>

#include <algorithm>
#include <optional>
#include <string>

namespace gpukern {
namespace {

using at::Tensor;
using torch::jit::Stack;

bool has_bit(const Tensor& t, c10::DispatchKey key) {
  return t.defined() && (key == c10::DispatchKey::Negative ? t.is_neg() : t.is_conj());
}

template <c10::DispatchKey key>
void resolve_and_write(const c10::OperatorHandle& op, c10::DispatchKeySet keys, Stack* stack) {
  const auto& arguments = op.schema().arguments();
  const size_t base = stack->size() - arguments.size();
  // Copies, for other arguments may lie in the same memory with the bit or without it.
  std::optional<std::pair<Tensor, Tensor>> written;  // the tensor with the bit, and what the op writes instead
  for (size_t k = 0; k < arguments.size(); ++k) {
    c10::IValue& value = (*stack)[base + k];
    if (value.isTensor()) {
      const Tensor given = value.toTensor();
      if (!has_bit(given, key)) continue;
      const Tensor plain = given.clone();
      if (arguments[k].alias_info() && arguments[k].alias_info()->isWrite()) written.emplace(given, plain);
      value = plain;
    } else if (value.isTensorList()) {
      auto list = value.toTensorList().copy();
      for (size_t i = 0; i < list.size(); ++i)
        if (const Tensor given = list.get(i); has_bit(given, key)) list.set(i, given.clone());
      value = std::move(list);
    }
  }
  op.redispatchBoxed(keys & c10::DispatchKeySet(c10::DispatchKeySet::FULL_AFTER, key), stack);
  if (!written) return;
  const auto& [given, plain] = *written;
  at::native::resize_output(given, plain.sizes());
  given.copy_(plain);
}

bool writes(const c10::FunctionSchema& schema) {
  return std::any_of(schema.arguments().begin(), schema.arguments().end(),
                     [](const c10::Argument& a) { return a.alias_info() && a.alias_info()->isWrite(); });
}

template <c10::DispatchKey key> void implement(torch::Library& m) {
  for (const c10::OperatorName& name : c10::Dispatcher::singleton().getAllOpNames()) {
    if (name.getNamespace() != "gpukern") continue;
    const auto op = c10::Dispatcher::singleton().findSchema(name);
    if (!op || !writes(op->schema()) || op->hasKernelForDispatchKey(key)) continue;
    std::string in_library = name.name.substr(name.name.find("::") + 2);
    if (!name.overload_name.empty()) in_library += "." + name.overload_name;
    m.impl(in_library.c_str(), torch::CppFunction::makeFromBoxedFunction<&resolve_and_write<key>>());
  }
}

}  // namespace

void implement_negative(torch::Library& m) { implement<c10::DispatchKey::Negative>(m); }
void implement_conjugate(torch::Library& m) { implement<c10::DispatchKey::Conjugate>(m); }

}  // namespace gpukern
