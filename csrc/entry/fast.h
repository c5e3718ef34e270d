// The fast path of an entry: positional, plain tensors, no mode active.  One instantiation a parameter list.
#pragma once
#include <ATen/PythonTorchFunctionTLS.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/Scalar.h>
#include <torch/csrc/autograd/python_variable.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace gpukern::entry {

using at::Tensor;

struct Fast {
  virtual ~Fast() = default;
  // The result, or null with no Python error set where this call is not for the fast path.
  virtual PyObject* call(PyObject* const* args, Py_ssize_t n) const = 0;
  virtual PyObject* call_out(PyObject* const* args, Py_ssize_t n, PyObject* out) const = 0;
};

struct ReleaseGil {
  PyThreadState* state = PyEval_SaveThread();
  ~ReleaseGil() { PyEval_RestoreThread(state); }
};

inline bool plain_tensor(PyObject* object) { return THPVariable_CheckExact(object); }

// Converts one argument; `object` is null where the default stands.
template <class A> struct Slot;
template <> struct Slot<const Tensor&> {
  const Tensor* value = nullptr;
  bool take(PyObject* object, const c10::IValue*) {
    if (!object || !plain_tensor(object)) return false;
    value = &THPVariable_Unpack(object);
    return true;
  }
  const Tensor& get() const { return *value; }
};
template <> struct Slot<const std::optional<Tensor>&> {
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
template <> struct Slot<std::string_view> {
  std::string_view value;
  bool take(PyObject* object, const c10::IValue* fallback) {
    if (object || !fallback) return false;
    value = fallback->toStringView();
    return true;
  }
  std::string_view get() const { return value; }
};
template <> struct Slot<std::optional<std::string_view>> {
  bool take(PyObject* object, const c10::IValue*) { return !object; }
  std::optional<std::string_view> get() const { return std::nullopt; }
};
template <> struct Slot<bool> {
  bool value = false;
  bool take(PyObject* object, const c10::IValue* fallback) {
    if (object || !fallback) return false;
    value = fallback->toBool();
    return true;
  }
  bool get() const { return value; }
};
template <> struct Slot<int64_t> {
  int64_t value = 0;
  bool take(PyObject* object, const c10::IValue* fallback) {
    if (object || !fallback) return false;
    value = fallback->toInt();
    return true;
  }
  int64_t get() const { return value; }
};

template <class... A> class TypedFast final : public Fast {
 public:
  TypedFast(const std::string& name, bool has_out)
      : op_(c10::Dispatcher::singleton().findSchemaOrThrow(name.c_str(), "").typed<Tensor(A...)>()) {
    if (has_out)
      out_.emplace(
          c10::Dispatcher::singleton().findSchemaOrThrow(name.c_str(), "out").typed<void(A..., const Tensor&)>());
    for (const c10::Argument& arg : op_.schema().arguments()) {
      defaults_.push_back(arg.default_value());
      positional_ += !arg.kwarg_only();
    }
  }
  PyObject* call(PyObject* const* args, Py_ssize_t n) const override {
    std::tuple<Slot<A>...> slots;
    if (!take(slots, args, n, std::index_sequence_for<A...>{})) return nullptr;
    Tensor result;
    {
      const ReleaseGil no_gil;
      result = std::apply([&](const auto&... s) { return op_.call(s.get()...); }, slots);
    }
    return THPVariable_Wrap(std::move(result));
  }
  PyObject* call_out(PyObject* const* args, Py_ssize_t n, PyObject* out) const override {
    if (!out_ || !plain_tensor(out)) return nullptr;
    std::tuple<Slot<A>...> slots;
    if (!take(slots, args, n, std::index_sequence_for<A...>{})) return nullptr;
    const Tensor& o = THPVariable_Unpack(out);
    {
      const ReleaseGil no_gil;
      std::apply([&](const auto&... s) { out_->call(s.get()..., o); }, slots);
    }
    Py_INCREF(out);
    return out;
  }

 private:
  template <size_t... I>
  bool take(std::tuple<Slot<A>...>& slots, PyObject* const* args, Py_ssize_t n, std::index_sequence<I...>) const {
    if (n > positional_) return false;
    return (std::get<I>(slots).take(static_cast<Py_ssize_t>(I) < n ? args[I] : nullptr,
                                    defaults_[I] ? &*defaults_[I] : nullptr) &&
            ...);
  }
  c10::TypedOperatorHandle<Tensor(A...)> op_;
  std::optional<c10::TypedOperatorHandle<void(A..., const Tensor&)>> out_;
  std::vector<std::optional<c10::IValue>> defaults_;
  Py_ssize_t positional_ = 0;
};

template <class... A> std::unique_ptr<Fast> make_typed(const std::string& op, bool has_out) {
  return std::make_unique<TypedFast<A...>>(op, has_out);
}

// By the letters of the parameters: T Tensor, t Tensor?, S Scalar, s Scalar?, C str, c str?, I int, B bool; null where
// no fast path is compiled for the list (the slow one serves it).
inline std::unique_ptr<Fast> make_fast(const std::string& letters, const std::string& op, bool has_out) {
  using T = const Tensor&;
  using t = const std::optional<Tensor>&;
  using S = const at::Scalar&;
  using s = const std::optional<at::Scalar>&;
  using C = std::string_view;
  using c = std::optional<std::string_view>;
  using Make = std::unique_ptr<Fast> (*)(const std::string&, bool);
  static const std::pair<const char*, Make> known[] = {
      {"T", &make_typed<T>},
      {"TS", &make_typed<T, S>},
      {"TSS", &make_typed<T, S, S>},
      {"Tss", &make_typed<T, s, s>},
      {"TC", &make_typed<T, C>},
      {"TT", &make_typed<T, T>},
      {"TTS", &make_typed<T, T, S>},
      {"TTC", &make_typed<T, T, C>},
      {"TTc", &make_typed<T, T, c>},
      {"TTT", &make_typed<T, T, T>},
      {"TTTS", &make_typed<T, T, T, S>},
      {"TTTC", &make_typed<T, T, T, C>},
      {"TTctcB", &make_typed<T, T, c, t, c, bool>},
      {"TTtctcB", &make_typed<T, T, t, c, t, c, bool>},
      {"TTTt", &make_typed<T, T, T, t>},
      {"TTTSSctcB", &make_typed<T, T, T, S, S, c, t, c, bool>},
      {"TTTSS", &make_typed<T, T, T, S, S>},
  };
  for (const auto& [key, make] : known)
    if (letters == key) return make(op, has_out);
  return nullptr;
}

}  // namespace gpukern::entry
