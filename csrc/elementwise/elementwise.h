// The torch side of the elementwise ops: tensors in, plain arguments out.  See architecture.md, "The life of a call".
#pragma once
#include <ATen/core/Tensor.h>
#include <c10/core/Scalar.h>

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "catalogue.h"

namespace torch {
class Library;
}

namespace gpukern::elementwise {

using at::Tensor;
using Inputs = std::array<const Tensor*, kMaxInputs>;                // an op's tensors; null behind the last
using Scalars = std::array<std::optional<at::Scalar>, kMaxScalars>;  // an op's numbers; none where a bound is absent

// The dtype of an op's result for these inputs, by torch's rule; nullopt if no kernel of ours serves them (complex,
// sparse, quantised, a dtype that torch refuses, a device that nothing is built for).
std::optional<c10::ScalarType> result_dtype(const Op& op, const Inputs& in, const Scalars& scalars);

// Below autograd: runs the op into a new tensor, or into `out` (resized as torch resizes).  The result is rounded or
// narrowed to `dtype` before it is converted to the type of `out`, as torch's.
Tensor run(const Op& op, const Inputs& in, const Scalars& scalars, c10::ScalarType dtype, const Tensor* out = nullptr);

// gradient I of an op, times g; or, with j >= 0, the derivative of that by operand j.  Through the dispatcher, so that
// it is differentiable itself.  `operands` are the inputs, or the result for an op that saves it.
Tensor run_grad(const Op& op, int i, int j, const Tensor& g, const Inputs& operands, const Scalars& scalars);
Tensor grad(const Op& op, int i, int j, const Tensor& g, const Inputs& operands, const Scalars& scalars);
// The derivative of that by operand k: a composition of torch's ops, not a kernel, so it is differentiable too.
Tensor third(const Op& op, int i, int j, int k, const Tensor& g, const Inputs& operands, const Scalars& scalars);

// Calls torch's own op with the same arguments, through the dispatcher: it serves calls that our kernels do not, and
// raises torch's error for those that torch refuses too.
Tensor twin(const Op& op, const Inputs& in, const Scalars& scalars);
void twin_out(const Op& op, const Inputs& in, const Scalars& scalars, const Tensor& out);
void twin_inplace(const Op& op, const Inputs& in, const Scalars& scalars);

// Whether a kernel here takes elements of that type.
bool has_kernel(c10::ScalarType type);

// Refuses, with torch's text, a rounded division of integers by a number that their type converts to 0, if x has no
// data: otherwise the number would become a tensor without a value.
void refuse_zero_divisor(const Tensor& x, const at::Scalar& y, std::optional<std::string_view> mode);

// Schemas and kernels, called by bind.cpp for the library and for each dispatch key.
void define(torch::Library& library);
void define_composite(torch::Library& library);
void implement(torch::Library& library);
void implement_autograd(torch::Library& library);
void implement_inplace(torch::Library& library);
void implement_batching(torch::Library& library);
void implement_autocast(torch::Library& library, c10::DeviceType device);

// The catalogue for Python, one entry per op and choice.
struct Description {
  std::string name, family, args, doc, choice, aten, types;
  int inputs, scalars, ulp, grad_ulp, grad_ulp32;
  bool differentiable, saves_result, predicate, in_place;
  std::vector<int> variants;  // those that exist, as op.h numbers them
  std::vector<int> saved;     // the inputs that gradient i reads, as bits (bit 0 for the result if that is saved)
};
std::vector<Description> describe_catalogue();

// Calls served since the start (or reset_counts), by op name and path ("host/AVX2", "cuda"), as (key, count).
std::vector<std::pair<std::string, int64_t>> counts();
void reset_counts();

}  // namespace gpukern::elementwise
