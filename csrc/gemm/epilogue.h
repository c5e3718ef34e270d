// The epilogue: D = activation(alpha * sum + beta * C) * derivative'(S) + residual.  If an aux is requested, the
// pre-activation is stored there.
//
// The formulas are the elementwise catalogue's: a fused activation is the op of that name, and a fused derivative is
// that op's gradient.
#pragma once
#include "../formulas/ops/activation.h"
#include "../formulas/ops/arithmetic.h"
#include "../formulas/ops/math.h"
#include "problem.h"

namespace gpukern::gemm {

namespace formulas {
using namespace elementwise::common;
// The value first, then the gradient: the compiler then shares their common part, and a kernel has it once.
template <class Op, class V, class... S> GPUKERN_HD V of(bool backward, V g, V x, S... numbers) {
  const V y = Op::apply(x, V(numbers)...);
  if (!backward) return y;
  const V s[] = {V(numbers)..., V(0)};
  const V saved = Op::spec.saves == Saves::result ? y : x;
  return Grad<Op, 0>::formula(g, static_cast<const V*>(&saved), static_cast<const V*>(s));
}

template <class V> GPUKERN_HD V apply(Activation kind, bool backward, V g, V x) {
  switch (kind) {
#define GPUKERN_ACTIVATION(NAME, OP, ...) \
  case Activation::NAME: return of<OP>(backward, g, x __VA_OPT__(, ) __VA_ARGS__);
    GPUKERN_ACTIVATIONS(GPUKERN_ACTIVATION)
#undef GPUKERN_ACTIVATION
    default: return backward ? g : x;
  }
}
}  // namespace formulas

// An activation of x; backward: g times its derivative at x.
template <class V> GPUKERN_HD V activate(Activation kind, bool backward, V g, V x) {
  return formulas::apply(kind, backward, g, x);
}

}  // namespace gpukern::gemm
