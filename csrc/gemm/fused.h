// Products with an end that torch has no op for: what backward multiplies a product by, scales of rows and columns.
#pragma once
#include "product.h"

namespace gpukern::gemm {

// g times the derivative of an activation at s, by the elementwise catalogue's gradient; differentiable itself.
Tensor differentiated(Activation kind, const Tensor& g, const Tensor& s);

void define_fused(torch::Library& m);
void implement_fused(torch::Library& m);
void implement_fused_elsewhere(torch::Library& m);
void implement_fused_autograd(torch::Library& m);
void implement_fused_batching(torch::Library& m);
std::vector<entry::Declaration> fused_functions();

}  // namespace gpukern::gemm
