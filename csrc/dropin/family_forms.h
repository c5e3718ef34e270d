// The forms of dot, vdot, addr and addbmm, which have kernels of their own in torch beside the six products.  (inner,
// tensordot, einsum and multi_dot call mm and bmm, outer an elementwise product; dot.out and addr_ call the forms
// here.) They run below autograd and autocast, so they use gemm's functions, not the ops.
#pragma once
#include "autograd/number.h"
#include "dropin/forms.h"
#include "gemm/family.h"

namespace gpukern::dropin {

// Refuses operands that torch would not multiply or that gpukern does not serve.
inline Reason refuse_operands(const Tensor& a, const Tensor& b, int64_t dims) {
  if (!has_product(a.scalar_type())) return Reason::dtype;
  if (b.scalar_type() != a.scalar_type()) return Reason::mixed;
  if (a.layout() != at::kStrided || b.layout() != at::kStrided) return Reason::layout;
  if (a.dim() != dims || b.dim() != dims) return Reason::shape;
  if (a.device() != b.device() || !gemm::serves(a.device())) return Reason::device;
  if (has_names(*a.unsafeGetTensorImpl()) || has_names(*b.unsafeGetTensorImpl())) return Reason::names;
  return Reason::none;
}

// Whether t is (m, n), or (an addend) broadcasts to it.
inline bool has_shape(const Tensor& t, int64_t m, int64_t n, bool broadcast) {
  const auto size = t.sizes();
  if (!broadcast) return size.size() == 2 && size[0] == m && size[1] == n;
  if (size.size() > 2) return false;
  if (!size.empty() && size.back() != n && size.back() != 1) return false;
  return size.size() < 2 || size[0] == m || size[0] == 1;
}

struct Dot {
  using Signature = Tensor(const Tensor&, const Tensor&);
  static Reason refuse(const Tensor& a, const Tensor& b) {
    const Reason reason = refuse_operands(a, b, 1);
    if (reason != Reason::none) return reason;
    return a.sizes()[0] == b.sizes()[0] ? Reason::none : Reason::shape;
  }
  static Tensor run(const Tensor& a, const Tensor& b) { return gemm::mv(a.unsqueeze(0), b).squeeze(0); }
};

// vec1 vec2^T as a product with k = 1.
struct Addr {
  static constexpr int64_t dims = 1;
  static Reason refuse(const Tensor& a, const Tensor& b, const Scalar& alpha) {
    const Reason reason = refuse_operands(a, b, 1);
    // With alpha = 0 a product reads neither operand, but torch's addr multiplies a NaN by 0.
    return reason == Reason::none && (alpha.equal(0) || alpha.isBoolean()) ? Reason::scalar : reason;
  }
  static int64_t rows(const Tensor& a) { return a.sizes()[0]; }
  static int64_t columns(const Tensor& b) { return b.sizes()[0]; }
  static gemm::Factors factors(const Tensor& a, const Tensor& b) { return {a.unsqueeze(1), b.unsqueeze(0)}; }
};

struct Addbmm {
  static constexpr int64_t dims = 3;
  static Reason refuse(const Tensor& a, const Tensor& b, const Scalar&) {
    const Reason reason = refuse_operands(a, b, 3);
    if (reason != Reason::none) return reason;
    return a.sizes()[0] == b.sizes()[0] && a.sizes()[2] == b.sizes()[1] ? Reason::none : Reason::shape;
  }
  static int64_t rows(const Tensor& a) { return a.sizes()[1]; }
  static int64_t columns(const Tensor& b) { return b.sizes()[2]; }
  static gemm::Factors factors(const Tensor& a, const Tensor& b) { return gemm::addbmm_factors(a, b); }
};

template <class Op> struct FactorSum {
  using Signature = Tensor(const Tensor&, const Tensor&, const Tensor&, const Scalar&, const Scalar&);
  static Reason refuse(const Tensor& self, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha) {
    if (beta.isComplex() || alpha.isComplex() || beta.isBoolean()) return Reason::scalar;
    if (!holds(a.scalar_type(), alpha) || !holds(a.scalar_type(), beta)) return Reason::scalar;  // torch refuses these
    const Reason reason = Op::refuse(a, b, alpha);
    if (reason != Reason::none) return reason;
    if (self.scalar_type() != a.scalar_type() || self.layout() != at::kStrided) return Reason::addend;
    if (self.device() != a.device()) return Reason::device;
    if (has_names(*self.unsafeGetTensorImpl())) return Reason::names;
    return has_shape(self, Op::rows(a), Op::columns(b), true) ? Reason::none : Reason::addend;
  }
  static Tensor run(const Tensor& self, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha) {
    const gemm::Factors f = Op::factors(a, b);
    return gemm::addmm(self, f.a, f.b, beta, alpha);
  }
};

template <class Op> struct FactorSumOut {
  using Signature = Tensor&(const Tensor&, const Tensor&, const Tensor&, const Scalar&, const Scalar&, Tensor&);
  static Reason refuse(const Tensor& self, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha,
                       const Tensor& out) {
    const Reason reason = FactorSum<Op>::refuse(self, a, b, beta, alpha);
    if (reason != Reason::none) return reason;
    if (out.scalar_type() != a.scalar_type() || out.layout() != at::kStrided || out.device() != a.device())
      return Reason::out;
    if (!has_shape(out, Op::rows(a), Op::columns(b), false)) return Reason::out;
    if (has_names(*out.unsafeGetTensorImpl())) return Reason::names;
    return at::has_internal_overlap(out) == at::MemOverlap::Yes ? Reason::overlap : Reason::none;
  }
  // As in SumOut; torch detects an addend that is no matrix by comparing it with `out`.
  static bool keeps(const Tensor& out, const Tensor& a, const Tensor& b) {
    const int64_t dims = Op::dims;
    return out.dim() != 2 || (a.dim() == dims && b.dim() == dims && has_shape(out, Op::rows(a), Op::columns(b), false));
  }
  static Tensor& run(const Tensor& self, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha,
                     Tensor& out) {
    const gemm::Factors f = Op::factors(a, b);
    gemm::addmm_out(self, f.a, f.b, beta, alpha, out);
    return out;
  }
};

template <class Op> struct FactorSumInPlace {
  using Signature = Tensor&(Tensor&, const Tensor&, const Tensor&, const Scalar&, const Scalar&);
  static Reason refuse(const Tensor& self, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha) {
    return FactorSumOut<Op>::refuse(self, a, b, beta, alpha, self);
  }
  static Tensor& run(Tensor& self, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha) {
    return FactorSumOut<Op>::run(self, a, b, beta, alpha, self);
  }
};

GPUKERN_FORM(DotForm, Dot, "dot", "dot", "", "dot");
GPUKERN_FORM(VdotForm, Dot, "vdot", "vdot", "", "vdot");  // of real vectors: routes take no complex ones
GPUKERN_FORM(AddrForm, FactorSum<Addr>, "addr", "addr", "", "addr");
GPUKERN_FORM(AddrOut, FactorSumOut<Addr>, "addr", "addr", "out", "addr.out");
GPUKERN_FORM(AddbmmForm, FactorSum<Addbmm>, "addbmm", "addbmm", "", "addbmm");
GPUKERN_FORM(AddbmmOut, FactorSumOut<Addbmm>, "addbmm", "addbmm", "out", "addbmm.out");
GPUKERN_FORM(AddbmmInPlace, FactorSumInPlace<Addbmm>, "addbmm", "addbmm_", "", "addbmm_");
#undef GPUKERN_FORM

using FamilyForms = FormList<DotForm, VdotForm, AddrForm, AddrOut, AddbmmForm, AddbmmOut, AddbmmInPlace>;

}  // namespace gpukern::dropin
