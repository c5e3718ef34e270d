// What happens to a sum before it is stored: D = activation(alpha * sum + beta * C) + residual.
//
// The formulas are the elementwise catalogue's, so a fused activation and the op of that name are one text.
#pragma once
#include "../elementwise/ops/activation.h"
#include "../elementwise/ops/arithmetic.h"
#include "../elementwise/ops/math.h"
#include "problem.h"

namespace gpukern::gemm {

namespace formulas {
using namespace elementwise::common;
template <class V> GPUKERN_HD V apply(Activation kind, V x) {
  switch (kind) {
#define GPUKERN_ACTIVATION(NAME, FORMULA) \
  case Activation::NAME: return FORMULA;
    GPUKERN_ACTIVATIONS(GPUKERN_ACTIVATION)
#undef GPUKERN_ACTIVATION
    default: return x;
  }
}
}  // namespace formulas

template <class V> GPUKERN_HD V activate(Activation kind, V x) { return formulas::apply(kind, x); }

}  // namespace gpukern::gemm
