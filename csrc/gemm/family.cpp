// dot, inner, outer, addr, addbmm and bilinear, composed of the products.
#include "family.h"
#include "registrar.h"

#include <ATen/ExpandUtils.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/addbmm.h>
#include <ATen/ops/addr.h>
#include <ATen/ops/bilinear.h>
#include <ATen/ops/dot.h>
#include <ATen/ops/inner.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/vdot.h>
#include <torch/library.h>

#include "../aliasing.h"
#include "../autograd/node.h"
#include "../autograd/number.h"
#include "../without_data.h"
#include "shapes.h"

namespace gpukern::gemm {

bool together(c10::ArrayRef<Tensor> tensors) {
  for (const Tensor& t : tensors) {
    const Args args{Kind::mm, t, t};
    if (!ours(args)) {
      report_device(args);
      return false;
    }
    if (t.scalar_type() != tensors[0].scalar_type() || t.device() != tensors[0].device()) return false;
  }
  return !tensors.empty();
}

bool writable(const Tensor& out, c10::ArrayRef<Tensor> operands) {
  const auto differentiated = [](const Tensor& t) {
    return (at::GradMode::is_enabled() && t.requires_grad()) || autograd::has_tangent(t);
  };
  if (out.scalar_type() != operands[0].scalar_type() || out.device() != operands[0].device()) return false;
  if (out.layout() != c10::kStrided || differentiated(out)) return false;
  return std::none_of(operands.begin(), operands.end(), differentiated);
}

void write(const Tensor& out, const Tensor& result) {
  at::native::resize_output_symint(out, result.sym_sizes());
  out.copy_(result);
}

Factors addbmm_factors(const Tensor& batch1, const Tensor& batch2) {
  const auto s1 = batch1.sym_sizes(), s2 = batch2.sym_sizes();
  const c10::SymInt k = s1[0] * s1[2];
  return {batch1.transpose(0, 1).reshape_symint({s1[1], k}), batch2.reshape_symint({k, s2[2]})};
}

namespace {

using Ref = const Tensor&;
using Num = const Scalar&;
using Optional = call::Optional;

template <class F> c10::TypedOperatorHandle<F> handle(const char* name, const char* overload = "") {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload).typed<F>();
}
Tensor times(Ref a, Ref b) {
  static const auto op = handle<Tensor(Ref, Ref)>("gpukern::mul");
  return op.call(a, b);
}
void times_out(Ref a, Ref b, Ref out) {
  static const auto op = handle<void(Ref, Ref, Ref)>("gpukern::mul", "out");
  op.call(a, b, out);
}
void addmm_out_call(Ref c, Ref a, Ref b, Num beta, Num alpha, Ref out) {
  static const auto op = handle<void(Ref, Ref, Ref, Num, Num, call::Name, const Optional&, call::Name, bool, Ref)>(
      "gpukern::addmm", "out");
  op.call(c, a, b, beta, alpha, {}, {}, {}, false, out);
}
void addmm_inplace(Ref c, Ref a, Ref b, Num beta, Num alpha) {
  static const auto op =
      handle<void(Ref, Ref, Ref, Num, Num, call::Name, const Optional&, call::Name, bool)>("gpukern::addmm_");
  op.call(c, a, b, beta, alpha, {}, {}, {}, false);
}

// ---- dot, vdot, inner ---------------------------------------------------------------------------

// A matrix of one row times a vector: a sum over k in the product's own precision, and its split over k on a GPU.
bool is_dot(Ref a, Ref b) { return a.dim() == 1 && b.dim() == 1 && together({a, b}) && a.sym_size(0) == b.sym_size(0); }
Tensor row_times(Ref a, Ref b) { return call::mv(a.unsqueeze(0), b).squeeze(0); }

Tensor dot(Ref a, Ref b) { return is_dot(a, b) ? row_times(a, b) : call_torch(at::dot, a, b); }
void dot_out(Ref a, Ref b, Ref out) {
  if (is_dot(a, b) && writable(out, {a, b})) return write(out, row_times(a, b));
  call_torch([](Ref x, Ref y, Tensor theirs) { return at::dot_out(theirs, x, y); }, a, b, out);
}
Tensor vdot(Ref a, Ref b) { return is_dot(a, b) ? row_times(a.conj(), b) : call_torch(at::vdot, a, b); }
void vdot_out(Ref a, Ref b, Ref out) {
  if (is_dot(a, b) && writable(out, {a, b})) return write(out, row_times(a.conj(), b));
  call_torch([](Ref x, Ref y, Tensor theirs) { return at::vdot_out(theirs, x, y); }, a, b, out);
}

bool is_inner(Ref a, Ref b) {
  return a.dim() > 0 && b.dim() > 0 && together({a, b}) && a.sym_sizes().back() == b.sym_sizes().back();
}
Tensor rows_times_rows(Ref a, Ref b) {
  const auto as = a.sym_sizes(), bs = b.sym_sizes();
  Shape shape(as.begin(), as.end() - 1);
  shape.insert(shape.end(), bs.begin(), bs.end() - 1);
  return call::mm(rows_of(a), rows_of(b).t()).reshape_symint(shape);
}
Tensor inner(Ref a, Ref b) { return is_inner(a, b) ? rows_times_rows(a, b) : call_torch(at::inner, a, b); }
void inner_out(Ref a, Ref b, Ref out) {
  if (is_inner(a, b) && writable(out, {a, b})) return write(out, rows_times_rows(a, b));
  call_torch([](Ref x, Ref y, Tensor theirs) { return at::inner_out(theirs, x, y); }, a, b, out);
}

// ---- outer, addr --------------------------------------------------------------------------------

// An elementwise product, not one with k = 1: it has the same single rounding, wastes no tile of k on one element, and
// has torch's type promotion and bool.
bool is_outer(Ref a, Ref b) {
  return a.dim() == 1 && b.dim() == 1 && a.layout() == c10::kStrided && b.layout() == c10::kStrided;
}
Tensor outer(Ref a, Ref b) { return is_outer(a, b) ? times(a.unsqueeze(1), b) : at::outer(a, b); }
void outer_out(Ref a, Ref b, Ref out) {
  if (is_outer(a, b)) return times_out(a.unsqueeze(1), b, out);
  Tensor theirs = out;
  at::outer_out(theirs, a, b);
}
Tensor ger(Ref a, Ref b) { return is_outer(a, b) ? times(a.unsqueeze(1), b) : at::outer(a, b); }
void ger_out(Ref a, Ref b, Ref out) {
  TORCH_WARN_ONCE("torch.ger is deprecated and will be removed in a future PyTorch release. Use torch.outer instead.");
  outer_out(a, b, out);
}

// A product with k = 1: its epilogue has beta, alpha and the broadcast of the addend, in one pass.  torch serves
// scalars that it refuses or promotes by, and alpha = 0: a BLAS then reads no factor, but torch's addr multiplies NaN.
bool is_addr(Ref c, Ref a, Ref b, Num beta, Num alpha) {
  if (a.dim() != 1 || b.dim() != 1 || !together({c, a, b})) return false;
  const bool whole = at::isIntegralType(c.scalar_type(), false);
  for (const Scalar* s : {&beta, &alpha})
    if ((s->isComplex() && !c.is_complex()) || s->isBoolean() || (whole && s->isFloatingPoint()) ||
        (!s->isComplex() && !holds(c.scalar_type(), *s)))
      return false;
  if (equals(alpha, 0)) return false;
  return at::is_expandable_to(c.sym_sizes(), c10::SymIntArrayRef({a.sym_size(0), b.sym_size(0)}));
}
Tensor addr(Ref c, Ref a, Ref b, Num beta, Num alpha) {
  if (!is_addr(c, a, b, beta, alpha))
    return call_torch([&](Ref z, Ref x, Ref y) { return at::addr(z, x, y, beta, alpha); }, c, a, b);
  return call::addmm(c, a.unsqueeze(1), b.unsqueeze(0), beta, alpha);
}
void addr_out(Ref c, Ref a, Ref b, Num beta, Num alpha, Ref out) {
  if (is_addr(c, a, b, beta, alpha) && writable(out, {c, a, b}))
    return addmm_out_call(c, a.unsqueeze(1), b.unsqueeze(0), beta, alpha, out);
  const bool resized = a.dim() != 1 || b.dim() != 1 || out.dim() != 2 || out.sym_size(0) != a.sym_size(0) ||
                       out.sym_size(1) != b.sym_size(0);
  call_torch([&](Ref z, Ref x, Ref y, Tensor theirs) { return at::addr_out(theirs, z, x, y, beta, alpha); },
             c.is_same(out) ? c : unaliased(c, out, resized), unaliased(a, out, resized), unaliased(b, out, resized),
             out);
}
void addr_inplace(Ref c, Ref a, Ref b, Num beta, Num alpha) {
  const bool fits =
      is_addr(c, a, b, beta, alpha) && c.dim() == 2 && c.sym_size(0) == a.sym_size(0) && c.sym_size(1) == b.sym_size(0);
  if (fits) return addmm_inplace(c, a.unsqueeze(1), b.unsqueeze(0), beta, alpha);
  call_torch([&](Ref z, Ref x, Ref y) { return z.addr_(x, y, beta, alpha); }, c, unaliased(a, c), unaliased(b, c));
}

// ---- addbmm -------------------------------------------------------------------------------------

// One product over all of the batch.  It rounds once, where torch's product for each matrix rounds each of them to 16
// bits, and it reads the addend once.  It may copy the factors so that the batch lies beside k: b n m elements beside
// b n m p multiplications.
bool is_addbmm(Ref c, Ref x, Ref y, Num beta, Num alpha) {
  if (x.dim() != 3 || y.dim() != 3 || !together({c, x, y})) return false;
  if (!c.is_complex() && (beta.isComplex() || alpha.isComplex())) return false;
  if (x.sym_size(0) != y.sym_size(0) || x.sym_size(2) != y.sym_size(1)) return false;
  return at::is_expandable_to(c.sym_sizes(), c10::SymIntArrayRef({x.sym_size(1), y.sym_size(2)}));
}
Tensor addbmm(Ref c, Ref x, Ref y, Num beta, Num alpha) {
  if (!is_addbmm(c, x, y, beta, alpha))
    return call_torch([&](Ref z, Ref l, Ref r) { return at::addbmm(z, l, r, beta, alpha); }, c, x, y);
  const Factors f = addbmm_factors(x, y);
  return call::addmm(c, f.a, f.b, beta, alpha);
}
void addbmm_out(Ref c, Ref x, Ref y, Num beta, Num alpha, Ref out) {
  if (is_addbmm(c, x, y, beta, alpha) && writable(out, {c, x, y})) {
    const Factors f = addbmm_factors(x, y);
    return addmm_out_call(c, f.a, f.b, beta, alpha, out);
  }
  call_torch([&](Ref z, Ref l, Ref r, Tensor theirs) { return at::addbmm_out(theirs, z, l, r, beta, alpha); }, c, x, y,
             out);
}
void addbmm_inplace(Ref c, Ref x, Ref y, Num beta, Num alpha) {
  const bool fits = is_addbmm(c, x, y, beta, alpha) && c.dim() == 2 && c.sym_size(0) == x.sym_size(1) &&
                    c.sym_size(1) == y.sym_size(2);
  if (!fits) {
    // torch gives a smaller one the product's shape
    call_torch([&](Ref z, Ref l, Ref r) { return z.addbmm_(l, r, beta, alpha); }, c, unaliased(x, c, true),
               unaliased(y, c, true));
    return;
  }
  const Factors f = addbmm_factors(x, y);
  addmm_inplace(c, f.a, f.b, beta, alpha);
}

// ---- bilinear -----------------------------------------------------------------------------------

bool is_bilinear(Ref x, Ref y, Ref w, const Tensor* bias) {
  if (!together(bias ? std::vector<Tensor>{x, y, w, *bias} : std::vector<Tensor>{x, y, w})) return false;
  if (x.dim() != y.dim() || x.dim() == 0 || w.dim() != 3) return false;
  for (int64_t d = 0; d + 1 < x.dim(); ++d)
    if (x.sym_size(d) != y.sym_size(d)) return false;
  if (x.sym_size(-1) != w.sym_size(1) || y.sym_size(-1) != w.sym_size(2)) return false;
  return !bias || (bias->dim() == 1 && bias->sym_size(0) == w.sym_size(0));
}

Tensor torchs_bilinear(Ref x, Ref y, Ref w, const Tensor* bias) {
  if (!bias) return call_torch([](Ref l, Ref r, Ref weight) { return at::bilinear(l, r, weight, {}); }, x, y, w);
  return call_torch([](Ref l, Ref r, Ref weight, Ref added) { return at::bilinear(l, r, weight, added); }, x, y, w,
                    *bias);
}

// out[r, o] = sum over i and j of (x[r, i] y[r, j]) W[o, i, j]: the rows of outer products times W as a matrix, which
// is a linear with its bias.
Tensor bilinear(Ref x, Ref y, Ref w, const Optional& bias_) {
  const Tensor* bias = bias_ && bias_->defined() ? &*bias_ : nullptr;
  if (!is_bilinear(x, y, w, bias)) return torchs_bilinear(x, y, w, bias);
  const c10::SymInt pairs = w.sym_size(1) * w.sym_size(2), outputs = w.sym_size(0);
  const auto batch = x.sym_sizes().slice(0, x.dim() - 1);
  const Tensor outers = times(x.unsqueeze(-1), y.unsqueeze(-2)).reshape_symint({product_of(batch), pairs});
  const Tensor out = call::linear(outers, w.reshape_symint({outputs, pairs}), bias ? Optional(*bias) : Optional());
  return out.reshape_symint(joined(batch, {outputs}));
}

}  // namespace

