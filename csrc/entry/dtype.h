// What Python asks where a call has no data: the rule of types of the elementwise kernels, and stand-ins.
#pragma once
#include <Python.h>

#include <string>

namespace gpukern::entry {

// What the kernel's own rule of types says of a call, for tracers: `operands` are an op's tensors, or Python numbers in
// their places, `numbers` its numbers or None; the result's torch.dtype, or None where torch's own op serves the call.
PyObject* elementwise_dtype(const std::string& name, const std::string& choice, PyObject* operands, PyObject* numbers);

// A list of the small CPU tensors that stand for those of a tuple (without_data.h).
PyObject* stand_ins(PyObject* tensors);

}  // namespace gpukern::entry
