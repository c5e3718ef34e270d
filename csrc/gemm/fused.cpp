// mm_activation_backward and scaled_product: one kernel on a GPU if no derivative is needed; else the ops that they are
// composed of, which have derivatives of any order, batching rules and the CPU's loops.
#include "fused.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/add.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include "../autograd/node.h"
#include "gpu_path.h"
#include "introspect.h"
#include "registrar.h"
#include "shapes.h"

namespace gpukern::gemm {

bool launched(const Args& x, const Tensor& out) {
  const Problem problem = problem_of(x, out);
  const c10::Device where = x.a.device();
  const Choice choice = chosen(problem, gpu_path::device(where), gpu_path::ranking(problem, where));
  if (!choice) return false;
  count(choice);
  gpu_path::launch(choice, problem, x, out);
  return true;
}

namespace {

using Ref = const Tensor&;
using Name = call::Name;

bool tracked(Ref t) { return (at::GradMode::is_enabled() && t.requires_grad()) || autograd::has_tangent(t); }

// ---- (grad @ weight) * activation'(saved) -------------------------------------------------------

struct Backward {
  Ref grad, weight, saved;
  std::string_view activation;
  call::How how;
};

void check(const Backward& x) {
  constexpr const char* name = "gpukern.mm_activation_backward(): ";
  activation_of(x.activation);
  TORCH_CHECK_TYPE(at::isFloatingType(x.grad.scalar_type()), name, "a derivative needs a floating type, got ",
                   x.grad.scalar_type(), ".");
  TORCH_CHECK_TYPE(x.saved.scalar_type() == x.grad.scalar_type(), name, "saved has type ", x.saved.scalar_type(),
                   ", but grad has ", x.grad.scalar_type(), "; convert one of them.");
  TORCH_CHECK(x.weight.dim() == 2, name, "weight must be a matrix, got ", x.weight.dim(), " dimensions.");
  TORCH_CHECK(x.grad.dim() > 0, name, "grad must have at least one dimension, got a scalar.");
  auto shape = x.grad.sym_sizes().vec();
  shape.back() = x.weight.sym_size(1);
  TORCH_CHECK(x.saved.sym_sizes().equals(shape), name, "saved of shape ", x.saved.sym_sizes(),
              " is not of the product's shape ", c10::SymIntArrayRef(shape), ".");
}

Tensor composed(const Backward& x) {
  const Tensor product = call::matmul(x.grad, x.weight, {}, {}, x.how);  // which refuses extents that do not fit
  return differentiated(activation_of(x.activation), product, x.saved);
}

// The gradient; and in `bias`, if it is not null, the gradient of the bias added before the activation.
Tensor composed(const Backward& x, Tensor* bias) {
  Tensor d = composed(x);
  if (bias) *bias = at::sum(rows_of(d), 0);
  return d;
}

Tensor below(const Backward& x, Tensor* bias) {
  check(x);
  if (!x.grad.is_cuda()) return composed(x, bias);
  const Tensor rows = rows_of(x.grad), saved = rows_of(x.saved);
  Args args{Kind::mm, rows, x.weight};
  args.how = x.how;
  EpilogueTensors epilogue{x.activation, &saved};
  args.epilogue = &epilogue;
  if (!ours(args) || !well_formed(args) || saved.device() != rows.device()) return composed(x, bias);
  check_how(args);
  const Tensor out = gpu_path::empty_result(args);
  if (bias) {  // nothing is launched for a result without elements
    const c10::IntArrayRef columns = out.sizes().slice(1);
    *bias = out.numel() ? at::empty(columns, out.options()) : at::zeros(columns, out.options());
    epilogue.sums = bias;
  }
  return launched(args, out) ? out.view(x.saved.sizes()) : composed(x, bias);
}

// mm_activation_backward, and the op that returns the bias's gradient beside it.
template <bool WithBias> struct BackwardOp {
  using Result = std::conditional_t<WithBias, std::tuple<Tensor, Tensor>, Tensor>;
  static constexpr const char* name = WithBias ? "mm_activation_backward_bias_grad" : "mm_activation_backward";

  template <class F> static Result result(F&& f) {
    if constexpr (WithBias) {
      Tensor bias;
      Tensor d = f(&bias);
      return {std::move(d), std::move(bias)};
    } else {
      return f(nullptr);
    }
  }
  static Result backend(Ref grad, Ref weight, Ref saved, std::string_view activation, Name precision, bool invariant) {
    const Backward x{grad, weight, saved, activation, {precision, invariant}};
    return result([&](Tensor* bias) { return below(x, bias); });
  }
  static Result of_ops(Ref grad, Ref weight, Ref saved, std::string_view activation, Name precision, bool invariant) {
    const Backward x{grad, weight, saved, activation, {precision, invariant}};
    check(x);
    return result([&](Tensor* bias) { return composed(x, bias); });
  }
  static Result autograd(c10::DispatchKeySet keys, Ref grad, Ref weight, Ref saved, std::string_view activation,
                         Name precision, bool invariant) {
    // A derivative needs the product itself, which the fused epilogue does not keep.
    if (tracked(grad) || tracked(weight) || tracked(saved))
      return of_ops(grad, weight, saved, activation, precision, invariant);
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow((std::string("gpukern::") + name).c_str(), "")
                               .template typed<Result(Ref, Ref, Ref, std::string_view, Name, bool)>();
    const at::AutoDispatchBelowAutograd guard;
    return op.redispatch(keys & c10::after_autograd_keyset, grad, weight, saved, activation, precision, invariant);
  }
};

// ---- activation(r c * (input @ other) + bias) + residual ----------------------------------------

struct Scaled {
  Ref a, b;
  const call::Optional &row, &column, &bias;
  Name activation;
  const call::Optional& residual;
  call::How how;

