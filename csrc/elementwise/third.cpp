// Third derivatives: the same formulas, evaluated on tensors. They are rare, so they have no kernels: a formula on dual
// numbers of tensors is a composition of torch's ops, which torch differentiates further.
#include <ATen/ops/abs.h>
#include <ATen/ops/add.h>
#include <ATen/ops/bitwise_and.h>
#include <ATen/ops/bitwise_or.h>
#include <ATen/ops/broadcast_tensors.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/cosh.h>
#include <ATen/ops/div.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/erf.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/exp2.h>
#include <ATen/ops/expm1.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/gt.h>
#include <ATen/ops/le.h>
#include <ATen/ops/log.h>
#include <ATen/ops/log1p.h>
#include <ATen/ops/log2.h>
#include <ATen/ops/lt.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/ne.h>
#include <ATen/ops/neg.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/sinh.h>
#include <ATen/ops/special_erfc.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/where.h>

#include <cmath>
#include <limits>

#include "all_ops.h"
#include "autograd.h"

GPUKERN_ELEMENTWISE_BEGIN

// A tensor or a number. Arithmetic of numbers is done here, and tangents of 0 are left out, so that a composition has
// only the ops that a person would write.
struct Expression {
  at::Tensor tensor;
  double number = 0;

  Expression() = default;
  explicit Expression(double n) : number(n) {}
  explicit Expression(at::Tensor t) : tensor(std::move(t)) {}
  bool is_number() const { return !tensor.defined(); }
  bool is(double n) const { return is_number() && number == n; }
};
struct Condition {
  at::Tensor tensor;
  bool value = false;
};

// Argument-dependent lookup must find these functions, so they are not in an unnamed namespace.
using E = Expression;

inline E operator-(const E& a) { return a.is_number() ? E(-a.number) : E(at::neg(a.tensor)); }
inline E operator+(const E& a, const E& b) {
  if (a.is(0)) return b;
  if (b.is(0)) return a;
  if (a.is_number()) return b.is_number() ? E(a.number + b.number) : E(at::add(b.tensor, a.number));
  return b.is_number() ? E(at::add(a.tensor, b.number)) : E(at::add(a.tensor, b.tensor));
}
inline E operator-(const E& a, const E& b) { return a + -b; }
inline E operator*(const E& a, const E& b) {
  if (a.is(0) || b.is(0)) return E(0.0);
  if (a.is(1)) return b;
  if (b.is(1)) return a;
  if (a.is_number()) return b.is_number() ? E(a.number * b.number) : E(at::mul(b.tensor, a.number));
  return b.is_number() ? E(at::mul(a.tensor, b.number)) : E(at::mul(a.tensor, b.tensor));
}
inline E operator/(const E& a, const E& b) {
  if (a.is(0) || b.is(1)) return a;
  if (b.is_number()) return a.is_number() ? E(a.number / b.number) : E(at::div(a.tensor, b.number));
  return a.is_number() ? E(at::mul(at::pow(b.tensor, -1), a.number)) : E(at::div(a.tensor, b.tensor));
}
// Plain multiplication: a tensor that is 0 somewhere may have a derivative there.
inline E times(const E& a, const E& b) { return a * b; }
inline E scaled(const E& a, const E& b) {
  const E p = a * b;
  if (a.is_number() || b.is_number()) return p;
  const at::Tensor nothing = at::bitwise_and(at::ne(p.tensor, p.tensor),
                                             at::bitwise_and(at::eq(a.tensor, a.tensor), at::eq(b.tensor, b.tensor)));
  return E(at::where(nothing, at::Scalar(0.0), p.tensor));
}
// Never: the rounding of an exponent less 1 does not matter here, and powers of x have derivatives at any x, unlike
// quotients.
inline Condition by_quotient(const E&, const E&) { return {}; }
inline E plus(const E& a, const E& b) { return a + b; }
inline E minus(const E& a, const E& b) { return a - b; }
inline E over(const E& a, const E& b) { return a / b; }
inline E fma(const E& a, const E& b, const E& c) { return a * b + c; }

