// The functions of autograd.cpp that register.cpp registers: one for each form of any product.
#pragma once
#include <c10/util/FunctionRef.h>

#include "product.h"

namespace gpukern::gemm {

Tensor autograd_call(const Args& args, c10::function_ref<Tensor()> below);
void autograd_out(const Args& args, const Tensor& out, c10::function_ref<void()> below);
void autograd_inplace(const Args& args, c10::function_ref<void()> below);  // into *args.c

}  // namespace gpukern::gemm
