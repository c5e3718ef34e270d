// Products with an end that torch has no op for: what backward multiplies a product by, scales of rows and columns.
#pragma once
#include "product.h"

namespace gpukern::gemm {

// What the catalogue's gradient of an activation reads: its result or its argument, or (relu) either.
bool reads_result(Activation kind);
bool reads_argument(Activation kind);
// g times the derivative of an activation at s, by the elementwise catalogue's gradient; differentiable itself.
// of_result: s is what came out of the activation, whose gradient reads that.
Tensor differentiated(Activation kind, const Tensor& g, const Tensor& s, bool of_result = false);
// A Problem to its row, and that to the GPU; false where no row took it.
bool launched(const Args& x, const Tensor& out);

std::vector<entry::Declaration> fused_functions();

}  // namespace gpukern::gemm
