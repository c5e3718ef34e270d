// The model's names of the driver (model/driver.h) against cuda.h's: prints a line a table, `name mismatches`.
#include <cuda.h>

#include <cstdio>

#include "platform/model/driver.h"

#define SAME(NAME) (static_cast<int>(::NAME) != static_cast<int>(gpukern::NAME))

int main() {
  std::printf("types %d\n", SAME(CU_TENSOR_MAP_DATA_TYPE_UINT8) + SAME(CU_TENSOR_MAP_DATA_TYPE_UINT16) +
                                SAME(CU_TENSOR_MAP_DATA_TYPE_UINT32) + SAME(CU_TENSOR_MAP_DATA_TYPE_INT32) +
                                SAME(CU_TENSOR_MAP_DATA_TYPE_UINT64) + SAME(CU_TENSOR_MAP_DATA_TYPE_INT64) +
                                SAME(CU_TENSOR_MAP_DATA_TYPE_FLOAT16) + SAME(CU_TENSOR_MAP_DATA_TYPE_FLOAT32) +
                                SAME(CU_TENSOR_MAP_DATA_TYPE_FLOAT64) + SAME(CU_TENSOR_MAP_DATA_TYPE_BFLOAT16) +
                                SAME(CU_TENSOR_MAP_DATA_TYPE_FLOAT32_FTZ) + SAME(CU_TENSOR_MAP_DATA_TYPE_TFLOAT32) +
                                SAME(CU_TENSOR_MAP_DATA_TYPE_TFLOAT32_FTZ));
  std::printf("interleave %d\n", SAME(CU_TENSOR_MAP_INTERLEAVE_NONE) + SAME(CU_TENSOR_MAP_INTERLEAVE_16B) +
                                     SAME(CU_TENSOR_MAP_INTERLEAVE_32B));
  std::printf("swizzle %d\n", SAME(CU_TENSOR_MAP_SWIZZLE_NONE) + SAME(CU_TENSOR_MAP_SWIZZLE_32B) +
                                  SAME(CU_TENSOR_MAP_SWIZZLE_64B) + SAME(CU_TENSOR_MAP_SWIZZLE_128B));
  std::printf("promotion %d\n", SAME(CU_TENSOR_MAP_L2_PROMOTION_NONE) + SAME(CU_TENSOR_MAP_L2_PROMOTION_L2_64B) +
                                    SAME(CU_TENSOR_MAP_L2_PROMOTION_L2_128B) +
                                    SAME(CU_TENSOR_MAP_L2_PROMOTION_L2_256B));
  std::printf("fill %d\n",
              SAME(CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) + SAME(CU_TENSOR_MAP_FLOAT_OOB_FILL_NAN_REQUEST_ZERO_FMA));
  std::printf("results %d\n", SAME(CUDA_SUCCESS) + SAME(CUDA_ERROR_INVALID_VALUE));
  std::printf("size %d\n", sizeof(::CUtensorMap) != sizeof(gpukern::CUtensorMap));
}
