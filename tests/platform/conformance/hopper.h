// What the cases of hopper.cu and hopper_wgmma.cu share: launches with tensor maps and clusters.
#pragma once
#include "harness.h"
#include "platform/cluster_launch.h"
#include "platform/target.h"
#include "primitives/cluster.h"
#include "primitives/dependent_launch.h"
#include "primitives/mbarrier.h"
#include "primitives/named_barrier.h"
#include "primitives/registers.h"
#include "primitives/tma.h"
#include "primitives/warp.h"
#include "primitives/wgmma.h"

namespace gpukern::conformance {

struct Coordinates {
  int at[5];
};
constexpr int kBadMap = 1;

// GPUKERN_SM90A_CASE(name, blocks of the one cluster, threads, shared bytes) { .. }
#define GPUKERN_SM90A_CASE(NAME, BLOCKS, THREADS, SHARED)                                                           \
  GPUKERN_D void NAME##_body(uint32_t* input, uint32_t* output);                                                    \
  GPUKERN_KERNEL NAME##_kernel(uint32_t* input, uint32_t* output) {                                                 \
    if (has_sm90a()) NAME##_body(input, output);                                                                    \
  }                                                                                                                 \
  const ::gpukern::conformance::Registered NAME##_case(#NAME, [](const ::gpukern::conformance::Buffers& b) {        \
    return ::gpukern::platform::launch_clusters(&NAME##_kernel, BLOCKS, false, dim3(BLOCKS), dim3(THREADS), SHARED, \
                                                nullptr, b.input, b.output);                                        \
  });                                                                                                               \
  GPUKERN_D void NAME##_body([[maybe_unused]] uint32_t* input, [[maybe_unused]] uint32_t* output)

// A map over words that lie densely, but for rows of `pitch` bytes (0: dense).
inline TensorMapFields fields(void* address, int element_bytes, std::initializer_list<uint64_t> extent,
                              std::initializer_list<uint32_t> box, Swizzle swizzle = Swizzle::none,
                              uint64_t pitch = 0) {
  TensorMapFields f;
  f.address = address;
  f.rank = static_cast<int>(extent.size());
  f.element_bytes = element_bytes;
  f.swizzle = swizzle;
  for (int d = 0; d < f.rank; ++d) {
    f.extent[d] = extent.begin()[d];
    f.box[d] = box.begin()[d];
    if (d == 1) f.stride[d] = pitch ? pitch : f.extent[0] * element_bytes;
    if (d > 1) f.stride[d] = f.stride[d - 1] * f.extent[d - 1];
  }
  return f;
}

// The barrier of a case lies behind its boxes, which start where shared memory does.
constexpr uint32_t kBoxRoom = 8192, kBoxShared = kBoxRoom + 64;

GPUKERN_D void start_barrier(uint32_t barrier, uint32_t count) {
  if (threadIdx.x == 0) {
    mbarrier_init(barrier, count);
    fence_mbarrier_init();
  }
  syncthreads();
}
GPUKERN_D void copy_out(const void* shared, uint32_t* output, int words) {
  for (int i = static_cast<int>(threadIdx.x); i < words; i += static_cast<int>(blockDim.x))
    output[i] = static_cast<const uint32_t*>(shared)[i];
}

}  // namespace gpukern::conformance
