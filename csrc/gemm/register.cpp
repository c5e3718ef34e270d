// Schemas of the products, and their kernels for every dispatch key.
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <torch/library.h>

#include "../autograd/node.h"
#include "../without_data.h"
#include "autograd.h"
#include "compose.h"
#include "family.h"
#include "fused.h"
#include "mlp.h"
#include "scaled.h"
#include "training.h"
#include "wide.h"

namespace gpukern::gemm {
namespace {

using Name = call::Name;
using Optional = call::Optional;
using Keys = c10::DispatchKeySet;
using Ref = const Tensor&;
using Num = const Scalar&;

const Tensor* pointer(const Optional& t) { return t && t->defined() ? &*t : nullptr; }
Keys below_autograd(Keys k) { return k & c10::after_autograd_keyset; }
Keys below_inplace(Keys k) { return k & c10::after_ADInplaceOrView_keyset; }

template <class F> c10::TypedOperatorHandle<F> handle(const char* name, const char* overload) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload).typed<F>();
}

// The three shapes a signature has: `args` makes the one struct of it.
template <class... P> struct Signature {
  using Call = Tensor(P...);
  using Out = void(P..., Ref);
  using InPlace = void(P...);
};
struct WithTail : Signature<Ref, Ref, Name, const Optional&, Name, bool> {
  static Args args(Kind k, Ref a, Ref b, Name act, const Optional& r, Name precision, bool invariant) {
    return {k, a, b, nullptr, nullptr, nullptr, act, pointer(r), {precision, invariant}};
  }
};
struct Bare : Signature<Ref, Ref> {
  static Args args(Kind k, Ref a, Ref b) { return {k, a, b}; }
};
struct SumWithTail : Signature<Ref, Ref, Ref, Num, Num, Name, const Optional&, Name, bool> {
  static Args args(Kind k, Ref c, Ref a, Ref b, Num beta, Num alpha, Name act, const Optional& r, Name precision,
                   bool invariant) {
    return {k, a, b, &c, &beta, &alpha, act, pointer(r), {precision, invariant}};
  }
};
struct BareSum : Signature<Ref, Ref, Ref, Num, Num> {
  static Args args(Kind k, Ref c, Ref a, Ref b, Num beta, Num alpha) { return {k, a, b, &c, &beta, &alpha}; }
};

template <class Op, class = typename Op::Sig::Call> struct Kernels;
template <class Op, class... P> struct Kernels<Op, Tensor(P...)> {
  using Sig = typename Op::Sig;
  static constexpr Kind kind = Op::kind;
  static const auto& op() {
    static const auto h = c10::Dispatcher::singleton().findSchemaOrThrow(Op::name, "").template typed<Tensor(P...)>();
    return h;
  }
  static const auto& op_out() {
    static const auto h =
        c10::Dispatcher::singleton().findSchemaOrThrow(Op::name, "out").template typed<void(P..., Ref)>();
    return h;
  }
  static const auto& op_inplace() {
    static const auto h = c10::Dispatcher::singleton()
                              .findSchemaOrThrow((std::string(Op::name) + "_").c_str(), "")
                              .template typed<void(P...)>();
    return h;
  }

  static Tensor backend(P... p) { return run(Sig::args(kind, p...)); }
  static void backend_out(P... p, Ref out) { run_out(Sig::args(kind, p...), out); }
  static void backend_inplace(P... p) {
    const Args x = Sig::args(kind, p...);
    const auto shape = result_shape(x);
    TORCH_CHECK(!shape || x.c->sizes() == *shape, "Bad in-place call: input tensor size ", x.c->sizes(),
                " and output tensor size ", at::IntArrayRef(*shape), " should match");  // run_out would resize it
    run_out(x, *x.c);
  }

  // Of tensors that are not ours, and whose keys have no autograd above (inference mode).
  static Tensor elsewhere(P... p) {
    const Args x = Sig::args(kind, p...);
    return call::finish(twin(x), x.activation, x.residual ? Optional(*x.residual) : Optional());
  }
  static void elsewhere_out(P... p, Ref out) { theirs_out(Sig::args(kind, p...), out); }
  static void elsewhere_inplace(P... p) { elsewhere_out(p..., *Sig::args(kind, p...).c); }

  static Tensor differentiable(Keys keys, P... p) {
    return autograd_call(Sig::args(kind, p...), [&] { return op().redispatch(below_autograd(keys), p...); });
  }
  static void differentiable_out(Keys keys, P... p, Ref out) {
    autograd_out(Sig::args(kind, p...), out, [&] { op_out().redispatch(below_autograd(keys), p..., out); });
  }
  static void differentiable_inplace(Keys keys, P... p) {
    autograd_inplace(Sig::args(kind, p...), [&] { op_inplace().redispatch(below_autograd(keys), p...); });
  }
  static void bump_out(Keys keys, P... p, Ref out) {
    {
      at::AutoDispatchBelowADInplaceOrView guard;
      op_out().redispatch(below_inplace(keys), p..., out);
    }
    out.unsafeGetTensorImpl()->bump_version();
  }
  static void bump_inplace(Keys keys, P... p) {
    const Tensor& self = *Sig::args(kind, p...).c;
    {
      at::AutoDispatchBelowADInplaceOrView guard;
      op_inplace().redispatch(below_inplace(keys), p...);
    }
    self.unsafeGetTensorImpl()->bump_version();
  }
  static Tensor over_batch(P... p) { return batched(Sig::args(kind, p...)); }
  static void over_batch_inplace(P... p) { batched_inplace(Sig::args(kind, p...)); }
};

