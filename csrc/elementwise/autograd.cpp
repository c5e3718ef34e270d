#include "autograd.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/zeros_like.h>

#include <limits>

#include "../autograd/node.h"
#include "../autograd/number.h"

namespace gpukern::elementwise {
namespace {

using autograd::InputShape;
using autograd::make_node;
using autograd::Node;
using autograd::NodePtr;
using autograd::SavedVariable;
using autograd::variable_list;

using GradSignature = Tensor(const Tensor&, const OptionalTensor&, const OptionalTensor&, const OptionalTensor&,
                             std::string_view, int64_t, int64_t, at::ArrayRef<at::Scalar>);
const c10::TypedOperatorHandle<GradSignature>& grad_handle() {
  static const auto handle =
      c10::Dispatcher::singleton().findSchemaOrThrow("gpukern::elementwise_grad", "").typed<GradSignature>();
  return handle;
}

using BinarySignature = Tensor(const Tensor&, const Tensor&);
Tensor product(const Tensor& a, const Tensor& b) {
  static const auto handle =
      c10::Dispatcher::singleton().findSchemaOrThrow("gpukern::mul", "").typed<BinarySignature>();
  return handle.call(a, b);
}
Tensor sum(const Tensor& a, const Tensor& b) {
  static const auto handle = c10::Dispatcher::singleton()
                                 .findSchemaOrThrow("gpukern::add", "")
                                 .typed<Tensor(const Tensor&, const Tensor&, const at::Scalar&)>();
  return handle.call(a, b, 1);
}

// The gradient at the sum times an operand's factor: 0 where the gradient is 0, so that it is the limit for an infinite
// factor. This is a gradient of scale_shift_act without an activation.
Tensor times(const Tensor& h, const Tensor& factor) {
  static const Op* const op = find_key("scale_shift_act.none");
  return grad(*op, 0, -1, h, {nullptr, &factor, nullptr}, {});
}

bool passes(const Op& op, int i, const Scalars& scalars) {
  return (op.spec->passes >> i & 1) || ((op.spec->passes_if_one >> i & 1) && equals(*scalars[0], 1));
}

// Gradient i for upstream gradient g, before broadcasting is undone.
Tensor gradient(const Op& op, int i, const Tensor& g, const Inputs& operands, const Scalars& scalars) {
  if (passes(op, i, scalars)) return g;
  if (!(op.spec->differentiable >> i & 1)) return at::zeros_like(g);  // an op in place, which hides what was there
  if (op.spec->shared < 0) return grad(op, i, -1, g, operands, scalars);
  const Tensor h = grad(op, op.spec->shared, -1, g, operands, scalars);
  return op.spec->factor[i] < 0 ? h : times(h, *operands[op.spec->factor[i]]);
}

// The operands that gradient i reads, as bits.
unsigned reads(const Op& op, int i, const Scalars& scalars) {
  if (passes(op, i, scalars) || !(op.spec->differentiable >> i & 1)) return 0;
  if (op.spec->shared < 0) return op.saved_bits[i];
  return op.saved_bits[op.spec->shared] | (op.spec->factor[i] < 0 ? 0u : 1u << op.spec->factor[i]);
}

torch::autograd::edge_list edges(const Tensor* const* tensors, int n) {
  torch::autograd::edge_list all;
  all.reserve(n);
  for (int k = 0; k < n; ++k)
    all.push_back(tensors[k] ? torch::autograd::impl::gradient_edge(*tensors[k]) : torch::autograd::Edge());
  return all;
}

bool any_requires_grad(const Tensor* const* tensors, int n) {
  if (!at::GradMode::is_enabled()) return false;
  for (int k = 0; k < n; ++k)
    if (tensors[k] && tensors[k]->requires_grad()) return true;
  return false;
}

bool any_tangent(const Tensor* const* tensors, int n) {
  for (int k = 0; k < n; ++k)
    if (tensors[k] && autograd::has_tangent(*tensors[k])) return true;
  return false;
}

// A SavedVariable is large and many ops save none: an empty slot costs only a flag.
using Saved = std::optional<SavedVariable>;

struct ElementwiseBackward : Node {
  const Op* op = nullptr;
  Scalars scalars;
  Saved saved[kMaxInputs];
  InputShape shape[kMaxInputs];

