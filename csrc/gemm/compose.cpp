// matmul and linear, composed of the products by torch's rules of shape; the products through the dispatcher; and the
// rules for vmap, under which every product is a matmul with more dimensions.
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/functorch/BatchedTensorImpl.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/add.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/zeros_like.h>
#include <torch/library.h>

#include "../autograd/node.h"
#include "../autograd/number.h"
#include "../without_data.h"
#include "compose.h"
#include "registrar.h"
#include "shapes.h"

namespace gpukern::gemm {

using Pair = Tensor(const Tensor&, const Tensor&, call::Name, const call::Optional&, call::Name, bool);
using Sum = Tensor(const Tensor&, const Tensor&, const Tensor&, const Scalar&, const Scalar&, call::Name,
                   const call::Optional&, call::Name, bool);

namespace {
template <class F> c10::TypedOperatorHandle<F> handle(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<F>();
}
template <class F> c10::TypedOperatorHandle<F> out_handle(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "out").typed<F>();
}
}  // namespace

namespace call {

Tensor mm(const Tensor& a, const Tensor& b, Name activation, const Optional& residual, How how) {
  static const auto op = handle<Pair>("gpukern::mm");
  return op.call(a, b, activation, residual, how.precision, how.batch_invariant);
}
Tensor bmm(const Tensor& a, const Tensor& b, Name activation, const Optional& residual, How how) {
  static const auto op = handle<Pair>("gpukern::bmm");
  return op.call(a, b, activation, residual, how.precision, how.batch_invariant);
}
Tensor mv(const Tensor& a, const Tensor& b) {
  static const auto op = handle<Tensor(const Tensor&, const Tensor&)>("gpukern::mv");
  return op.call(a, b);
}
Tensor addmm(const Tensor& c, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha,
             Name activation, const Optional& residual, How how) {
  static const auto op = handle<Sum>("gpukern::addmm");
  return op.call(c, a, b, beta, alpha, activation, residual, how.precision, how.batch_invariant);
}
Tensor baddbmm(const Tensor& c, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha,
               Name activation, const Optional& residual, How how) {
  static const auto op = handle<Sum>("gpukern::baddbmm");
  return op.call(c, a, b, beta, alpha, activation, residual, how.precision, how.batch_invariant);
}
Tensor addmv(const Tensor& c, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha) {
  static const auto op =
      handle<Tensor(const Tensor&, const Tensor&, const Tensor&, const Scalar&, const Scalar&)>("gpukern::addmv");
  return op.call(c, a, b, beta, alpha);
}
Tensor matmul(const Tensor& a, const Tensor& b, Name activation, const Optional& residual, How how) {
  static const auto op = handle<Pair>("gpukern::matmul");
  return op.call(a, b, activation, residual, how.precision, how.batch_invariant);
}
Tensor linear(const Tensor& input, const Tensor& weight, const Optional& bias, Name activation,
              const Optional& residual, How how) {
  static const auto op =
      handle<Tensor(const Tensor&, const Tensor&, const Optional&, Name, const Optional&, Name, bool)>(
          "gpukern::linear");
  return op.call(input, weight, bias, activation, residual, how.precision, how.batch_invariant);
}

Tensor finish(Tensor product, Name activation, const Optional& residual) {
  if (activation) {
    const Activation named = activation_of(*activation);
    TORCH_CHECK_TYPE(named == Activation::none || at::isFloatingType(product.scalar_type()),
                     "gpukern: activation= needs a floating type, got ", product.scalar_type(), ".");
    product = activated(named, product, false);
  }
  if (!residual || !residual->defined()) return product;
  static const auto op = handle<Tensor(const Tensor&, const Tensor&, const Scalar&)>("gpukern::add");
  return op.call(product, *residual, 1);
}

}  // namespace call

