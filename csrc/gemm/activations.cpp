// Activations of products by name, as ops on tensors: what the CPU does behind a product, and what is differentiated.
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <c10/util/Exception.h>

#include <array>
#include <optional>

#include "../elementwise/elementwise.h"
#include "fused.h"

namespace gpukern::gemm {

Activation activation_of(std::string_view text) {
  std::string known;
  for (int i = 0; i < kActivations; ++i) {
    const auto a = static_cast<Activation>(i);
    if (text == name(a)) return a;
    known += (i ? ", " : "") + std::string(name(a));
  }
  TORCH_CHECK_VALUE(false, "gpukern: unknown activation '", text, "'; choose one of ", known);
}

namespace {

// An op and the values of its arguments behind the tensor.
struct Call {
  c10::OperatorHandle op;
  std::vector<c10::IValue> rest;
};

Call look_up(Activation kind, bool in_place) {
  const bool tanh_form = kind == Activation::gelu_tanh;
  const std::string op = std::string("gpukern::") + (tanh_form ? "gelu" : name(kind)) + (in_place ? "_" : "");
  Call call{c10::Dispatcher::singleton().findSchemaOrThrow(op.c_str(), ""), {}};
  const auto& arguments = call.op.schema().arguments();
  for (size_t i = 1; i < arguments.size(); ++i)
    call.rest.push_back(tanh_form ? c10::IValue("tanh") : arguments[i].default_value().value());
  return call;
}

const Call& call_of(Activation kind, bool in_place) {
  static const auto all = [] {
    std::array<std::array<std::optional<Call>, 2>, kActivations> calls;
    for (int k = 1; k < kActivations; ++k)
      for (const bool there : {false, true}) calls[k][there] = look_up(static_cast<Activation>(k), there);
    return calls;
  }();
  return *all[static_cast<int>(kind)][in_place];
}

}  // namespace

Tensor activated(Activation kind, const Tensor& t, bool in_place) {
  if (kind == Activation::none) return t;
  const Call& call = call_of(kind, in_place);
  torch::jit::Stack stack{t};
  stack.insert(stack.end(), call.rest.begin(), call.rest.end());
  call.op.callBoxed(stack);
  return in_place ? t : stack[0].toTensor();
}

namespace {
const elementwise::Op& op_of(Activation kind) {
  static const auto all = [] {
    std::array<const elementwise::Op*, kActivations> ops{};
    for (int k = 1; k < kActivations; ++k) {
      const auto a = static_cast<Activation>(k);
      const bool tanh_form = a == Activation::gelu_tanh;
      ops[k] = elementwise::find(tanh_form ? "gelu" : name(a), tanh_form ? "tanh" : "");
    }
    return ops;
  }();
  return *all[static_cast<int>(kind)];
}
// relu's gradient needs only the argument's sign, which the result has too.
bool reads_either(Activation kind) { return kind == Activation::relu; }
}  // namespace

bool reads_result(Activation kind) { return kind != Activation::none && op_of(kind).saves_result(); }
bool reads_argument(Activation kind) { return !reads_result(kind) || reads_either(kind); }

Tensor differentiated(Activation kind, const Tensor& g, const Tensor& s, bool of_result) {
  if (kind == Activation::none) return g;
  const elementwise::Op& op = op_of(kind);
  elementwise::Scalars numbers;
  if (op.spec->scalars)
    for (size_t i = 0; i < numbers.size() && i < call_of(kind, false).rest.size(); ++i)
      numbers[i] = call_of(kind, false).rest[i].toScalar();
  const Tensor operand = of_result || reads_argument(kind) ? s : activated(kind, s, false);
  return elementwise::grad(op, 0, -1, g, {&operand}, numbers);
}

}  // namespace gpukern::gemm
