#include "driver.h"

namespace gpukern {
namespace {

thread_local const char* refusal = "";

// Bytes of an element; 0 for types that this model does not copy.
uint8_t size_of(CUtensorMapDataType type) {
  switch (type) {
    case CU_TENSOR_MAP_DATA_TYPE_UINT8: return 1;
    case CU_TENSOR_MAP_DATA_TYPE_UINT16:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT16:
    case CU_TENSOR_MAP_DATA_TYPE_BFLOAT16: return 2;
    case CU_TENSOR_MAP_DATA_TYPE_UINT32:
    case CU_TENSOR_MAP_DATA_TYPE_INT32:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT32:
    case CU_TENSOR_MAP_DATA_TYPE_TFLOAT32: return 4;
    case CU_TENSOR_MAP_DATA_TYPE_UINT64:
    case CU_TENSOR_MAP_DATA_TYPE_INT64:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT64: return 8;
    default: return 0;
  }
}

// The requirements of cuda.h in its order; features that no kernel uses are refused as not there.
const char* broken_rule(const CUtensorMap* map, CUtensorMapDataType type, cuuint32_t rank, uint64_t address,
                        const cuuint64_t* extents, const cuuint64_t* strides, const cuuint32_t* box,
                        const cuuint32_t* element_strides, CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                        CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill) {
  if (reinterpret_cast<uint64_t>(map) % 64 != 0) return "tensorMap must be aligned to 64 bytes";
  if (size_of(type) == 0) return "there is no such tensorDataType here";
  if (rank == 0 || rank > 5) return "tensorRank must be non-zero and no more than 5";
  if (address % 16 != 0) return "globalAddress must be 16 byte aligned";
  for (cuuint32_t i = 0; i < rank; ++i)  // 2^31 in later versions of the text: coordinates are signed
    if (extents[i] == 0 || extents[i] > 4294967296) return "globalDim must be non-zero and no more than 2^32";
  for (cuuint32_t i = 0; i + 1 < rank; ++i) {
    if (strides[i] % 16 != 0) return "globalStrides must be multiples of 16";
    if (strides[i] >= 1099511627776) return "globalStrides must be less than 2^40";
  }
  for (cuuint32_t i = 0; i < rank; ++i)
    if (box[i] == 0 || box[i] > 256) return "boxDim must be non-zero and no more than 256";
  for (cuuint32_t i = 0; i < rank; ++i)
    if (element_strides[i] != 1) return "elementStrides other than 1 are not there";
  if (interleave != CU_TENSOR_MAP_INTERLEAVE_NONE) return "interleaved layouts are not there";
  const uint32_t inner = box[0] * size_of(type);
  if (inner % 16 != 0) return "boxDim[0] times the element's size must be a multiple of 16 bytes";
  switch (swizzle) {
    case CU_TENSOR_MAP_SWIZZLE_NONE: break;
    case CU_TENSOR_MAP_SWIZZLE_32B:
      if (inner > 32) return "SWIZZLE_32B requires the bounding box inner dimension to be <= 32";
      break;
    case CU_TENSOR_MAP_SWIZZLE_64B:
      if (inner > 64) return "SWIZZLE_64B requires the bounding box inner dimension to be <= 64";
      break;
    case CU_TENSOR_MAP_SWIZZLE_128B:
      if (inner > 128) return "SWIZZLE_128B requires the bounding box inner dimension to be <= 128";
      break;
    default: return "there is no such swizzle here";
  }
  if (promotion < CU_TENSOR_MAP_L2_PROMOTION_NONE || promotion > CU_TENSOR_MAP_L2_PROMOTION_L2_256B)
    return "there is no such l2Promotion";
  if (fill != CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) return "what lies outside is 0 here";
  return nullptr;
}

}  // namespace

CUresult cuTensorMapEncodeTiled(CUtensorMap* map, CUtensorMapDataType type, cuuint32_t rank, void* address,
                                const cuuint64_t* extents, const cuuint64_t* strides, const cuuint32_t* box,
                                const cuuint32_t* element_strides, CUtensorMapInterleave interleave,
                                CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion,
                                CUtensorMapFloatOOBfill fill) {
  const uint64_t start = reinterpret_cast<uint64_t>(address);
  if (const char* rule = broken_rule(map, type, rank, start, extents, strides, box, element_strides, interleave,
                                     swizzle, promotion, fill)) {
    refusal = rule;
    return CUDA_ERROR_INVALID_VALUE;
  }
  *map = {};
  map->made = kMadeMap;
  map->address = start;
  map->rank = static_cast<uint8_t>(rank);
  map->element_bytes = size_of(type);
  map->swizzle = static_cast<uint8_t>(swizzle);
  map->to_tf32 = type == CU_TENSOR_MAP_DATA_TYPE_TFLOAT32;
  for (cuuint32_t i = 0; i < rank; ++i) {
    map->last_index[i] = static_cast<uint32_t>(extents[i] - 1);
    map->box[i] = static_cast<uint16_t>(box[i]);
    if (i + 1 < rank) map->stride[i] = strides[i];
  }
  return CUDA_SUCCESS;
}

namespace model {
const char* why_no_map() { return refusal; }
}  // namespace model

}  // namespace gpukern
