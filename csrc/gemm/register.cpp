// Schemas of the products, and their kernels for every dispatch key.
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <torch/library.h>

#include "../autograd/node.h"
#include "../without_data.h"
#include "autograd.h"
#include "compose.h"
#include "family.h"
#include "fused.h"
#include "registrar.h"
#include "scaled.h"

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

// The three shapes a signature has: `args` makes the one struct of it.
template <class... P> struct Signature {
  using Call = Tensor(P...);
  using Out = void(P..., Ref);
  using InPlace = void(P...);
};
struct WithTail : Signature<Ref, Ref, Name, const Optional&, Name, bool> {
  static constexpr bool sum = false;
  static Args args(Kind k, Ref a, Ref b, Name act, const Optional& r, Name precision, bool invariant) {
    return {k, a, b, nullptr, nullptr, nullptr, act, pointer(r), {precision, invariant}};
  }
};
struct Bare : Signature<Ref, Ref> {
  static constexpr bool sum = false;
  static Args args(Kind k, Ref a, Ref b) { return {k, a, b}; }
};
struct SumWithTail : Signature<Ref, Ref, Ref, Num, Num, Name, const Optional&, Name, bool> {
  static constexpr bool sum = true;
  static Args args(Kind k, Ref c, Ref a, Ref b, Num beta, Num alpha, Name act, const Optional& r, Name precision,
                   bool invariant) {
    return {k, a, b, &c, &beta, &alpha, act, pointer(r), {precision, invariant}};
  }
};
struct BareSum : Signature<Ref, Ref, Ref, Num, Num> {
  static constexpr bool sum = true;
  static Args args(Kind k, Ref c, Ref a, Ref b, Num beta, Num alpha) { return {k, a, b, &c, &beta, &alpha}; }
};

template <class Op, class = typename Op::Sig::Call> struct ProductKernels;
template <class Op, class... P> struct ProductKernels<Op, Tensor(P...)> {
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
  static void backend_out(P... p, Ref out) { run(Sig::args(kind, p...), &out); }
  static void backend_inplace(P... p) {
    const Args x = Sig::args(kind, p...);
    const auto shape = result_shape(x);
    TORCH_CHECK(!shape || x.c->sizes() == *shape, "Bad in-place call: input tensor size ", x.c->sizes(),
                " and output tensor size ", at::IntArrayRef(*shape), " should match");  // run would resize it
    run(x, x.c);
  }

  // For tensors that are not ours, without autograd above (inference mode).
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

#define GPUKERN_TAIL "str? activation=None, Tensor? residual=None, str? precision=None, bool batch_invariant=False"
#define GPUKERN_SCALE "Scalar beta=1, Scalar alpha=1"

// The functional and the out= form, and of a sum the in-place form.
template <class Op>
void add_product(const Registrar& r, const std::string& name, const std::string& tensors, const std::string& options) {
  using K = ProductKernels<Op>;
  const std::string star = options.empty() ? ", *" : ", *, " + options;
  const std::string call = name + "(" + tensors + (options.empty() ? "" : star) + ") -> Tensor";
  const std::string out = name + ".out(" + tensors + star + ", Tensor(a!) out) -> ()";
  r.op(call, Kernels{&K::backend, &K::elsewhere, &K::differentiable, nullptr, &K::over_batch});
  r.op(out, Kernels{&K::backend_out, &K::elsewhere_out, &K::differentiable_out, &K::bump_out, nullptr});
  // Without a rule torch would write each conjugate out before the product.  The negative bit keeps torch's rule: only
  // the imaginary part of a conjugate has it.
  r.falls_through(Key::conjugate, call);
  r.falls_through(Key::conjugate, out);
  if constexpr (Op::Sig::sum) {
    const std::string inplace = name + "_(Tensor(a!)" + tensors.substr(6) + star + ") -> ()";
    r.op(inplace, Kernels{&K::backend_inplace, &K::elsewhere_inplace, &K::differentiable_inplace, &K::bump_inplace,
                          &K::over_batch_inplace});
    r.falls_through(Key::conjugate, inplace);
  }
}

}  // namespace

void add_products(const Registrar& r) {
  add_product<Mm>(r, "mm", "Tensor input, Tensor mat2", GPUKERN_TAIL);
  add_product<Bmm>(r, "bmm", "Tensor input, Tensor mat2", GPUKERN_TAIL);
  add_product<Mv>(r, "mv", "Tensor input, Tensor vec", "");
  add_product<Addmm>(r, "addmm", "Tensor input, Tensor mat1, Tensor mat2", GPUKERN_SCALE ", " GPUKERN_TAIL);
  add_product<Baddbmm>(r, "baddbmm", "Tensor input, Tensor batch1, Tensor batch2", GPUKERN_SCALE ", " GPUKERN_TAIL);
  add_product<Addmv>(r, "addmv", "Tensor input, Tensor mat, Tensor vec", GPUKERN_SCALE);
}

void add_ops(torch::Library& m, Key key) {
  const Registrar r(m, key);
  for (const auto add :
       {&add_products, &add_matmul, &add_wide, &add_family, &add_scaled, &add_fused, &add_training, &add_mlp})
    add(r);
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
