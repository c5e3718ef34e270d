// What training asks of a product with an activation: the pre-activation beside the result on the way forward, and on
// the way back the activation's gradient with the sum of its columns.  Ops of the dispatcher, so that tracing and
// batching see them; people call the products.
#pragma once
#include <tuple>

#include "product.h"

namespace gpukern::gemm {

// activation(product) + residual, and what went into the activation: for gradients that read that.
std::tuple<Tensor, Tensor> product_with_aux(const Args& x);
// grad times the activation's derivative at `saved`, what went into it, and the sums of the columns of that.
std::tuple<Tensor, Tensor> activation_backward_bias_grad(const Tensor& grad, const Tensor& saved,
                                                         std::string_view activation);

}  // namespace gpukern::gemm
