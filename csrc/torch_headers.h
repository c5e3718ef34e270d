// The torch headers that most files include, precompiled (setup.py, GCC): this halves their compile time. A file still
// includes what it uses, so that it compiles without this header too.
#pragma once
#include <ATen/ExpandUtils.h>
#include <ATen/TensorIterator.h>
#include <torch/csrc/autograd/VariableTypeUtils.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/library.h>