namespace {

// Whether the batch dimensions of `t` are one run of memory, so that flattening them copies nothing.
bool flattens(const Tensor& t) {
  const auto sizes = t.sym_sizes(), strides = t.sym_strides();
  for (int64_t d = 0; d + 2 < t.dim(); ++d)
    if (strides[d] != strides[d + 1] * sizes[d + 1]) return false;
  return true;
}

// Broadcast batch shape of two lists; empty optional where they do not broadcast.
std::optional<std::vector<c10::SymInt>> broadcast(c10::SymIntArrayRef a, c10::SymIntArrayRef b) {
  const size_t rank = std::max(a.size(), b.size());
  std::vector<c10::SymInt> shape(rank, c10::SymInt(1));
  for (size_t i = 0; i < rank; ++i) {
    const c10::SymInt x = i < a.size() ? a[a.size() - 1 - i] : c10::SymInt(1);
    const c10::SymInt y = i < b.size() ? b[b.size() - 1 - i] : c10::SymInt(1);
    if (x != y && x != 1 && y != 1) return std::nullopt;
    shape[rank - 1 - i] = x == 1 ? y : x;
  }
  return shape;
}

Tensor flat(const Tensor& t, const std::vector<c10::SymInt>& batch) {
  const auto sizes = t.sym_sizes();
  const c10::SymInt r = sizes[t.dim() - 2], c = sizes[t.dim() - 1];
  return t.expand_symint(joined(batch, {r, c})).reshape_symint({product_of(batch), r, c});
}

}  // namespace

std::optional<Folded> fold(const Tensor& a, const Tensor& b) {
  const int64_t p = a.dim(), q = b.dim();
  if (p == 0 || q == 0) return std::nullopt;
  const auto as = a.sym_sizes(), bs = b.sym_sizes();
  if (as[p - 1] != bs[q == 1 ? 0 : q - 2]) return std::nullopt;
  if (p == 2 && q == 2) return Folded{Kind::mm, a, b, {}};
  if (p == 2 && q == 1) return Folded{Kind::mv, a, b, {}};
  if (p == 1 && q == 1) return Folded{Kind::mv, a.unsqueeze(0), b, std::vector<c10::SymInt>{}};
  if (p == 1 && q == 2) return Folded{Kind::mm, a.unsqueeze(0), b, joined({}, {bs[1]})};
  if (q == 1) return Folded{Kind::mv, rows_of(a), b, joined(as.slice(0, p - 1), {})};
  if (p == 1) {  // b^T a, matrix by matrix
    return Folded{Kind::mv, rows_of(b.transpose(-1, -2)), a, joined(bs.slice(0, q - 2), {bs[q - 1]})};
  }
  if (q == 2 && (flattens(a) || a.requires_grad()))
    return Folded{Kind::mm, rows_of(a), b, joined(as.slice(0, p - 1), {bs[1]})};
  const auto batch = broadcast(as.slice(0, p - 2), bs.slice(0, q - 2));
  if (!batch) return std::nullopt;
  return Folded{Kind::bmm, flat(a, *batch), flat(b, *batch), joined(*batch, {as[p - 2], bs[q - 1]})};
}

namespace {
// Before torch's own product of other ranks serves a call: refuses options that it cannot honour.
void refuse_theirs(const Args& x) {
  check_how(x);
  TORCH_CHECK_NOT_IMPLEMENTED(!x.how.batch_invariant || ours(x),
                              "gpukern: batch_invariant=True needs one of gpukern's "
                              "own kernels, but torch's serve ",
                              x.a.scalar_type(), " on ", x.a.device(), ".");
}

Tensor torchs_linear(const Tensor& input, const Tensor& weight, const Tensor* bias) {
  if (!bias) return call_torch([](const Tensor& x, const Tensor& w) { return at::linear(x, w); }, input, weight);
  return call_torch([](const Tensor& x, const Tensor& w, const Tensor& b) { return at::linear(x, w, b); }, input,
                    weight, *bias);
}
}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b, call::Name activation, const call::Optional& residual, call::How how) {
  if (a.dim() == 2 && b.dim() == 2) return call::mm(a, b, activation, residual, how);
  const Args args{Kind::mm, a, b, nullptr, nullptr, nullptr, {}, nullptr, how};
  std::optional<Folded> f;
  if (ours(args) && a.scalar_type() == b.scalar_type()) f = fold(a, b);
  if (!f) {
    if (!ours(args)) report_device(args);
    refuse_theirs(args);
    return call::finish(call_torch(at::matmul, a, b), activation, residual);
  }
  Tensor out = f->kind == Kind::mm    ? call::mm(f->a, f->b, {}, {}, how)
               : f->kind == Kind::bmm ? call::bmm(f->a, f->b, {}, {}, how)
               : how.empty()          ? call::mv(f->a, f->b)
                                      : call::mm(f->a, f->b.unsqueeze(1), {}, {}, how).squeeze(1);
  if (f->shape) out = out.reshape_symint(*f->shape);
  return call::finish(std::move(out), activation, residual);
}