// clang-format off
struct Mm      { using Sig = WithTail;    static constexpr Kind kind = Kind::mm;  static constexpr const char* name = "gpukern::mm"; };
struct Bmm     { using Sig = WithTail;    static constexpr Kind kind = Kind::bmm; static constexpr const char* name = "gpukern::bmm"; };
struct Mv      { using Sig = Bare;        static constexpr Kind kind = Kind::mv;  static constexpr const char* name = "gpukern::mv"; };
struct Addmm   { using Sig = SumWithTail; static constexpr Kind kind = Kind::mm;  static constexpr const char* name = "gpukern::addmm"; };
struct Baddbmm { using Sig = SumWithTail; static constexpr Kind kind = Kind::bmm; static constexpr const char* name = "gpukern::baddbmm"; };
struct Addmv   { using Sig = BareSum;     static constexpr Kind kind = Kind::mv;  static constexpr const char* name = "gpukern::addmv"; };
// clang-format on

template <class F> void for_pairs(F&& f) { f(Kernels<Mm>{}, "mm"), f(Kernels<Bmm>{}, "bmm"), f(Kernels<Mv>{}, "mv"); }
template <class F> void for_sums(F&& f) {
  f(Kernels<Addmm>{}, "addmm"), f(Kernels<Baddbmm>{}, "baddbmm"), f(Kernels<Addmv>{}, "addmv");
}

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
  if (out.scalar_type() != a.scalar_type() || out.device() != a.device()) {  // torch's words for its refusal
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
    static const auto mm = handle<void(Ref, Ref, Name, const Optional&, Name, bool, Ref)>("gpukern::mm", "out");
    static const auto addmm =
        handle<void(Ref, Ref, Ref, Num, Num, Name, const Optional&, Name, bool, Ref)>("gpukern::addmm", "out");
    return has_bias ? addmm.call(*bias, input, weight.t(), 1, 1, activation, residual, precision, invariant, out)
                    : mm.call(input, weight.t(), activation, residual, precision, invariant, out);
  }
  const Tensor result = call::linear(input, weight, bias, activation, residual, {precision, invariant});
  TORCH_CHECK(out.scalar_type() == result.scalar_type(), "Expected out tensor to have dtype ", result.dtype(),
              ", but got ", out.dtype(), " instead");
  at::native::resize_output(out, result.sizes());
  out.copy_(result);
}

// Literals, not strings: `define` runs while other files' statics are still being made.
#define GPUKERN_TAIL "str? activation=None, Tensor? residual=None, str? precision=None, bool batch_invariant=False"
#define GPUKERN_SCALE "Scalar beta=1, Scalar alpha=1"

void define_op(torch::Library& m, const std::string& name, const std::string& tensors, const std::string& options,
               bool inplace) {
  const std::string star = options.empty() ? ", *" : ", *, " + options;
  m.def((name + "(" + tensors + (options.empty() ? "" : star) + ") -> Tensor").c_str());
  m.def((name + ".out(" + tensors + star + ", Tensor(a!) out) -> ()").c_str());
  if (inplace) m.def((name + "_(Tensor(a!)" + tensors.substr(6) + star + ") -> ()").c_str());
}

}  // namespace

