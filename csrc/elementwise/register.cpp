// Schemas and dispatcher kernels of every catalogue op, made from its Spec: `name`, `name.out`, `name_`.
#include <ATen/autocast_mode.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <torch/library.h>

#include "autograd.h"
#include "elementwise.h"

namespace gpukern::elementwise {
namespace {

// torch's functions check bounds before anything else.
void check_bounds(std::string_view op, const std::optional<at::Scalar>& low, const std::optional<at::Scalar>& high) {
  TORCH_CHECK(low || high, "torch.", op, ": At least one of 'min' or 'max' must not be None");
}
void check_bounds(std::string_view op, const at::Scalar& low, const at::Scalar& high) {
  if (op != "hardtanh") return;
  const auto type = [](const at::Scalar& s) {
    return s.isComplex() ? "complex" : s.isBoolean() ? "bool" : s.isFloatingPoint() ? "float" : "int";
  };
  TORCH_CHECK_TYPE(!low.isComplex() && !high.isComplex(), "'>' not supported between instances of '", type(low),
                   "' and '", type(high), "'");
  const auto is_whole = [](const at::Scalar& s) { return s.isIntegral(false) && !s.isSymbolic(); };
  const auto whole = [](const at::Scalar& s) -> long double {  // which has the digits of 64 bits, as Python's have
    return s.type() == at::kUInt64 ? s.toUInt64() : static_cast<long double>(s.toLong());
  };
  const bool above = is_whole(low) && is_whole(high) ? whole(low) > whole(high) : low.toDouble() > high.toDouble();
  TORCH_CHECK_VALUE(!above, "min_val cannot be greater than max_val");
}

// The op of a call: the first of its name, or the one that a string argument chooses.
const Op& chosen(const Op& first) { return first; }
const Op& chosen(const Op& first, std::string_view choice) {
  if (const Op* op = choice_of(first, choice)) return *op;
  const std::string_view name = first.spec->name;
  // torch's texts for its own ops
  TORCH_CHECK(name != "gelu" && name != "geglu", "approximate argument must be either none or tanh.");
  TORCH_CHECK(name != "div", "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '", choice,
              "'");
  TORCH_CHECK_VALUE(false, "gpukern.", name, "(): unknown activation '", choice, "'; it must be one of ", choices(name),
                    ".");
}
const Op& chosen(const Op& first, std::optional<std::string_view> choice) {
  return choice ? chosen(first, *choice) : first;
}

// ---- forms that write into an argument: one boxed kernel per form, for all ops ------------------

using torch::jit::Stack;

// The op, tensors and numbers of a boxed call, in the order of its schema.
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
        scalars[numbers++] = value.toOptional<at::Scalar>();
      }
    }
    std::string_view name = handle.schema().name();
    name.remove_prefix(name.find("::") + 2);
    if (name.back() == '_') name.remove_suffix(1);
    op = find(name, choice);
    if (!op) op = find(name);  // an unknown choice; the backend refuses it
  }
};

// Whether no input is nested, jagged or sparse: their dispatch may know torch's op and not this one.
bool plain(const Inputs& in, int n) {
  for (int k = 0; k < n; ++k)
    if (in[k]->layout() != c10::kStrided || in[k]->is_nested()) return false;
  return true;
}

// Whether gpukern records the op for autograd.  Floating results without a derivative (heaviside) are left to torch's
// op, whose backward raises: a result without a history would leave its part out of a gradient, silently.
bool recorded_here(const Op& op) { return op.spec->differentiable || op.spec->predicate; }

void boxed_autograd_out(const c10::OperatorHandle& handle, c10::DispatchKeySet keys, Stack* stack) {
  const Boxed call(handle, *stack);
  if (!recorded_here(*call.op) && tracked(call.in, call.op->spec->inputs)) {
    twin_out(*call.op, call.in, call.scalars, *call.written);
    torch::jit::drop(*stack, handle.schema().arguments().size());
    return;
  }
  autograd_out(*call.op, call.in, *call.written,
               [&] { handle.redispatchBoxed(keys & c10::after_autograd_keyset, stack); });
}

