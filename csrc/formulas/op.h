// What an elementwise op is: a Spec (name, signature, types, promise) and a formula over any V.
//
// A formula is written once.  V is float, double or int64_t on a GPU, a SIMD register on the CPU, and Dual<V> for a
// derivative, so that value and gradient of an op have the same source.  One struct gives three kinds of kernel, to
// which this file gives one interface (`run(in, scalars)`):
//
//   Value<Op>          y        = f(x_0, x_1, ..)
//   Grad<Op, I>        grad_I   = g * df/dx_I              operands: g, then the inputs that the formula reads
//   Second<Op, I, J>   second   = d/dx_J (g * df/dx_I)     the same operands as Grad<Op, I>
//
// Nothing here knows torch or a vendor; nvcc, clang (HIP), the host compiler and the machine model all include it.
#pragma once
#include <cstdint>

#include "../core/dtype.h"
#include "dual.h"
#include "math.h"

GPUKERN_ELEMENTWISE_BEGIN

// Compute types, the only types that a formula sees: half types and float compute in float, integers and bool in
// int64_t.  Stores narrow (two's complement, so integers wrap as in torch; bool is `!= 0`).
enum class Compute : uint8_t { f32, f64, i64 };

enum class Types : uint8_t {
  floating,  // float16 bfloat16 float32 float64
  to_float,  // and integers and bool, computed in torch's default dtype
  number,    // floating and integers, result in the common dtype
  all,       // number and bool
  whole,     // integers and bool
};

// What is saved for the gradient, as in torch: the inputs, or the result (then the formula is written in terms of y).
enum class Saves : uint8_t { inputs, result };

constexpr int kMaxInputs = 3, kMaxScalars = 3;

struct Spec {
  const char* name;  // public name; torch's if torch has the op
  const char* args;  // torch's signature, without the result
  const char* doc;   // one sentence and the formula
  Types types = Types::floating;
  int inputs = 1;           // tensor operands
  int scalars = 0;          // number operands, after the tensors in `apply`
  int ulp = 1;              // promise for 16-bit results: distance from the correctly rounded value over all patterns
  int grad_ulp = 1;         // the same for gradients, for g = 1; a larger one needs a reason beside it
  int grad_ulp32 = 2;       // and in float32. Within 1/2 of a zero of the gradient an ulp is 2^-26 at least
  const char* choice = "";  // one op of several with one name, chosen by a string argument ("tanh" of gelu)
  const char* aten = nullptr;  // torch's dispatcher name of the op if it differs; "" if torch has none
  Saves saves = Saves::inputs;
  uint8_t needs[kMaxInputs] = {7, 7, 7};  // inputs that gradient I reads, as bits
  uint8_t differentiable = 7;             // inputs that have a gradient, as bits
  uint8_t passes = 0;                     // inputs whose gradient is g itself
  uint8_t passes_if_one = 0;              // the same where scalar 0 is 1
  bool refuses_zero = false;              // integers: a 0 in the last operand, the divisor, is torch's error on a CPU
  int8_t absent[kMaxScalars] = {};        // kind of an optional bound: -1 lower, 1 upper
  bool linear = false;                    // piecewise linear: no second derivative
  uint8_t condition = 0;                  // inputs that only select, and take no part in type promotion, as bits
  bool inplace_argument = false;          // torch's function has `inplace=False`
  bool same_dtype = false;                // torch refuses to mix dtypes here
  bool refuses_bool = false;              // torch refuses a bool operand, beside other types too
  bool exact_out = false;                 // torch's out= takes the result's dtype only
  bool predicate = false;                 // the result is bool, whatever is compared
  bool rare = false;                      // few programs use it: no packet kernels on GPUs, so less code
  bool has_inplace = true;                // torch has the form with a trailing underscore
  uint8_t takes_number = 0;               // inputs that may be Python numbers by a parameter list of their own, as bits
  // Where f depends on one sum: every gradient is gradient `shared`, times input `factor[I]` where that is not -1.
  int8_t shared = -1;
  int8_t factor[kMaxInputs] = {-1, -1, -1};
};

template <class... Ops> struct List {
  static constexpr int size = sizeof...(Ops);
};

namespace detail {
constexpr int count_bits(unsigned bits) { return bits ? (bits & 1) + count_bits(bits >> 1) : 0; }

// Passes arrays as a formula's parameters: tensors, then scalars.
template <class Op, class V, int N, int S> struct Spread {
  static GPUKERN_HD V apply(const V* x, const V* s) {
    if constexpr (N == 1 && S == 0) return Op::apply(x[0]);
    else if constexpr (N == 1 && S == 1) return Op::apply(x[0], s[0]);
    else if constexpr (N == 1 && S == 2) return Op::apply(x[0], s[0], s[1]);
    else if constexpr (N == 1 && S == 3) return Op::apply(x[0], s[0], s[1], s[2]);
    else if constexpr (N == 2 && S == 0) return Op::apply(x[0], x[1]);
    else if constexpr (N == 2 && S == 1) return Op::apply(x[0], x[1], s[0]);
    else if constexpr (N == 3 && S == 0) return Op::apply(x[0], x[1], x[2]);
    else return Op::apply(x[0], x[1], x[2], s[0]);
  }
  template <int I> static GPUKERN_HD V grad(V g, const V* x, const V* s) {
    if constexpr (N == 1 && S == 0) return Op::template grad<I>(g, x[0]);
    else if constexpr (N == 1 && S == 1) return Op::template grad<I>(g, x[0], s[0]);
    else if constexpr (N == 1 && S == 2) return Op::template grad<I>(g, x[0], s[0], s[1]);
    else if constexpr (N == 1 && S == 3) return Op::template grad<I>(g, x[0], s[0], s[1], s[2]);
    else if constexpr (N == 2 && S == 0) return Op::template grad<I>(g, x[0], x[1]);
    else if constexpr (N == 2 && S == 1) return Op::template grad<I>(g, x[0], x[1], s[0]);
    else if constexpr (N == 3 && S == 0) return Op::template grad<I>(g, x[0], x[1], x[2]);
    else return Op::template grad<I>(g, x[0], x[1], x[2], s[0]);
  }
};

// An op has its own gradient where that of Dual would cost more or lose digits: `kOwnGrad` and `grad<I>(g, x.., s..)`.
template <class Op> constexpr bool own_grad() {
  if constexpr (requires { Op::kOwnGrad; }) return Op::kOwnGrad;
  else return false;
}
}  // namespace detail

