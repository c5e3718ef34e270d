// What happens to a sum before it is stored: D = activation(alpha * sum + beta * C) + residual.
//
// One text for the GPU kernels, the machine model and the tests.  The formulas keep their relative precision in both
// tails: gelu through erfc (1 + erf cancels for x < -1), silu and sigmoid without an exp that overflows.
#pragma once
#include <cmath>

#include "../platform/gpu.h"
#include "problem.h"

namespace gpukern::gemm {

GPUKERN_HD float exp_(float x) { return ::expf(x); }
GPUKERN_HD double exp_(double x) { return ::exp(x); }
GPUKERN_HD float erfc_(float x) { return ::erfcf(x); }
GPUKERN_HD double erfc_(double x) { return ::erfc(x); }
GPUKERN_HD float tanh_(float x) { return ::tanhf(x); }
GPUKERN_HD double tanh_(double x) { return ::tanh(x); }

// NaN stays NaN, as in torch.relu.
template <class V> GPUKERN_HD V relu(V x) { return x < V(0) ? V(0) : x; }
template <class V> GPUKERN_HD V gelu(V x) { return V(0.5) * x * erfc_(x * V(-0.70710678118654752440)); }
template <class V> GPUKERN_HD V sigmoid(V x) {
  const V e = exp_(x < V(0) ? x : -x);
  return (x < V(0) ? e : V(1)) / (V(1) + e);
}
template <class V> GPUKERN_HD V silu(V x) { return x * sigmoid(x); }
// 0.5 x (1 + tanh(u)) = x sigmoid(2u): the same value, without the cancellation for negative x.
template <class V> GPUKERN_HD V gelu_tanh(V x) {
  const V u = V(0.79788456080286535588) * (x + V(0.044715) * x * x * x);
  return x * sigmoid(V(2) * u);
}
// tanh(log(1 + e^x)) = w / (w + 2) with w = e^x (e^x + 2); above 20 it is 1 to the last bit of a double.
template <class V> GPUKERN_HD V mish(V x) {
  const V e = exp_(x < V(20) ? x : V(20));
  const V w = e * (e + V(2));
  return x > V(20) ? x : x * (w / (w + V(2)));
}
template <class V> GPUKERN_HD V hardswish(V x) {
  const V y = x + V(3);
  return x * (y < V(0) ? V(0) : y > V(6) ? V(6) : y) / V(6);
}

template <class V> GPUKERN_HD V activate(Activation kind, V x) {
  switch (kind) {
    case Activation::relu: return relu(x);
    case Activation::gelu: return gelu(x);
    case Activation::gelu_tanh: return gelu_tanh(x);
    case Activation::silu: return silu(x);
    case Activation::sigmoid: return sigmoid(x);
    case Activation::tanh: return tanh_(x);
    case Activation::mish: return mish(x);
    case Activation::hardswish: return hardswish(x);
    default: return x;
  }
}

}  // namespace gpukern::gemm
