// mlp: linear layers with an activation between them.
//
// If a derivative is needed, the chain is one Node.  In backward the gradient before each activation is then one
// product with an epilogue, mm_activation_backward, which sums the bias's gradient in the same pass.  All else runs
// layer by layer: without a derivative each layer is one fused product; tangents, transforms and operands that are not
// ours have linear's rules.
#include "registrar.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/sum.h>
#include <torch/library.h>

#include "../autograd/node.h"
#include "family.h"
#include "fused.h"
#include "shapes.h"
#include "training.h"

namespace gpukern::gemm {
namespace {

using autograd::NodePtr;
using autograd::SavedVariable;
using autograd::variable_list;
using Tensors = c10::ArrayRef<Tensor>;

struct Chain {
  const Tensor& input;
  Tensors weights, biases;  // a bias a weight, or none
  std::string_view activation;
  call::How how;

  size_t count() const { return weights.size(); }
  call::Optional bias(size_t i) const { return biases.empty() ? call::Optional() : call::Optional(biases[i]); }
  template <class F> bool any(F&& f) const {
    bool found = f(input);
    for (const Tensors list : {weights, biases})
      for (const Tensor& t : list) found = found || f(t);
    return found;
  }
};

void check(const Chain& x) {
  activation_of(x.activation);
  TORCH_CHECK_VALUE(!x.weights.empty(), "gpukern.mlp(): there is no layer; give one weight at least.");
  TORCH_CHECK_VALUE(x.biases.empty() || x.biases.size() == x.weights.size(), "gpukern.mlp(): there are ",
                    x.weights.size(), " weights and ", x.biases.size(), " biases; give one each, or no bias.");
}

Tensor one_by_one(const Chain& x) {
  Tensor t = x.input;
  for (size_t i = 0; i < x.count(); ++i) {
    const bool last = i + 1 == x.count();
    t = call::linear(t, x.weights[i], x.bias(i), last ? call::Name() : call::Name(x.activation), {}, x.how);
  }
  return t;
}

Tensor layer(const Chain& x, size_t i, const Tensor& rows, call::Name activation) {
  const Tensor w = x.weights[i].t();
  return x.biases.empty() ? call::mm(rows, w, activation, {}, x.how)
                          : call::addmm(x.biases[i], rows, w, 1, 1, activation, {}, x.how);
}
std::tuple<Tensor, Tensor> layer_with_aux(const Chain& x, size_t i, const Tensor& rows) {
  const Tensor w = x.weights[i].t();
  const Scalar one = 1;
  const bool with_bias = !x.biases.empty();
  return product_with_aux({Kind::mm, rows, w, with_bias ? &x.biases[i] : nullptr, with_bias ? &one : nullptr,
                           with_bias ? &one : nullptr, x.activation, nullptr, x.how});
}

using BackwardSignature = Tensor(const Tensor&, const Tensor&, const Tensor&, std::string_view, call::Name, bool);
using BothSignature = std::tuple<Tensor, Tensor>(const Tensor&, const Tensor&, const Tensor&, std::string_view,
                                                 call::Name, bool);
template <class F> const auto& handle(const char* name) {
  static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<F>();
  return op;
}

// Inputs in order: the input, the weights, the biases.
struct ChainBackward : autograd::Node {
  std::string activation;
  call::How how;
  size_t count = 0;
  bool has_biases = false;
  SavedVariable input;
  std::vector<SavedVariable> weights, biases;  // only second derivatives read the biases
  // What each activation gave, and what went into it where its gradient reads that.
  std::vector<SavedVariable> given, taken;

  static std::vector<Tensor> unpack(const std::vector<SavedVariable>& list) {
    std::vector<Tensor> all;
    for (const SavedVariable& s : list) all.push_back(s.unpack());
    return all;
  }

