// A chain of linear layers as one op.
#pragma once
#include "product.h"

namespace gpukern::gemm {

void define_mlp(torch::Library& m);
void implement_mlp_elsewhere(torch::Library& m);
void implement_mlp_autograd(torch::Library& m);
void implement_mlp_batching(torch::Library& m);

}  // namespace gpukern::gemm
