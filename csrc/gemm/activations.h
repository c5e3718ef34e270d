// What may be applied to a product by name: the catalogue's unary ops on floating types, with the defaults of their
// arguments.  One line is one choice of `activation=`; its formula is the catalogue's own.
//
// sin and cos are not here: CUDA's own need a stack for arguments beyond 105615, which every product would then have.
#pragma once

//        name          formula of x
#define GPUKERN_ACTIVATIONS(ACT)                             \
  ACT(relu, activation::Relu::apply(x))                      \
  ACT(gelu, activation::Gelu::apply(x))                      \
  ACT(gelu_tanh, activation::GeluTanh::apply(x))             \
  ACT(silu, activation::Silu::apply(x))                      \
  ACT(sigmoid, math::Sigmoid::apply(x))                      \
  ACT(tanh, math::Tanh::apply(x))                            \
  ACT(mish, activation::Mish::apply(x))                      \
  ACT(hardswish, activation::Hardswish::apply(x))            \
  ACT(relu6, activation::Relu6::apply(x))                    \
  ACT(leaky_relu, activation::LeakyRelu::apply(x, V(0.01)))  \
  ACT(elu, activation::Elu::apply(x, V(1)))                  \
  ACT(softplus, activation::Softplus::apply(x, V(1), V(20))) \
  ACT(hardsigmoid, activation::Hardsigmoid::apply(x))        \
  ACT(hardtanh, activation::Hardtanh::apply(x, V(-1), V(1))) \
  ACT(logsigmoid, activation::Logsigmoid::apply(x))          \
  ACT(abs, arithmetic::Abs::apply(x))                        \
  ACT(neg, arithmetic::Neg::apply(x))                        \
  ACT(sign, arithmetic::Sign::apply(x))                      \
  ACT(square, arithmetic::Square::apply(x))                  \
  ACT(sqrt, math::Sqrt::apply(x))                            \
  ACT(rsqrt, math::Rsqrt::apply(x))                          \
  ACT(reciprocal, math::Reciprocal::apply(x))                \
  ACT(exp, math::Exp::apply(x))                              \
  ACT(exp2, math::Exp2::apply(x))                            \
  ACT(expm1, math::Expm1::apply(x))                          \
  ACT(log, math::Log::apply(x))                              \
  ACT(log2, math::Log2::apply(x))                            \
  ACT(log1p, math::Log1p::apply(x))                          \
  ACT(erf, math::Erf::apply(x))
