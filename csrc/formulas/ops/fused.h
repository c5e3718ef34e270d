// Ops torch has no name for: a sum or a product and its activation in one pass over memory.  The activation is an
// argument of the public op (`activation="gelu"`); each choice is a kernel of its own.
#pragma once
#include "../op.h"
#include "activation.h"
#include "math.h"

GPUKERN_ELEMENTWISE_BEGIN
namespace fused {

// An activation by its public name, and its gradient at the input (relu's is the same at input or result).
template <class Op> struct Named {
  static constexpr int grad_ulp32 = Op::spec.grad_ulp32;
  template <class V> static GPUKERN_HD V apply(V x) { return Op::apply(x); }
  template <class V> static GPUKERN_HD V grad(V g, V x) { return Op::template grad<0>(g, x); }
};
struct None {
  static constexpr const char* choice = "none";
  static constexpr int grad_ulp32 = 2;
  template <class V> static GPUKERN_HD V apply(V x) { return x; }
  template <class V> static GPUKERN_HD V grad(V g, V) { return g; }
};
struct Relu : Named<activation::Relu> {
  static constexpr const char* choice = "relu";
};
struct Gelu : Named<activation::Gelu> {
  static constexpr const char* choice = "gelu";
};
struct GeluTanh : Named<activation::GeluTanh> {
  static constexpr const char* choice = "gelu_tanh";
};
struct Silu : Named<activation::Silu> {
  static constexpr const char* choice = "silu";
};
struct Sigmoid : Named<math::Sigmoid> {
  static constexpr const char* choice = "sigmoid";
};
struct Tanh : Named<math::Tanh> {
  static constexpr const char* choice = "tanh";
};
struct Mish : Named<activation::Mish> {
  static constexpr const char* choice = "mish";
};
struct Hardswish : Named<activation::Hardswish> {
  static constexpr const char* choice = "hardswish";
};

template <class Act> struct AddAct {
  static constexpr Spec spec{.name = "add_act",
                             .args = "Tensor input, Tensor other, str activation='relu'",
                             .doc = "activation(input + other).",
                             .inputs = 2,
                             .grad_ulp32 = Act::grad_ulp32,  // at the rounded sum
                             .choice = Act::choice,
                             .aten = "",
                             .shared = 0};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x, V y) { return Act::apply(x + y); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x, V y) { return Act::grad(g, x + y); }
};

template <class Act> struct ScaleShiftAct {
  static constexpr Spec spec{.name = "scale_shift_act",
                             .args = "Tensor input, Tensor scale, Tensor shift, str activation='relu'",
                             .doc = "activation(input * scale + shift).",
                             .inputs = 3,
                             // The derivative is rounded before the factor multiplies it: a large error if subnormal.
                             .grad_ulp = 6,
                             .grad_ulp32 = Act::grad_ulp32 + 1,  // at the rounded sum
                             .choice = Act::choice,
                             .aten = "",
                             .shared = 2,
                             .factor = {1, 0, -1}};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x, V scale, V shift) { return Act::apply(x * scale + shift); }
  template <int, class V> static GPUKERN_HD V grad(V g, V x, V scale, V shift) {
    return Act::grad(g, x * scale + shift);
  }
};

// Without an activation the gradients are h or h * factor.  autograd.cpp uses the product for the other choices too,
// with the gradient at their sum as h.  If h is 0 the gradient is 0, even for an infinite factor: the activation's
// slope vanishes faster than its argument grows.
template <> struct ScaleShiftAct<None> {
  static constexpr Spec spec{.name = "scale_shift_act",
                             .args = "Tensor input, Tensor scale, Tensor shift, str activation='relu'",
                             .doc = "activation(input * scale + shift).",
                             .inputs = 3,
                             .grad_ulp = 6,
                             .choice = None::choice,
                             .aten = "",
                             .needs = {2, 1, 0},
                             .passes = 4};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x, V scale, V shift) { return x * scale + shift; }
  template <int I, class V> static GPUKERN_HD V grad(V h, V x, V scale, V) {
    if constexpr (I == 2) return h;
    const V factor = I == 0 ? scale : x;
    return where((h == V(0)) & (factor == factor), h, h * factor);
  }
};

struct Swiglu {
  static constexpr Spec spec{.name = "swiglu",
                             .args = "Tensor gate, Tensor up",
                             .doc = "silu(gate) * up.",
                             .inputs = 2,
                             .grad_ulp32 = activation::Silu::spec.grad_ulp32,  // its steps, times `up`
                             .aten = "",
                             .needs = {3, 1}};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x, V y) { return activation::Silu::apply(x) * y; }
  template <int I, class V> static GPUKERN_HD V grad(V g, V x, V y) {
    if constexpr (I == 0) return activation::Silu::template grad<0>(g * y, x);
    else return g * times(sigmoid(x), x);  // the limit at -inf, where plain multiplication gives NaN
  }
};

template <class Act> struct GegluOf {
  static constexpr Spec spec{.name = "geglu",
                             .args = "Tensor gate, Tensor up, *, str approximate='none'",
                             .doc = "gelu(gate) * up.",
                             .inputs = 2,
                             .grad_ulp32 = Act::spec.grad_ulp32,  // its steps, times `up`
                             .choice = Act::spec.choice,
                             .aten = "",
                             .needs = {3, 1}};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x, V y) { return Act::apply(x) * y; }
  template <int I, class V> static GPUKERN_HD V grad(V g, V x, V y) {
    if constexpr (I == 0) return Act::template grad<0>(g * y, x);
    else return g * times(Act::gate(x), x);  // as in swiglu
  }
};

using Ops =
    List<AddAct<None>, AddAct<Relu>, AddAct<Gelu>, AddAct<GeluTanh>, AddAct<Silu>, AddAct<Sigmoid>, AddAct<Tanh>,
         AddAct<Mish>, AddAct<Hardswish>, ScaleShiftAct<None>, ScaleShiftAct<Relu>, ScaleShiftAct<Gelu>,
         ScaleShiftAct<GeluTanh>, ScaleShiftAct<Silu>, ScaleShiftAct<Sigmoid>, ScaleShiftAct<Tanh>, ScaleShiftAct<Mish>,
         ScaleShiftAct<Hardswish>, Swiglu, GegluOf<activation::Gelu>, GegluOf<activation::GeluTanh>>;

}  // namespace fused
GPUKERN_ELEMENTWISE_END
