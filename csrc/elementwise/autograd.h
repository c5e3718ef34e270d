// Autograd of every elementwise op, from its Spec: which inputs to save, which gradients to compute.
#pragma once
#include <c10/core/DispatchKeySet.h>
#include <c10/util/FunctionRef.h>

#include "elementwise.h"

namespace gpukern::elementwise {

// Whether autograd is needed: an input requires grad or has a forward-mode tangent.
bool tracked(const Inputs& in, int n);

// `below` runs the op below the autograd keys.
Tensor autograd_call(const Op& op, const Inputs& in, const Scalars& scalars, c10::function_ref<Tensor()> below);
void autograd_out(const Op& op, const Inputs& in, const Tensor& out, c10::function_ref<void()> below);
void autograd_inplace(const Op& op, const Inputs& in, const Scalars& scalars, c10::function_ref<void()> below);

// The dispatcher's op for gradients, `gpukern::elementwise_grad`.
using OptionalTensor = std::optional<Tensor>;
Tensor grad_backend(const Tensor& g, const OptionalTensor& a, const OptionalTensor& b, const OptionalTensor& c,
                    std::string_view key, int64_t i, int64_t j, at::ArrayRef<at::Scalar> scalars);
Tensor grad_autograd(c10::DispatchKeySet keys, const Tensor& g, const OptionalTensor& a, const OptionalTensor& b,
                     const OptionalTensor& c, std::string_view key, int64_t i, int64_t j,
                     at::ArrayRef<at::Scalar> scalars);

}  // namespace gpukern::elementwise
