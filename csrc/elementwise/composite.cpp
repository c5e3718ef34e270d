// Ops made of other ops: numbers in place of a tensor, `clamp` with tensors, `bias_act`.  Autograd and batching see the
// ops inside.
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/clamp_max.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/lerp.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/result_type.h>
#include <ATen/ops/round.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/where.h>
#include <torch/library.h>

#include "../autograd/number.h"
#include "../without_data.h"
#include "elementwise.h"

namespace gpukern::elementwise {
namespace {

using OptionalTensor = std::optional<Tensor>;

// A 0-dim tensor that promotes as the number would beside `t`.  whole: integers keep their value; for the quotient of
// integers, which is computed in a floating type.
Tensor like_number(const at::Scalar& s, const Tensor& t, bool whole = false) {
  c10::ScalarType dtype = s.type();
  if (s.isComplex()) {
    const c10::ScalarType type = at::isFloatingType(t.scalar_type()) || t.is_complex()
                                     ? t.scalar_type()
                                     : c10::typeMetaToScalarType(c10::get_default_dtype());
    return at::scalar_tensor(s, at::TensorOptions(at::toComplexType(type)));
  }
  // Beyond int64 but beside a floating type: not uint64, whose gradients torch cannot add.
  if (dtype == at::kUInt64 && (at::isFloatingType(t.scalar_type()) || t.is_complex()))
    return like_number(s.toDouble(), t);
  if (dtype == at::kUInt64 && t.scalar_type() == at::kBool) return at::scalar_tensor(s, at::kUInt64);  // refused
  if (whole && s.isIntegral(false) && !s.isSymbolic() && at::isIntegralType(t.scalar_type(), true))
    return dtype == at::kLong ? at::scalar_tensor(s, at::kLong) : like_number(s.toDouble(), t);
  if (s.isFloatingPoint()) {
    dtype = at::isFloatingType(t.scalar_type()) || t.is_complex()
                ? (t.scalar_type() == at::kDouble || t.dim() == 0 ? t.scalar_type() : at::kFloat)
                : c10::typeMetaToScalarType(c10::get_default_dtype());
  } else if (t.dim() == 0 && !s.isBoolean() && t.scalar_type() != at::kBool) {
    dtype = t.scalar_type();
  }
  return at::scalar_tensor(converted(s, dtype), at::TensorOptions(dtype));
}
// Whether the result's type can represent the number.  If not, torch's op converts or refuses it, each in its own way.
bool held_beside(const at::Scalar& s, const Tensor& t) {
  if (s.isComplex()) return false;
  const c10::ScalarType type = at::result_type(t, s);
  if (!s.isSymbolic()) return holds(type, s);
  // A symbolic number that varies from call to call: whether every value is representable.
  return type == at::kDouble || type == at::kLong ||
         (!s.isFloatingPoint() && (type == at::kFloat || type == at::kBFloat16));
}

// Calls torch's own op; its fake may give another type than its kernel.
template <class F, class... T> Tensor call_torch(F f, const at::Scalar& number, const T&... tensors) {
  const auto promised = number.isSymbolic() ? std::nullopt : without_data(f, tensors...);
  const Tensor result = f(tensors...);
  return promised && result.scalar_type() != promised->scalar_type() ? result.to(promised->scalar_type()) : result;
}

template <class... T> Tensor invoke(const char* name, T... args) {
  return c10::Dispatcher::singleton()
      .findSchemaOrThrow((std::string("gpukern::") + name).c_str(), "")
      .typed<Tensor(T...)>()
      .call(args...);
}
template <class... T> void write(const char* name, const char* overload, T... args) {
  c10::Dispatcher::singleton()
      .findSchemaOrThrow((std::string("gpukern::") + name).c_str(), overload)
      .typed<void(T...)>()
      .call(args...);
}
using Ref = const Tensor&;
using Num = const at::Scalar&;

Tensor div_scalar(Ref x, Num y, std::optional<std::string_view> mode);
Tensor add_scalar(Ref x, Num y, Num alpha) { return invoke<Ref, Ref, Num>("add", x, like_number(y, x), alpha); }
Tensor sub_scalar(Ref x, Num y, Num alpha) { return invoke<Ref, Ref, Num>("sub", x, like_number(y, x), alpha); }
Tensor mul_scalar(Ref x, Num y) { return invoke<Ref, Ref>("mul", x, like_number(y, x)); }
Tensor div_scalar(Ref x, Num y, std::optional<std::string_view> mode) {
  refuse_zero_divisor(x, y, mode);
  return invoke<Ref, Ref, std::optional<std::string_view>>("div", x, like_number(y, x, !mode), mode);
}
// Whether pow is this root: torch's CPU kernel uses the root except for float16.  For -0 and -inf pow differs from it.
bool is_root(Ref x, Num y, double exponent) {
  return at::isFloatingType(x.scalar_type()) && (x.scalar_type() != at::kHalf || !x.is_cpu()) && equals(y, exponent);
}
// Powers that torch's op computes: of a type without a kernel (torch may copy or fill), complex ones, of bool, those
// that torch refuses for numbers only, and with an exponent that conversion to its type would make 0.
bool is_torchs_power(Ref x, Num y) {
  if (y.isComplex() || x.scalar_type() == at::kBool || !has_kernel(x.scalar_type()) || !held_beside(y, x)) return true;
  if (y.isIntegral(true)) return at::isIntegralType(x.scalar_type(), true) && y.toSymInt() < 0;
  return !y.isSymbolic() && y.toDouble() != 0 && static_cast<float>(y.toDouble()) == 0;
}
Tensor pow_scalar(Ref x, Num y) {
  if (is_torchs_power(x, y)) return call_torch([&](Ref a) { return at::pow(a, y); }, y, x);
  // Exact, and much cheaper than pow.
  if (at::isFloatingType(x.scalar_type()) && equals(y, 2)) return invoke<Ref>("square", x);
  if (is_root(x, y, 0.5)) return invoke<Ref>("sqrt", x);
  if (is_root(x, y, -0.5) && x.is_cpu()) return invoke<Ref>("rsqrt", x);
  return invoke<Ref, Ref>("pow", x, like_number(y, x));
}
void pow_inplace(Ref x, Num y) {
  if (is_torchs_power(x, y)) {
    call_torch([&](Tensor a) { return a.pow_(y); }, y, x);
    return;
  }
  if (x.is_cpu() && is_root(x, y, 0.5)) write<Ref>("sqrt_", "", x);
  else if (x.is_cpu() && is_root(x, y, -0.5)) write<Ref>("rsqrt_", "", x);
  else write<Ref, Ref>("pow_", "", x, like_number(y, x));
}
Tensor pow_self(Num x, Ref y) {
  return x.isComplex() || !has_kernel(y.scalar_type()) ? at::pow(x, y) : invoke<Ref, Ref>("pow", like_number(x, y), y);
}
Tensor where_self(Ref c, Num x, Ref y) {
  return x.isComplex() || held_beside(x, y) ? invoke<Ref, Ref, Ref>("where", c, like_number(x, y), y)
                                            : call_torch([&](Ref a, Ref b) { return at::where(a, x, b); }, x, c, y);
}
Tensor where_other(Ref c, Ref x, Num y) {
  return y.isComplex() || held_beside(y, x) ? invoke<Ref, Ref, Ref>("where", c, x, like_number(y, x))
                                            : call_torch([&](Ref a, Ref b) { return at::where(a, b, y); }, y, c, x);
}
// Two numbers: the result has their type.
Tensor where_numbers(Ref c, Num x, Num y) {
  return call_torch([&](Ref a) { return at::where(a, x, y); }, x, c);
}
bool is_weight(Ref x, Num w) { return at::isFloatingType(x.scalar_type()) && held_beside(w, x); }
Tensor lerp_scalar(Ref x, Ref y, Num w) {
  if (!is_weight(x, w)) return call_torch([&](Ref a, Ref b) { return at::lerp(a, b, w); }, w, x, y);
  const Tensor weight = at::scalar_tensor(w, at::TensorOptions(x.scalar_type()));
  return invoke<Ref, Ref, Ref>("lerp", x, y, weight);
}
void lerp_inplace(Ref x, Ref y, Num w) {
  if (!is_weight(x, w)) {
    call_torch([&](Tensor a, Ref b) { return a.lerp_(b, w); }, w, x, y);
    return;
  }
  write<Ref, Ref, Ref>("lerp_", "", x, y, at::scalar_tensor(w, at::TensorOptions(x.scalar_type())));
}

// One bound that is a number: `clamp` with the other bound absent.
using Bound = const std::optional<at::Scalar>&;
Tensor clamp_min_scalar(Ref x, Num low) {
  return low.isComplex() ? call_torch([&](Ref a) { return at::clamp_min(a, low); }, low, x)
                         : invoke<Ref, Bound, Bound>("clamp", x, low, std::nullopt);
}
Tensor clamp_max_scalar(Ref x, Num high) {
  return high.isComplex() ? call_torch([&](Ref a) { return at::clamp_max(a, high); }, high, x)
                          : invoke<Ref, Bound, Bound>("clamp", x, std::nullopt, high);
}
void clamp_min_inplace(Ref x, Num low) {
  if (low.isComplex()) call_torch([&](Tensor a) { return a.clamp_min_(low); }, low, x);
  else write<Ref, Bound, Bound>("clamp_", "", x, low, std::nullopt);
}
void clamp_max_inplace(Ref x, Num high) {
  if (high.isComplex()) call_torch([&](Tensor a) { return a.clamp_max_(high); }, high, x);
  else write<Ref, Bound, Bound>("clamp_", "", x, std::nullopt, high);
}
void check_bounds(Ref x, const OptionalTensor& low, const OptionalTensor& high) {
  TORCH_CHECK(low || high, "torch.clamp: At least one of 'min' or 'max' must not be None");
  TORCH_CHECK_NOT_IMPLEMENTED(!x.is_complex(), "clamp is not supported for complex types");
}
Tensor clamp_tensors(Ref x, const OptionalTensor& low, const OptionalTensor& high) {
  check_bounds(x, low, high);
  if (!high) return invoke<Ref, Ref>("clamp_min", x, *low);
  if (!low) return invoke<Ref, Ref>("clamp_max", x, *high);
  return invoke<Ref, Ref, Ref>("clamp_tensor", x, *low, *high);
}
void clamp_tensors_out(Ref x, const OptionalTensor& low, const OptionalTensor& high, Ref out) {
  check_bounds(x, low, high);
  if (!high) write<Ref, Ref, Ref>("clamp_min", "out", x, *low, out);
  else if (!low) write<Ref, Ref, Ref>("clamp_max", "out", x, *high, out);
  else write<Ref, Ref, Ref, Ref>("clamp_tensor", "out", x, *low, *high, out);
}
void clamp_tensors_inplace(Ref x, const OptionalTensor& low, const OptionalTensor& high) {
  check_bounds(x, low, high);
  if (!high) write<Ref, Ref>("clamp_min_", "", x, *low);
  else if (!low) write<Ref, Ref>("clamp_max_", "", x, *high);
  else write<Ref, Ref, Ref>("clamp_tensor_", "", x, *low, *high);
}
// To decimal places: torch's own, whose steps (scale, round, scale back) are its definition.
Tensor round_decimals(Ref x, int64_t decimals) {
  return call_torch([&](Ref a) { return at::round(a, decimals); }, at::Scalar(0), x);
}
void round_decimals_inplace(Ref x, int64_t decimals) {
  call_torch([&](Tensor a) { return a.round_(decimals); }, at::Scalar(0), x);
}
// The bias as a view that broadcasts to x along `dim`.
Tensor bias_along(Ref x, Ref bias, int64_t dim) {
  TORCH_CHECK(bias.dim() == 1, "gpukern.bias_act(): bias must have one dimension, got ", bias.dim(), ".");
  const int64_t d = c10::maybe_wrap_dim(dim, x.dim());
  TORCH_CHECK(bias.sym_size(0) == x.sym_size(d), "gpukern.bias_act(): bias has ", bias.sym_size(0),
              " elements, but dimension ", dim, " of the input has ", x.sym_size(d), ".");
  c10::SymDimVector shape(x.dim() - d, c10::SymInt(1));
  shape[0] = bias.sym_size(0);
  return d == x.dim() - 1 ? bias : bias.reshape_symint(shape);
}
Tensor bias_act(Ref x, Ref bias, std::string_view activation, int64_t dim) {
  return invoke<Ref, Ref, std::string_view>("add_act", x, bias_along(x, bias, dim), activation);
}
void bias_act_out(Ref x, Ref bias, std::string_view activation, int64_t dim, Ref out) {
  write<Ref, Ref, std::string_view, Ref>("add_act", "out", x, bias_along(x, bias, dim), activation, out);
}

}  // namespace

void refuse_zero_divisor(const Tensor& x, const at::Scalar& y, std::optional<std::string_view> mode) {
  if (mode && y.isIntegral(true) && !y.isSymbolic() && at::isIntegralType(x.scalar_type(), true))
    without_data([&](Ref a) { return div_scalar(a, y, mode); }, x);
}

void define_composite(torch::Library& m) {
  m.def("add.Scalar(Tensor input, Scalar other, *, Scalar alpha=1) -> Tensor", &add_scalar);
  m.def("sub.Scalar(Tensor input, Scalar other, *, Scalar alpha=1) -> Tensor", &sub_scalar);
  m.def("mul.Scalar(Tensor input, Scalar other) -> Tensor", &mul_scalar);
  m.def("div.Scalar(Tensor input, Scalar other, *, str? rounding_mode=None) -> Tensor", &div_scalar);
  m.def("pow.Scalar(Tensor input, Scalar exponent) -> Tensor", &pow_scalar);
  m.def("pow_.Scalar(Tensor(a!) input, Scalar exponent) -> ()", &pow_inplace);
  m.def("pow.self_Scalar(Scalar input, Tensor exponent) -> Tensor", &pow_self);
  m.def("where.input_Scalar(Tensor condition, Scalar input, Tensor other) -> Tensor", &where_self);
  m.def("where.other_Scalar(Tensor condition, Tensor input, Scalar other) -> Tensor", &where_other);
  m.def("where.Scalar(Tensor condition, Scalar input, Scalar other) -> Tensor", &where_numbers);
  m.def("lerp.Scalar(Tensor input, Tensor end, Scalar weight) -> Tensor", &lerp_scalar);
  m.def("lerp_.Scalar(Tensor(a!) input, Tensor end, Scalar weight) -> ()", &lerp_inplace);
  m.def("clamp_min.Scalar(Tensor input, Scalar min) -> Tensor", &clamp_min_scalar);
  m.def("clamp_min_.Scalar(Tensor(a!) input, Scalar min) -> ()", &clamp_min_inplace);
  m.def("clamp_max.Scalar(Tensor input, Scalar max) -> Tensor", &clamp_max_scalar);
  m.def("clamp_max_.Scalar(Tensor(a!) input, Scalar max) -> ()", &clamp_max_inplace);
  m.def("clamp.Tensor(Tensor input, Tensor? min=None, Tensor? max=None) -> Tensor", &clamp_tensors);
  m.def("clamp.Tensor_out(Tensor input, Tensor? min=None, Tensor? max=None, *, Tensor(a!) out) -> ()",
        &clamp_tensors_out);
  m.def("clamp_.Tensor(Tensor(a!) input, Tensor? min=None, Tensor? max=None) -> ()", &clamp_tensors_inplace);
  m.def("round.decimals(Tensor input, *, int decimals) -> Tensor", &round_decimals);
  m.def("round_.decimals(Tensor(a!) input, *, int decimals) -> ()", &round_decimals_inplace);
  m.def("bias_act(Tensor input, Tensor bias, str activation='relu', int dim=-1) -> Tensor", &bias_act);
  m.def("bias_act.out(Tensor input, Tensor bias, str activation='relu', int dim=-1, *, Tensor(a!) out) -> ()",
        &bias_act_out);
}

// Under vmap these ops decompose too; without a rule functorch loops over the batch, with a warning.
void implement_batching(torch::Library& m) {
  m.impl("pow.Scalar", &pow_scalar);
  m.impl("pow_.Scalar", &pow_inplace);
  m.impl("pow.self_Scalar", &pow_self);
  m.impl("where.input_Scalar", &where_self);
  m.impl("where.other_Scalar", &where_other);
  m.impl("where.Scalar", &where_numbers);
  m.impl("lerp.Scalar", &lerp_scalar);
  m.impl("lerp_.Scalar", &lerp_inplace);
  m.impl("clamp.Tensor", &clamp_tensors);
  m.impl("clamp_.Tensor", &clamp_tensors_inplace);
  m.impl("round.decimals", &round_decimals);
  m.impl("round_.decimals", &round_decimals_inplace);
  m.impl("bias_act", &bias_act);
}

}  // namespace gpukern::elementwise
