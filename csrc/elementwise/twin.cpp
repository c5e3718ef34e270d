// torch's own op with the same arguments: it serves what our kernels do not, and raises torch's error for what torch
// does not take either.  Arguments are passed by position, so no table is needed but Spec::aten.
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/neg.h>
#include <ATen/ops/result_type.h>
#include <c10/util/Exception.h>

#include <cstdlib>
#include <mutex>
#include <set>

#include "elementwise.h"
#include "gpu_path.h"
#include "unaliased.h"

namespace gpukern::elementwise {
namespace {

using c10::OperatorHandle;

std::pair<std::string, std::string> aten_name(const Op& op) {
  std::string name = op.spec->aten ? op.spec->aten : op.spec->name;
  if (!op.spec->aten) {
    const std::string_view n = op.spec->name;
    if (n == "add" || n == "sub" || n == "mul" || n == "clamp_min" || n == "clamp_max") name += ".Tensor";
    if (n == "div") name += *op.spec->choice ? ".Tensor_mode" : ".Tensor";
    if (n == "pow") name += ".Tensor_Tensor";
  }
  const size_t dot = name.find('.');
  return dot == std::string::npos ? std::pair(name, std::string())
                                  : std::pair(name.substr(0, dot), name.substr(dot + 1));
}

std::optional<OperatorHandle> schema(const std::string& name, const std::string& overload) {
  return c10::Dispatcher::singleton().findSchema({"aten::" + name, overload});
}

OperatorHandle functional(const Op& op) {
  const auto [name, overload] = aten_name(op);
  return c10::Dispatcher::singleton().findSchemaOrThrow(("aten::" + name).c_str(), overload.c_str());
}

// The overload with the functional form's arguments and `out`.
std::optional<OperatorHandle> with_out(const Op& op) {
  const auto [name, overload] = aten_name(op);
  const size_t wanted = functional(op).schema().arguments().size() + 1;
  // The overload's own name first: `clamp_min.out` has as many arguments as `clamp_min.Tensor_out`, of other types.
  for (const std::string& candidate :
       {overload + "_out", std::string("out"), std::string("out_mode"), std::string("self_out")}) {
    const auto handle = schema(name, candidate);
    if (handle && handle->schema().arguments().size() == wanted) return handle;
  }
  return std::nullopt;
}

bool is_number(const c10::TypePtr& type) {
  const auto kind = type->kind();
  if (kind == c10::TypeKind::OptionalType) return is_number(type->castRaw<c10::OptionalType>()->getElementType());
  return kind == c10::TypeKind::NumberType || kind == c10::TypeKind::FloatType;
}
bool is_string(const c10::TypePtr& type) {
  if (type->kind() == c10::TypeKind::OptionalType)
    return is_string(type->castRaw<c10::OptionalType>()->getElementType());
  return type->kind() == c10::TypeKind::StringType;
}

torch::jit::Stack arguments(const OperatorHandle& handle, const Op& op, const Inputs& in, const Scalars& scalars,
                            const Tensor* out) {
  torch::jit::Stack stack;
  int tensor = 0, number = 0;
  for (const c10::Argument& arg : handle.schema().arguments()) {
    const bool is_tensor = arg.type()->isSubtypeOf(*c10::OptionalType::ofTensor());
    if (arg.name() == "out") stack.emplace_back(*out);
    else if (is_tensor && tensor < op.spec->inputs) stack.emplace_back(*in[tensor++]);
    else if (is_number(arg.type()) && number < op.spec->scalars) {
      if (const std::optional<at::Scalar>& s = scalars[number++]) stack.emplace_back(*s);
      else stack.emplace_back();
    } else if (is_string(arg.type()) && *op.spec->choice) stack.emplace_back(std::string(op.spec->choice));
    else stack.emplace_back(arg.default_value().value_or(c10::IValue()));
  }
  return stack;
}

Tensor call(const OperatorHandle& handle, torch::jit::Stack stack) {
  handle.callBoxed(&stack);
  return stack.empty() ? Tensor() : stack[0].toTensor();
}

// A device that no kernel was built for: torch's op serves it, with one warning, or an error under GPUKERN_STRICT=1.
void report_device(const Op& op, const Inputs& in) {
  for (int k = 0; k < op.spec->inputs; ++k) {
    const c10::Device device = in[k]->device();
    if (device.is_cpu() || device.is_meta() || gpu_path::serves(device)) continue;
    const char* strict = std::getenv("GPUKERN_STRICT");
    TORCH_CHECK(!strict || std::string_view(strict) != "1", "gpukern: no kernel is built for device ", device,
                "; run 'python -m gpukern info' to see what is built and how to build the rest.");
    static std::mutex mutex;
    static std::set<c10::DeviceType> told;
    const std::lock_guard<std::mutex> lock(mutex);
    if (told.insert(device.type()).second)
      TORCH_WARN("gpukern: no kernel is built for device ", device,
                 ", so torch's own ops serve it; run 'python -m "
                 "gpukern info' to see what is built and how to build the rest.");
    return;
  }
}

// Fused ops have no twin: without kernels for the device they are composed of ops that have one.
Tensor composed(const Op& op, const Inputs& in) {
  const std::string_view name = op.spec->name, choice = op.spec->choice;
  for (int k = 0; k < op.spec->inputs; ++k)
    TORCH_CHECK_TYPE(at::isFloatingType(in[k]->scalar_type()) && in[k]->layout() == c10::kStrided, "gpukern.", name,
                     "(): expected dense tensors of float16, bfloat16, float32 or float64, got ", in[k]->scalar_type(),
                     " with layout ", in[k]->layout(), "; convert them first.");
  const auto unary = [&](std::string_view op_name, std::string_view op_choice, const Tensor& x) {
    return twin(*find(op_name, op_choice), Inputs{&x}, Scalars{});
  };
  const auto activate = [&](const Tensor& x) {
    if (choice == "none") return x;
    if (choice == "gelu_tanh") return unary("gelu", "tanh", x);
    if (choice == "gelu") return unary("gelu", "none", x);
    return unary(choice, {}, x);
  };
  if (name == "add_act") return activate(twin(*find("add"), in, Scalars{1}));
  if (name == "scale_shift_act") {
    const Tensor scaled = twin(*find("mul"), in, Scalars{});
    return activate(twin(*find("add"), Inputs{&scaled, in[2]}, Scalars{1}));
  }
  const Tensor gate = name == "swiglu" ? unary("silu", {}, *in[0]) : unary("gelu", choice, *in[0]);
  return twin(*find("mul"), Inputs{&gate, in[1]}, Scalars{});
}

bool has_twin(const Op& op) { return !op.spec->aten || *op.spec->aten; }

// A rounded quotient of signed integers for torch's kernels.  They crash on the smallest integer divided by -1, which
// may come from converting a number beyond int64, or from sparse tensors.
class Quotient {
 public:
  Quotient(const Op& op, const Inputs& in) {
    if (std::string_view(op.spec->name) != "div" || !*op.spec->choice) return;
    const ScalarType common = at::result_type(*in[0], *in[1]);
    if (!at::isIntegralType(common, false) || at::isBarebonesUnsignedType(common)) return;
    for (int k = 0; k < 2; ++k) {
      in_[k] = *in[k];
      if (in_[k].layout() != c10::kStrided || !at::isBarebonesUnsignedType(in_[k].scalar_type())) continue;
      in_[k] = in_[k].to(common);
      settled_ = true;
    }
    negated_ = in_[0].layout() != c10::kStrided && common != ScalarType::Byte && in_[1].layout() == c10::kStrided &&
               in_[1].dim() == 0 && !in_[1].is_meta() && in_[1].to(common).item<int64_t>() == -1;
    if (negated_ && in_[0].scalar_type() != common) in_[0] = in_[0].to(common);
    if (negated_ && in_[0].layout() == c10::kSparse) in_[0] = in_[0].coalesce();
  }
  bool settled() const { return settled_; }  // an operand was converted, and our kernel may take both
  bool negated() const { return negated_; }
  const Tensor& operator[](int k) const { return in_[k]; }