void define(torch::Library& m) {
  define_op(m, "mm", "Tensor input, Tensor mat2", GPUKERN_TAIL, false);
  define_op(m, "bmm", "Tensor input, Tensor mat2", GPUKERN_TAIL, false);
  define_op(m, "mv", "Tensor input, Tensor vec", "", false);
  define_op(m, "addmm", "Tensor input, Tensor mat1, Tensor mat2", GPUKERN_SCALE ", " GPUKERN_TAIL, true);
  define_op(m, "baddbmm", "Tensor input, Tensor batch1, Tensor batch2", GPUKERN_SCALE ", " GPUKERN_TAIL, true);
  define_op(m, "addmv", "Tensor input, Tensor mat, Tensor vec", GPUKERN_SCALE, true);
  m.def("matmul(Tensor input, Tensor other, *, " GPUKERN_TAIL ") -> Tensor", &composite_matmul);
  m.def("matmul.out(Tensor input, Tensor other, *, " GPUKERN_TAIL ", Tensor(a!) out) -> ()", &matmul_out);
  m.def("linear(Tensor input, Tensor weight, Tensor? bias=None, *, " GPUKERN_TAIL ") -> Tensor", &composite_linear);
  m.def("linear.out(Tensor input, Tensor weight, Tensor? bias=None, *, " GPUKERN_TAIL ", Tensor(a!) out) -> ()",
        &linear_out);
  define_wide(m);
  define_scaled(m);
  define_family(m);
  define_fused(m);
  define_training(m);
  define_mlp(m);
}

void implement(torch::Library& m) {
  implement_scaled(m);
  const auto both = [&](auto k, std::string name) {
    m.impl(name.c_str(), &k.backend);
    m.impl((name + ".out").c_str(), &k.backend_out);
  };
  for_pairs(both);
  for_sums(both);
  for_sums([&](auto k, std::string name) { m.impl((name + "_").c_str(), &k.backend_inplace); });
  implement_fused(m);
  implement_training(m);
}

void implement_elsewhere(torch::Library& m) {
  implement_scaled(m);
  const auto both = [&](auto k, std::string name) {
    m.impl(name.c_str(), &k.elsewhere);
    m.impl((name + ".out").c_str(), &k.elsewhere_out);
  };
  for_pairs(both);
  for_sums(both);
  for_sums([&](auto k, std::string name) { m.impl((name + "_").c_str(), &k.elsewhere_inplace); });
  implement_fused_elsewhere(m);
  implement_training_elsewhere(m);
  implement_mlp_elsewhere(m);
}

void implement_autograd(torch::Library& m) {
  implement_scaled_autograd(m);
  const auto both = [&](auto k, std::string name) {
    m.impl(name.c_str(), &k.differentiable);
    m.impl((name + ".out").c_str(), &k.differentiable_out);
  };
  for_pairs(both);
  for_sums(both);
  for_sums([&](auto k, std::string name) { m.impl((name + "_").c_str(), &k.differentiable_inplace); });
  implement_fused_autograd(m);
  implement_training_autograd(m);
  implement_mlp_autograd(m);
}

void implement_inplace(torch::Library& m) {
  const auto out = [&](auto k, std::string name) { m.impl((name + ".out").c_str(), &k.bump_out); };
  for_pairs(out);
  for_sums(out);
  for_sums([&](auto k, std::string name) { m.impl((name + "_").c_str(), &k.bump_inplace); });
}

// Without a rule torch would write each conjugate out before the product.  The negative bit keeps torch's rule: only
// the imaginary part of a conjugate has it.
void implement_conjugated(torch::Library& m) {
  const auto through = [&](const std::string& name) { m.impl(name.c_str(), torch::CppFunction::makeFallthrough()); };
  const auto both = [&](auto, const std::string& name) { through(name), through(name + ".out"); };
  for_pairs(both);
  for_sums(both);
  for_sums([&](auto, const std::string& name) { through(name + "_"); });
}

