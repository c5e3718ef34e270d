#include "entry.h"

#include <ATen/ScalarOps.h>
#include <ATen/ops/result_type.h>
#include <ATen/ops/scalar_tensor.h>
#include <c10/core/impl/TorchDispatchModeTLS.h>
#include <torch/csrc/utils/python_arg_parser.h>

#include <cstdio>
#include <memory>

#include "../autograd/number.h"
#include "../elementwise/elementwise.h"
#include "fast.h"

namespace gpukern::entry {
namespace {

struct Function {
  std::string name, doc;
  PyMethodDef method{};
  PyObject* callable = nullptr;  // borrowed by torch's __torch_function__ call
  std::unique_ptr<Fast> fast;
  std::string flag;
  std::optional<c10::OperatorHandle> op, out, in_place, flagged;
  std::unique_ptr<torch::PythonArgParser> parser;
};

std::string default_text(const c10::IValue& value) {
  if (value.isNone()) return "None";
  if (value.isString()) return "'" + value.toStringRef() + "'";
  if (value.isBool()) return value.toBool() ? "True" : "False";
  char text[32];
  if (value.isInt()) std::snprintf(text, sizeof text, "%lld", static_cast<long long>(value.toInt()));
  else std::snprintf(text, sizeof text, "%g", value.toScalar().toDouble());
  return text;
}

// "Tensor input, Scalar alpha=1" with `inplace` before the star and `out` at the end: in the parser's notation, or
// without types for the docstring.  A flag is the last keyword.
std::string parameters(const c10::FunctionSchema& schema, bool inplace, bool out, bool typed, const std::string& flag) {
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  bool star = false;
  const auto end_of_positional = [&] {
    if (star) return;
    if (inplace) add(typed ? "bool inplace=False" : "inplace=False");
    star = true;
  };
  for (const c10::Argument& arg : schema.arguments()) {
    if (arg.kwarg_only() && !star) {
      end_of_positional();
      add("*");
    }
    std::string part = typed ? std::string(parser_type(parameter_of(arg.type()))) + " " + arg.name() : arg.name();
    if (arg.default_value()) part += "=" + default_text(*arg.default_value());
    add(part);
  }
  if (!star) {
    end_of_positional();
    if (out) add("*");
  }
  if (out) add(typed ? "Tensor out=None" : "out=None");
  if (!flag.empty()) add((typed ? "bool " : "") + flag + "=False");
  return text;
}

int index_of(const torch::PythonArgs& args, const std::string& name) {
  const auto& params = args.signature.params;
  for (size_t k = 0; k < params.size(); ++k)
    if (params[k].name == name) return static_cast<int>(k);
  return -1;
}

// A Python number in place of a tensor: promotes as a number, as in torch.
Tensor wrapped(const at::Scalar& s) {
  Tensor t = c10::scalar_to_tensor(s);
  t.unsafeGetTensorImpl()->set_wrapped_number(true);
  return t;
}

// The same under a mode (tracing, fake tensors).  The mode would record a wrapped number as a plain one, which the op
// does not take.  So an op that the mode sees makes the tensor, in a dtype that promotes as the number would beside the
// first tensor.
Tensor recorded(const at::Scalar& s, torch::PythonArgs& args) {
  for (size_t k = 0; k < args.signature.params.size(); ++k) {
    if (args.signature.params[k].type_ != torch::ParameterType::TENSOR || !THPVariable_Check(args.args[k])) continue;
    const Tensor t = args.tensor(static_cast<int>(k));
    if (t.scalar_type() == c10::kBool && args.signature.params[k].name == "condition") continue;
    c10::ScalarType type = s.isBoolean() ? c10::kBool : at::result_type(t, s);  // stays bool, so that ops can refuse it
    if (t.dim() > 0 && at::isReducedFloatingType(type)) type = c10::kFloat;     // not rounded before it is used
    if (t.dim() > 0 && at::isIntegralType(type, false)) type = c10::kLong;
    return at::scalar_tensor(converted(s, type), at::TensorOptions(type));
  }
  return wrapped(s);
}

Tensor tensor_or_number(torch::PythonArgs& args, int k) {
  const bool is_number =
      args.signature.params[k].type_ == torch::ParameterType::SCALAR || !THPVariable_Check(args.args[k]);
  if (!is_number) return args.tensor(k);
  return c10::impl::TorchDispatchModeTLS::any_modes_set() ? recorded(args.scalar(k), args) : wrapped(args.scalar(k));
}

// A tuple or list of whole numbers (the parser's own reader links against fmt, which torch does not export).
std::vector<int64_t> integers(torch::PythonArgs& args, int k) {
  std::vector<int64_t> all;
  PyObject* list = args.args[k];
  const Py_ssize_t n = PySequence_Fast_GET_SIZE(list);
  for (Py_ssize_t i = 0; i < n; ++i) {
    PyObject* item = PySequence_Fast_GET_ITEM(list, i);
    PyObject* number = PyNumber_Index(item);
    all.push_back(number ? PyLong_AsLongLong(number) : -1);
    Py_XDECREF(number);
    if (!PyErr_Occurred()) continue;
    PyErr_Clear();
    TORCH_CHECK_TYPE(false, args.signature.name, "(): argument '", args.signature.params[k].name,
                     "' failed to unpack the object at pos ", i + 1,
                     " with error \"type must be tuple of ints,but got ", Py_TYPE(item)->tp_name, "\"");
  }
  return all;
}

c10::IValue convert(torch::PythonArgs& args, int k, const c10::Argument& arg) {
  const auto type = args.signature.params[k].type_;
  const bool optional = arg.type()->kind() == c10::TypeKind::OptionalType;
  switch (parameter_of(arg.type())) {
    case Parameter::tensor:
    case Parameter::optional_tensor:
      if (args.isNone(k) && optional) return {};
      return tensor_or_number(args, k);
    case Parameter::number: return args.scalar(k);
    case Parameter::optional_number: {
      const auto value = args.scalarOptional(k);
      return value ? c10::IValue(*value) : c10::IValue();
    }
    case Parameter::whole:
      if (type == torch::ParameterType::SCALARTYPE) return static_cast<int64_t>(args.scalartype(k));
      return args.toInt64(k);
    case Parameter::dtype: {
      const auto value = args.scalartypeOptional(k);
      return value ? c10::IValue(static_cast<int64_t>(*value)) : c10::IValue();
    }
    case Parameter::flag: return args.toBool(k);
    case Parameter::tensors: return args.tensorlist(k);
    case Parameter::wholes: return integers(args, k);
    case Parameter::optional_wholes:
      if (args.isNone(k)) return {};
      return integers(args, k);
    case Parameter::optional_text: {
      const auto value = args.stringViewOptional(k);
      return value ? c10::IValue(std::string(*value)) : c10::IValue();
    }
    case Parameter::text: return std::string(args.stringView(k));
  }
  TORCH_INTERNAL_ASSERT(false, "gpukern: a parameter of an unknown type");
}

std::optional<c10::OperatorHandle> find_op(const std::string& name, const std::string& overload) {
  return c10::Dispatcher::singleton().findSchema({"gpukern::" + name, overload});
}

// The overload of a call that is not served by the op of f's own name.  The bounds of clamp are tensors or numbers; a
// single bound that is a number is clamp's.  A power of integers, and a number that the result's type cannot hold, have
// overloads with a number, so that torch's op converts or refuses it.
std::optional<c10::OperatorHandle> overload_for(const Function& f, torch::PythonArgs& args, bool to_out) {
  const auto is = [&](const char* name, torch::ParameterType type) {
    const int k = index_of(args, name);
    return k >= 0 && args.signature.params[k].type_ == type;
  };
  const bool in_place = f.name.back() == '_';
  const std::string name = in_place ? f.name.substr(0, f.name.size() - 1) : f.name;
  if (name == "clamp" && is("min", torch::ParameterType::TENSOR))
    return find_op(f.name, to_out ? "Tensor_out" : "Tensor");
  if (name == "round" && index_of(args, "decimals") >= 0) return find_op(f.name, "decimals");
  const auto number = [&](const char* place) { return args.scalar(index_of(args, place)); };
  const auto tensor = [&](const char* place) { return args.tensor(index_of(args, place)); };
  if ((name == "clamp_min" || name == "clamp_max") && is(name.c_str() + 6, torch::ParameterType::SCALAR)) {
    if (number(name.c_str() + 6).isComplex()) return find_op(f.name, "Scalar");
    return find_op(in_place ? "clamp_" : "clamp", to_out ? "out" : "");
  }
  const auto held = [](const at::Scalar& s, const Tensor& t) {
    return !s.isComplex() && holds(at::result_type(t, s), s);
  };
  // Unsigned numbers that a floating type takes as floating ones.
  const auto unsigned_beside = [](const at::Scalar& s, const Tensor& t) {
    return !s.isSymbolic() && s.type() == at::kUInt64 && at::isFloatingType(t.scalar_type());
  };
  // torch checks the type of `out` before the number.
  const auto check_out = [&](at::ScalarType type) {
    if (!to_out) return;
    const at::ScalarType written = tensor("out").scalar_type();
    TORCH_CHECK(c10::canCast(type, written), "result type ", type, " can't be cast to the desired output type ",
                written);
  };
  if (name == "pow" && is("exponent", torch::ParameterType::SCALAR)) {
    if (!to_out) return find_op(f.name, "Scalar");
    const Tensor base = tensor("input");
    const at::Scalar exponent = number("exponent");
    const bool refused = at::isIntegralType(base.scalar_type(), true) && exponent.isIntegral(true) &&
                         !exponent.isSymbolic() &&
                         (exponent.type() == at::kUInt64 || exponent.toLong() < 0);  // torch checks this first
    if (!refused) check_out(at::result_type(base, exponent));
    if (at::isIntegralType(base.scalar_type(), true) || !held(exponent, base)) return find_op(f.name, "Scalar");
    if (base.is_cpu() && at::isFloatingType(base.scalar_type()) && base.scalar_type() != at::kHalf)
      for (const auto& [power, root] : {std::pair(0.5, "sqrt"), std::pair(-0.5, "rsqrt")})
        if (equals(exponent, power)) return find_op(root, "out");
  }
  if (name == "pow" && is("input", torch::ParameterType::SCALAR) &&
      (number("input").isComplex() || unsigned_beside(number("input"), tensor("exponent")) ||
       !elementwise::has_kernel(tensor("exponent").scalar_type())))
    return find_op("pow", "self_Scalar");
  if (name == "lerp" && is("weight", torch::ParameterType::SCALAR)) {
    const Tensor input = tensor("input");
    const at::Scalar weight = number("weight");
    if (to_out && tensor("end").scalar_type() == input.scalar_type()) check_out(input.scalar_type());
    if (!at::isFloatingType(input.scalar_type()) || !held(weight, input) || unsigned_beside(weight, input))
      return find_op(f.name, "Scalar");
  }
  if (name == "where") {
    const bool first = is("input", torch::ParameterType::SCALAR), second = is("other", torch::ParameterType::SCALAR);
    if (first && second) {
      const at::Scalar a = number("input"), b = number("other");
      const at::ScalarType type = at::result_type(a, b);
      // Under a mode too: there a number needs a tensor whose type it can take.
      const bool recorded = c10::impl::TorchDispatchModeTLS::any_modes_set();
      if (recorded || a.isComplex() || b.isComplex() || !holds(type, a) || !holds(type, b))
        return find_op("where", "Scalar");
    }
    if (first != second) {
      const at::Scalar s = number(first ? "input" : "other");
      if (!held(s, tensor(first ? "other" : "input"))) return find_op("where", first ? "input_Scalar" : "other_Scalar");
    }
  }
  return std::nullopt;
}

void refuse_zero_divisor(torch::PythonArgs& args, bool in_place) {
  const int other = index_of(args, "other"), mode = index_of(args, "rounding_mode");
  const auto is_tensor = [&](int k) { return THPVariable_Check(args.args[k]); };
  if (mode < 0 || args.isNone(mode) || args.isNone(other) || is_tensor(other) || !is_tensor(0)) return;
  const Tensor x = args.tensor(0);
  if (in_place && x.scalar_type() == c10::kBool) return;  // its type is refused first
  elementwise::refuse_zero_divisor(x, args.scalar(other), args.stringViewOptional(mode));
}

PyObject* slow(Function& f, PyObject* args, PyObject* kwargs) {
  HANDLE_TH_ERRORS
  torch::ParsedArgs<kMaxParameters> storage;
  torch::PythonArgs parsed = f.parser->parse(nullptr, args, kwargs, storage);
  if (parsed.has_torch_function())
    return torch::handle_torch_function_no_python_arg_parser(parsed.overloaded_args, args, kwargs, f.name.c_str(),
                                                             f.callable, "gpukern",
                                                             torch::TorchFunctionName::TorchFunction);
  const int out_at = index_of(parsed, "out"), inplace_at = index_of(parsed, "inplace");
  const bool to_out = out_at >= 0 && !parsed.isNone(out_at);
  const bool in_place = inplace_at >= 0 && parsed.toBool(inplace_at);
  const std::optional<c10::OperatorHandle> overload = overload_for(f, parsed, to_out);
  c10::OperatorHandle op = overload ? *overload : to_out && f.out ? *f.out : in_place ? *f.in_place : *f.op;
  const bool own_out = to_out && op.schema().argumentIndexWithName("out");  // else the result is copied to `out`
  if (f.flagged && parsed.toBool(index_of(parsed, f.flag))) op = *f.flagged;
  if (index_of(parsed, "out_dtype") >= 0 && !op.schema().argumentIndexWithName("out_dtype"))  // else an overload's
    op = *find_op(f.name, own_out ? "dtype_out" : "dtype");
  if (f.name == "div" || f.name == "div_") refuse_zero_divisor(parsed, f.name == "div_");
  torch::jit::Stack stack;
  for (const c10::Argument& arg : op.schema().arguments()) {
    const int k = index_of(parsed, arg.name());
    if (k >= 0) stack.push_back(convert(parsed, k, arg));
    else stack.push_back(arg.default_value().value_or(c10::IValue()));
  }
  const bool returns_first = f.name.back() == '_' || in_place;
  const c10::IValue first = stack[0];
  const c10::IValue written = own_out ? stack.back() : c10::IValue();  // `out`; the caller may have passed a number
  {
    const ReleaseGil no_gil;
    op.callBoxed(&stack);
  }
  if (own_out || returns_first) return THPVariable_Wrap((own_out ? written : first).toTensor());
  if (stack.size() == 2) {
    PyObject* const first_of_two = THPVariable_Wrap(stack[0].toTensor());
    PyObject* const second = THPVariable_Wrap(stack[1].toTensor());
    return Py_BuildValue("(NN)", first_of_two, second);
  }
  Tensor result = stack[0].toTensor();
  if (to_out) {
    Tensor out = parsed.tensor(out_at);
    TORCH_CHECK(c10::canCast(result.scalar_type(), out.scalar_type()), "result type ", result.scalar_type(),
                " can't be cast to the desired output type ", out.scalar_type());
    out.resize_(result.sizes()).copy_(result);
    return THPVariable_Wrap(out);
  }
  return THPVariable_Wrap(std::move(result));
  END_HANDLE_TH_ERRORS
}

PyObject* slow_vector(Function& f, PyObject* const* args, Py_ssize_t n, PyObject* names) {
  PyObject* tuple = PyTuple_New(n);
  for (Py_ssize_t k = 0; k < n; ++k) {
    Py_INCREF(args[k]);
    PyTuple_SET_ITEM(tuple, k, args[k]);
  }
  PyObject* kwargs = nullptr;
  if (names) {
    kwargs = PyDict_New();
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(names); ++k)
      PyDict_SetItem(kwargs, PyTuple_GET_ITEM(names, k), args[n + k]);
  }
  PyObject* result = slow(f, tuple, kwargs);
  Py_DECREF(tuple);
  Py_XDECREF(kwargs);
  return result;
}

PyObject* enter(PyObject* self, PyObject* const* args, Py_ssize_t n, PyObject* names) {
  HANDLE_TH_ERRORS
  Function& f = *static_cast<Function*>(PyCapsule_GetPointer(self, nullptr));
  if (f.fast && !at::impl::torch_function_mode_enabled()) {
    Given given;
    PyObject* out = nullptr;
    if (f.fast->sort(args, n, names, given, out))
      if (PyObject* const result = f.fast->call(given, out)) return result;
  }
  return slow_vector(f, args, n, names);
  END_HANDLE_TH_ERRORS
}

c10::OperatorHandle op_of(const Declaration& d) {
  const auto op = find_op(d.name, "");
  TORCH_INTERNAL_ASSERT(op, "gpukern: no op ", d.name);
  return *op;
}

Function* make(const Declaration& d) {
  auto f = std::make_unique<Function>();
  f->name = d.name;
  f->op = op_of(d);
  f->out = find_op(d.name, "out");
  if (d.inplace) f->in_place = find_op(d.name + "_", "");
  f->flag = d.flag;
  if (!d.flag.empty()) f->flagged = find_op(d.name + "_" + d.flag, "");
  const c10::FunctionSchema& schema = f->op->schema();
  f->parser = std::make_unique<torch::PythonArgParser>(signatures(d), /*traceable=*/false);
  f->fast = make_fast(*f->op, f->out);
  f->doc = d.name + "($module, " + parameters(schema, d.inplace, bool(f->out), false, d.flag) + ")\n--\n\n" + d.doc;
  return f.release();  // never freed, like the function
}

}  // namespace

