// Products whose result has the accumulator's type: float32 of float16 and bfloat16, int32 of int8.
#pragma once

namespace torch {
class Library;
}

namespace gpukern::gemm {
void define_wide(torch::Library& m);
void implement_wide_batching(torch::Library& m);
}  // namespace gpukern::gemm