// ---- registration -------------------------------------------------------------------------------

void add_family(const Registrar& r) {
  r.composite("dot(Tensor input, Tensor tensor) -> Tensor", &dot);
  r.composite("dot.out(Tensor input, Tensor tensor, *, Tensor(a!) out) -> ()", &dot_out);
  r.composite("vdot(Tensor input, Tensor other) -> Tensor", &vdot);
  r.composite("vdot.out(Tensor input, Tensor other, *, Tensor(a!) out) -> ()", &vdot_out);
  r.composite("inner(Tensor input, Tensor other) -> Tensor", &inner);
  r.composite("inner.out(Tensor input, Tensor other, *, Tensor(a!) out) -> ()", &inner_out);
  r.composite("outer(Tensor input, Tensor vec2) -> Tensor", &outer);
  r.composite("outer.out(Tensor input, Tensor vec2, *, Tensor(a!) out) -> ()", &outer_out);
  r.composite("ger(Tensor input, Tensor vec2) -> Tensor", &ger);
  r.composite("ger.out(Tensor input, Tensor vec2, *, Tensor(a!) out) -> ()", &ger_out);
#define GPUKERN_SCALED "*, Scalar beta=1, Scalar alpha=1"
  r.composite("addr(Tensor input, Tensor vec1, Tensor vec2, " GPUKERN_SCALED ") -> Tensor", &addr);
  r.composite("addr.out(Tensor input, Tensor vec1, Tensor vec2, " GPUKERN_SCALED ", Tensor(a!) out) -> ()", &addr_out);
  r.composite("addr_(Tensor(a!) input, Tensor vec1, Tensor vec2, " GPUKERN_SCALED ") -> ()", &addr_inplace);
  r.composite("addbmm(Tensor input, Tensor batch1, Tensor batch2, " GPUKERN_SCALED ") -> Tensor", &addbmm);
  r.composite("addbmm.out(Tensor input, Tensor batch1, Tensor batch2, " GPUKERN_SCALED ", Tensor(a!) out) -> ()",
              &addbmm_out);
  r.composite("addbmm_(Tensor(a!) input, Tensor batch1, Tensor batch2, " GPUKERN_SCALED ") -> ()", &addbmm_inplace);
  r.composite("bilinear(Tensor input1, Tensor input2, Tensor weight, Tensor? bias=None) -> Tensor", &bilinear);
  r.composite("multi_dot(Tensor[] tensors) -> Tensor", &multi_dot);
  r.composite("multi_dot.out(Tensor[] tensors, *, Tensor(a!) out) -> ()", &multi_dot_out);
  r.composite("chain_matmul(Tensor[] matrices) -> Tensor", &chain_matmul);
  r.composite("chain_matmul.out(Tensor[] matrices, *, Tensor(a!) out) -> ()", &chain_matmul_out);
  r.composite("tensordot(Tensor input, Tensor other, int[] dims_self, int[] dims_other) -> Tensor", &tensordot);
  r.composite("tensordot.out(Tensor input, Tensor other, int[] dims_self, int[] dims_other, *, Tensor(a!) out) -> ()",
              &tensordot_out);
  r.composite("einsum(str equation, Tensor[] tensors, *, int[]? path=None) -> Tensor", &einsum);
}

