// Queries of Python for calls without data: the result type of elementwise ops, and stand-ins.
#pragma once
#include <Python.h>

#include <string>

namespace gpukern::entry {

// The result's torch.dtype of a call by the kernels' own rule, or None if torch's own op serves the call.  `operands`:
// the op's tensors, or Python numbers in their places; `numbers`: its numbers or None.
PyObject* elementwise_dtype(const std::string& name, const std::string& choice, PyObject* operands, PyObject* numbers);

// The small CPU tensors that stand in for those of a tuple (without_data.h), as a list.
PyObject* stand_ins(PyObject* tensors);

}  // namespace gpukern::entry
