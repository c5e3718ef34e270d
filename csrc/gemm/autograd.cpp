// Derivatives of the products.  Backward and tangents call gpukern's own ops, so every order of derivative works.
#include "../aliasing.h"
#include "../autograd/node.h"
#include "../autograd/number.h"

#include <ATen/Context.h>
#include <ATen/ops/add.h>
#include <ATen/ops/mul.h>

#include "autograd.h"
#include "fused.h"
#include "training.h"

namespace gpukern::gemm {
namespace {

using autograd::NodePtr;
using autograd::SavedVariable;
using autograd::variable_list;

Tensor product(Kind kind, const Tensor& a, const Tensor& b, call::How how) {
  switch (kind) {
    case Kind::mm: return call::mm(a, b, {}, {}, how);
    case Kind::bmm: return call::bmm(a, b, {}, {}, how);
    default: return call::mv(a, b);
  }
}

Tensor scaled(Tensor t, const Scalar& by) { return equals(by, 1) ? t : at::mul(t, by); }
// The factor that a gradient is multiplied by: for complex ones the conjugate, a view of the same memory.
Tensor conjugate(const Tensor& t) { return t.is_complex() ? t.conj() : t; }
Scalar conjugate(const Scalar& s) { return s.isComplex() ? s.conj() : s; }

// Stored column by column: the gradient then takes the same layout, so that weight.t() gives weight a row-major one.
bool column_major(const Tensor& t) {
  const auto sizes = t.sym_sizes();
  const auto strides = t.sym_strides();
  return strides[0] == 1 && strides[1] == sizes[0] && sizes[0] != 1;
}

Tensor gradient_a(Kind kind, const Tensor& g, const Tensor& given, bool transposed, call::How how) {
  const Tensor b = conjugate(given);
  switch (kind) {
    case Kind::mm: return transposed ? call::mm(b, g.t(), {}, {}, how).t() : call::mm(g, b.t(), {}, {}, how);
    case Kind::bmm: return call::bmm(g, b.transpose(1, 2), {}, {}, how);
    default: return call::mm(g.unsqueeze(1), b.unsqueeze(0));
  }
}
Tensor gradient_b(Kind kind, const Tensor& g, const Tensor& given, bool transposed, call::How how) {
  const Tensor a = conjugate(given);
  switch (kind) {
    case Kind::mm: return transposed ? call::mm(g.t(), a, {}, {}, how).t() : call::mm(a.t(), g, {}, {}, how);
    case Kind::bmm: return call::bmm(a.transpose(1, 2), g, {}, {}, how);
    default: return call::mv(a.t(), g);
  }
}

// Inputs in order: c where the op has one, a, b.
struct ProductBackward : autograd::Node {
  Kind kind = Kind::mm;
  bool addend = false, a_transposed = false, b_transposed = false;
  Scalar alpha = 1, beta = 1;
  call::How how;  // the product's own: its backward products are computed alike
  SavedVariable a, b;
  autograd::InputShape c_shape;

  variable_list apply(variable_list&& grads) override {
    const Tensor& g = grads[0];
    variable_list result(num_outputs());
    if (!g.defined()) return result;
    if (addend && task_should_compute_output(0)) result[0] = scaled(c_shape.restore(g), conjugate(beta));
    of_factors(g, result);
    return result;
  }
  void of_factors(const Tensor& g, variable_list& result) {
    const size_t first = addend ? 1 : 0;
    const Scalar by = conjugate(alpha);
    if (task_should_compute_output(first))
      result[first] = scaled(gradient_a(kind, g, b.unpack(), a_transposed, how), by);
    if (task_should_compute_output(first + 1))
      result[first + 1] = scaled(gradient_b(kind, g, a.unpack(), b_transposed, how), by);
  }
  void release_variables() override {
    a.reset_data();
    b.reset_data();
  }
  std::string name() const override {
    constexpr const char* names[2][3] = {{"GpukernMmBackward", "GpukernBmmBackward", "GpukernMvBackward"},
                                         {"GpukernAddmmBackward", "GpukernBaddbmmBackward", "GpukernAddmvBackward"}};
    return names[addend][static_cast<int>(kind)];
  }
};

// The same for activation(product) + residual.  Inputs in order: those of the product, and the residual if there is
// one.  One pass over the upstream gradient computes the activation's gradient and sums the bias's.  The pre-activation
// is a second result, so that second derivatives reach the product behind it.
struct ActivatedBackward : ProductBackward {
  Activation activation = Activation::none;
  bool of_result = false;  // `saved` is the result, else the pre-activation
  std::optional<SavedVariable> saved;
  std::optional<autograd::InputShape> residual_shape;

