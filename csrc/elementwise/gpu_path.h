// From a TensorIterator to the plain arguments of the GPU kernels (launch.h).
#pragma once
#include <ATen/TensorIterator.h>

#include "catalogue.h"

namespace gpukern::elementwise::gpu_path {

// Whether GPU kernels were compiled for this device.
bool serves(c10::Device device);

// Runs one variant on the caller's current stream; operand 0 of the iterator is the output.
void run(at::TensorIteratorBase& iter, const Op& op, int variant, Compute compute, const double* f64,
         const int64_t* i64);

}  // namespace gpukern::elementwise::gpu_path