  variable_list apply(variable_list&& grads) override {
    const Tensor& g = grads[0];
    variable_list result(op->spec->inputs);
    if (!g.defined()) return result;
    Tensor unpacked[kMaxInputs], shared;
    Inputs operands{};
    for (int i = 0; i < op->spec->inputs; ++i) {
      if (!task_should_compute_output(i)) continue;
      const unsigned bits = reads(*op, i, scalars);
      for (int k = 0; k < op->saved; ++k) {
        if (!(bits >> k & 1) || operands[k]) continue;
        unpacked[k] = op->saves_result() ? saved[k]->unpack(autograd::self(*this)) : saved[k]->unpack();
        operands[k] = &unpacked[k];
      }
      if (op->spec->shared >= 0) {  // one kernel serves the gradients of all inputs
        if (!shared.defined()) shared = grad(*op, op->spec->shared, -1, g, operands, scalars);
        const int factor = op->spec->factor[i];
        result[i] = shape[i].restore(factor < 0 ? shared : times(shared, *operands[factor]));
      } else {
        result[i] = shape[i].restore(gradient(*op, i, g, operands, scalars));
      }
    }
    return result;
  }
  void release_variables() override {
    for (Saved& s : saved)
      if (s) s->reset_data();
  }
  std::string name() const override { return "Gpukern_" + op->key + "Backward"; }
};

// Sets everything except the result: edges, shapes, and the inputs that gradients read.
NodePtr<ElementwiseBackward> make(const Op& op, const Inputs& in, const Scalars& scalars, const Tensor* in_place) {
  auto node = make_node<ElementwiseBackward>();
  node->op = &op;
  for (int k = 0; k < op.spec->scalars; ++k) node->scalars[k] = scalars[k];
  node->set_next_edges(edges(in.data(), op.spec->inputs));
  if (op.saves_result()) return node;
  unsigned bits = 0;
  for (int i = 0; i < op.spec->inputs; ++i)
    if (node->should_compute_output(i)) bits |= reads(op, i, scalars);
  for (int k = 0; k < op.saved; ++k)
    if (bits >> k & 1) node->saved[k].emplace(k == 0 && in_place ? *in_place : *in[k], false);
  return node;
}

Tensor forward_tangent(const Op& op, const Inputs& in, const Scalars& scalars, const Tensor& result) {
  Tensor primals[kMaxInputs], total, result_primal;
  Inputs operands{};
  if (op.saves_result()) {
    result_primal = autograd::primal(result);
    operands[0] = &result_primal;
  } else {
    for (int k = 0; k < op.spec->inputs; ++k) {
      primals[k] = autograd::primal(*in[k]);
      operands[k] = &primals[k];
    }
  }
  for (int i = 0; i < op.spec->inputs; ++i) {
    if (!(op.spec->differentiable >> i & 1) || !autograd::has_tangent(*in[i])) continue;
    const Tensor part = gradient(op, i, autograd::tangent(*in[i]), operands, scalars);
    total = total.defined() ? sum(total, part) : part;
  }
  return total;
}

}  // namespace

Tensor grad(const Op& op, int i, int j, const Tensor& g, const Inputs& operands, const Scalars& scalars) {
  OptionalTensor o[kMaxInputs];
  for (int k = 0; k < op.saved; ++k)
    if (op.saved_bits[i] >> k & 1) o[k] = *operands[k];
  // Gradients have floating types, for which an infinite bound has the same derivative as an absent one.
  std::array<at::Scalar, kMaxScalars> numbers;
  for (int k = 0; k < op.spec->scalars; ++k)
    numbers[k] = scalars[k].value_or(op.spec->absent[k] * std::numeric_limits<double>::infinity());
  return grad_handle().call(g, o[0], o[1], o[2], op.key, i, j,
                            at::ArrayRef<at::Scalar>(numbers.data(), op.spec->scalars));
}

bool tracked(const Inputs& in, int n) { return any_requires_grad(in.data(), n) || any_tangent(in.data(), n); }

Tensor autograd_call(const Op& op, const Inputs& in, const Scalars& scalars, c10::function_ref<Tensor()> below) {
  const int n = op.spec->inputs;
  const bool tangents = any_tangent(in.data(), n);
  NodePtr<ElementwiseBackward> node;
  if (any_requires_grad(in.data(), n)) node = make(op, in, scalars, nullptr);
  const Tensor result = below();
  if (node) {
    for (int k = 0; k < n; ++k) node->shape[k].record(*in[k], result);
    torch::autograd::set_history(result, node);
  }
  if (tangents) autograd::attach_tangent(result, forward_tangent(op, in, scalars, result), false);
  // Save the result after its tangent is attached: forward over reverse differentiates the saved result.
  if (node && op.saves_result()) node->saved[0].emplace(result, true);
  return result;
}

void autograd_out(const Op& op, const Inputs& in, const Tensor& out, c10::function_ref<void()> below) {
  const int n = op.spec->inputs;
  const Tensor* output = &out;
  if (op.spec->differentiable && (any_requires_grad(in.data(), n) || any_requires_grad(&output, 1)))
    torch::autograd::throw_error_out_requires_grad(op.spec->name);
  TORCH_CHECK_NOT_IMPLEMENTED(!op.spec->differentiable || (!any_tangent(in.data(), n) && !any_tangent(&output, 1)),
                              "Trying to use forward AD with ", op.spec->name,
                              "_out that does not support it because it is an out= function");
  at::AutoDispatchBelowAutograd guard;
  below();
}

void autograd_inplace(const Op& op, const Inputs& in, const Scalars& scalars, c10::function_ref<void()> below) {
  const int n = op.spec->inputs;
  const Tensor& self = *in[0];
  const bool tangents = any_tangent(in.data(), n), needs_grad = any_requires_grad(in.data(), n);
  torch::autograd::check_inplace(self, needs_grad);
  // A gradient that reads the overwritten input needs its old value.
  const bool reads_self = !op.saves_result() && [&] {
    unsigned bits = 0;
    for (int i = 0; i < n; ++i) bits |= reads(op, i, scalars);
    return bits & 1;
  }();
  Tensor original;
  if (reads_self && (needs_grad || tangents)) original = self.clone();
  Tensor tangent;
  if (tangents && !op.saves_result()) {
    Inputs before = in;
    Tensor copy;
    if (original.defined()) {  // the clone has the tangent of self
      copy = original;
      before[0] = &copy;
    }
    tangent = forward_tangent(op, before, scalars, self);
  }
  NodePtr<ElementwiseBackward> node;
  if (needs_grad) node = make(op, in, scalars, original.defined() ? &original : nullptr);
  {
    at::AutoDispatchBelowAutograd guard;
    below();
  }
  if (node) {
    for (int k = 0; k < n; ++k) node->shape[k].record(*in[k], self);
    torch::autograd::rebase_history(self, node);
  }
  if (tangents) {
    if (op.saves_result()) tangent = forward_tangent(op, in, scalars, self);
    if (!tangent.defined()) tangent = at::zeros_like(self);
    autograd::attach_tangent(self, tangent, true);
  }
  if (node && op.saves_result()) node->saved[0].emplace(self, true, self.is_view());
}

// --- gradients are ops themselves -----------------------------------------------------------------------------------

namespace {

// The derivative by operand k of gradient i (j < 0), or of the derivative by j of that gradient.
Tensor derivative(const Op& op, int i, int j, int k, const Tensor& g, const Inputs& operands, const Scalars& scalars) {
  return j < 0 ? grad(op, i, k, g, operands, scalars) : third(op, i, j, k, g, operands, scalars);
}

struct GradBackward : Node {
  const Op* op = nullptr;
  int i = 0, j = -1;
  Scalars scalars;
  SavedVariable upstream, saved[kMaxInputs];
  InputShape shape[1 + kMaxInputs];