  variable_list apply(variable_list&& grads) override {
    const Tensor& g = grads[0];
    const Tensor of_before = grads.size() > 1 ? grads[1] : Tensor();
    variable_list result(num_outputs());
    const size_t first = addend ? 1 : 0, inputs = first + 2;
    if (residual_shape && g.defined() && task_should_compute_output(inputs))
      result[inputs] = residual_shape->restore(g);
    const bool of_addend = addend && task_should_compute_output(0);
    if (!of_addend && !task_should_compute_output(first) && !task_should_compute_output(first + 1)) return result;
    Tensor before = g;
    if (saved && g.defined()) {
      const Tensor s = saved->unpack(autograd::self(*this));
      if (of_addend && !of_before.defined() && is_bias(g) && (!of_result || reads_argument(activation))) {
        Tensor sums;
        std::tie(before, sums) = activation_backward_bias_grad(g, s, gemm::name(activation));
        result[0] = sums.reshape_symint(*c_shape.sizes);
      } else {
        before = differentiated(activation, g, s, of_result);
      }
    }
    if (of_before.defined()) before = before.defined() ? at::add(before, of_before) : of_before;
    if (!before.defined()) return result;
    if (of_addend && !result[0].defined()) result[0] = scaled(c_shape.restore(before), conjugate(beta));
    of_factors(before, result);
    return result;
  }
  // Whether the addend is one row, whose gradient is the sum of all rows.
  bool is_bias(const Tensor& g) const {
    if (kind != Kind::mm || !c_shape.sizes || c_shape.dtype || !equals(beta, 1)) return false;
    const auto& sizes = *c_shape.sizes;
    return (sizes.size() == 1 || (sizes.size() == 2 && sizes[0] == 1)) && sizes.back() == g.sym_size(1);
  }
  void release_variables() override {
    ProductBackward::release_variables();
    if (saved) saved->reset_data();
  }
  std::string name() const override {
    const std::string product = ProductBackward::name();
    return product.substr(0, product.size() - 8) + "ActivationBackward";
  }
};

bool needs_graph(const Args& x) {
  if (!at::GradMode::is_enabled()) return false;
  return x.a.requires_grad() || x.b.requires_grad() || (x.c && x.c->requires_grad());
}

template <class N> NodePtr<N> make(const Args& x) {
  auto node = autograd::make_node<N>();
  node->kind = x.kind;
  if (const auto asked = asked_precision(x)) node->how.precision = name(*asked);  // a static string
  node->how.batch_invariant = x.how.batch_invariant;
  if (x.c) {
    node->addend = true;
    node->alpha = *x.alpha;
    node->beta = *x.beta;
  }
  torch::autograd::edge_list edges;
  for (const Tensor* t : {x.c, &x.a, &x.b, x.residual})
    if (t) edges.push_back(torch::autograd::impl::gradient_edge(*t));
  node->set_next_edges(std::move(edges));
  const size_t first = x.c ? 1 : 0;
  if (node->should_compute_output(first)) {
    node->b = SavedVariable(x.b, false);
    node->a_transposed = x.kind == Kind::mm && x.a.dim() == 2 && column_major(x.a);
  }
  if (node->should_compute_output(first + 1)) {
    node->a = SavedVariable(x.a, false);
    node->b_transposed = x.kind == Kind::mm && x.b.dim() == 2 && column_major(x.b);
  }
  return node;
}

bool any_tangent(const Args& x) {
  return autograd::has_tangent(x.a) || autograd::has_tangent(x.b) || (x.c && autograd::has_tangent(*x.c));
}

Tensor forward_tangent(const Args& x, const Tensor& result) {
  using autograd::primal;
  using autograd::tangent;
  Tensor total;
  const auto add = [&](Tensor t) { total = total.defined() ? at::add(total, t) : std::move(t); };
  if (autograd::has_tangent(x.a)) add(product(x.kind, tangent(x.a), primal(x.b), x.how));
  if (autograd::has_tangent(x.b)) add(product(x.kind, primal(x.a), tangent(x.b), x.how));
  if (total.defined() && x.alpha) total = scaled(total, *x.alpha);
  if (x.c && autograd::has_tangent(*x.c)) {
    Tensor t = scaled(tangent(*x.c), *x.beta);
    if (!t.sym_sizes().equals(result.sym_sizes())) t = t.expand_symint(result.sym_sizes());
    add(t);
  }
  return total;
}

bool any_tangent_with_tail(const Args& x) {
  return any_tangent(x) || (x.residual && autograd::has_tangent(*x.residual));
}
bool needs_graph_with_tail(const Args& x) {
  return needs_graph(x) || (x.residual && at::GradMode::is_enabled() && x.residual->requires_grad());
}

// torch's own in-place form, which keeps the history that an `out=` form refuses.
void twin_inplace(const Args& x) {
  report_device(x);
  const auto guard = check_twin(x);
  const Tensor& self = *x.c;
  const Tensor a = unaliased(x.a, self), b = unaliased(x.b, self);
  const call::Optional residual = x.residual ? call::Optional(unaliased(*x.residual, self)) : std::nullopt;
  switch (x.kind) {
    case Kind::mm: self.addmm_(a, b, *x.beta, *x.alpha); break;
    case Kind::bmm: self.baddbmm_(a, b, *x.beta, *x.alpha); break;
    default: self.addmv_(a, b, *x.beta, *x.alpha);
  }
  if (!x.plain()) self.copy_(call::finish(self, x.activation, residual));
}

Tensor plain_call(const Args& x) {
  switch (x.kind) {
    case Kind::mm:
      return x.c ? call::addmm(*x.c, x.a, x.b, *x.beta, *x.alpha, {}, {}, x.how) : call::mm(x.a, x.b, {}, {}, x.how);
    case Kind::bmm:
      return x.c ? call::baddbmm(*x.c, x.a, x.b, *x.beta, *x.alpha, {}, {}, x.how) : call::bmm(x.a, x.b, {}, {}, x.how);
    default: return x.c ? call::addmv(*x.c, x.a, x.b, *x.beta, *x.alpha) : call::mv(x.a, x.b);
  }
}

Tensor fused_call(const Args& x) {
  const call::Optional residual = x.residual ? call::Optional(*x.residual) : std::nullopt;
  return x.kind == Kind::bmm ? call::baddbmm(*x.c, x.a, x.b, *x.beta, *x.alpha, x.activation, residual, x.how)
                             : call::addmm(*x.c, x.a, x.b, *x.beta, *x.alpha, x.activation, residual, x.how);
}

// Dense tensors of a type that we do not take, nothing differentiated: the op below raises the error, with or without
// data.
bool refused_below(const Args& x) {
  if (!x.plain() || !x.how.empty() || needs_graph(x) || any_tangent(x)) return false;
  for (const Tensor* t : {&x.a, &x.b, x.c})
    if (t && (t->layout() != c10::kStrided || t->is_quantized() || t->is_nested() || !(t->is_cpu() || t->is_meta())))
      return false;
  return true;
}
// A tangent needs intermediates that a fused call does not keep: the same ops one by one.
Tensor one_by_one(const Args& x) {
  check_activation(x);
  return call::finish(plain_call(x), x.activation, x.residual ? call::Optional(*x.residual) : std::nullopt);
}

// The fused call.  It saves the one tensor that its gradient reads: the result if that suffices, else the
// pre-activation.
Tensor activated_call(const Args& x, c10::function_ref<Tensor()> below) {
  check_activation(x);
  auto node = make<ActivatedBackward>(x);
  const Activation kind = x.activation ? activation_of(*x.activation) : Activation::none;
  const bool reads = kind != Activation::none && needs_graph(x);  // a residual's gradient is the upstream one
  node->activation = kind;
  node->of_result = reads_result(kind) && !x.residual;
  Tensor result, before;
  {
    at::AutoDispatchBelowAutograd guard;
    if (reads && !node->of_result) std::tie(result, before) = product_with_aux(x);
    else result = below();
  }
  if (x.c) node->c_shape.record(*x.c, result);
  if (x.residual) node->residual_shape.emplace().record(*x.residual, result);
  torch::autograd::set_history(result, node);
  if (before.defined()) torch::autograd::set_history(before, node);
  if (reads) node->saved.emplace(node->of_result ? result : before, true);
  return result;
}
}  // namespace

Tensor autograd_call(const Args& x, c10::function_ref<Tensor()> below) {
  if (!ours(x) && !refused_below(x)) {
    const Tensor product = twin({x.kind, x.a, x.b, x.c, x.beta, x.alpha, {}, nullptr, x.how});
    return x.plain() ? product
                     : call::finish(product, x.activation, x.residual ? call::Optional(*x.residual) : std::nullopt);
  }
  if (!x.plain()) {
    if (any_tangent_with_tail(x)) return one_by_one(x);
    if (needs_graph_with_tail(x)) return activated_call(x, below);
  }
  NodePtr<ProductBackward> node;
  if (needs_graph(x)) node = make<ProductBackward>(x);
  Tensor result;
  {
    at::AutoDispatchBelowAutograd guard;
    result = below();
  }
  if (node) {
    if (x.c) node->c_shape.record(*x.c, result);
    torch::autograd::set_history(result, node);
  }
  if (any_tangent(x)) autograd::attach_tangent(result, forward_tangent(x, result), false);
  return result;
}

void autograd_out(const Args& x, const Tensor& out, c10::function_ref<void()> below) {
  const Tensor none;
  autograd::refuse_out_with_grad(op_name(x), out, x.a, x.b, x.c ? *x.c : none, x.residual ? *x.residual : none);
  TORCH_CHECK_NOT_IMPLEMENTED(!any_tangent(x) && !autograd::has_tangent(out), "Trying to use forward AD with ",
                              op_name(x), "_out (because it is an out= function) that does not support it.");
  at::AutoDispatchBelowAutograd guard;
  below();
}

void autograd_inplace(const Args& x, c10::function_ref<void()> below) {
  const Tensor& self = *x.c;
  if (!ours(x) && !refused_below(x)) return twin_inplace(x);
  if (!x.plain() && (any_tangent_with_tail(x) || needs_graph_with_tail(x))) {  // the copy has the derivative
    const Tensor result = fused_call(x);
    TORCH_CHECK(result.sym_sizes().equals(self.sym_sizes()), "Bad in-place call: input tensor size ", self.sym_sizes(),
                " and output tensor size ", result.sym_sizes(), " should match");
    self.copy_(result);
    return;
  }
  const bool graph = needs_graph(x);
  torch::autograd::check_inplace(self, graph);
  NodePtr<ProductBackward> node;
  if (graph) node = make<ProductBackward>(x);
  const Tensor tangent = any_tangent(x) ? forward_tangent(x, self) : Tensor();
  {
    at::AutoDispatchBelowAutograd guard;
    below();
  }
  if (node) {
    node->c_shape.record(self, self);
    Tensor target = self;
    torch::autograd::rebase_history(target, node);
  }
  if (tangent.defined()) autograd::attach_tangent(self, tangent, true);
}

}  // namespace gpukern::gemm