Tensor linear(const Tensor& input, const Tensor& weight, const call::Optional& bias, call::Name activation,
              const call::Optional& residual, call::How how) {
  const bool has_bias = bias && bias->defined();
  // torch refuses a bias beside a vector; for mkldnn tensors it has another linear, whose weight has no
  // views.
  const bool opaque = input.is_mkldnn() || weight.is_mkldnn();
  const Args args{Kind::mm, input, weight, has_bias ? &*bias : nullptr, nullptr, nullptr, {}, nullptr, how};
  if (opaque) refuse_theirs(args);
  const bool plain_bias = !has_bias || bias->dim() == 1 || !how.empty();  // torch has its own rules for others' shapes
  if (opaque || input.dim() == 0 || weight.dim() > 2 || (weight.dim() < 2 && has_bias) || !plain_bias)
    return call::finish(torchs_linear(input, weight, has_bias ? &*bias : nullptr), activation, residual);
  if (input.dim() == 2 && weight.dim() == 2) {
    if (!has_bias) return call::mm(input, weight.t(), activation, residual, how);
    if (bias->dim() == 1) return call::addmm(*bias, input, weight.t(), 1, 1, activation, residual, how);
  }
  if (!ours(args)) {
    report_device(args);
    refuse_theirs(args);
    return call::finish(torchs_linear(input, weight, has_bias ? &*bias : nullptr), activation, residual);
  }
  const bool fits = weight.dim() == 2 && input.dim() >= 2 && (!has_bias || bias->dim() == 1);
  if (fits && flattens(input)) {
    const auto sizes = input.sym_sizes();
    const auto shape = joined(sizes.slice(0, input.dim() - 1), {weight.sym_size(0)});
    const Tensor rows = rows_of(input);
    call::Optional flat_residual;
    const bool same = residual && residual->defined() && residual->sym_sizes().equals(c10::SymIntArrayRef(shape));
    if (same) flat_residual = rows_of(*residual);
    const bool fused = !residual || !residual->defined() || same;  // any other residual broadcasts to the full shape
    const call::Name tail = fused ? activation : call::Name();
    const Tensor t = has_bias ? call::addmm(*bias, rows, weight.t(), 1, 1, tail, flat_residual, how)
                              : call::mm(rows, weight.t(), tail, flat_residual, how);
    const Tensor out = t.reshape_symint(shape);
    return fused ? out : call::finish(out, activation, residual);
  }
  Tensor out = call::matmul(input, weight.dim() == 2 ? weight.t() : weight, {}, {}, how);
  if (has_bias) out = call::finish(out, {}, bias);
  return call::finish(out, activation, residual);
}

// ---- vmap ---------------------------------------------------------------------------------------