std::vector<std::string> signatures(const Declaration& d) {
  const std::string& said = d.said.empty() ? d.name : d.said;
  std::vector<std::string> all;
  for (const std::string& first : d.before) all.push_back(said + "(" + first + ")");
  const bool out = bool(find_op(d.name, "out"));
  all.push_back(said + "(" + parameters(op_of(d).schema(), d.inplace, out, true, d.flag) + ")");
  for (const std::string& more : d.signatures)
    all.push_back(said + "(" + more + (more.find(')') == more.npos ? ")" : ""));
  return all;
}

bool takes(const std::string& signature, PyObject* args, PyObject* kwargs) {
  torch::PythonArgParser parser({signature}, /*traceable=*/false);
  torch::ParsedArgs<kMaxParameters> storage;
  try {
    parser.parse(nullptr, args, kwargs, storage);
  } catch (const std::exception&) {
    PyErr_Clear();
    return false;
  }
  return true;
}

PyObject* make_functions(const std::vector<Declaration>& declarations) {
  PyObject* all = PyDict_New();
  PyObject* module_name = PyUnicode_InternFromString("gpukern");
  for (const Declaration& d : declarations) {
    Function* f = make(d);
    f->method = {f->name.c_str(), reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(&enter)),
                 METH_FASTCALL | METH_KEYWORDS, f->doc.c_str()};
    PyObject* self = PyCapsule_New(f, nullptr, nullptr);
    f->callable = PyCFunction_NewEx(&f->method, self, module_name);
    Py_DECREF(self);
    PyDict_SetItemString(all, f->name.c_str(), f->callable);
  }
  return all;
}

}  // namespace gpukern::entry
