#include "training.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/sum.h>
#include <torch/library.h>

#include "../autograd/node.h"
#include "arch/host/products.h"
#include "fused.h"
#include "gpu_path.h"
#include "introspect.h"
#include "registrar.h"
#include "shapes.h"

namespace gpukern::gemm {
namespace {

using Ref = const Tensor&;
using Num = const Scalar&;
using Name = call::Name;
using Optional = call::Optional;
using Pair = std::tuple<Tensor, Tensor>;

bool tracked(Ref t) { return (at::GradMode::is_enabled() && t.requires_grad()) || autograd::has_tangent(t); }
bool tracked(const Optional& t) { return t && t->defined() && tracked(*t); }
const Tensor* pointer(const Optional& t) { return t && t->defined() ? &*t : nullptr; }

// ---- a product and its pre-activation ------------------------------------------------------------------------------

#define GPUKERN_AUX                                                                                                 \
  const Optional &addend, Ref a, Ref b, Num beta, Num alpha, std::string_view activation, const Optional &residual, \
      Name precision, bool invariant
using AuxSignature = Pair(const Optional&, Ref, Ref, Num, Num, std::string_view, const Optional&, Name, bool);

Args args_of(GPUKERN_AUX) {
  const Tensor* const c = pointer(addend);
  return {a.dim() == 3 ? Kind::bmm : Kind::mm,
          a,
          b,
          c,
          c ? &beta : nullptr,
          c ? &alpha : nullptr,
          activation,
          pointer(residual),
          {precision, invariant}};
}
Args without_tail(Args x) {
  x.activation = {};
  x.residual = nullptr;
  return x;
}

// Results may not share memory, as the two would if nothing lay between them.
void check(const Args& x) {
  TORCH_CHECK_VALUE(activation_of(*x.activation) != Activation::none,
                    "gpukern.product_with_aux(): without an activation the result is what went into it; call ",
                    op_name(x), " instead.");
  check_tail(x);
}

Tensor product(const Args& x) {
  if (x.kind == Kind::bmm)
    return x.c ? call::baddbmm(*x.c, x.a, x.b, *x.beta, *x.alpha, {}, {}, x.how) : call::bmm(x.a, x.b, {}, {}, x.how);
  return x.c ? call::addmm(*x.c, x.a, x.b, *x.beta, *x.alpha, {}, {}, x.how) : call::mm(x.a, x.b, {}, {}, x.how);
}
Pair composed(const Args& x) {
  check(x);
  const Tensor before = product(x);
  return {call::finish(before, x.activation, x.residual ? Optional(*x.residual) : Optional()), before};
}

// alpha = 0 reads no factor, and so is left to the ops.
Pair on_gpu(const Args& x) {
  if (!ours(x) || !well_formed(x) || (x.c && x.alpha->equal(0))) return composed(x);
  check(x);
  check_how(x);
  const Tensor out = gpu_path::empty_result(x), aux = gpu_path::empty_result(x);
  check_residual_shape(x, out);
  EpilogueTensors epilogue;
  epilogue.aux = &aux;
  Args args = x;
  args.epilogue = &epilogue;
  return launched(args, out) ? Pair{out, aux} : composed(x);
}

Pair aux_backend(GPUKERN_AUX) {
  const Args x = args_of(addend, a, b, beta, alpha, activation, residual, precision, invariant);
  if (!a.is_cpu()) return on_gpu(x);
  check(x);
  const Tensor before = run(without_tail(x));
  Tensor out = activated(activation_of(activation), before, false);
  check_residual_shape(x, out);
  if (x.residual) out.add_(*x.residual);
  return {out, before};
}
Pair aux_composed(GPUKERN_AUX) {
  return composed(args_of(addend, a, b, beta, alpha, activation, residual, precision, invariant));
}
const auto& aux_op() {
  static const auto op =
      c10::Dispatcher::singleton().findSchemaOrThrow("gpukern::product_with_aux", "").typed<AuxSignature>();
  return op;
}
Pair aux_autograd(c10::DispatchKeySet keys, GPUKERN_AUX) {
  if (tracked(addend) || tracked(a) || tracked(b) || tracked(residual))
    return aux_composed(addend, a, b, beta, alpha, activation, residual, precision, invariant);
  const at::AutoDispatchBelowAutograd guard;
  return aux_op().redispatch(keys & c10::after_autograd_keyset, addend, a, b, beta, alpha, activation, residual,
                             precision, invariant);
}

// ---- the gradient of an activation, and of the bias before it -------------------------------------------------------

using GradSignature = Pair(Ref, Ref, std::string_view);

Pair grad_composed(Ref grad, Ref saved, std::string_view activation) {
  const Tensor d = differentiated(activation_of(activation), grad, saved);
  return {d, at::sum(rows_of(d), 0)};
}
// Whether the result of the elementwise op would lie by rows, which is what traces expect of this one.
bool lies_by_rows(Ref grad, Ref saved) {
  const auto strides = grad.strides();
  return saved.is_contiguous() &&
         (strides[1] == 0 || (strides[1] == 1 && (strides[0] == 0 || strides[0] >= grad.sizes()[1])));
}

// On a GPU the epilogue of backward's products, without a product: one pass that rounds once and sums before rounding.
Pair grad_backend(Ref grad, Ref saved, std::string_view activation) {
  const bool alike = grad.is_cuda() && saved.device() == grad.device() && saved.scalar_type() == grad.scalar_type() &&
                     grad.dim() == 2 && saved.sizes() == grad.sizes() && grad.numel() > 0;
  if (!alike || !at::isFloatingType(grad.scalar_type()) || !lies_by_rows(grad, saved))
    return grad_composed(grad, saved, activation);
  const Scalar one = 1;
  const Tensor a = grad.narrow(1, 0, 0), b = grad.narrow(0, 0, 0);
  Args args{Kind::mm, a, b, &grad, &one, &one};
  const Tensor d = gpu_path::empty_result(args), sums = at::empty({grad.sizes()[1]}, grad.options());
  EpilogueTensors epilogue{activation, &saved};
  epilogue.sums = &sums;
  args.epilogue = &epilogue;
  if (!ours(args)) return grad_composed(grad, saved, activation);
  const Problem problem = problem_of(args, d);
  // Some folder has code for this device, and so has split/.
  if (!select(problem, gpu_path::device(grad.device()), built())) return grad_composed(grad, saved, activation);
  gpu_path::end_alone(problem, args, d);
  return {d, sums};
}
const auto& grad_op() {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("gpukern::activation_backward_bias_grad", "")
                             .typed<GradSignature>();
  return op;
}
Pair grad_autograd(c10::DispatchKeySet keys, Ref grad, Ref saved, std::string_view activation) {
  if (tracked(grad) || tracked(saved)) return grad_composed(grad, saved, activation);
  const at::AutoDispatchBelowAutograd guard;
  return grad_op().redispatch(keys & c10::after_autograd_keyset, grad, saved, activation);
}

}  // namespace

Pair product_with_aux(const Args& x) {
  static const Scalar one = 1;
  return aux_op().call(x.c ? Optional(*x.c) : Optional(), x.a, x.b, x.c ? *x.beta : one, x.c ? *x.alpha : one,
                       *x.activation, x.residual ? Optional(*x.residual) : Optional(), x.how.precision,
                       x.how.batch_invariant);
}
Pair activation_backward_bias_grad(Ref grad, Ref saved, std::string_view activation) {
  return grad_op().call(grad, saved, activation);
}

void add_training(const Registrar& r) {
  r.op(
      "product_with_aux(Tensor? addend, Tensor a, Tensor b, *, Scalar beta=1, Scalar alpha=1, str activation, Tensor? "
      "residual=None, str? precision=None, bool batch_invariant=False) -> (Tensor, Tensor)",
      Kernels{&aux_backend, &aux_composed, &aux_autograd, nullptr, &aux_composed});
  r.op("activation_backward_bias_grad(Tensor grad, Tensor saved, str activation) -> (Tensor, Tensor)",
       Kernels{&grad_backend, &grad_composed, &grad_autograd, nullptr, &grad_composed});
}

}  // namespace gpukern::gemm
