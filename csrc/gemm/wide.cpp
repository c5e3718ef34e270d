// mm, bmm, addmm and baddbmm with `out_dtype`, torch's overloads `dtype` and `dtype_out`.
//
// On a GPU one kernel writes the wide result.  Elsewhere, and where a gradient or a transform has to see what is done,
// the operands are converted and multiplied in the wide type: the same sums, since both accumulate in it.
#include "wide.h"

#include <ATen/TensorSubclassLikeUtils.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/grad_mode.h>
#include <ATen/native/Resize.h>
#include <torch/library.h>

#include "product.h"

namespace gpukern::gemm {
namespace {

using Ref = const Tensor&;
using Num = const Scalar&;
using c10::ScalarType;

bool widens(ScalarType from, ScalarType to) {
  return at::isReducedFloatingType(from) ? to == c10::kFloat : from == c10::kChar && to == c10::kInt;
}

// What torch's own kernel would be asked: for its result, or its words.
template <class... P> Tensor theirs(const char* name, P... p) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "dtype").template typed<Tensor(P...)>().call(p...);
}

bool plain(Ref t) {
  return t.device().is_cuda() && !at::isTensorSubclassLike(t) && !(at::GradMode::is_enabled() && t.requires_grad()) &&
         !t._fw_grad(0).defined();
}

// int8 sums are exact in float64 (k < 2^38), where a BLAS is at hand; int32 keeps their last 32 bits.
Tensor whole(Kind kind, Ref a, Ref b) {
  const Tensor x = a.to(c10::kDouble), y = b.to(c10::kDouble);
  return (kind == Kind::mm ? call::mm(x, y) : call::bmm(x, y)).to(c10::kLong).to(c10::kInt);
}

struct Sum {
  Ref c;
  Num beta, alpha;
};

Tensor product(Kind kind, Ref a, Ref b, ScalarType type, const Sum* sum) {
  Args args{kind, a, b};
  const Tensor c = sum ? sum->c.to(type) : Tensor();
  if (sum) args.c = &c, args.beta = &sum->beta, args.alpha = &sum->alpha;
  if (plain(a) && plain(b) && (!sum || plain(c)) && ours(args)) {
    const auto shape = result_shape(args);
    if (shape && a.scalar_type() == b.scalar_type() && a.device() == b.device()) {
      args.wide = true;
      const Tensor out = at::empty(*shape, a.options().dtype(type));
      const at::AutoDispatchBelowAutograd guard;
      run_out(args, out);
      return out;
    }
  }
  if (type == c10::kInt) {
    const Tensor t = whole(kind, a, b);
    if (!sum) return t;
    const Tensor scaled = sum->alpha.equal(1) ? t : t.mul(sum->alpha);
    return sum->beta.equal(0) ? scaled : scaled.add(c, sum->beta);
  }
  const Tensor x = a.to(type), y = b.to(type);
  if (kind == Kind::mm) return sum ? call::addmm(c, x, y, sum->beta, sum->alpha) : call::mm(x, y);
  return sum ? call::baddbmm(c, x, y, sum->beta, sum->alpha) : call::bmm(x, y);
}

bool is_ours(Kind kind, Ref a, Ref b, ScalarType type) {
  return a.scalar_type() == b.scalar_type() && widens(a.scalar_type(), type) && result_shape({kind, a, b}).has_value();
}

