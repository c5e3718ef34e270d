// Matrix products of tensors.  The functions here are the kernels below autograd, which the dispatcher's ops and the
// drop-in routes share; `call` has the same products through the dispatcher, differentiable.
#pragma once
#include <ATen/core/Tensor.h>
#include <c10/core/Scalar.h>

#include <optional>
#include <string_view>
#include <vector>

#include "../entry/entry.h"
#include "problem.h"

namespace torch {
class Library;
}

namespace gpukern::gemm {

using at::Scalar;
using at::Tensor;

// Whether products of tensors on this device are ours: the CPU, and a GPU that code was built for.
bool serves(c10::Device device);
// Whether tensors of this element type are.
bool takes(c10::ScalarType type);

// Extensions of ours to torch's products: activation(product) + residual.
struct Tail {
  Activation activation = Activation::none;
  const Tensor* residual = nullptr;
  bool empty() const { return activation == Activation::none && !residual; }
};
// An unknown name is a ValueError that lists the known ones.
Activation activation_of(std::string_view name);
// The elementwise op of that name, with the defaults of its arguments, through the dispatcher; in place: into t itself.
Tensor activated(Activation kind, const Tensor& t, bool in_place);
Precision precision_of(std::string_view name);

Tensor mm(const Tensor& a, const Tensor& b);
Tensor bmm(const Tensor& a, const Tensor& b);
Tensor mv(const Tensor& a, const Tensor& b);
Tensor addmm(const Tensor& c, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha);
Tensor baddbmm(const Tensor& c, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha);
Tensor addmv(const Tensor& c, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha);

// out may be c itself, which is the in-place form; it is resized as torch does.
void mm_out(const Tensor& a, const Tensor& b, const Tensor& out);
void bmm_out(const Tensor& a, const Tensor& b, const Tensor& out);
void mv_out(const Tensor& a, const Tensor& b, const Tensor& out);
void addmm_out(const Tensor& c, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha,
               const Tensor& out);
void baddbmm_out(const Tensor& c, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha,
                 const Tensor& out);
void addmv_out(const Tensor& c, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha,
               const Tensor& out);

// Registration, for bind.cpp: of the kernels of one dispatch key (registrar.h).
enum class Key;
void add_ops(torch::Library& m, Key key);
void implement_autocast(torch::Library& m, c10::DeviceType device);
std::vector<entry::Declaration> functions();

// Through the dispatcher: autograd, tracing and batching see the op.
namespace call {
using Name = std::optional<std::string_view>;
using Optional = std::optional<Tensor>;
// How a product is to be computed.  precision: of float32, by name; without one torch's switches decide.
struct How {
  Name precision = {};
  bool batch_invariant = false;
  bool empty() const { return !precision && !batch_invariant; }
};
Tensor mm(const Tensor& a, const Tensor& b, Name activation = {}, const Optional& residual = {}, How how = {});
Tensor bmm(const Tensor& a, const Tensor& b, Name activation = {}, const Optional& residual = {}, How how = {});
Tensor mv(const Tensor& a, const Tensor& b);
Tensor addmm(const Tensor& c, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha,
             Name activation = {}, const Optional& residual = {}, How how = {});
Tensor baddbmm(const Tensor& c, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha,
               Name activation = {}, const Optional& residual = {}, How how = {});
Tensor addmv(const Tensor& c, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha);
Tensor matmul(const Tensor& a, const Tensor& b, Name activation = {}, const Optional& residual = {}, How how = {});
Tensor linear(const Tensor& input, const Tensor& weight, const Optional& bias = {}, Name activation = {},
              const Optional& residual = {}, How how = {});
// activation(product) + residual by gpukern's elementwise ops, differentiable.
Tensor finish(Tensor product, Name activation, const Optional& residual);
}  // namespace call

}  // namespace gpukern::gemm