void implement_batching(torch::Library& m) {
  const auto call = [&](auto k, std::string name) { m.impl(name.c_str(), &k.over_batch); };
  for_pairs(call);
  for_sums(call);
  for_sums([&](auto k, std::string name) { m.impl((name + "_").c_str(), &k.over_batch_inplace); });
  m.impl("matmul", &composite_matmul);
  m.impl("linear", &composite_linear);
  implement_wide_batching(m);
  implement_family_batching(m);
  implement_fused_batching(m);
  implement_training_batching(m);
  implement_mlp_batching(m);
}

std::vector<entry::Declaration> functions() {
  const std::string tail =
      "\n\nactivation: none, relu, gelu, gelu_tanh, silu or any other unary op of gpukern's but sin and cos, by its "
      "name "
      "and with its defaults, applied to the product; "
      "residual: a tensor that broadcasts to the result, added last.  Both are fused, with a gradient too; forward "
      "mode "
      "computes them one by one."
      "\n\nprecision, of float32: 'strict', 'tf32' (operands rounded to 11 bits), 'bf16x3', 'bf16x6' or 'bf16x9' "
      "(operands as two or three bfloat16 terms, that many products of which are added: 16 bits of each operand, "
      "float32's accuracy, all of it); None: what torch's switches say.  A device without such a kernel, and the CPU, "
      "compute in strict float32.  ValueError for another name, TypeError beside other types.  docs/numerics.md has "
      "the "
      "bounds."
      "\n\nbatch_invariant: True promises that a row of the result does not depend on how many other rows there are; "
      "it may take longer."
      "\n\nTypes: float16 and bfloat16 (accumulated in float32), float32, float64, integers, which wrap, complex64 "
      "and complex128.";
  const std::string old = "|deprecated";
  const std::string pair = "Tensor input, Tensor mat2, ScalarType out_dtype, *, Tensor out=None";
  const std::string scaled = ", ScalarType out_dtype, *, Scalar beta=1, Scalar alpha=1, Tensor out=None";
  std::vector<entry::Declaration> all = {
      {"mm", "Matrix product of two matrices, (m, k) and (k, n)." + tail, false, {pair}},
      {"bmm", "Matrix by matrix product of two batches, (b, m, k) and (b, k, n)." + tail, false, {pair}},
      {"mv", "Matrix times vector, (m, k) and (k,).", false, {}},
      {"matmul", "Matrix product with torch.matmul's rules for vectors and batches." + tail, false, {}},
      {"linear", "input @ weight.T + bias; input (*, k), weight (n, k), bias (n,)." + tail, false, {}},
      {"addmm",
       "beta * input + alpha * (mat1 @ mat2); input broadcasts; beta=0 does not read it." + tail,
       false,
       {"Tensor input, Tensor mat1, Tensor mat2" + scaled,
        "Scalar beta, Tensor input, Scalar alpha, Tensor mat1, Tensor mat2, *, Tensor out=None)" + old,
        "Scalar beta, Tensor input, Tensor mat1, Tensor mat2, *, Tensor out=None)" + old}},
      {"addmm_", "In-place form of addmm; returns input.", false, {}},
      {"baddbmm",
       "beta * input + alpha * (batch1 @ batch2), batch by batch." + tail,
       false,
       {"Tensor input, Tensor batch1, Tensor batch2" + scaled,
        "Scalar beta, Tensor input, Scalar alpha, Tensor batch1, Tensor batch2, *, Tensor out=None)" + old,
        "Scalar beta, Tensor input, Tensor batch1, Tensor batch2, *, Tensor out=None)" + old}},
      {"baddbmm_", "In-place form of baddbmm; returns input.", false, {}},
      {"addmv",
       "beta * input + alpha * (mat @ vec).",
       false,
       {"Scalar beta, Tensor input, Scalar alpha, Tensor mat, Tensor vec, *, Tensor out=None)" + old,
        "Scalar beta, Tensor input, Tensor mat, Tensor vec, *, Tensor out=None)" + old}},
      {"addmv_", "In-place form of addmv; returns input.", false, {}},
  };
  all.push_back(scaled_function());
  for (auto& more : family_functions()) all.push_back(std::move(more));
  for (auto& more : fused_functions()) all.push_back(std::move(more));
  return all;
}

}  // namespace gpukern::gemm
