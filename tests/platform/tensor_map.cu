// The kernels' tensor maps, swizzles and descriptors (csrc/primitives/tensor_map.h) and what the model reads
// there, from Python.
#include "primitives/tensor_map.h"
#include "primitives/tma.h"

#include <cstring>

#include "platform/model/swizzle.h"
#include "platform/model/wgmma_layout.h"

#define GPUKERN_EXPORT extern "C" __attribute__((visibility("default")))

namespace {

// numbers: rank, element bytes, swizzle, then extents, strides and boxes of 5 each; 1 where tf32.
gpukern::TensorMapFields fields_of(uint64_t address, const int64_t* numbers) {
  gpukern::TensorMapFields f;
  f.address = reinterpret_cast<void*>(address);
  f.rank = static_cast<int>(numbers[0]);
  f.element_bytes = static_cast<int>(numbers[1]);
  f.swizzle = static_cast<gpukern::Swizzle>(numbers[2]);
  for (int d = 0; d < 5; ++d) {
    f.extent[d] = static_cast<uint64_t>(numbers[3 + d]);
    f.stride[d] = static_cast<uint64_t>(numbers[8 + d]);
    f.box[d] = static_cast<uint32_t>(numbers[13 + d]);
  }
  f.to_tf32 = numbers[18] != 0;
  return f;
}

}  // namespace

// What is wrong with a map, or "".
GPUKERN_EXPORT const char* problem_of(uint64_t address, const int64_t* numbers) {
  const char* problem = gpukern::tensor_map_problem(fields_of(address, numbers), address);
  return problem ? problem : "";
}

// The model's driver, written from the manual: its message for the map that the kernels encode; and the map's
// numbers: address, rank, element bytes, swizzle, tf32, then extents, strides and boxes of 5 each.
GPUKERN_EXPORT const char* driver_says(uint64_t address, const int64_t* numbers, uint64_t* made) {
  gpukern::CUtensorMap map;
  if (!gpukern::platform::encode_tensor_map_by(&gpukern::cuTensorMapEncodeTiled, fields_of(address, numbers), map))
    return gpukern::model::why_no_map();
  uint64_t all[20] = {map.address, map.rank, map.element_bytes, map.swizzle, map.to_tf32};
  for (int d = 0; d < map.rank; ++d) {
    all[5 + d] = uint64_t{map.last_index[d]} + 1;
    if (d > 0) all[10 + d] = map.stride[d - 1];
    all[15 + d] = map.box[d];
  }
  std::memcpy(made, all, sizeof all);
  return "";
}

// The same for the driver's own arguments.  more: element strides of 5, then the type, interleave, promotion and fill.
GPUKERN_EXPORT const char* driver_refuses(uint64_t address, const int64_t* numbers, const int64_t* more) {
  using namespace gpukern;
  CUtensorMap map;
  cuuint64_t extents[5], strides[5];
  cuuint32_t box[5], steps[5];
  for (int d = 0; d < 5; ++d) {
    extents[d] = static_cast<cuuint64_t>(numbers[3 + d]);
    strides[d] = static_cast<cuuint64_t>(numbers[8 + d]);
    box[d] = static_cast<cuuint32_t>(numbers[13 + d]);
    steps[d] = static_cast<cuuint32_t>(more[d]);
  }
  const CUresult result = cuTensorMapEncodeTiled(
      &map, static_cast<CUtensorMapDataType>(more[5]), static_cast<cuuint32_t>(numbers[0]),
      reinterpret_cast<void*>(address), extents, strides + 1, box, steps, static_cast<CUtensorMapInterleave>(more[6]),
      static_cast<CUtensorMapSwizzle>(numbers[2]), static_cast<CUtensorMapL2promotion>(more[7]),
      static_cast<CUtensorMapFloatOOBfill>(more[8]));
  return result == CUDA_SUCCESS ? "" : model::why_no_map();
}

// In how many maps of a call that differs from the one before in one number the kept map is not the one that is made.
GPUKERN_EXPORT int kept_maps_differ(uint64_t address, const int64_t* numbers, int count) {
  int bad = 0;
  for (int i = 0; i < count; ++i) {
    const gpukern::TensorMapFields f = fields_of(address + (i == 1 ? 4096 : 0), numbers + 19 * i);
    gpukern::CUtensorMap kept{}, made{};
    const char* said = gpukern::platform::tensor_map(f, kept);
    bad += (said == nullptr) != gpukern::platform::encode_tensor_map_by(&gpukern::cuTensorMapEncodeTiled, f, made);
    bad += said == nullptr && !(kept == made);
  }
  return bad;
}

GPUKERN_EXPORT uint64_t box_bytes_of(const int64_t* numbers) { return fields_of(16, numbers).box_bytes(); }

GPUKERN_EXPORT uint32_t swizzled_of(uint32_t address, int swizzle) {
  return gpukern::swizzled(address, static_cast<gpukern::Swizzle>(swizzle));
}
// The model's, of a swizzle by the driver's number.
GPUKERN_EXPORT uint32_t place_of(uint32_t address, int swizzle) {
  using namespace gpukern::model;
  const Swizzling* const all[] = {&kUnswizzled, &kSwizzled32, &kSwizzled64, &kSwizzled128};
  return all[swizzle]->place(address);
}

GPUKERN_EXPORT uint64_t descriptor_of(uint32_t address, uint32_t leading, uint32_t stride, int swizzle) {
  return gpukern::matrix_descriptor(address, leading, stride, static_cast<gpukern::Swizzle>(swizzle));
}
GPUKERN_EXPORT uint64_t advanced(uint64_t descriptor, uint32_t bytes) { return gpukern::advance(descriptor, bytes); }
// What the model reads there: start, leading and stride byte offset, the span of the swizzle; bits it refuses.
GPUKERN_EXPORT void descriptor_read(uint64_t descriptor, uint32_t* read) {
  const gpukern::model::Operand o = gpukern::model::operand_of(descriptor, false, 0);
  const uint64_t refused = descriptor & (gpukern::model::kReserved | gpukern::model::kBaseOffset);
  const uint32_t all[5] = {o.start, o.leading, o.stride, o.swizzle->span, refused != 0};
  std::memcpy(read, all, sizeof all);
}
