#include "fast.h"

namespace gpukern::entry {
namespace {

using One = const Tensor&;
using Maybe = const std::optional<Tensor>&;
using Number = const at::Scalar&;
using MaybeNumber = const std::optional<at::Scalar>&;
using Text = std::string_view;
using MaybeText = std::optional<std::string_view>;

template <class... Typed> struct List {};
using Compiled = List<
    // elementwise ops: operands, then numbers or a choice
    TypedFast<One>, TypedFast<One, Number>, TypedFast<One, Number, Number>, TypedFast<One, MaybeNumber, MaybeNumber>,
    TypedFast<One, Text>, TypedFast<One, One>, TypedFast<One, One, Number>, TypedFast<One, One, Text>,
    TypedFast<One, One, MaybeText>, TypedFast<One, One, One>, TypedFast<One, One, One, Number>,
    TypedFast<One, One, One, Text>, TypedFast<One, One, Text, int64_t>,
    // products: factors, (bias or addend, beta, alpha,) activation, residual, precision, batch_invariant
    TypedFast<One, One, MaybeText, Maybe, MaybeText, bool>,
    TypedFast<One, One, Maybe, MaybeText, Maybe, MaybeText, bool>,
    TypedFast<One, One, One, Number, Number, MaybeText, Maybe, MaybeText, bool>,
    TypedFast<One, One, One, Number, Number>,
    // bilinear
    TypedFast<One, One, One, Maybe>>;

template <class... Typed>
std::unique_ptr<Fast> first_that_fits(List<Typed...>, const c10::OperatorHandle& op,
                                      const std::optional<c10::OperatorHandle>& out) {
  std::unique_ptr<Fast> found;
  ((Typed::fits(op.schema()) && (found = std::make_unique<Typed>(op, out))) || ...);
  return found;
}

}  // namespace

Fast::Fast(const c10::FunctionSchema& schema) : out_name_(PyUnicode_InternFromString("out")) {
  for (const c10::Argument& arg : schema.arguments()) {
    names_.push_back(PyUnicode_InternFromString(arg.name().c_str()));
    positional_ += !arg.kwarg_only();
  }
}

bool Fast::sort(PyObject* const* args, Py_ssize_t n, PyObject* keywords, Given& given, PyObject*& out) const {
  if (n > positional_) return false;
  std::fill(std::copy_n(args, n, given.begin()), given.begin() + names_.size(), nullptr);
  const Py_ssize_t count = keywords ? PyTuple_GET_SIZE(keywords) : 0;
  for (Py_ssize_t k = 0; k < count; ++k) {
    PyObject* const name = PyTuple_GET_ITEM(keywords, k);
    if (name == out_name_) {
      out = args[n + k] == Py_None ? nullptr : args[n + k];
      continue;
    }
    const size_t at = std::find(names_.begin(), names_.end(), name) - names_.begin();
    if (at == names_.size() || given[at]) return false;
    given[at] = args[n + k];
  }
  return true;
}

std::unique_ptr<Fast> make_fast(const c10::OperatorHandle& op, const std::optional<c10::OperatorHandle>& out) {
  return first_that_fits(Compiled{}, op, out);
}

}  // namespace gpukern::entry