  variable_list apply(variable_list&& grads) override {
    variable_list result(num_outputs());
    Tensor g = grads[0];
    if (!g.defined()) return result;
    const std::vector<Tensor> w = unpack(weights);
    const Tensor first = input.unpack();
    std::vector<Tensor> rows{first}, read;
    if (at::GradMode::is_enabled()) {  // of these ops again, so that what was computed has a history
      const std::vector<Tensor> b = unpack(biases);
      const Chain x{first, w, b, activation, how};
      for (size_t i = 0; i + 1 < count; ++i) {
        read.push_back(layer(x, i, rows[i], {}));
        rows.push_back(call::finish(read[i], activation, {}));
      }
    } else {
      for (const SavedVariable& s : given) rows.push_back(s.unpack());
      read = taken.empty() ? std::vector<Tensor>(rows.begin() + 1, rows.end()) : unpack(taken);
    }
    Tensor sums;  // of g's columns, where the product before has them
    for (size_t i = count; i-- > 0;) {
      if (task_should_compute_output(1 + i)) result[1 + i] = call::mm(g.t(), rows[i], {}, {}, how);
      if (has_biases && task_should_compute_output(1 + count + i))
        result[1 + count + i] = sums.defined() ? sums : at::sum(g, 0);
      if (!asked_before(i)) break;
      if (i == 0) {
        result[0] = call::mm(g, w[0], {}, {}, how);
      } else if (has_biases && task_should_compute_output(count + i)) {
        std::tie(g, sums) = handle<BothSignature>("gpukern::mm_activation_backward_bias_grad")
                                .call(g, w[i], read[i - 1], activation, how.precision, how.batch_invariant);
      } else {
        g = handle<BackwardSignature>("gpukern::mm_activation_backward")
                .call(g, w[i], read[i - 1], activation, how.precision, how.batch_invariant);
        sums = Tensor();
      }
    }
    return result;
  }
  // Whether a gradient of the input, or of a layer before layer i, is needed.
  bool asked_before(size_t i) {
    bool asked = task_should_compute_output(0);
    for (size_t k = 0; k < i; ++k)
      asked = asked || task_should_compute_output(1 + k) || (has_biases && task_should_compute_output(1 + count + k));
    return asked;
  }
  void release_variables() override {
    input.reset_data();
    for (auto* list : {&weights, &biases, &given, &taken})
      for (SavedVariable& s : *list) s.reset_data();
  }
  std::string name() const override { return "GpukernMlpBackward"; }
};

// Matrices that follow each other and biases of their length, all of them ours.
bool fits(const Chain& x) {
  std::vector<Tensor> all{x.input};
  for (const Tensors list : {x.weights, x.biases}) all.insert(all.end(), list.begin(), list.end());
  if (!together(all) || !at::isFloatingType(x.input.scalar_type()) || x.input.dim() < 2) return false;
  c10::SymInt width = x.input.sym_sizes().back();
  for (size_t i = 0; i < x.count(); ++i) {
    const Tensor& w = x.weights[i];
    if (w.dim() != 2 || w.sym_size(1) != width) return false;
    width = w.sym_size(0);
    if (!x.biases.empty() && (x.biases[i].dim() != 1 || x.biases[i].sym_size(0) != width)) return false;
  }
  return true;
}

Tensor as_one(const Chain& x) {
  const Tensor rows = rows_of(x.input);  // with a history of its own
  const Activation kind = activation_of(x.activation);
  auto node = autograd::make_node<ChainBackward>();
  node->activation = x.activation;
  if (x.how.precision) node->how.precision = name(precision_of(*x.how.precision));  // a static string
  node->how.batch_invariant = x.how.batch_invariant;
  node->count = x.count();
  node->has_biases = !x.biases.empty();
  torch::autograd::edge_list edges{torch::autograd::impl::gradient_edge(rows)};
  for (const Tensors list : {x.weights, x.biases})
    for (const Tensor& t : list) edges.push_back(torch::autograd::impl::gradient_edge(t));
  node->set_next_edges(std::move(edges));
  node->input = SavedVariable(rows, false);
  for (const Tensor& t : x.weights) node->weights.emplace_back(t, false);
  for (const Tensor& t : x.biases) node->biases.emplace_back(t, false);
  Tensor t = rows;
  {
    const at::AutoDispatchBelowAutograd guard;
    for (size_t i = 0; i + 1 < x.count(); ++i) {
      if (reads_result(kind)) {
        t = layer(x, i, t, x.activation);
      } else {
        Tensor before;
        std::tie(t, before) = layer_with_aux(x, i, t);
        node->taken.emplace_back(before, false);
      }
      node->given.emplace_back(t, false);
    }
    t = layer(x, x.count() - 1, t, {});
  }
  torch::autograd::set_history(t, node);
  auto shape = x.input.sym_sizes().vec();
  shape.back() = t.sym_size(1);
  return x.input.dim() == 2 ? t : t.reshape_symint(shape);
}

#define GPUKERN_MLP                                                                                \
  const Tensor &input, at::TensorList weights, at::TensorList biases, std::string_view activation, \
      call::Name precision, bool invariant

Tensor composite(GPUKERN_MLP) {
  const Chain x{input, weights, biases, activation, {precision, invariant}};
  check(x);
  return one_by_one(x);
}
// A Node of several layers has no tangents, and its saved tensors no level of a transform.
Tensor differentiable(GPUKERN_MLP) {
  const Chain x{input, weights, biases, activation, {precision, invariant}};
  check(x);
  const bool graph = at::GradMode::is_enabled() && x.any([](const Tensor& t) { return t.requires_grad(); });
  const bool transformed = x.any([](const Tensor& t) {
    return autograd::has_tangent(t) || t.key_set().has(c10::DispatchKey::FuncTorchGradWrapper);
  });
  const Activation kind = activation_of(activation);
  const bool fused =
      graph && !transformed && x.count() > 1 && kind != Activation::none && reads_argument(kind) && fits(x);
  return fused ? as_one(x) : one_by_one(x);
}

}  // namespace

void add_mlp(const Registrar& r) {
  r.composite(
      "mlp(Tensor input, Tensor[] weights, Tensor[] biases, str activation, *, str? precision=None, bool "
      "batch_invariant=False) -> Tensor",
      &composite);
  r.only(Key::elsewhere, "mlp", &composite);
  r.only(Key::autograd, "mlp", &differentiable);
}

}  // namespace gpukern::gemm
