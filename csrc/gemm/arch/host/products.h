// The CPU's products on tensors: ATen's own kernels, called below the dispatcher, so that a drop-in route on aten's ops
// does not meet itself.
#pragma once
#include "../../product.h"

namespace gpukern::gemm::host {

// Into `out`, or into a new tensor.
Tensor product(const Args& args, const Tensor* out);
// The same for batch_invariant: every row is computed alike, whatever rows lie beside it.
Tensor invariant(const Args& args, const Tensor* out);
// activation(out) + residual, in place.
void finish(const Tensor& out, Activation activation, const Tensor* residual);

}  // namespace gpukern::gemm::host