namespace {

namespace ft = at::functorch;

// One argument without its wrapper: batch dimension first, then ones up to `rank` logical dimensions.
struct Unwrapped {
  Tensor value;
  bool batched;
};
Unwrapped unwrap(const Tensor& t, int64_t level) {
  const auto* wrapper = ft::maybeGetBatchedImpl(t);
  if (!wrapper || wrapper->level() != level) return {t, false};
  return {wrapper->value().movedim(wrapper->bdim(), 0), true};
}
// The innermost level of vmap among the arguments.
int64_t level_of(const Args& x) {
  int64_t level = -1;
  for (const Tensor* t : {&x.a, &x.b, x.c, x.residual})
    if (const auto* wrapper = t ? ft::maybeGetBatchedImpl(*t) : nullptr) level = std::max(level, wrapper->level());
  return level;
}
Tensor aligned(const Unwrapped& u, int64_t rank) {
  Tensor t = u.value;
  if (!u.batched) return t;
  while (t.dim() < rank + 1) t = t.unsqueeze(1);
  return t;
}

constexpr c10::DispatchKeySet kBatched{c10::DispatchKey::FuncTorchBatched};

// The product of `kind` with a batch dimension in front of either factor: matmul's broadcasting does the rest.
Tensor batched_product(Kind kind, const Unwrapped& a, const Unwrapped& b, call::How how) {
  if (kind == Kind::mm || kind == Kind::bmm) {
    // Neither: only the addend or the residual has the batch.
    return kind == Kind::mm && a.batched && b.batched ? call::bmm(a.value, b.value, {}, {}, how)
                                                      : call::matmul(a.value, b.value, {}, {}, how);
  }
  if (!b.batched) return call::matmul(a.value, b.value, {}, {}, how);
  return call::matmul(a.value, b.value.unsqueeze(-1), {}, {}, how).squeeze(-1);
}

// For integers beta and alpha are truncated, as in the products themselves; the conversion refuses, with torch's
// error, one that the accumulator's type cannot hold.
Scalar in_type(const Scalar& s, const Tensor& t) {
  if (!s.isSymbolic()) switch (t.scalar_type()) {
      case c10::ScalarType::Half:
      case c10::ScalarType::BFloat16:
      case c10::ScalarType::Float: s.to<float>(); break;
      case c10::ScalarType::Byte: s.to<uint8_t>(); break;
      case c10::ScalarType::Char: s.to<int8_t>(); break;
      case c10::ScalarType::Short: s.to<int16_t>(); break;
      case c10::ScalarType::Int: s.to<int32_t>(); break;
      case c10::ScalarType::Long: s.to<int64_t>(); break;
      default: break;
    }
  return s.isFloatingPoint() && at::isIntegralType(t.scalar_type(), false) ? Scalar(s.to<int64_t>()) : s;
}

int64_t rank_of(Kind kind) { return kind == Kind::mm ? 2 : kind == Kind::bmm ? 3 : 1; }

}  // namespace

Tensor batched(const Args& x) {
  const int64_t level = level_of(x);
  const c10::impl::ExcludeDispatchKeyGuard guard(kBatched);
  const Unwrapped a = unwrap(x.a, level), b = unwrap(x.b, level);
  const int64_t a_rank = x.a.dim(), b_rank = x.b.dim();
  const int64_t ranks[3][2] = {{2, 2}, {3, 3}, {2, 1}};
  const auto& wanted = ranks[static_cast<int>(x.kind)];
  bool any = a.batched || b.batched;
  const int64_t rank = rank_of(x.kind);
  Tensor out;
  std::optional<c10::SymInt> batch;
  if (a_rank != wanted[0] || b_rank != wanted[1]) out = twin({x.kind, x.a, x.b});  // torch raises its error
  else out = batched_product(x.kind, a, b, x.how);
  const auto with_batch = [&](const Tensor& t) {  // aligns t's dimensions with out's; either may have the batch
    const Unwrapped u = unwrap(t, level);
    if (u.batched && !any) out = out.unsqueeze(0);
    if (u.batched) batch = u.value.sym_size(0);
    any = any || u.batched;
    return aligned(u, rank);
  };
  if (x.c) {
    const Scalar alpha = in_type(*x.alpha, x.a), beta = in_type(*x.beta, x.a);
    out = equals(alpha, 1) ? out : equals(alpha, 0) ? at::zeros_like(out) : at::mul(out, alpha);
    const Tensor c = with_batch(*x.c);
    if (!equals(beta, 0)) out = call::finish(equals(beta, 1) ? c : at::mul(c, beta), {}, out);
  }
  call::Optional residual;
  if (x.residual) residual = with_batch(*x.residual);
  out = call::finish(out, x.activation, residual);
  if (batch && out.sym_size(0) != *batch) {  // beta = 0 read nothing of the one that has the batch
    Shape shape = out.sym_sizes().vec();
    shape[0] = *batch;
    out = out.expand_symint(shape).clone();
  }
  return any ? ft::makeBatched(out, 0, level) : out;
}

void batched_inplace(const Args& x) {
  const int64_t level = level_of(x);
  const Tensor result = batched(x);
  const c10::impl::ExcludeDispatchKeyGuard guard(kBatched);
  const Unwrapped self = unwrap(*x.c, level), value = unwrap(result, level);
  TORCH_CHECK(self.batched || !value.batched, "vmap: gpukern::", op_name(x),
              "_(self, *extra_args) is not possible because there exists a Tensor in extra_args that is being vmapped "
              "over while self is not. Please try to use out-of-place operators instead.");
  Tensor target = self.value;
  target.copy_(value.value);
}

