// TMA: copies of boxes of a tensor between global and shared memory, by the async proxy.
#pragma once
#include "driver.h"
#include "mbarrier.h"
// After the driver's names.
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

// L2 cache hints: the encodings of createpolicy's plain policies.
constexpr uint64_t kEvictNormal = 0x1000000000000000, kEvictFirst = 0x12F0000000000000, kEvictLast = 0x14F0000000000000;

// Copies the box at `at` (innermost coordinate first; elements outside the tensor are 0) to shared memory; its bytes
// are counted on `barrier`.
template <int R>
void tma_load(uint32_t to, const TensorMap* map, const int (&at)[R], uint32_t barrier, GPUKERN_SAID_AT) {
  model::tma_load({map, R, at, to}, barrier, 0, false, GPUKERN_HERE("tma_load"));
}
template <int R>
void tma_load_hint(uint32_t to, const TensorMap* map, const int (&at)[R], uint32_t barrier, uint64_t, GPUKERN_SAID_AT) {
  model::tma_load({map, R, at, to}, barrier, 0, false, GPUKERN_HERE("tma_load_hint"));
}
// The same to the same offset in every block of the mask, counted on the barrier at the same offset there.
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
// Copies shared memory to the box at `at`; elements outside the tensor are not written.
template <int R> void tma_store(const TensorMap* map, const int (&at)[R], uint32_t from, GPUKERN_SAID_AT) {
  model::tma_store({map, R, at, from}, GPUKERN_HERE("tma_store"));
}
template <int R>
void tma_store_hint(const TensorMap* map, const int (&at)[R], uint32_t from, uint64_t, GPUKERN_SAID_AT) {
  model::tma_store({map, R, at, from}, GPUKERN_HERE("tma_store_hint"));
}
// Makes one group of this thread's stores since the last commit.
inline void bulk_commit_group(GPUKERN_SAID_AT) { model::bulk_commit_group(GPUKERN_HERE("bulk_commit_group")); }
// Waits until at most N groups are in flight; with _read, until at most N groups still read shared memory.
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

// Encodes the map; nullptr, or why that failed.  A map that passes the kernels' check and that the driver refuses is a
// fault.
inline const char* encode_tensor_map(const TensorMapFields& f, TensorMap& map) {
  if (const char* problem = tensor_map_problem(f)) return problem;
  if (encode_tensor_map_by(&cuTensorMapEncodeTiled, f, map)) return nullptr;
  model::last_error() = std::string("the driver refuses a tensor map that was checked: ") + model::why_no_map();
  return model::why_no_map();
}

}  // namespace platform
}  // namespace gpukern
