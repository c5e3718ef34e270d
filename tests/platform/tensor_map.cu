// csrc/platform/tensor_map.h from Python.
#include "platform/tensor_map.h"

#define GPUKERN_EXPORT extern "C" __attribute__((visibility("default")))

// What is wrong with a map, or "".  numbers: rank, element bytes, swizzle, then extents, strides and boxes of 5 each.
GPUKERN_EXPORT const char* problem_of(uint64_t address, const int64_t* numbers) {
  gpukern::TensorMapFields f;
  f.rank = static_cast<int>(numbers[0]);
  f.element_bytes = static_cast<int>(numbers[1]);
  f.swizzle = static_cast<gpukern::Swizzle>(numbers[2]);
  for (int d = 0; d < 5; ++d) {
    f.extent[d] = static_cast<uint64_t>(numbers[3 + d]);
    f.stride[d] = static_cast<uint64_t>(numbers[8 + d]);
    f.box[d] = static_cast<uint32_t>(numbers[13 + d]);
  }
  const char* problem = gpukern::tensor_map_problem(f, address);
  return problem ? problem : "";
}

GPUKERN_EXPORT uint64_t descriptor_of(uint32_t address, uint32_t leading, uint32_t stride, int swizzle) {
  return gpukern::matrix_descriptor(address, leading, stride, static_cast<gpukern::Swizzle>(swizzle));
}
