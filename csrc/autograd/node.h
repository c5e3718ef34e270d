// Autograd code that all ops share.  The autograd of an op is a C++ Node, as in ATen's generated kernels.
//
// It costs as much as torch's own ops, and every transform (create_graph, functorch, forward mode, compile) works.
// torch::autograd::Function costs 40 % more per call, refuses functorch and drops forward-mode tangents silently.
#pragma once
#include <ATen/ExpandUtils.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/Tensor.h>
#include <torch/csrc/autograd/VariableTypeUtils.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/version.h>

#include <optional>
#include <vector>

namespace gpukern::autograd {

using torch::autograd::Node;
using torch::autograd::SavedVariable;
using torch::autograd::variable_list;

// torch owns a Node by shared_ptr up to 2.12 and by intrusive_ptr from 2.13 on.
#if TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR < 13
template <class T> using NodePtr = std::shared_ptr<T>;
template <class T> NodePtr<T> make_node() { return NodePtr<T>(new T(), torch::autograd::deleteNode); }
inline NodePtr<Node> self(Node& node) { return node.getptr(); }
#else
template <class T> using NodePtr = c10::intrusive_ptr<T>;
template <class T> NodePtr<T> make_node() { return c10::make_intrusive<T>(); }
inline NodePtr<Node> self(Node& node) { return NodePtr<Node>::reclaim_copy(&node); }
#endif

// How to reduce a gradient with the broadcast result's shape and type to one input; empty if nothing is to be done.
struct InputShape {
  std::optional<std::vector<c10::SymInt>> sizes;  // set where broadcasting has to be undone
  std::optional<c10::ScalarType> dtype;           // set where promotion has to be undone

  void record(const at::Tensor& input, const at::Tensor& result) {
    if (!input.sym_sizes().equals(result.sym_sizes())) sizes = input.sym_sizes().vec();
    if (input.scalar_type() != result.scalar_type()) dtype = input.scalar_type();
  }
  at::Tensor restore(at::Tensor grad) const {
    if (sizes) grad = at::sum_to(std::move(grad), c10::SymIntArrayRef(*sizes));
    if (dtype) grad = grad.to(*dtype);
    return grad;
  }
};

// A tensor that autograd never saw has no metadata: the common and fast case.
inline bool has_tangent(const at::Tensor& t) {
  return t.defined() && t.unsafeGetTensorImpl()->autograd_meta() && t._fw_grad(/*level=*/0).defined();
}
inline at::Tensor tangent(const at::Tensor& t) { return t._fw_grad(/*level=*/0); }
inline at::Tensor primal(const at::Tensor& t) { return t._fw_primal(/*level=*/0); }

// Attaches a tangent, converted to the result's shape and dtype.  In place, an existing tangent is overwritten: views
// of the tensor share it, and autograd refuses to replace it.
inline void attach_tangent(const at::Tensor& result, at::Tensor t, bool in_place) {
  if (!t.defined()) return;
  if (in_place && has_tangent(result)) {
    tangent(result).copy_(t);
    return;
  }
  if (!t.sym_sizes().equals(result.sym_sizes())) t = t.expand_symint(result.sym_sizes());
  if (t.scalar_type() != result.scalar_type()) t = t.to(result.scalar_type());
  if (in_place && has_tangent(result)) t = tangent(result).copy_(t);  // a tangent can be written to, not replaced
  result._set_fw_grad(t, /*level=*/0, in_place);
}

// `out=` takes no part in autograd; raises torch's error.
template <class... T> void refuse_out_with_grad(const char* name, const at::Tensor& out, const T&... inputs) {
  if (torch::autograd::compute_requires_grad(inputs...) || torch::autograd::compute_requires_grad(out))
    torch::autograd::throw_error_out_requires_grad(name);
}

}  // namespace gpukern::autograd
