// Products with an epilogue that torch has no op for: the derivative that backward multiplies by, scales of rows and
// columns.
#pragma once
#include "product.h"

namespace gpukern::gemm {

// What the catalogue's gradient of an activation reads: the activation's result, its argument, or (relu) either.
bool reads_result(Activation kind);
bool reads_argument(Activation kind);
// g times the derivative of an activation at s, by the elementwise catalogue's gradient; differentiable itself.
// of_result: s is what came out of the activation, whose gradient reads that.
Tensor differentiated(Activation kind, const Tensor& g, const Tensor& s, bool of_result = false);
// Selects a configuration for a Problem and launches it; false if none takes it.
bool launched(const Args& x, const Tensor& out);

std::vector<entry::Declaration> fused_functions();

}  // namespace gpukern::gemm