void boxed_autograd_inplace(const c10::OperatorHandle& handle, c10::DispatchKeySet keys, Stack* stack) {
  const Stack held = *stack;  // keeps the arguments alive: the call consumes them
  const Boxed call(handle, held);
  const int n = call.op->spec->inputs;
  // If nothing is differentiated, the op below raises the error, as for tensors without data.
  if ((tracked(call.in, n) || !plain(call.in, n)) &&
      (!recorded_here(*call.op) || !result_dtype(*call.op, call.in, call.scalars))) {
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

// ---- functional, out= and in-place forms below autograd, and the functional form of autograd ----

bool contains(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

c10::Device device_of(const Inputs& in, int n) {
  for (int k = 0; k < n; ++k)
    if (!in[k]->is_cpu()) return in[k]->device();
  return c10::Device(c10::kCPU);
}
// An in-place op does not resize: the other inputs must broadcast to self.
bool broadcast_to_self(const Inputs& in, int n) {
  const auto self = in[0]->sizes();
  for (int k = 1; k < n; ++k) {
    const auto other = in[k]->sizes();
    if (other.size() > self.size()) return false;
    for (size_t d = 0; d < other.size(); ++d) {
      const int64_t o = other[other.size() - 1 - d], m = self[self.size() - 1 - d];
      if (o != m && o != 1) return false;
    }
  }
  return true;
}

template <class... T> struct Types_ {};
template <class T, int N, class... Ts> struct Repeat {
  using type = typename Repeat<T, N - 1, T, Ts...>::type;
};
template <class T, class... Ts> struct Repeat<T, 0, Ts...> {
  using type = Types_<Ts...>;
};

// C++ types of an op's parameters: tensors, then numbers, then the string that chooses one op of several.
using Number = const at::Scalar&;
using MaybeNumber = const std::optional<at::Scalar>&;
using Word = std::string_view;
using MaybeWord = std::optional<std::string_view>;
template <int Tensors, int Numbers = 0, class Number_ = Number, class... Choice> struct Signature {
  static bool fits(const Spec& spec) {
    const std::string_view args = spec.args;
    return spec.inputs == Tensors && spec.scalars == Numbers &&
           contains(args, "Scalar?") == std::is_same_v<Number_, MaybeNumber> &&
           contains(args, "str?") == (std::is_same_v<Choice, MaybeWord> || ...) &&
           contains(args, "str ") == (std::is_same_v<Choice, Word> || ...);
  }
};

// The dispatcher's kernels of one op.  Their code depends only on the signature, so they are compiled once per
// signature and store the op that they are registered for.
template <class T, class S, class C> struct Kernels_;
template <class... T, class... S, class... C> struct Kernels_<Types_<T...>, Types_<S...>, Types_<C...>> {
  const Op* first;  // of its choices

  static constexpr int n = sizeof...(T);
  const Spec& spec() const { return *first->spec; }
  std::string name(const char* suffix) const { return std::string(spec().name) + suffix; }

  Scalars scalars(S... s) const {
    if constexpr (sizeof...(S) == 2) check_bounds(spec().name, s...);
    return Scalars{std::optional<at::Scalar>(s)...};
  }

  Tensor call(T... t, S... s, C... c) const {
    const Op& op = chosen(*first, c...);
    const Inputs in{&t...};
    const Scalars numbers = scalars(s...);
    const auto dtype = result_dtype(op, in, numbers);
    return dtype ? run(op, in, numbers, *dtype) : twin(op, in, numbers);
  }
  void out(T... t, S... s, C... c, const Tensor& o) const {
    const Op& op = chosen(*first, c...);
    const Inputs in{&t...};
    const Scalars numbers = scalars(s...);
    const auto dtype = result_dtype(op, in, numbers);
    if (dtype && (spec().exact_out ? *dtype == o.scalar_type() : c10::canCast(*dtype, o.scalar_type())) &&
        o.layout() == c10::kStrided && o.device() == device_of(in, n))
      run(op, in, numbers, *dtype, &o);
    else twin_out(op, in, numbers, o);
  }
  void inplace(T... t, S... s, C... c) const {
    const Op& op = chosen(*first, c...);
    const Inputs in{&t...};
    const Scalars numbers = scalars(s...);
    const auto dtype = result_dtype(op, in, numbers);
    const Tensor& self = *in[0];
    if (dtype && c10::canCast(*dtype, self.scalar_type()) && self.device() == device_of(in, n) &&
        broadcast_to_self(in, n))
      run(op, in, numbers, *dtype, &self);
    else twin_inplace(op, in, numbers);
  }

  using Handle = c10::TypedOperatorHandle<Tensor(T..., S..., C...)>;
  Tensor autograd(const Handle& handle, c10::DispatchKeySet keys, T... t, S... s, C... c) const {
    const Inputs in{&t...};
    const auto below = [&] {
      at::AutoDispatchBelowAutograd guard;
      return handle.redispatch(keys & c10::after_autograd_keyset, t..., s..., c...);
    };
    if ((!tracked(in, n) || spec().predicate) && plain(in, n)) return below();
    const Op& op = chosen(*first, c...);
    const Scalars numbers = scalars(s...);
    if (!recorded_here(op) || !result_dtype(op, in, numbers))
      return twin(op, in, numbers);  // with torch's own autograd
    return autograd_call(op, in, numbers, below);
  }

  void define(torch::Library& m) const {
    const std::string args = spec().args;
    m.def((name("(") + args + ") -> Tensor").c_str());
    m.def((name(".out(") + args + (contains(args, "*") ? ", " : ", *, ") + "Tensor(a!) out) -> ()").c_str());
    if (has_inplace(spec())) m.def((name("_(Tensor(a!)") + args.substr(6) + ") -> ()").c_str());
  }
  void implement(torch::Library& m) const {
    m.impl(spec().name, [k = *this](T... t, S... s, C... c) { return k.call(t..., s..., c...); });
    m.impl(name(".out").c_str(), [k = *this](T... t, S... s, C... c, const Tensor& o) { k.out(t..., s..., c..., o); });
    if (has_inplace(spec()))
      m.impl(name("_").c_str(), [k = *this](T... t, S... s, C... c) { k.inplace(t..., s..., c...); });
  }
  void implement_autograd(torch::Library& m) const {
    const Handle handle = c10::Dispatcher::singleton()
                              .findSchemaOrThrow(("gpukern::" + name("")).c_str(), "")
                              .template typed<Tensor(T..., S..., C...)>();
    m.impl(spec().name, [k = *this, handle](c10::DispatchKeySet keys, T... t, S... s, C... c) {
      return k.autograd(handle, keys, t..., s..., c...);
    });
    m.impl(name(".out").c_str(), torch::CppFunction::makeFromBoxedFunction<&boxed_autograd_out>());
    if (has_inplace(spec()))
      m.impl(name("_").c_str(), torch::CppFunction::makeFromBoxedFunction<&boxed_autograd_inplace>());
  }
  void implement_inplace(torch::Library& m) const {
    m.impl(name(".out").c_str(), torch::CppFunction::makeFromBoxedFunction<&boxed_bump>());
    if (has_inplace(spec())) m.impl(name("_").c_str(), torch::CppFunction::makeFromBoxedFunction<&boxed_bump>());
  }
};

template <class F, int T, int S, class N, class... C>
bool call_if_fits(F& f, const Op& op, Signature<T, S, N, C...> signature) {
  if (!signature.fits(*op.spec)) return false;
  f(Kernels_<typename Repeat<const Tensor&, T>::type, typename Repeat<N, S>::type, Types_<C...>>{&op});
  return true;
}
template <class F, class... Signatures> void with_kernels(F& f, const Op& op, Types_<Signatures...>) {
  const bool found = (call_if_fits(f, op, Signatures{}) || ...);
  TORCH_INTERNAL_ASSERT(found, "register.cpp has no Signature for ", op.spec->name, "(", op.spec->args, ")");
}
// Calls f with the kernels of the first op of each name; the others are its choices.
template <class F> void for_names(F f) {
  using Signatures =
      Types_<Signature<1>, Signature<1, 1>, Signature<1, 2>, Signature<1, 2, MaybeNumber>, Signature<2>,
             Signature<2, 1>, Signature<3>, Signature<3, 1>, Signature<1, 0, Number, Word>,
             Signature<2, 0, Number, Word>, Signature<3, 0, Number, Word>, Signature<2, 0, Number, MaybeWord>>;
  std::string_view last;
  for (const Op& op : catalogue())
    if (last != op.spec->name) last = op.spec->name, with_kernels(f, op, Signatures{});
}

// ---- autocast: torch's policy for each op -------------------------------------------------------

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
  for_names([&](const auto& kernels) { kernels.define(m); });
  m.def(
      "elementwise_grad(Tensor grad, Tensor? a, Tensor? b, Tensor? c, str op, int i, int j, Scalar[] scalars)"
      " -> Tensor");
  define_composite(m);
}

void implement(torch::Library& m) {
  for_names([&](const auto& kernels) { kernels.implement(m); });
  m.impl("elementwise_grad", &grad_backend);
}

void implement_autograd(torch::Library& m) {
  for_names([&](const auto& kernels) { kernels.implement_autograd(m); });
  m.impl("elementwise_grad", &grad_autograd);
}

void implement_inplace(torch::Library& m) {
  for_names([&](const auto& kernels) { kernels.implement_inplace(m); });
}

void implement_autocast(torch::Library& m, c10::DeviceType device) {
  if (device != c10::kCUDA) return;  // torch's CPU lists have none of these ops
  for (const char* name : {"acos", "asin", "cosh", "exp", "expm1", "log", "log10", "log2", "log1p", "reciprocal",
                           "rsqrt", "sinh", "tan", "pow", "softplus"})
    m.impl(name, torch::CppFunction::makeFromBoxedFunction<&autocast_fp32<c10::kCUDA>>());
  for (const char* name : {"addcmul", "addcdiv", "atan2"})
    m.impl(name, torch::CppFunction::makeFromBoxedFunction<&autocast_promote<c10::kCUDA>>());
}

std::vector<Description> describe_catalogue() {
  static const char* types[] = {"floating", "to_float", "number", "all", "whole"};
  std::vector<Description> all;
  for (const Op& op : catalogue()) {
    const Spec& s = *op.spec;
    std::vector<int> variants, saved(op.saved_bits, op.saved_bits + kMaxInputs);
    for (int v = 0; v < kVariants; ++v)
      if (op.has(v)) variants.push_back(v);
    all.push_back({s.name, family_name(op.family), s.args, s.doc, s.choice, s.aten ? (*s.aten ? s.aten : "") : s.name,
                   types[static_cast<int>(s.types)], s.inputs, s.scalars, s.ulp, s.grad_ulp, s.grad_ulp32,
                   op.variants > 1, op.saves_result(), s.predicate, has_inplace(s), variants, saved});
  }
  return all;
}

}  // namespace gpukern::elementwise
