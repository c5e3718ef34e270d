// TMA: copies of boxes of a tensor between global and shared memory, by the async proxy.
#pragma once
#include "driver.h"
#include "mbarrier.h"
// Behind the driver's names.
#include "../../primitives/tensor_map_encode.h"

namespace gpukern {

using TensorMap = CUtensorMap;

namespace model {

struct TensorCopy {
  const TensorMap* map;
  int rank;
  const int* at;  // innermost first
  uint32_t shared;
};
void tma_load(const TensorCopy& copy, uint32_t barrier, uint32_t blocks, bool multicast, Place at);
void tma_store(const TensorCopy& copy, Place at);
void bulk_commit_group(Place at);
void bulk_wait_group(int groups, bool only_read, Place at);
void prefetch_tensormap(const TensorMap* map, Place at);

}  // namespace model

// Which data stay in L2: the encodings of createpolicy's plain policies.
constexpr uint64_t kEvictNormal = 0x1000000000000000, kEvictFirst = 0x12F0000000000000, kEvictLast = 0x14F0000000000000;

// The box at `at` (innermost coordinate first; it may stick out, what lies outside is 0) to shared memory; its bytes
// are counted on `barrier`.
template <int R>
void tma_load(uint32_t to, const TensorMap* map, const int (&at)[R], uint32_t barrier, GPUKERN_SAID_AT) {
  model::tma_load({map, R, at, to}, barrier, 0, false, GPUKERN_HERE("tma_load"));
}
template <int R>
void tma_load_hint(uint32_t to, const TensorMap* map, const int (&at)[R], uint32_t barrier, uint64_t, GPUKERN_SAID_AT) {
  model::tma_load({map, R, at, to}, barrier, 0, false, GPUKERN_HERE("tma_load_hint"));
}
// To the same place in every block of the mask, and counted on the barrier at the same place there.
template <int R>
void tma_load_multicast(uint32_t to, const TensorMap* map, const int (&at)[R], uint32_t barrier, uint16_t blocks,
                        GPUKERN_SAID_AT) {
  model::tma_load({map, R, at, to}, barrier, blocks, true, GPUKERN_HERE("tma_load_multicast"));
}
template <int R>
void tma_load_multicast_hint(uint32_t to, const TensorMap* map, const int (&at)[R], uint32_t barrier, uint16_t blocks,
                             uint64_t, GPUKERN_SAID_AT) {
  model::tma_load({map, R, at, to}, barrier, blocks, true, GPUKERN_HERE("tma_load_multicast_hint"));
}
// Shared memory to the box at `at`; what sticks out is not written.
template <int R> void tma_store(const TensorMap* map, const int (&at)[R], uint32_t from, GPUKERN_SAID_AT) {
  model::tma_store({map, R, at, from}, GPUKERN_HERE("tma_store"));
}
template <int R>
void tma_store_hint(const TensorMap* map, const int (&at)[R], uint32_t from, uint64_t, GPUKERN_SAID_AT) {
  model::tma_store({map, R, at, from}, GPUKERN_HERE("tma_store_hint"));
}
// This thread's stores since the last commit are one group.
inline void bulk_commit_group(GPUKERN_SAID_AT) { model::bulk_commit_group(GPUKERN_HERE("bulk_commit_group")); }
// Until at most N groups are under way; or, bulk_wait_group_read, are still reading shared memory.
template <int N> void bulk_wait_group(GPUKERN_SAID_AT) {
  model::bulk_wait_group(N, false, GPUKERN_HERE("bulk_wait_group"));
}
template <int N> void bulk_wait_group_read(GPUKERN_SAID_AT) {
  model::bulk_wait_group(N, true, GPUKERN_HERE("bulk_wait_group_read"));
}
inline void prefetch_tensormap(const TensorMap* map, GPUKERN_SAID_AT) {
  model::prefetch_tensormap(map, GPUKERN_HERE("prefetch_tensormap"));
}

namespace platform {

// nullptr, or why there is no such map.  What the kernels' check lets through and the driver refuses is a fault.
inline const char* encode_tensor_map(const TensorMapFields& f, TensorMap& map) {
  if (const char* problem = tensor_map_problem(f)) return problem;
  if (encode_tensor_map_by(&cuTensorMapEncodeTiled, f, map)) return nullptr;
  model::last_error() = std::string("the driver refuses a tensor map that was checked: ") + model::why_no_map();
  return model::why_no_map();
}

}  // namespace platform
}  // namespace gpukern
