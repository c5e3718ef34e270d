// mm, bmm, addmm and baddbmm with `out_dtype`, torch's overloads `dtype` and `dtype_out`.
//
// On a GPU one kernel writes the wide result.  Elsewhere, and where a gradient or a transform has to see what is done,
// the operands are converted and multiplied in the wide type: the same sums, since both accumulate in it.

#include <ATen/TensorSubclassLikeUtils.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/grad_mode.h>
#include <ATen/native/Resize.h>

#include "../autograd/node.h"
#include "product.h"
#include "registrar.h"

namespace gpukern::gemm {
namespace {

using Ref = const Tensor&;
using Num = const Scalar&;
using c10::ScalarType;

bool widens(ScalarType from, ScalarType to) {
  return at::isReducedFloatingType(from) ? to == c10::kFloat : from == c10::kChar && to == c10::kInt;
}

// The kernel is called here, not through the dispatcher, which would resolve lazy bits first.
bool plain(Ref t) {
  return t.device().is_cuda() && !t.is_neg() && !t.is_conj() && !at::isTensorSubclassLike(t) &&
         !(at::GradMode::is_enabled() && t.requires_grad()) && !t._fw_grad(0).defined();
}

Tensor same_type(const Args& x) {
  if (x.kind == Kind::mm) return x.c ? call::addmm(*x.c, x.a, x.b, *x.beta, *x.alpha) : call::mm(x.a, x.b);
  return x.c ? call::baddbmm(*x.c, x.a, x.b, *x.beta, *x.alpha) : call::bmm(x.a, x.b);
}

// torch's own kernel: for its result, or its error.
Tensor theirs(const Args& x, ScalarType type) {
  const auto op = c10::Dispatcher::singleton().findSchemaOrThrow((std::string("aten::") + op_name(x)).c_str(), "dtype");
  if (!x.c) return op.typed<Tensor(Ref, Ref, ScalarType)>().call(x.a, x.b, type);
  return op.typed<Tensor(Ref, Ref, Ref, ScalarType, Num, Num)>().call(*x.c, x.a, x.b, type, *x.beta, *x.alpha);
}

// int8 sums are exact in float64 (k < 2^38), where a BLAS is at hand; int32 keeps their last 32 bits.
Tensor whole(const Args& x) {
  const Tensor t = same_type({x.kind, x.a.to(c10::kDouble), x.b.to(c10::kDouble)}).to(c10::kLong).to(c10::kInt);
  if (!x.c) return t;
  TORCH_CHECK(!x.beta->isFloatingPoint(),
              "For integral input tensors, argument beta must not be a floating point number.");
  TORCH_CHECK(!x.alpha->isFloatingPoint(),
              "For integral input tensors, argument alpha must not be a floating point number.");
  const Tensor scaled = x.alpha->equal(1) ? t : t.mul(*x.alpha);
  return x.beta->equal(0) ? scaled : scaled.add(*x.c, *x.beta);
}

// `into`: where the result may be written at once.
Tensor product(Args x, ScalarType type, const Tensor* into) {
  if (type == x.a.scalar_type()) return same_type(x);
  if (x.a.scalar_type() != x.b.scalar_type() || !widens(x.a.scalar_type(), type) || !result_shape(x))
    return theirs(x, type);
  const Tensor c = x.c ? x.c->to(type) : Tensor();
  if (x.c) x.c = &c;
  if (plain(x.a) && plain(x.b) && (!x.c || plain(c)) && ours(x) && x.a.device() == x.b.device()) {
    x.wide = true;
    const bool there = into && into->scalar_type() == type && into->device() == x.a.device() && !into->is_neg();
    const Tensor out = there ? *into : at::empty(*result_shape(x), x.a.options().dtype(type));
    const at::AutoDispatchBelowAutograd guard;
    return run(x, &out);
  }
  if (type == c10::kInt) return whole(x);
  return same_type({x.kind, x.a.to(type), x.b.to(type), x.c, x.beta, x.alpha});
}

void product_out(const Args& x, ScalarType type, Ref out) {
  const Tensor none;
  autograd::refuse_out_with_grad(op_name(x), out, x.a, x.b, x.c ? *x.c : none);
  const Tensor result = product(x, type, &out);
  if (result.is_same(out)) return;
  TORCH_CHECK(out.scalar_type() == result.scalar_type(), "Expected out tensor to have dtype ", result.dtype(),
              ", but got ", out.dtype(), " instead");
  at::native::resize_output(out, result.sizes());
  out.copy_(result);
}

template <Kind kind> Tensor pair(Ref a, Ref b, ScalarType type) { return product({kind, a, b}, type, nullptr); }
template <Kind kind> void pair_out(Ref a, Ref b, ScalarType type, Ref out) { product_out({kind, a, b}, type, out); }
template <Kind kind> Tensor sum(Ref c, Ref a, Ref b, ScalarType type, Num beta, Num alpha) {
  return product({kind, a, b, &c, &beta, &alpha}, type, nullptr);
}
template <Kind kind> void sum_out(Ref c, Ref a, Ref b, ScalarType type, Num beta, Num alpha, Ref out) {
  product_out({kind, a, b, &c, &beta, &alpha}, type, out);
}

}  // namespace

#define GPUKERN_PAIR "(Tensor input, Tensor mat2, ScalarType out_dtype"
#define GPUKERN_SUM(x, y) \
  "(Tensor input, Tensor " x ", Tensor " y ", ScalarType out_dtype, *, Scalar beta=1, Scalar alpha=1"
#define GPUKERN_OUT ", Tensor(a!) out) -> ()"

void add_wide(const Registrar& r) {
  r.composite("mm.dtype" GPUKERN_PAIR ") -> Tensor", &pair<Kind::mm>);
  r.composite("mm.dtype_out" GPUKERN_PAIR ", *" GPUKERN_OUT, &pair_out<Kind::mm>);
  r.composite("bmm.dtype" GPUKERN_PAIR ") -> Tensor", &pair<Kind::bmm>);
  r.composite("bmm.dtype_out" GPUKERN_PAIR ", *" GPUKERN_OUT, &pair_out<Kind::bmm>);
  r.composite("addmm.dtype" GPUKERN_SUM("mat1", "mat2") ") -> Tensor", &sum<Kind::mm>);
  r.composite("addmm.dtype_out" GPUKERN_SUM("mat1", "mat2") GPUKERN_OUT, &sum_out<Kind::mm>);
  r.composite("baddbmm.dtype" GPUKERN_SUM("batch1", "batch2") ") -> Tensor", &sum<Kind::bmm>);
  r.composite("baddbmm.dtype_out" GPUKERN_SUM("batch1", "batch2") GPUKERN_OUT, &sum_out<Kind::bmm>);
}

}  // namespace gpukern::gemm
