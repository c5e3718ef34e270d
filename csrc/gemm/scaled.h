// What register.cpp asks of scaled.cpp.
#pragma once
#include "product.h"

namespace gpukern::gemm {

void define_scaled(torch::Library& m);
void implement_scaled(torch::Library& m);
void implement_scaled_autograd(torch::Library& m);
entry::Declaration scaled_function();

}  // namespace gpukern::gemm