std::vector<entry::Declaration> family_functions() {
  const std::string old = "Tensor out=None)|deprecated";
  const auto deprecated = [&](const std::string& x, const std::string& y) -> std::vector<std::string> {
    return {"Scalar beta, Tensor input, Scalar alpha, Tensor " + x + ", Tensor " + y + ", *, " + old,
            "Scalar beta, Tensor input, Tensor " + x + ", Tensor " + y + ", *, " + old};
  };
  return {
      {"dot", "Sum of the products of two vectors of one length; a tensor without dimensions."},
      {"vdot", "As dot; of complex vectors the first is conjugated."},
      {"inner", "Products of the rows of input with the rows of other, (*, k) and (+, k) to (*, +)."},
      {"outer", "Every element of input times every one of vec2, (m,) and (n,) to (m, n); types promote."},
      {"ger", "As outer; deprecated in torch."},
      {"addr", "beta * input + alpha * outer(vec1, vec2); input broadcasts; beta=0 does not read it.", false,
       deprecated("vec1", "vec2")},
      {"addr_", "In-place form of addr; returns input."},
      {"addbmm",
       "beta * input + alpha * the sum of the products batch1[i] @ batch2[i]; (b, n, m) and (b, m, p) to (n, p).\n\n"
       "It is one product over all of the batch, which rounds once.  beta=0 does not read input.",
       false, deprecated("batch1", "batch2")},
      {"addbmm_", "In-place form of addbmm; returns input."},
      {"bilinear",
       "out[.., o] = sum over i, j of input1[.., i] weight[o, i, j] input2[.., j], plus bias[o].\n\n"
       "The outer products of the rows times the weight as a matrix: they take (rows, i * j) elements."},
      {"multi_dot",
       "Product of two or more matrices in the order that takes the fewest multiplications; the first and the last may "
       "be vectors.",
       false,
       {},
       {},
       "linalg_multi_dot"},
      {"chain_matmul", "As multi_dot, of matrices only; deprecated in torch."},
      {"tensordot", "Contraction of input and other over dimensions."},
      {"einsum", "Einstein's summation convention."},
  };
}

}  // namespace gpukern::gemm
