// From TensorMapFields to the arguments of cuTensorMapEncodeTiled.  Include it after cuda.h, or in the model after
// model/driver.h, which has the same names and numbers.
#pragma once
#include "tensor_map.h"

namespace gpukern::platform {

// Encodes fields that passed tensor_map_problem; returns whether `encode` succeeded.
template <class Encode> bool encode_tensor_map_by(Encode encode, const TensorMapFields& f, CUtensorMap& map) {
  const CUtensorMapDataType type = f.element_bytes == 1   ? CU_TENSOR_MAP_DATA_TYPE_UINT8
                                   : f.element_bytes == 2 ? CU_TENSOR_MAP_DATA_TYPE_UINT16
                                   : f.to_tf32            ? CU_TENSOR_MAP_DATA_TYPE_TFLOAT32
                                   : f.element_bytes == 4 ? CU_TENSOR_MAP_DATA_TYPE_UINT32
                                                          : CU_TENSOR_MAP_DATA_TYPE_UINT64;
  const CUtensorMapSwizzle swizzle = f.swizzle == Swizzle::bytes128  ? CU_TENSOR_MAP_SWIZZLE_128B
                                     : f.swizzle == Swizzle::bytes64 ? CU_TENSOR_MAP_SWIZZLE_64B
                                     : f.swizzle == Swizzle::bytes32 ? CU_TENSOR_MAP_SWIZZLE_32B
                                                                     : CU_TENSOR_MAP_SWIZZLE_NONE;
  cuuint64_t extent[TensorMapFields::kMaxRank], stride[TensorMapFields::kMaxRank];
  for (int d = 0; d < f.rank; ++d) {
    extent[d] = f.extent[d];
    stride[d] = f.stride[d];
  }
  const cuuint32_t one[TensorMapFields::kMaxRank] = {1, 1, 1, 1, 1};
  return encode(&map, type, f.rank, f.address, extent, stride + 1, f.box, one, CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle,
                CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

}  // namespace gpukern::platform
