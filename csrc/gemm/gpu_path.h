// From tensors to the plain structs of the kernels, and to the launch.
#pragma once
#include "product.h"
#include "select.h"

namespace gpukern::gemm::gpu_path {

// Whether products were compiled for some GPU of this kind.
bool serves(c10::Device device);
const Device& device(c10::Device device);
const Device& cpu();
// The order that a stored measurement found for the product on this device; {} where there is none.
Ranking ranking(const Problem& problem, c10::Device device);

Tensor empty_result(const Args& args);
// Gives `out` the product's shape, as torch does, and refuses one that overlaps itself with torch's error.  The caller
// has copied operands that share memory with it.
void prepare(const Args& args, const Tensor& out);
// On the caller's current stream.
void launch(Choice choice, const Problem& problem, const Args& args, const Tensor& out);
void launch(Choice choice, const Problem& problem, Data data, const Tensor& out);
// The epilogue without the product: of no ranges of k, so accumulators are 0.  Columns are summed.
void end_alone(const Problem& problem, const Args& args, const Tensor& out);

}  // namespace gpukern::gemm::gpu_path
