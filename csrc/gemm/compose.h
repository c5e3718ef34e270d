// The functions of compose.cpp that register.cpp registers.
#pragma once
#include "product.h"

namespace gpukern::gemm {

Tensor matmul(const Tensor& a, const Tensor& b, call::Name activation, const call::Optional& residual, call::How how);
Tensor linear(const Tensor& input, const Tensor& weight, const call::Optional& bias, call::Name activation,
              const call::Optional& residual, call::How how);

// Batching rules of the products; the in-place one writes into *args.c.
Tensor batched(const Args& args);
void batched_inplace(const Args& args);

}  // namespace gpukern::gemm