#define GPUKERN_COMPARISON(SIGN, OP, MIRROR)                                                     \
  inline Condition operator SIGN(const E& a, const E& b) {                                       \
    if (b.is_number()) {                                                                         \
      if (a.is_number()) return {at::Tensor(), a.number SIGN b.number};                          \
      return {at::OP(a.tensor, b.number), false};                                                \
    }                                                                                            \
    return {a.is_number() ? at::MIRROR(b.tensor, a.number) : at::OP(a.tensor, b.tensor), false}; \
  }
GPUKERN_COMPARISON(==, eq, eq)
GPUKERN_COMPARISON(!=, ne, ne)
GPUKERN_COMPARISON(<, lt, gt)
GPUKERN_COMPARISON(<=, le, ge)
GPUKERN_COMPARISON(>, gt, lt)
GPUKERN_COMPARISON(>=, ge, le)
#undef GPUKERN_COMPARISON
inline Condition operator&(const Condition& a, const Condition& b) {
  if (!a.tensor.defined()) return a.value ? b : a;
  if (!b.tensor.defined()) return b.value ? a : b;
  return {at::bitwise_and(a.tensor, b.tensor), false};
}
inline Condition operator|(const Condition& a, const Condition& b) {
  if (!a.tensor.defined()) return a.value ? a : b;
  if (!b.tensor.defined()) return b.value ? b : a;
  return {at::bitwise_or(a.tensor, b.tensor), false};
}
inline E where(const Condition& c, const E& a, const E& b) {
  if (!c.tensor.defined()) return c.value ? a : b;
  if (a.is_number() && b.is(a.number)) return a;
  if (a.is_number() && b.is_number()) {
    const at::Tensor full = at::full_like(c.tensor, b.number, c.tensor.options().dtype(at::kDouble));
    return E(at::where(c.tensor, at::Scalar(a.number), full));
  }
  if (a.is_number()) return E(at::where(c.tensor, at::Scalar(a.number), b.tensor));
  if (b.is_number()) return E(at::where(c.tensor, a.tensor, at::Scalar(b.number)));
  return E(at::where(c.tensor, a.tensor, b.tensor));
}

#define GPUKERN_WORD(NAME, STD, OP) \
  inline E NAME(const E& a) { return a.is_number() ? E(STD(a.number)) : E(at::OP(a.tensor)); }
GPUKERN_WORD(exp, std::exp, exp)
GPUKERN_WORD(exp2, std::exp2, exp2)
GPUKERN_WORD(expm1, std::expm1, expm1)
GPUKERN_WORD(log, std::log, log)
GPUKERN_WORD(log2, std::log2, log2)
GPUKERN_WORD(log1p, std::log1p, log1p)
GPUKERN_WORD(sin, std::sin, sin)
GPUKERN_WORD(cos, std::cos, cos)
GPUKERN_WORD(sinh, std::sinh, sinh)
GPUKERN_WORD(cosh, std::cosh, cosh)
GPUKERN_WORD(tanh, std::tanh, tanh)
GPUKERN_WORD(erf, std::erf, erf)
GPUKERN_WORD(erfc, std::erfc, special_erfc)
GPUKERN_WORD(sqrt, std::sqrt, sqrt)
GPUKERN_WORD(abs, std::abs, abs)
#undef GPUKERN_WORD
inline E pow(const E& a, const E& b) {
  if (b.is_number()) return a.is_number() ? E(std::pow(a.number, b.number)) : E(at::pow(a.tensor, b.number));
  return E(a.is_number() ? at::pow(at::Scalar(a.number), b.tensor) : at::pow(a.tensor, b.tensor));
}
inline E sigmoid(const E& a) { return E(at::sigmoid(a.tensor)); }
inline Logistic<E> logistic(const E& a) { return {sigmoid(a), sigmoid(-a)}; }
inline E sigmoid_slope(const E& a) { return sigmoid(a) * sigmoid(-a); }
inline E bell(const E& a, double scale) { return exp(E(-scale) * (a * a)); }
inline E normal_cdf(const E& a) { return E(0.5) * erfc(E(-0.70710678118654752440) * a); }