// Gradient operands: the inputs that are read, or the single result.
template <class Op> constexpr unsigned saved_bits(int i) {
  return Op::spec.saves == Saves::result ? 1u : Op::spec.needs[i] & ((1u << Op::spec.inputs) - 1);
}

template <class Op_> struct Value {
  using Op = Op_;
  static constexpr int inputs = Op::spec.inputs, scalars = Op::spec.scalars;
  template <class V> static GPUKERN_HD V run(const V* in, const V* s) {
    return detail::Spread<Op, V, inputs, scalars>::apply(in, s);
  }
};

template <class Op_, int I> struct Grad {
  using Op = Op_;
  static constexpr unsigned bits = saved_bits<Op>(I);
  static constexpr int inputs = 1 + detail::count_bits(bits), scalars = Op::spec.scalars;

  // Puts the given operands into their places; the formula does not read the others.
  template <class V> static GPUKERN_HD void place(const V* in, V* x) {
    int next = 1;
    for (int k = 0; k < Op::spec.inputs; ++k) x[k] = (bits >> k & 1) ? in[next++] : V(0);
  }
  template <class V> static GPUKERN_HD V formula(V g, const V* x, const V* s) {
    constexpr int n = Op::spec.inputs;
    if constexpr (detail::own_grad<Op>()) {
      return detail::Spread<Op, V, n, scalars>::template grad<I>(g, x, s);
    } else {
      Dual<V> dx[n], ds[scalars + 1];
      for (int k = 0; k < n; ++k) dx[k] = Dual<V>(x[k], V(k == I ? 1 : 0));
      for (int k = 0; k < scalars; ++k) ds[k] = Dual<V>(s[k], V(0));
      return g * detail::Spread<Op, Dual<V>, n, scalars>::apply(dx, ds).d;
    }
  }
  template <class V> static GPUKERN_HD V run(const V* in, const V* s) {
    V x[Op::spec.inputs];
    place(in, x);
    return formula(in[0], x, s);
  }
};

template <class Op_, int I, int J> struct Second {
  using Op = Op_;
  static constexpr int inputs = Grad<Op, I>::inputs, scalars = Op::spec.scalars;
  template <class V> static GPUKERN_HD V run(const V* in, const V* s) {
    constexpr int n = Op::spec.inputs;
    V x[n];
    Grad<Op, I>::place(in, x);
    Dual<V> dx[n], ds[scalars + 1];
    for (int k = 0; k < n; ++k) dx[k] = Dual<V>(x[k], V(k == J ? 1 : 0));
    for (int k = 0; k < scalars; ++k) ds[k] = Dual<V>(s[k], V(0));
    return Grad<Op, I>::formula(Dual<V>(in[0], V(0)), static_cast<const Dual<V>*>(dx), static_cast<const Dual<V>*>(ds))
        .d;
  }
};

// Variants are numbered: 0 the value, 1 + I the gradients, 4 + 3 I + J the second derivatives.
constexpr int kVariants = 1 + kMaxInputs + kMaxInputs * kMaxInputs;
constexpr int grad_variant(int i) { return 1 + i; }
constexpr int second_variant(int i, int j) { return 1 + kMaxInputs + i * kMaxInputs + j; }

template <class Op> constexpr bool has_variant(int variant) {
  if (variant == 0) return true;
  const int i = variant <= kMaxInputs ? variant - 1 : (variant - 1 - kMaxInputs) / kMaxInputs;
  const int j = variant <= kMaxInputs ? -1 : (variant - 1 - kMaxInputs) % kMaxInputs;
  const int saved = Op::spec.saves == Saves::result ? 1 : Op::spec.inputs;
  if (Op::spec.shared >= 0 && (i != Op::spec.shared || (j >= 0 && j != Op::spec.shared))) return false;
  if (i >= Op::spec.inputs || !(Op::spec.differentiable >> i & 1)) return false;
  return j < 0 || (j < saved && !Op::spec.linear && (saved_bits<Op>(i) >> j & 1));
}
template <class Op> constexpr bool has_integers() { return Op::spec.types >= Types::number; }
template <class Op> constexpr bool has_floats() { return Op::spec.types != Types::whole; }

// Kernel<Op, variant>: the type of one variant, for tables that are filled by index.
namespace detail {
template <class Op, int Variant, int Kind> struct Pick {
  using type = Value<Op>;
};
template <class Op, int Variant> struct Pick<Op, Variant, 1> {
  using type = Grad<Op, Variant - 1>;
};
template <class Op, int Variant> struct Pick<Op, Variant, 2> {
  static constexpr int at = Variant - 1 - kMaxInputs;
  using type = Second<Op, at / kMaxInputs, at % kMaxInputs>;
};
}  // namespace detail
template <class Op, int Variant>
using Kernel = typename detail::Pick<Op, Variant,
                                     Variant == 0            ? 0
                                     : Variant <= kMaxInputs ? 1
                                                             : 2>::type;

GPUKERN_ELEMENTWISE_END
