// Schemas and dispatcher kernels of every catalogue op, made from its Spec: `name`, `name.out`, `name_`.
#include <ATen/autocast_mode.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <ATen/ops/lerp.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/scalar_tensor.h>
#include <torch/library.h>

#include <cmath>
#include <limits>

#include "autograd.h"
#include "elementwise.h"
#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/blend.h"
#include "ops/families.h"
#include "ops/fused.h"
#include "ops/math.h"

namespace gpukern::elementwise {
namespace {

template <class... T> struct Types_ {};
template <class T, int N, class... Ts> struct Repeat {
  using type = typename Repeat<T, N - 1, T, Ts...>::type;
};
template <class T, class... Ts> struct Repeat<T, 0, Ts...> {
  using type = Types_<Ts...>;
};

constexpr bool contains(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

// C++ types of an op's parameters, read off its signature.
template <class Op_> struct Signature {
  static constexpr std::string_view args = Op_::spec.args;
  using Number = std::conditional_t<contains(args, "Scalar?"), const std::optional<at::Scalar>&, const at::Scalar&>;
  using Tensors = typename Repeat<const Tensor&, Op_::spec.inputs>::type;
  using Numbers = typename Repeat<Number, Op_::spec.scalars>::type;
  using Choices = std::conditional_t<contains(args, "str?"), Types_<std::optional<std::string_view>>,
                                     std::conditional_t<contains(args, "str "), Types_<std::string_view>, Types_<>>>;
};

at::Scalar number(const at::Scalar& s, int) { return s; }
// An absent bound becomes the infinity that bounds nothing.
at::Scalar number(const std::optional<at::Scalar>& s, int k) {
  const double infinity = std::numeric_limits<double>::infinity();
  return s ? *s : at::Scalar(k == 0 ? -infinity : infinity);
}

// torch's functions refuse bounds before anything else.
void check_bounds(std::string_view op, const std::optional<at::Scalar>& low, const std::optional<at::Scalar>& high) {
  TORCH_CHECK(low || high, "torch.", op, ": At least one of 'min' or 'max' must not be None");
}
void check_bounds(std::string_view op, const at::Scalar& low, const at::Scalar& high) {
  if (op != "hardtanh" || low.isComplex() || high.isComplex()) return;
  TORCH_CHECK_VALUE(!(low.toDouble() > high.toDouble()), "min_val cannot be greater than max_val");
}

const Op& first_of(const char* name) { return *find(name); }

template <class Op_> const Op& pick() {
  static const Op& op = first_of(Op_::spec.name);
  return op;
}
template <class Op_> const Op& pick(std::string_view choice) {
  const Op* op = find(Op_::spec.name, choice);
  if (op && !choice.empty()) return *op;
  const std::string_view name = Op_::spec.name;
  // torch's words for its own names
  TORCH_CHECK(name != "gelu" && name != "geglu", "approximate argument must be either none or tanh.");
  TORCH_CHECK(name != "div", "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '", choice,
              "'");
  TORCH_CHECK_VALUE(false, "gpukern.", name, "(): unknown activation '", choice, "'; it must be one of ", choices(name),
                    ".");
}
template <class Op_> const Op& pick(std::optional<std::string_view> choice) {
  return choice ? pick<Op_>(*choice) : pick<Op_>();
}

// ---- forms that write into an argument: one boxed kernel each for all ops -----------------------

using torch::jit::Stack;

// The op, tensors and numbers of a boxed call, by the order of its schema.
struct Boxed {
  const Op* op;
  Inputs in{};
  Scalars scalars;
  const Tensor* written = nullptr;

  Boxed(const c10::OperatorHandle& handle, const Stack& stack) {
    const auto& arguments = handle.schema().arguments();
    const size_t base = stack.size() - arguments.size();
    std::string_view choice;
    int tensors = 0, numbers = 0;
    for (size_t k = 0; k < arguments.size(); ++k) {
      const c10::IValue& value = stack[base + k];
      const bool writes = arguments[k].alias_info() && arguments[k].alias_info()->isWrite();
      if (writes) written = &value.toTensor();
      if (arguments[k].name() == "out") continue;
      if (value.isTensor()) in[tensors++] = &value.toTensor();
      else if (value.isString()) choice = value.toStringView();
      else if (arguments[k].type()->kind() == c10::TypeKind::NumberType) scalars[numbers++] = value.toScalar();
      else if (arguments[k].type()->isSubtypeOf(*c10::OptionalType::create(c10::NumberType::get()))) {
        scalars[numbers] = number(value.toOptional<at::Scalar>(), numbers);
        ++numbers;
      }
    }
    std::string_view name = handle.schema().name();
    name.remove_prefix(name.find("::") + 2);
    if (name.back() == '_') name.remove_suffix(1);
    op = find(name, choice);
    if (!op) op = find(name);  // the backend refuses an unknown choice
  }
};

void boxed_autograd_out(const c10::OperatorHandle& handle, c10::DispatchKeySet keys, Stack* stack) {
  const Boxed call(handle, *stack);
  autograd_out(*call.op, call.in, *call.written,
               [&] { handle.redispatchBoxed(keys & c10::after_autograd_keyset, stack); });
}

void boxed_autograd_inplace(const c10::OperatorHandle& handle, c10::DispatchKeySet keys, Stack* stack) {
  const Stack held = *stack;  // keeps the arguments alive while the call consumes them
  const Boxed call(handle, held);
  if (!result_dtype(*call.op, call.in, call.scalars)) {
    twin_inplace(*call.op, call.in, call.scalars);
    torch::jit::drop(*stack, handle.schema().arguments().size());
    return;
  }
  autograd_inplace(*call.op, call.in, call.scalars,
                   [&] { handle.redispatchBoxed(keys & c10::after_autograd_keyset, stack); });
}

void boxed_bump(const c10::OperatorHandle& handle, c10::DispatchKeySet keys, Stack* stack) {
  const Tensor written = *Boxed(handle, *stack).written;
  {
    at::AutoDispatchBelowADInplaceOrView guard;
    handle.redispatchBoxed(keys & c10::after_ADInplaceOrView_keyset, stack);
  }
  written.unsafeGetTensorImpl()->bump_version();
}

template <class Op_, class T, class S, class C> struct Kernels_;
template <class Op_, class... T, class... S, class... C>
struct Kernels_<Op_, Types_<T...>, Types_<S...>, Types_<C...>> {
  static constexpr const Spec& spec = Op_::spec;
  using Call = Tensor(T..., S..., C...);
  using Out = void(T..., S..., C..., const Tensor&);
  using Inplace = void(T..., S..., C...);

  template <class F> static const c10::TypedOperatorHandle<F>& handle(const char* suffix, const char* overload) {
    static const auto h = c10::Dispatcher::singleton()
                              .findSchemaOrThrow((std::string("gpukern::") + spec.name + suffix).c_str(), overload)
                              .template typed<F>();
    return h;
  }
  static Scalars scalars(S... s) {
    if constexpr (sizeof...(S) == 2) check_bounds(spec.name, s...);
    int k = 0;
    return Scalars{number(s, k++)...};
  }

  static Tensor call(T... t, S... s, C... c) {
    const Op& op = pick<Op_>(c...);
    const Inputs in{&t...};
    const Scalars numbers = scalars(s...);
    const auto dtype = result_dtype(op, in, numbers);
    return dtype ? run(op, in, numbers, *dtype) : twin(op, in, numbers);
  }
  static void out(T... t, S... s, C... c, const Tensor& o) {
    const Op& op = pick<Op_>(c...);
    const Inputs in{&t...};
    const Scalars numbers = scalars(s...);
    const auto dtype = result_dtype(op, in, numbers);
    if (dtype && (spec.exact_out ? *dtype == o.scalar_type() : c10::canCast(*dtype, o.scalar_type())) &&
        o.layout() == c10::kStrided && o.device() == device_of(in))
      run_out(op, in, numbers, *dtype, o);
    else twin_out(op, in, numbers, o);
  }
  static void inplace(T... t, S... s, C... c) {
    const Op& op = pick<Op_>(c...);
    const Inputs in{&t...};
    const Scalars numbers = scalars(s...);
    const auto dtype = result_dtype(op, in, numbers);
    const Tensor& self = *in[0];
    if (dtype && c10::canCast(*dtype, self.scalar_type()) && self.device() == device_of(in) && fits(in))
      run_out(op, in, numbers, *dtype, self);
    else twin_inplace(op, in, numbers);
  }
  static c10::Device device_of(const Inputs& in) {
    for (int k = 0; k < spec.inputs; ++k)
      if (!in[k]->is_cpu()) return in[k]->device();
    return c10::Device(c10::kCPU);
  }
  // In place nothing is resized: the others must broadcast to self.
  static bool fits(const Inputs& in) {
    const auto self = in[0]->sizes();
    for (int k = 1; k < spec.inputs; ++k) {
      const auto other = in[k]->sizes();
      if (other.size() > self.size()) return false;
      for (size_t d = 0; d < other.size(); ++d) {
        const int64_t o = other[other.size() - 1 - d], m = self[self.size() - 1 - d];
        if (o != m && o != 1) return false;
      }
    }
    return true;
  }

  static Tensor autograd_call_(c10::DispatchKeySet keys, T... t, S... s, C... c) {
    const Inputs in{&t...};
    const auto below = [&] {
      at::AutoDispatchBelowAutograd guard;
      return handle<Call>("", "").redispatch(keys & c10::after_autograd_keyset, t..., s..., c...);
    };
    if (!tracked(in, spec.inputs)) return below();
    const Op& op = pick<Op_>(c...);
    const Scalars numbers = scalars(s...);
    if (!result_dtype(op, in, numbers)) return twin(op, in, numbers);  // torch's own autograd then
    return autograd_call(op, in, numbers, below);
  }

  static std::string out_schema() {
    const std::string args = spec.args;
    return std::string(spec.name) + ".out(" + args + (contains(args, "*") ? ", " : ", *, ") + "Tensor(a!) out) -> ()";
  }
  static std::string inplace_schema() {
    const std::string args = spec.args;
    return std::string(spec.name) + "_(Tensor(a!)" + args.substr(6) + ") -> ()";
  }
  static constexpr bool has_inplace = Op_::spec.condition == 0;

  static void define(torch::Library& m) {
    m.def((std::string(spec.name) + "(" + spec.args + ") -> Tensor").c_str());
    m.def(out_schema().c_str());
    if (has_inplace) m.def(inplace_schema().c_str());
  }
  static void implement(torch::Library& m) {
    m.impl(spec.name, &call);
    m.impl((std::string(spec.name) + ".out").c_str(), &out);
    if (has_inplace) m.impl((std::string(spec.name) + "_").c_str(), &inplace);
  }
  static void implement_autograd(torch::Library& m) {
    m.impl(spec.name, &autograd_call_);
    m.impl((std::string(spec.name) + ".out").c_str(), torch::CppFunction::makeFromBoxedFunction<&boxed_autograd_out>());
    if (has_inplace)
      m.impl((std::string(spec.name) + "_").c_str(),
             torch::CppFunction::makeFromBoxedFunction<&boxed_autograd_inplace>());
  }
  static void implement_inplace(torch::Library& m) {
    m.impl((std::string(spec.name) + ".out").c_str(), torch::CppFunction::makeFromBoxedFunction<&boxed_bump>());
    if (has_inplace)
      m.impl((std::string(spec.name) + "_").c_str(), torch::CppFunction::makeFromBoxedFunction<&boxed_bump>());
  }
};
template <class Op_>
using Kernels =
    Kernels_<Op_, typename Signature<Op_>::Tensors, typename Signature<Op_>::Numbers, typename Signature<Op_>::Choices>;

// Calls f for the first op of each name: the others are its choices.
template <class F, class... Ops> void for_names(F&& f, List<Ops...>) {
  std::string_view last;
  ((last != Ops::spec.name ? (last = Ops::spec.name, f(Kernels<Ops>{})) : void()), ...);
}
template <class F> void for_all(F&& f) {
#define GPUKERN_EACH(family) for_names(f, family::Ops{});
  GPUKERN_FAMILIES(GPUKERN_EACH)
#undef GPUKERN_EACH
}

// ---- numbers in place of tensors: what torch's Python binding does with a wrapped number --------

// A 0-dim tensor that promotes as the number would beside `t`.
Tensor like_number(const at::Scalar& s, const Tensor& t) {
  c10::ScalarType dtype = s.type();
  if (s.isFloatingPoint()) {
    dtype = at::isFloatingType(t.scalar_type()) || t.is_complex()
                ? (t.scalar_type() == at::kDouble || t.dim() == 0 ? t.scalar_type() : at::kFloat)
                : c10::typeMetaToScalarType(c10::get_default_dtype());
  } else if (t.dim() == 0 && !(t.scalar_type() == at::kBool && !s.isBoolean())) {
    dtype = t.scalar_type();
  }
  return at::scalar_tensor(s, at::TensorOptions(dtype));
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

Tensor add_scalar(Ref x, Num y, Num alpha) { return invoke<Ref, Ref, Num>("add", x, like_number(y, x), alpha); }
Tensor sub_scalar(Ref x, Num y, Num alpha) { return invoke<Ref, Ref, Num>("sub", x, like_number(y, x), alpha); }
Tensor mul_scalar(Ref x, Num y) { return invoke<Ref, Ref>("mul", x, like_number(y, x)); }
Tensor div_scalar(Ref x, Num y, std::optional<std::string_view> mode) {
  return invoke<Ref, Ref, std::optional<std::string_view>>("div", x, like_number(y, x), mode);
}
Tensor pow_scalar(Ref x, Num y) {
  // a complex power, a power of bool, and what torch refuses of numbers only
  const bool negative = y.isIntegral(true) && y.toLong() < 0 && at::isIntegralType(x.scalar_type(), true);
  if (y.isComplex() || x.scalar_type() == at::kBool || negative) return at::pow(x, y);
  if (at::isFloatingType(x.scalar_type())) {  // exact and far cheaper than pow
    if (y.equal(2)) return invoke<Ref>("square", x);
    if (y.equal(0.5)) return invoke<Ref>("sqrt", x);
  }
  return invoke<Ref, Ref>("pow", x, like_number(y, x));
}
Tensor pow_self(Num x, Ref y) { return invoke<Ref, Ref>("pow", like_number(x, y), y); }
Tensor where_self(Ref c, Num x, Ref y) { return invoke<Ref, Ref, Ref>("where", c, like_number(x, y), y); }
Tensor where_other(Ref c, Ref x, Num y) { return invoke<Ref, Ref, Ref>("where", c, x, like_number(y, x)); }
Tensor lerp_scalar(Ref x, Ref y, Num w) {
  if (w.isComplex() || !at::isFloatingType(x.scalar_type())) return at::lerp(x, y, w);
  const Tensor weight = at::scalar_tensor(w, at::TensorOptions(x.scalar_type()));
  return invoke<Ref, Ref, Ref>("lerp", x, y, weight);
}
Tensor clamp_tensors(Ref x, const OptionalTensor& low, const OptionalTensor& high) {
  TORCH_CHECK(low || high, "torch.clamp: At least one of 'min' or 'max' must not be None");
  if (!high) return invoke<Ref, Ref>("clamp_min", x, *low);
  if (!low) return invoke<Ref, Ref>("clamp_max", x, *high);
  return invoke<Ref, Ref, Ref>("clamp_tensor", x, *low, *high);
}
void clamp_tensors_out(Ref x, const OptionalTensor& low, const OptionalTensor& high, Ref out) {
  TORCH_CHECK(low || high, "torch.clamp: At least one of 'min' or 'max' must not be None");
  if (!high) write<Ref, Ref, Ref>("clamp_min", "out", x, *low, out);
  else if (!low) write<Ref, Ref, Ref>("clamp_max", "out", x, *high, out);
  else write<Ref, Ref, Ref, Ref>("clamp_tensor", "out", x, *low, *high, out);
}
void clamp_tensors_inplace(Ref x, const OptionalTensor& low, const OptionalTensor& high) {
  TORCH_CHECK(low || high, "torch.clamp: At least one of 'min' or 'max' must not be None");
  if (!high) write<Ref, Ref>("clamp_min_", "", x, *low);
  else if (!low) write<Ref, Ref>("clamp_max_", "", x, *high);
  else write<Ref, Ref, Ref>("clamp_tensor_", "", x, *low, *high);
}
Tensor bias_act(Ref x, Ref bias, std::string_view activation, int64_t dim) {
  TORCH_CHECK(bias.dim() == 1, "gpukern.bias_act(): bias must have one dimension, got ", bias.dim(), ".");
  const int64_t d = c10::maybe_wrap_dim(dim, x.dim());
  TORCH_CHECK(bias.sym_size(0) == x.sym_size(d), "gpukern.bias_act(): bias has ", bias.sym_size(0),
              " elements, but dimension ", dim, " of the input has ", x.sym_size(d), ".");
  c10::SymDimVector shape(x.dim() - d, c10::SymInt(1));
  shape[0] = bias.sym_size(0);
  return invoke<Ref, Ref, std::string_view>("add_act", x, d == x.dim() - 1 ? bias : bias.reshape_symint(shape),
                                            activation);
}

// ---- autocast: torch's own policy for each op ---------------------------------------------------

template <c10::DeviceType device> void autocast_fp32(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const c10::impl::ExcludeDispatchKeyGuard guard(at::autocast::get_autocast_dispatch_key_from_device_type(device));
  const size_t count = op.schema().arguments().size(), base = stack->size() - count;
  for (size_t k = 0; k < count; ++k) {
    c10::IValue& value = (*stack)[base + k];
    if (value.isTensor() && value.toTensor().defined())
      value = at::autocast::cached_cast(at::kFloat, value.toTensor(), device);
  }
  op.callBoxed(stack);
}

template <c10::DeviceType device> void autocast_promote(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const c10::impl::ExcludeDispatchKeyGuard guard(at::autocast::get_autocast_dispatch_key_from_device_type(device));
  const size_t count = op.schema().arguments().size(), base = stack->size() - count;
  c10::ScalarType widest = at::autocast::get_lower_precision_fp_from_device_type(device);
  for (size_t k = 0; k < count; ++k)
    if (const c10::IValue& value = (*stack)[base + k]; value.isTensor())
      widest = at::autocast::prioritize(widest, value.toTensor(), device);
  for (size_t k = 0; k < count; ++k) {
    c10::IValue& value = (*stack)[base + k];
    if (value.isTensor()) value = at::autocast::cached_cast(widest, value.toTensor(), device);
  }
  op.callBoxed(stack);
}

}  // namespace

void define(torch::Library& m) {
  for_all([&](auto kernels) { kernels.define(m); });
  m.def(
      "elementwise_grad(Tensor grad, Tensor? a, Tensor? b, Tensor? c, str op, int i, int j, Scalar[] scalars)"
      " -> Tensor");
  m.def("add.Scalar(Tensor input, Scalar other, *, Scalar alpha=1) -> Tensor", &add_scalar);
  m.def("sub.Scalar(Tensor input, Scalar other, *, Scalar alpha=1) -> Tensor", &sub_scalar);
  m.def("mul.Scalar(Tensor input, Scalar other) -> Tensor", &mul_scalar);
  m.def("div.Scalar(Tensor input, Scalar other, *, str? rounding_mode=None) -> Tensor", &div_scalar);
  m.def("pow.Scalar(Tensor input, Scalar exponent) -> Tensor", &pow_scalar);
  m.def("pow.self_Scalar(Scalar input, Tensor exponent) -> Tensor", &pow_self);
  m.def("where.input_Scalar(Tensor condition, Scalar input, Tensor other) -> Tensor", &where_self);
  m.def("where.other_Scalar(Tensor condition, Tensor input, Scalar other) -> Tensor", &where_other);
  m.def("lerp.Scalar(Tensor input, Tensor end, Scalar weight) -> Tensor", &lerp_scalar);
  m.def("clamp.Tensor(Tensor input, Tensor? min=None, Tensor? max=None) -> Tensor", &clamp_tensors);
  m.def("clamp.Tensor_out(Tensor input, Tensor? min=None, Tensor? max=None, *, Tensor(a!) out) -> ()",
        &clamp_tensors_out);
  m.def("clamp_.Tensor(Tensor(a!) input, Tensor? min=None, Tensor? max=None) -> ()", &clamp_tensors_inplace);
  m.def("bias_act(Tensor input, Tensor bias, str activation='relu', int dim=-1) -> Tensor", &bias_act);
}

void implement(torch::Library& m) {
  for_all([&](auto kernels) { kernels.implement(m); });
  m.impl("elementwise_grad", &grad_backend);
}

void implement_autograd(torch::Library& m) {
  for_all([&](auto kernels) { kernels.implement_autograd(m); });
  m.impl("elementwise_grad", &grad_autograd);
}

void implement_inplace(torch::Library& m) {
  for_all([&](auto kernels) { kernels.implement_inplace(m); });
}

void implement_autocast(torch::Library& m, c10::DeviceType device) {
  if (device != c10::kCUDA) return;  // the CPU lists name none of these ops
  for (const char* name : {"exp", "expm1", "log", "log2", "log1p", "reciprocal", "rsqrt", "pow", "softplus"})
    m.impl(name, torch::CppFunction::makeFromBoxedFunction<&autocast_fp32<c10::kCUDA>>());
  for (const char* name : {"addcmul", "addcdiv"})
    m.impl(name, torch::CppFunction::makeFromBoxedFunction<&autocast_promote<c10::kCUDA>>());
}

// Ops that are made of others are that under vmap too; without a rule functorch loops over the batch, with a warning.
void implement_batching(torch::Library& m) {
  m.impl("pow.Scalar", &pow_scalar);
  m.impl("clamp.Tensor", &clamp_tensors);
  m.impl("bias_act", &bias_act);
}

std::vector<Description> describe_catalogue() {
  static const char* types[] = {"floating", "to_float", "number", "all"};
  std::vector<Description> all;
  for (const Op& op : catalogue()) {
    const Spec& s = *op.spec;
    std::vector<int> variants, saved(op.saved_bits, op.saved_bits + kMaxInputs);
    for (int v = 0; v < kVariants; ++v)
      if (op.has(v)) variants.push_back(v);
    all.push_back({s.name, family_name(op.family), s.args, s.doc, s.choice, s.aten ? (*s.aten ? s.aten : "") : s.name,
                   types[static_cast<int>(s.types)], s.inputs, s.scalars, s.ulp, op.variants > 1, op.saves_result(),
                   variants, saved});
  }
  return all;
}

}  // namespace gpukern::elementwise
