// What may be applied to a product by name: the catalogue's unary ops on floating types, with the defaults of their
// arguments.  One line is one choice of `activation=`; its formula, and that of its derivative, are the catalogue's
// own.
//
// sin and cos are not here: CUDA's own need a stack for arguments beyond 105615, which every product would then have.
#pragma once

//  name, op of the catalogue, its further arguments
#define GPUKERN_ACTIVATIONS(ACT)               \
  ACT(relu, activation::Relu)                  \
  ACT(gelu, activation::Gelu)                  \
  ACT(gelu_tanh, activation::GeluTanh)         \
  ACT(silu, activation::Silu)                  \
  ACT(sigmoid, math::Sigmoid)                  \
  ACT(tanh, math::Tanh)                        \
  ACT(mish, activation::Mish)                  \
  ACT(hardswish, activation::Hardswish)        \
  ACT(relu6, activation::Relu6)                \
  ACT(leaky_relu, activation::LeakyRelu, 0.01) \
  ACT(elu, activation::Elu, 1)                 \
  ACT(softplus, activation::Softplus, 1, 20)   \
  ACT(hardsigmoid, activation::Hardsigmoid)    \
  ACT(hardtanh, activation::Hardtanh, -1, 1)   \
  ACT(logsigmoid, activation::Logsigmoid)      \
  ACT(abs, arithmetic::Abs)                    \
  ACT(neg, arithmetic::Neg)                    \
  ACT(sign, arithmetic::Sign)                  \
  ACT(square, arithmetic::Square)              \
  ACT(sqrt, math::Sqrt)                        \
  ACT(rsqrt, math::Rsqrt)                      \
  ACT(reciprocal, math::Reciprocal)            \
  ACT(exp, math::Exp)                          \
  ACT(exp2, math::Exp2)                        \
  ACT(expm1, math::Expm1)                      \
  ACT(log, math::Log)                          \
  ACT(log2, math::Log2)                        \
  ACT(log1p, math::Log1p)                      \
  ACT(erf, math::Erf)
