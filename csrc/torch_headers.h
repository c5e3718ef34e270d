// What most torch-side files read, compiled once before them (setup.py, GCC): it halves their time. A file still
// includes what it uses, so that it compiles without this one too.
#pragma once
#include <ATen/ExpandUtils.h>
#include <ATen/TensorIterator.h>
#include <torch/csrc/autograd/VariableTypeUtils.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/library.h>
