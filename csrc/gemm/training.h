// Training a product with an activation: forward returns the pre-activation beside the result, backward computes the
// activation's gradient with the sum of its columns.  These are ops of the dispatcher, so that tracing and batching see
// them; users call the products.
#pragma once
#include <tuple>

#include "product.h"

namespace gpukern::gemm {

// activation(product) + residual, and the pre-activation, for gradients that read it.
std::tuple<Tensor, Tensor> product_with_aux(const Args& x);
// grad times the activation's derivative at `saved` (the pre-activation), and the sums of its columns.
std::tuple<Tensor, Tensor> activation_backward_bias_grad(const Tensor& grad, const Tensor& saved,
                                                         std::string_view activation);

}  // namespace gpukern::gemm
