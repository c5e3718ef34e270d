// The fast path of an entry: plain tensors, numbers and strings, by position or by keyword, with no mode active.  One
// instantiation per parameter list.
#pragma once
#include <ATen/PythonTorchFunctionTLS.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/Scalar.h>
#include <torch/csrc/autograd/python_variable.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "parameter.h"

namespace gpukern::entry {

using at::Tensor;

// A call's arguments in the order of the op's parameters; null if not given.
using Given = std::array<PyObject*, kMaxParameters>;

struct Fast {
  virtual ~Fast() = default;
  // The result (`out` if given, or the first argument if the op writes into it); null without a Python error if the
  // call is not for the fast path.
  virtual PyObject* call(const Given& given, PyObject* out) const = 0;

  // Sorts arguments by parameter; false if one is unknown or given twice.  Python interns the keywords of a call, so
  // they are compared by address; a keyword that is not interned takes the slow path.
  bool sort(PyObject* const* args, Py_ssize_t n, PyObject* keywords, Given& given, PyObject*& out) const;

 protected:
  explicit Fast(const c10::FunctionSchema& schema);

 private:
  std::vector<PyObject*> names_;  // interned, for as long as the process lives
  PyObject* out_name_;
  Py_ssize_t positional_ = 0;
};

struct ReleaseGil {
  PyThreadState* state = PyEval_SaveThread();
  ~ReleaseGil() { PyEval_RestoreThread(state); }
};

inline bool plain_tensor(PyObject* object) { return THPVariable_CheckExact(object); }

// One argument of C++ type A; take() is false if the fast path does not convert `object`, or if it is null and there is
// no default.
template <class A> struct Slot;
template <> struct Slot<const Tensor&> {
  static constexpr Parameter parameter = Parameter::tensor;
  const Tensor* value = nullptr;
  bool take(PyObject* object, const c10::IValue*) {
    if (!object || !plain_tensor(object)) return false;
    value = &THPVariable_Unpack(object);
    return true;
  }
  const Tensor& get() const { return *value; }
};
template <> struct Slot<const std::optional<Tensor>&> {
  static constexpr Parameter parameter = Parameter::optional_tensor;
  std::optional<Tensor> value;
  bool take(PyObject* object, const c10::IValue*) {
    if (!object || object == Py_None) return true;
    if (!plain_tensor(object)) return false;
    value = THPVariable_Unpack(object);
    return true;
  }
  const std::optional<Tensor>& get() const { return value; }
};
inline bool take_number(PyObject* object, at::Scalar& value) {
  if (PyFloat_CheckExact(object)) value = PyFloat_AS_DOUBLE(object);
  else if (PyLong_CheckExact(object)) {
    int overflow = 0;
    value = static_cast<int64_t>(PyLong_AsLongLongAndOverflow(object, &overflow));
    return overflow == 0;
  } else return false;
  return true;
}
template <> struct Slot<const at::Scalar&> {
  static constexpr Parameter parameter = Parameter::number;
  at::Scalar value;
  bool take(PyObject* object, const c10::IValue* fallback) {
    if (object) return take_number(object, value);
    if (!fallback) return false;
    value = fallback->toScalar();
    return true;
  }
  const at::Scalar& get() const { return value; }
};
template <> struct Slot<const std::optional<at::Scalar>&> {
  static constexpr Parameter parameter = Parameter::optional_number;
  std::optional<at::Scalar> value;
  bool take(PyObject* object, const c10::IValue*) {
    if (!object || object == Py_None) return true;
    at::Scalar s;
    if (!take_number(object, s)) return false;
    value = s;
    return true;
  }
  const std::optional<at::Scalar>& get() const { return value; }
};
// The characters belong to the object, which lives as long as the call.
inline bool take_text(PyObject* object, std::string_view& value) {
  if (!PyUnicode_CheckExact(object)) return false;
  Py_ssize_t length = 0;
  const char* const characters = PyUnicode_AsUTF8AndSize(object, &length);
  if (!characters) {
    PyErr_Clear();
    return false;
  }
  value = {characters, static_cast<size_t>(length)};
  return true;
}
template <> struct Slot<std::string_view> {
  static constexpr Parameter parameter = Parameter::text;
  std::string_view value;
  bool take(PyObject* object, const c10::IValue* fallback) {
    if (object) return take_text(object, value);
    if (!fallback) return false;
    value = fallback->toStringView();
    return true;
  }
  std::string_view get() const { return value; }
};
template <> struct Slot<std::optional<std::string_view>> {
  static constexpr Parameter parameter = Parameter::optional_text;
  std::optional<std::string_view> value;
  bool take(PyObject* object, const c10::IValue*) {
    if (!object || object == Py_None) return true;
    std::string_view text;
    if (!take_text(object, text)) return false;
    value = text;
    return true;
  }
  std::optional<std::string_view> get() const { return value; }
};
template <> struct Slot<bool> {
  static constexpr Parameter parameter = Parameter::flag;
  bool value = false;
  bool take(PyObject* object, const c10::IValue* fallback) {
    if (!object && !fallback) return false;
    if (object && !PyBool_Check(object)) return false;
    value = object ? object == Py_True : fallback->toBool();
    return true;
  }
  bool get() const { return value; }
};

template <> struct Slot<int64_t> {
  static constexpr Parameter parameter = Parameter::whole;
  int64_t value = 0;
  bool take(PyObject* object, const c10::IValue* fallback) {
    if (!object && !fallback) return false;
    int overflow = 0;
    if (object && !PyLong_CheckExact(object)) return false;
    value = object ? static_cast<int64_t>(PyLong_AsLongLongAndOverflow(object, &overflow)) : fallback->toInt();
    return overflow == 0;
  }
  int64_t get() const { return value; }
};

template <class... A> class TypedFast final : public Fast {
 public:
  TypedFast(const c10::OperatorHandle& op, const std::optional<c10::OperatorHandle>& out) : Fast(op.schema()) {
    if (op.schema().returns().empty()) in_place_.emplace(op.typed<void(A...)>());
    else op_.emplace(op.typed<Tensor(A...)>());
    if (out) out_.emplace(out->typed<void(A..., const Tensor&)>());
    for (const c10::Argument& arg : op.schema().arguments()) defaults_.push_back(arg.default_value());
  }
  static bool fits(const c10::FunctionSchema& schema) {
    constexpr Parameter wanted[] = {Slot<A>::parameter...};
    const auto& has = schema.arguments();
    return std::equal(has.begin(), has.end(), std::begin(wanted), std::end(wanted),
                      [](const c10::Argument& arg, Parameter p) { return parameter_of(arg.type()) == p; });
  }
  PyObject* call(const Given& given, PyObject* out) const override {
    if (out && !(out_ && plain_tensor(out))) return nullptr;
    std::tuple<Slot<A>...> slots;
    if (!take(slots, given, std::index_sequence_for<A...>{})) return nullptr;
    if (out) {
      const Tensor& o = THPVariable_Unpack(out);
      {
        const ReleaseGil no_gil;
        std::apply([&](const auto&... s) { out_->call(s.get()..., o); }, slots);
      }
      Py_INCREF(out);
      return out;
    }
    if (in_place_) {
      {
        const ReleaseGil no_gil;
        std::apply([&](const auto&... s) { in_place_->call(s.get()...); }, slots);
      }
      Py_INCREF(given[0]);
      return given[0];
    }
    Tensor result;
    {
      const ReleaseGil no_gil;
      result = std::apply([&](const auto&... s) { return op_->call(s.get()...); }, slots);
    }
    return THPVariable_Wrap(std::move(result));
  }

 private:
  template <size_t... I> bool take(std::tuple<Slot<A>...>& slots, const Given& given, std::index_sequence<I...>) const {
    return (std::get<I>(slots).take(given[I], defaults_[I] ? &*defaults_[I] : nullptr) && ...);
  }
  std::optional<c10::TypedOperatorHandle<Tensor(A...)>> op_;
  std::optional<c10::TypedOperatorHandle<void(A...)>> in_place_;
  std::optional<c10::TypedOperatorHandle<void(A..., const Tensor&)>> out_;
  std::vector<std::optional<c10::IValue>> defaults_;
};

// The fast path of an op, or null if none is compiled for its parameters: then the slow path serves it.
std::unique_ptr<Fast> make_fast(const c10::OperatorHandle& op, const std::optional<c10::OperatorHandle>& out);

}  // namespace gpukern::entry