  static bool has(const call::Optional& t) { return t && t->defined(); }
  template <class F> void for_tensors(F&& f) const {
    f(a), f(b);
    for (const call::Optional* t : {&row, &column, &bias, &residual})
      if (has(*t)) f(**t);
  }
};

void check(const Scaled& x) {
  constexpr const char* name = "gpukern.scaled_product(): ";
  const auto type = x.a.scalar_type(), wide = type == c10::kDouble ? c10::kDouble : c10::kFloat;
  if (x.activation) activation_of(*x.activation);
  TORCH_CHECK_TYPE(at::isFloatingType(type) && at::isReducedFloatingType(type) + (type == wide) == 1, name,
                   "scales need float16, bfloat16, float32 or float64, got ", type, ".");
  TORCH_CHECK_TYPE(x.b.scalar_type() == type, name, "the factors have types ", type, " and ", x.b.scalar_type(),
                   "; convert one of them.");
  TORCH_CHECK((x.a.dim() == 2 || x.a.dim() == 3) && x.a.dim() == x.b.dim(), name,
              "the factors must be two matrices or two batches of matrices, got ", x.a.dim(), " and ", x.b.dim(),
              " dimensions.");
  const bool batched = x.a.dim() == 3;
  const auto sizes = x.a.sym_sizes();
  const auto scale = [&](const call::Optional& t, const char* what, const c10::SymInt& length) {
    if (!Scaled::has(t)) return;
    Shape shape;
    if (batched) shape.push_back(sizes[0]);
    shape.push_back(length);
    TORCH_CHECK_TYPE(t->scalar_type() == wide, name, what, " must be ", wide, " for factors of ", type, ", got ",
                     t->scalar_type(), ".");
    TORCH_CHECK(t->sym_sizes().equals(shape), name, what, " of shape ", t->sym_sizes(), " is not of shape ",
                c10::SymIntArrayRef(shape), ".");
  };
  scale(x.row, "row_scale", sizes[batched]);
  scale(x.column, "column_scale", x.b.sym_sizes()[batched + 1]);
  for (const auto& [t, what] : {std::pair{&x.bias, "bias"}, std::pair{&x.residual, "residual"}})
    if (Scaled::has(*t))
      TORCH_CHECK_TYPE((*t)->scalar_type() == type, name, what, " has type ", (*t)->scalar_type(),
                       ", but the product has ", type, "; convert one of them.");
  if (x.how.precision) check_how({Kind::mm, x.a, x.b, nullptr, nullptr, nullptr, {}, nullptr, x.how});
}

// In the accumulator's type: a product may exceed the range of the result's type until it is scaled.
Tensor composed(const Scaled& x) {
  const auto type = x.a.scalar_type(), wide = type == c10::kDouble ? c10::kDouble : c10::kFloat;
  Tensor t = call::matmul(x.a.to(wide), x.b.to(wide), {}, {}, x.how);
  if (Scaled::has(x.row)) t = at::mul(t, x.row->unsqueeze(-1));
  if (Scaled::has(x.column)) t = at::mul(t, x.column->unsqueeze(-2));
  if (Scaled::has(x.bias)) t = at::add(t, x.bias->to(wide));
  return call::finish(t, x.activation,
                      Scaled::has(x.residual) ? call::Optional(x.residual->to(wide)) : call::Optional())
      .to(type);
}

Tensor below(const Scaled& x) {
  check(x);
  if (!x.a.is_cuda()) return composed(x);
  const Scalar one = 1;
  const Kind kind = x.a.dim() == 3 ? Kind::bmm : Kind::mm;
  const Tensor row = Scaled::has(x.row) ? x.row->unsqueeze(-1) : Tensor(),
               column = Scaled::has(x.column) ? x.column->unsqueeze(-2) : Tensor();
  Args args{kind, x.a, x.b};
  if (Scaled::has(x.bias)) args.c = &*x.bias, args.beta = &one, args.alpha = &one;
  args.activation = x.activation;
  args.residual = Scaled::has(x.residual) ? &*x.residual : nullptr;
  args.how = x.how;
  const EpilogueTensors epilogue{{}, nullptr, row.defined() ? &row : nullptr, column.defined() ? &column : nullptr};
  args.epilogue = &epilogue;
  bool there = ours(args) && well_formed(args);
  x.for_tensors([&](Ref t) { there = there && t.device() == x.a.device(); });
  if (!there) return composed(x);
  const Tensor out = gpu_path::empty_result(args);
  if (args.residual && !at::is_expandable_to(args.residual->sizes(), out.sizes())) return composed(x);
  return launched(args, out) ? out : composed(x);
}

#define GPUKERN_SCALED                                                                                       \
  Ref input, Ref other, const call::Optional &row, const call::Optional &column, const call::Optional &bias, \
      Name activation, const call::Optional &residual, Name precision, bool invariant
using ScaledSignature = Tensor(Ref, Ref, const call::Optional&, const call::Optional&, const call::Optional&, Name,
                               const call::Optional&, Name, bool);

Tensor scaled_backend(GPUKERN_SCALED) {
  return below(Scaled{input, other, row, column, bias, activation, residual, {precision, invariant}});
}
Tensor scaled_composed(GPUKERN_SCALED) {
  const Scaled x{input, other, row, column, bias, activation, residual, {precision, invariant}};
  check(x);
  return composed(x);
}
Tensor scaled_autograd(c10::DispatchKeySet keys, GPUKERN_SCALED) {
  bool any = false;
  Scaled{input, other, row, column, bias, activation, residual, {}}.for_tensors(
      [&](Ref t) { any = any || tracked(t); });
  if (any) return scaled_composed(input, other, row, column, bias, activation, residual, precision, invariant);
  static const auto op =
      c10::Dispatcher::singleton().findSchemaOrThrow("gpukern::scaled_product", "").typed<ScaledSignature>();
  const at::AutoDispatchBelowAutograd guard;
  return op.redispatch(keys & c10::after_autograd_keyset, input, other, row, column, bias, activation, residual,
                       precision, invariant);
}

}  // namespace

void add_fused(const Registrar& r) {
  const std::string backward =
      "(Tensor grad, Tensor weight, Tensor saved, str activation, *, str? precision=None, bool batch_invariant=False) "
      "-> ";
  const auto add = [&](auto op, const char* result) {
    r.op(op.name + backward + result, Kernels{&op.backend, &op.of_ops, &op.autograd, nullptr, &op.of_ops});
  };
  add(BackwardOp<false>{}, "Tensor");
  add(BackwardOp<true>{}, "(Tensor, Tensor)");
  r.op(
      "scaled_product(Tensor input, Tensor other, Tensor? row_scale=None, Tensor? column_scale=None, *, Tensor? "
      "bias=None, str? activation=None, Tensor? residual=None, str? precision=None, bool batch_invariant=False) -> "
      "Tensor",
      Kernels{&scaled_backend, &scaled_composed, &scaled_autograd, nullptr, &scaled_composed});
}

std::vector<entry::Declaration> fused_functions() {
  return {
      {"mm_activation_backward",
       "(grad @ weight) * activation'(saved): the gradient before an activation, of the gradient behind the linear "
       "layer that follows it.\n\n"
       "grad: (*, k); weight: (k, n), that layer's own, as linear has it; saved: (*, n), what went into the "
       "activation; activation: its name, any that linear takes.  The result has saved's shape.  The derivative is the "
       "gradient formula of the elementwise op of that name, where gpukern.relu and gpukern.gelu have theirs; 'none' "
       "reads nothing of saved.\n\n"
       "bias_grad: True returns (gradient, bias's gradient): the second is (n,), the sum of the first over all its "
       "rows, "
       "for the bias that was added before the activation.\n\n"
       "On a GPU it is one kernel, which rounds once, where no derivative of it is asked for; elsewhere a product and "
       "an elementwise gradient.  The bias's gradient there is the sum of what the first one is before it is rounded, "
       "in the same pass, the same on every run; elsewhere torch's sum of what was rounded.\n\n"
       "precision and batch_invariant: as in mm.  Types: float16 and bfloat16 (accumulated in float32), float32 and "
       "float64, the same for all three.  TypeError for other types, ValueError for an unknown activation, "
       "RuntimeError "
       "for shapes that do not fit.",
       false,
       {},
       {},
       {},
       "bias_grad"},
      {"scaled_product",
       "activation(row_scale[:, None] * column_scale * (input @ other) + bias) + residual: a product whose factors had "
       "been divided by a scale a row and a scale a column.\n\n"
       "input: (m, k) or (b, m, k); other: (k, n) or (b, k, n); row_scale: (m,) or (b, m); column_scale: (n,) or "
       "(b, n); bias and residual broadcast to the result.  Scales are float32, float64 beside float64, and multiply "
       "the sums before anything is rounded to 16 bits.  On a GPU it is one kernel where no gradient is needed.\n\n"
       "activation, precision and batch_invariant: as in mm.  Types: float16, bfloat16, float32, float64.  TypeError "
       "for other types, ValueError for an unknown activation, RuntimeError for shapes that do not fit."},
  };
}

}  // namespace gpukern::gemm