Tensor wide_mm(Ref a, Ref b, ScalarType type) {
  if (type == a.scalar_type()) return call::mm(a, b);
  return is_ours(Kind::mm, a, b, type) ? product(Kind::mm, a, b, type, nullptr)
                                       : theirs<Ref, Ref, ScalarType>("aten::mm", a, b, type);
}
Tensor wide_bmm(Ref a, Ref b, ScalarType type) {
  if (type == a.scalar_type()) return call::bmm(a, b);
  return is_ours(Kind::bmm, a, b, type) ? product(Kind::bmm, a, b, type, nullptr)
                                        : theirs<Ref, Ref, ScalarType>("aten::bmm", a, b, type);
}
Tensor wide_addmm(Ref c, Ref a, Ref b, ScalarType type, Num beta, Num alpha) {
  if (type == a.scalar_type()) return call::addmm(c, a, b, beta, alpha);
  const Sum sum{c, beta, alpha};
  return is_ours(Kind::mm, a, b, type)
             ? product(Kind::mm, a, b, type, &sum)
             : theirs<Ref, Ref, Ref, ScalarType, Num, Num>("aten::addmm", c, a, b, type, beta, alpha);
}
Tensor wide_baddbmm(Ref c, Ref a, Ref b, ScalarType type, Num beta, Num alpha) {
  if (type == a.scalar_type()) return call::baddbmm(c, a, b, beta, alpha);
  const Sum sum{c, beta, alpha};
  return is_ours(Kind::bmm, a, b, type)
             ? product(Kind::bmm, a, b, type, &sum)
             : theirs<Ref, Ref, Ref, ScalarType, Num, Num>("aten::baddbmm", c, a, b, type, beta, alpha);
}

// out= takes the result as it is: a type that is not out_dtype is refused in torch's words.
void give(Tensor result, Ref out) {
  TORCH_CHECK(out.scalar_type() == result.scalar_type(), "Expected out tensor to have dtype ", result.dtype(),
              ", but got ", out.dtype(), " instead");
  at::native::resize_output(out, result.sizes());
  out.copy_(result);
}
void wide_mm_out(Ref a, Ref b, ScalarType t, Ref out) { give(wide_mm(a, b, t), out); }
void wide_bmm_out(Ref a, Ref b, ScalarType t, Ref out) { give(wide_bmm(a, b, t), out); }
void wide_addmm_out(Ref c, Ref a, Ref b, ScalarType t, Num beta, Num alpha, Ref out) {
  give(wide_addmm(c, a, b, t, beta, alpha), out);
}
void wide_baddbmm_out(Ref c, Ref a, Ref b, ScalarType t, Num beta, Num alpha, Ref out) {
  give(wide_baddbmm(c, a, b, t, beta, alpha), out);
}

}  // namespace

#define GPUKERN_PAIR "(Tensor input, Tensor mat2, ScalarType out_dtype"
#define GPUKERN_SUM(x, y) \
  "(Tensor input, Tensor " x ", Tensor " y ", ScalarType out_dtype, *, Scalar beta=1, Scalar alpha=1"
#define GPUKERN_OUT ", Tensor(a!) out) -> ()"

void define_wide(torch::Library& m) {
  m.def("mm.dtype" GPUKERN_PAIR ") -> Tensor", &wide_mm);
  m.def("mm.dtype_out" GPUKERN_PAIR ", *" GPUKERN_OUT, &wide_mm_out);
  m.def("bmm.dtype" GPUKERN_PAIR ") -> Tensor", &wide_bmm);
  m.def("bmm.dtype_out" GPUKERN_PAIR ", *" GPUKERN_OUT, &wide_bmm_out);
  m.def("addmm.dtype" GPUKERN_SUM("mat1", "mat2") ") -> Tensor", &wide_addmm);
  m.def("addmm.dtype_out" GPUKERN_SUM("mat1", "mat2") GPUKERN_OUT, &wide_addmm_out);
  m.def("baddbmm.dtype" GPUKERN_SUM("batch1", "batch2") ") -> Tensor", &wide_baddbmm);
  m.def("baddbmm.dtype_out" GPUKERN_SUM("batch1", "batch2") GPUKERN_OUT, &wide_baddbmm_out);
}

// Under vmap they are what they are made of.
void implement_wide_batching(torch::Library& m) {
  m.impl("mm.dtype", &wide_mm);
  m.impl("bmm.dtype", &wide_bmm);
  m.impl("addmm.dtype", &wide_addmm);
  m.impl("baddbmm.dtype", &wide_baddbmm);
}

}  // namespace gpukern::gemm