  variable_list apply(variable_list&& grads) override {
    variable_list result(1 + kMaxInputs);
    if (!grads[0].defined()) return result;
    Tensor unpacked[kMaxInputs];
    Inputs operands{};
    for (int k = 0; k < op->saved; ++k) {
      if (!(op->saved_bits[i] >> k & 1)) continue;
      unpacked[k] = saved[k].unpack();
      operands[k] = &unpacked[k];
    }
    if (task_should_compute_output(0))  // linear in g
      result[0] = shape[0].restore(grad(*op, i, j, grads[0], operands, scalars));
    bool any = false;
    for (int k = 0; k < op->saved; ++k) any = any || task_should_compute_output(1 + k);
    if (!any || op->spec->linear) return result;
    const Tensor g = product(grads[0], upstream.unpack());
    Tensor shared;
    for (int k = 0; k < op->saved; ++k) {
      if (!task_should_compute_output(1 + k) || !(op->saved_bits[i] >> k & 1)) continue;
      Tensor r;
      if (op->spec->shared >= 0) {
        if (!shared.defined()) shared = derivative(*op, i, j, i, g, operands, scalars);
        const int factor = op->spec->factor[k];
        r = factor < 0 ? shared : times(shared, *operands[factor]);
      } else {
        r = derivative(*op, i, j, k, g, operands, scalars);
      }
      result[1 + k] = shape[1 + k].restore(r);
    }
    return result;
  }
  void release_variables() override {
    upstream.reset_data();
    for (auto& s : saved) s.reset_data();
  }
  std::string name() const override { return "Gpukern_" + op->key + "BackwardBackward"; }
};

const Op& op_of(std::string_view key) {
  const Op* op = find_key(key);
  TORCH_CHECK(op, "gpukern::elementwise_grad: there is no op '", key, "'.");
  return *op;
}

Scalars numbers(at::ArrayRef<at::Scalar> list) {
  Scalars s;
  for (size_t k = 0; k < list.size() && k < s.size(); ++k) s[k] = list[k];
  return s;
}

}  // namespace

Tensor grad_backend(const Tensor& g, const OptionalTensor& a, const OptionalTensor& b, const OptionalTensor& c,
                    std::string_view key, int64_t i, int64_t j, at::ArrayRef<at::Scalar> scalars) {
  const Inputs operands{a ? &*a : nullptr, b ? &*b : nullptr, c ? &*c : nullptr};
  return run_grad(op_of(key), static_cast<int>(i), static_cast<int>(j), g, operands, numbers(scalars));
}

Tensor grad_autograd(c10::DispatchKeySet keys, const Tensor& g, const OptionalTensor& a, const OptionalTensor& b,
                     const OptionalTensor& c, std::string_view key, int64_t i, int64_t j,
                     at::ArrayRef<at::Scalar> scalars) {
  const Op& op = op_of(key);
  const Tensor* all[1 + kMaxInputs] = {&g, a ? &*a : nullptr, b ? &*b : nullptr, c ? &*c : nullptr};
  NodePtr<GradBackward> node;
  if (any_requires_grad(all, 1 + kMaxInputs)) {
    node = make_node<GradBackward>();
    node->op = &op;
    node->i = static_cast<int>(i);
    node->j = static_cast<int>(j);
    node->scalars = numbers(scalars);
    node->set_next_edges(edges(all, 1 + kMaxInputs));
    node->upstream = SavedVariable(g, false);
    for (int k = 0; k < kMaxInputs; ++k)
      if (all[1 + k]) node->saved[k] = SavedVariable(*all[1 + k], false);
  }
  Tensor result;
  {
    at::AutoDispatchBelowAutograd guard;
    result = grad_handle().redispatch(keys & c10::after_autograd_keyset, g, a, b, c, key, i, j, scalars);
  }
  if (node) {
    for (int k = 0; k <= kMaxInputs; ++k)
      if (all[k]) node->shape[k].record(*all[k], result);
    torch::autograd::set_history(result, node);
  }
  if (any_tangent(all, 1 + kMaxInputs)) {
    Tensor primals[1 + kMaxInputs], total;
    for (int k = 0; k <= kMaxInputs; ++k)
      if (all[k]) primals[k] = autograd::primal(*all[k]);
    const Inputs operands{a ? &primals[1] : nullptr, b ? &primals[2] : nullptr, c ? &primals[3] : nullptr};
    const Scalars s = numbers(scalars);
    if (autograd::has_tangent(g))
      total = grad(op, static_cast<int>(i), static_cast<int>(j), autograd::tangent(g), operands, s);
    for (int k = 0; k < op.saved && !op.spec->linear; ++k) {
      if (!all[1 + k] || !autograd::has_tangent(*all[1 + k])) continue;
      const Tensor weighted = product(primals[0], autograd::tangent(*all[1 + k]));
      Tensor part;
      if (op.spec->shared >= 0) {
        part = derivative(op, static_cast<int>(i), static_cast<int>(j), static_cast<int>(i), weighted, operands, s);
        const int factor = op.spec->factor[k];
        if (factor >= 0) part = times(part, *operands[factor]);
      } else {
        part = derivative(op, static_cast<int>(i), static_cast<int>(j), k, weighted, operands, s);
      }
      total = total.defined() ? sum(total, part) : part;
    }
    if (total.defined()) autograd::attach_tangent(result, total, false);
  }
  return result;
}

}  // namespace gpukern::elementwise
