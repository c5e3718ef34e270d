// Queries of Python's fakes, so that a fake has the dtype that the kernel will return.
#include <torch/csrc/DynamicTypes.h>
#include <torch/csrc/autograd/python_variable.h>

#include <ATen/ScalarOps.h>

#include <string_view>

#include "../elementwise/elementwise.h"
#include "../without_data.h"
#include "dtype.h"

namespace gpukern::entry {
namespace {

// A symbolic number is replaced by a number of its type.
at::Scalar number(PyObject* object) {
  if (PyBool_Check(object)) return object == Py_True;
  if (PyFloat_Check(object)) return PyFloat_AS_DOUBLE(object);
  if (PyComplex_Check(object)) {
    const Py_complex c = PyComplex_AsCComplex(object);
    return c10::complex<double>(c.real, c.imag);
  }
  if (!PyLong_Check(object))
    return std::string_view(Py_TYPE(object)->tp_name) == "SymFloat" ? at::Scalar(1.0) : at::Scalar(1);
  int overflow = 0;
  const int64_t whole = PyLong_AsLongLongAndOverflow(object, &overflow);
  if (overflow == 0) return whole;
  const auto large = static_cast<uint64_t>(PyLong_AsUnsignedLongLong(object));
  if (PyErr_Occurred()) throw python_error();
  return large;
}

}  // namespace

PyObject* elementwise_dtype(const std::string& name, const std::string& choice, PyObject* operands, PyObject* numbers) {
  const elementwise::Op* op = elementwise::find(name, choice);
  if (!op) Py_RETURN_NONE;  // an unknown choice, which the kernel refuses
  std::array<at::Tensor, elementwise::kMaxInputs> tensors;
  elementwise::Inputs in{};
  for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(operands) && k < op->spec->inputs; ++k) {
    PyObject* const object = PyTuple_GET_ITEM(operands, k);
    if (THPVariable_Check(object)) {
      tensors[k] = THPVariable_Unpack(object);
    } else {
      tensors[k] = c10::scalar_to_tensor(number(object));
      tensors[k].unsafeGetTensorImpl()->set_wrapped_number(true);
    }
    in[k] = &tensors[k];
  }
  elementwise::Scalars scalars;
  for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(numbers) && k < op->spec->scalars; ++k)
    if (PyObject* const object = PyTuple_GET_ITEM(numbers, k); object != Py_None) scalars[k] = number(object);
  const auto dtype = elementwise::result_dtype(*op, in, scalars);
  PyObject* const result = dtype ? reinterpret_cast<PyObject*>(torch::getTHPDtype(*dtype)) : Py_None;
  Py_INCREF(result);
  return result;
}

PyObject* stand_ins(PyObject* tensors) {
  std::vector<const at::Tensor*> theirs;
  for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(tensors); ++k)
    theirs.push_back(&THPVariable_Unpack(PyTuple_GET_ITEM(tensors, k)));
  const ModesOff modes_off;
  const StandIns stand_in(theirs);
  PyObject* const list = PyList_New(0);
  if (!list) throw python_error();
  for (const at::Tensor* t : theirs) {
    PyObject* const small = THPVariable_Wrap(stand_in(*t));
    const bool failed = !small || PyList_Append(list, small) != 0;
    Py_XDECREF(small);
    if (failed) {
      Py_DECREF(list);
      throw python_error();
    }
  }
  return list;
}

}  // namespace gpukern::entry
