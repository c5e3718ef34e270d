// The functions people call: C functions over torch's own argument parser, made from the dispatcher's schemas.
//
// A call of plain arguments goes straight to a typed dispatcher handle (fast.h).  torch's PythonArgParser parses every
// other call, so that numbers in place of tensors, __torch_function__ and the text of every TypeError are torch's.
#pragma once
#include <Python.h>

#include <string>
#include <vector>

namespace gpukern::entry {

// One public function, described by its op in the library `gpukern`: overload "" gives the parameters, overload "out"
// adds `out=`, the op with a trailing underscore adds `inplace=` where `inplace` is set.
struct Declaration {
  std::string name;
  std::string doc;
  bool inplace = false;                 // torch's function has `inplace=False`
  std::vector<std::string> signatures;  // further parameter lists, tried after the schema's own, in torch's notation
  std::vector<std::string> before;      // parameter lists that are tried before the schema's own
  std::string said = {};                // the name in errors, if torch's differs ("linalg_multi_dot")
  std::string flag = {};                // a last keyword, False; True is the op `<name>_<flag>` of the same parameters
};

// What the function's parser reads, a parameter list each, in torch's notation: "add(Tensor input, Tensor other, ..)".
std::vector<std::string> signatures(const Declaration& declaration);
// Whether torch's parser takes a call with these arguments for that one signature; kwargs may be null.
bool takes(const std::string& signature, PyObject* args, PyObject* kwargs);

// name -> callable, as a new dict; the module of every function is `gpukern`.
PyObject* make_functions(const std::vector<Declaration>& declarations);

}  // namespace gpukern::entry