 private:
  using ScalarType = c10::ScalarType;
  Tensor in_[2];
  bool settled_ = false, negated_ = false;
};

template <class Return, class... T> Return divide(const char* name, const char* overload, T... args) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload).typed<Return(T...)>().call(args...);
}
using Ref = const Tensor&;
using Mode = std::optional<std::string_view>;

}  // namespace

Tensor twin(const Op& op, const Inputs& in, const Scalars& scalars) {
  report_device(op, in);
  if (!has_twin(op)) return composed(op, in);
  if (const Quotient q(op, in); q.negated()) return at::neg(q[0]);
  else if (q.settled()) return divide<Tensor, Ref, Ref, Mode>("gpukern::div", "", q[0], q[1], op.spec->choice);
  const OperatorHandle handle = functional(op);
  return call(handle, arguments(handle, op, in, scalars, nullptr));
}

void twin_out(const Op& op, const Inputs& in, const Scalars& scalars, const Tensor& out) {
  report_device(op, in);
  if (const Quotient q(op, in); q.negated()) {
    Tensor written = out;
    at::neg_out(written, q[0]);
    return;
  } else if (q.settled()) {
    divide<void, Ref, Ref, Mode, Ref>("gpukern::div", "out", q[0], q[1], op.spec->choice, out);
    return;
  }
  if (has_twin(op))
    if (const auto handle = with_out(op)) {
      const UnaliasedInputs unaliased(in, op.spec->inputs, out);
      call(*handle, arguments(*handle, op, unaliased.inputs(), scalars, &out));
      return;
    }
  const Tensor result = twin(op, in, scalars);
  TORCH_CHECK(c10::canCast(result.scalar_type(), out.scalar_type()), "result type ", result.scalar_type(),
              " can't be cast to the desired output type ", out.scalar_type());
  if (at::native::resize_output(out, result.sizes())) out.as_strided_(result.sizes(), result.strides());
  out.copy_(result);
}

void twin_inplace(const Op& op, const Inputs& in, const Scalars& scalars) {
  report_device(op, in);
  const Tensor& self = *in[0];
  if (const Quotient q(op, in); q.negated() && c10::canCast(q[0].scalar_type(), self.scalar_type())) {
    self.copy_(at::neg(q[0]));
    return;
  } else if (q.settled() && !at::isBarebonesUnsignedType(self.scalar_type())) {
    divide<void, Ref, Ref, Mode>("gpukern::div_", "", self, q[1], op.spec->choice);
    return;
  }
  if (has_twin(op)) {
    const auto [name, overload] = aten_name(op);
    const auto handle = schema(name + "_", overload);
    if (handle && handle->schema().arguments().size() == functional(op).schema().arguments().size()) {
      const UnaliasedInputs unaliased(in, op.spec->inputs, self);
      call(*handle, arguments(*handle, op, unaliased.inputs(), scalars, nullptr));
      return;
    }
  }
  const Tensor result = twin(op, in, scalars);
  TORCH_CHECK(c10::canCast(result.scalar_type(), self.scalar_type()), "result type ", result.scalar_type(),
              " can't be cast to the desired output type ", self.scalar_type());
  self.copy_(result);
}

}  // namespace gpukern::elementwise