namespace {

// The derivative by operand K of Second<Op, I, J>; `in` has its operands.
template <class Op, int I, int J, int K> E third(const E* in, const E* s) {
  using F = Second<Op, I, J>;
  Dual<E> din[F::inputs], ds[F::scalars + 1];
  din[0] = Dual<E>(in[0], E(0.0));
  for (int k = 0, next = 1; k < Op::spec.inputs; ++k)
    if (saved_bits<Op>(I) >> k & 1) {
      din[next] = Dual<E>(in[next], E(k == K ? 1.0 : 0.0));
      ++next;
    }
  for (int k = 0; k < F::scalars; ++k) ds[k] = Dual<E>(s[k], E(0.0));
  return F::run(static_cast<const Dual<E>*>(din), static_cast<const Dual<E>*>(ds)).d;
}

using Function = E (*)(const E*, const E*);
constexpr int kThirds = kMaxInputs * kMaxInputs * kMaxInputs;
struct Row {
  Function by_operands[kThirds] = {};
};

template <class Op, int N> void fill(Row& row) {
  constexpr int i = N / (kMaxInputs * kMaxInputs), j = N / kMaxInputs % kMaxInputs, k = N % kMaxInputs;
  if constexpr (has_variant<Op>(second_variant(i, j)) && has_variant<Op>(second_variant(i, k)))
    row.by_operands[N] = &third<Op, i, j, k>;
  if constexpr (N + 1 < kThirds) fill<Op, N + 1>(row);
}
template <class... Ops> void append(std::vector<Row>& all, List<Ops...>) { ((fill<Ops, 0>(all.emplace_back())), ...); }

}  // namespace

GPUKERN_ELEMENTWISE_END

namespace gpukern::elementwise {

Tensor third(const Op& op, int i, int j, int k, const Tensor& g, const Inputs& operands, const Scalars& scalars) {
  static const auto rows = [] {
    std::vector<Row> all;  // in the catalogue's order
#define GPUKERN_APPEND(name) append(all, name::Ops{});
    GPUKERN_FAMILIES(GPUKERN_APPEND)
#undef GPUKERN_APPEND
    return all;
  }();
  const Function function = rows[op.id].by_operands[(i * kMaxInputs + j) * kMaxInputs + k];
  TORCH_CHECK(function, "gpukern: there is no third derivative of ", op.key, " by operands ", i, ", ", j, " and ", k);
  std::vector<Tensor> tensors{g};
  c10::ScalarType dtype = g.scalar_type();
  for (int o = 0; o < op.saved; ++o)
    if (op.saved_bits[i] >> o & 1) {
      tensors.push_back(*operands[o]);
      dtype = c10::promoteTypes(dtype, operands[o]->scalar_type());
    }
  // At least one dimension: torch would compute functions of a 0-dim tensor that stands for a number in its default
  // dtype.
  for (Tensor& t : tensors) t = t.unsqueeze(0);
  tensors = at::broadcast_tensors(tensors);
  Expression in[1 + kMaxInputs], s[kMaxScalars];
  const auto compute = dtype == at::kDouble ? at::kDouble : at::kFloat;  // 16-bit results are rounded once
  for (size_t o = 0; o < tensors.size(); ++o) in[o] = Expression(tensors[o].to(compute));
  for (int n = 0; n < op.spec->scalars; ++n)
    s[n] =
        Expression(scalars[n] ? scalars[n]->toDouble() : op.spec->absent[n] * std::numeric_limits<double>::infinity());
  const Expression result = function(in, s);
  return result.is_number() ? at::full_like(tensors[0], result.number, tensors[0].options().dtype(dtype)).squeeze(0)
                            : result.tensor.to(dtype).squeeze(0);
}

}  // namespace gpukern::elementwise