// ---- registration -------------------------------------------------------------------------------

namespace {

using Ref = const Tensor&;
using Num = const Scalar&;
using Name = call::Name;
using Optional = call::Optional;

Tensor composite_matmul(Ref a, Ref b, Name activation, const Optional& residual, Name precision, bool invariant) {
  return matmul(a, b, activation, residual, {precision, invariant});
}
Tensor composite_linear(Ref input, Ref weight, const Optional& bias, Name activation, const Optional& residual,
                        Name precision, bool invariant) {
  return linear(input, weight, bias, activation, residual, {precision, invariant});
}

void matmul_out(Ref a, Ref b, Name activation, const Optional& residual, Name precision, bool invariant, Ref out) {
  if (a.dim() == 2 && b.dim() == 2) {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("gpukern::mm", "out")
                               .typed<void(Ref, Ref, Name, const Optional&, Name, bool, Ref)>();
    return op.call(a, b, activation, residual, precision, invariant, out);
  }
  TORCH_CHECK(!(at::GradMode::is_enabled() && (a.requires_grad() || b.requires_grad() || out.requires_grad())),
              "matmul(): functions with out=... arguments don't support automatic differentiation, but one of the "
              "arguments requires grad.");
  const call::How how{precision, invariant};
  if (out.scalar_type() != a.scalar_type() || out.device() != a.device()) {  // torch raises its error
    check_how({Kind::mm, a, b, nullptr, nullptr, nullptr, {}, nullptr, how});
    call_torch([](Ref x, Ref y, Tensor written) { return at::matmul_out(written, x, y); }, a, b, out);
    out.copy_(call::finish(out, activation, residual));
    return;
  }
  const Tensor result = call::matmul(a, b, activation, residual, how);
  at::native::resize_output(out, result.sizes());
  out.copy_(result);
}

void linear_out(Ref input, Ref weight, const Optional& bias, Name activation, const Optional& residual, Name precision,
                bool invariant, Ref out) {
  const bool has_bias = bias && bias->defined();
  if (input.is_mkldnn() || weight.is_mkldnn()) {  // which torch refuses
    Tensor theirs = out;
    at::linear_out(theirs, input, weight, bias);
    return;
  }
  const Tensor none;
  autograd::refuse_out_with_grad("linear", out, input, weight, has_bias ? *bias : none, residual ? *residual : none);
  if (input.dim() == 2 && weight.dim() == 2 && (!has_bias || bias->dim() == 1)) {
    static const auto mm = out_handle<void(Ref, Ref, Name, const Optional&, Name, bool, Ref)>("gpukern::mm");
    static const auto addmm =
        out_handle<void(Ref, Ref, Ref, Num, Num, Name, const Optional&, Name, bool, Ref)>("gpukern::addmm");
    return has_bias ? addmm.call(*bias, input, weight.t(), 1, 1, activation, residual, precision, invariant, out)
                    : mm.call(input, weight.t(), activation, residual, precision, invariant, out);
  }
  const Tensor result = call::linear(input, weight, bias, activation, residual, {precision, invariant});
  TORCH_CHECK(out.scalar_type() == result.scalar_type(), "Expected out tensor to have dtype ", result.dtype(),
              ", but got ", out.dtype(), " instead");
  at::native::resize_output(out, result.sizes());
  out.copy_(result);
}

}  // namespace

void add_matmul(const Registrar& r) {
  const std::string tail =
      "str? activation=None, Tensor? residual=None, str? precision=None, bool batch_invariant=False";
  r.composite("matmul(Tensor input, Tensor other, *, " + tail + ") -> Tensor", &composite_matmul);
  r.composite("matmul.out(Tensor input, Tensor other, *, " + tail + ", Tensor(a!) out) -> ()", &matmul_out);
  r.composite("linear(Tensor input, Tensor weight, Tensor? bias=None, *, " + tail + ") -> Tensor", &composite_linear);
  r.composite("linear.out(Tensor input, Tensor weight, Tensor? bias=None, *, " + tail + ", Tensor(a!) out) -> ()",
              &linear_out);
}

}  // namespace gpukern::gemm
