// The instructions of ../../primitives/tma.h, and the driver's encoding of tensor maps.
#pragma once
#include <cuda.h>

#include "../../primitives/tensor_map_encode.h"
#include "../gpu.h"

namespace gpukern {

using TensorMap = CUtensorMap;

// L2 cache hints: the encodings of createpolicy's plain policies.
constexpr uint64_t kEvictNormal = 0x1000000000000000, kEvictFirst = 0x12F0000000000000, kEvictLast = 0x14F0000000000000;

// One function per rank: N coordinates C of the box, and the operands behind them, from %FIRST on.
#define GPUKERN_TMA_RANKS(DO)                                                                 \
  DO(1, "{%2}", "%3", "%4", "%5", "r"(at[0]))                                                 \
  DO(2, "{%2, %3}", "%4", "%5", "%6", "r"(at[0]), "r"(at[1]))                                 \
  DO(3, "{%2, %3, %4}", "%5", "%6", "%7", "r"(at[0]), "r"(at[1]), "r"(at[2]))                 \
  DO(4, "{%2, %3, %4, %5}", "%6", "%7", "%8", "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3])) \
  DO(5, "{%2, %3, %4, %5, %6}", "%7", "%8", "%9", "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3]), "r"(at[4]))

#define GPUKERN_TMA(R, BOX, P, Q, S, ...)                                                                            \
  GPUKERN_D void tma_load(uint32_t to, const TensorMap* map, const int (&at)[R], uint32_t barrier) {                 \
    asm volatile("cp.async.bulk.tensor." #R                                                                          \
                 "d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], "                                 \
                 "[%1, " BOX "], [" P "];" ::"r"(to),                                                                \
                 "l"(map), __VA_ARGS__, "r"(barrier)                                                                 \
                 : "memory");                                                                                        \
  }                                                                                                                  \
  GPUKERN_D void tma_load_hint(uint32_t to, const TensorMap* map, const int (&at)[R], uint32_t barrier,              \
                               uint64_t hint) {                                                                      \
    asm volatile("cp.async.bulk.tensor." #R                                                                          \
                 "d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"                                        \
                 ".L2::cache_hint [%0], [%1, " BOX "], [" P "], " Q ";" ::"r"(to),                                   \
                 "l"(map), __VA_ARGS__, "r"(barrier), "l"(hint)                                                      \
                 : "memory");                                                                                        \
  }                                                                                                                  \
  GPUKERN_D void tma_load_multicast(uint32_t to, const TensorMap* map, const int (&at)[R], uint32_t barrier,         \
                                    uint16_t blocks) {                                                               \
    asm volatile("cp.async.bulk.tensor." #R                                                                          \
                 "d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"                                        \
                 ".multicast::cluster [%0], [%1, " BOX "], [" P "], " Q ";" ::"r"(to),                               \
                 "l"(map), __VA_ARGS__, "r"(barrier), "h"(blocks)                                                    \
                 : "memory");                                                                                        \
  }                                                                                                                  \
  GPUKERN_D void tma_load_multicast_hint(uint32_t to, const TensorMap* map, const int (&at)[R], uint32_t barrier,    \
                                         uint16_t blocks, uint64_t hint) {                                           \
    asm volatile("cp.async.bulk.tensor." #R                                                                          \
                 "d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"                                        \
                 ".multicast::cluster.L2::cache_hint [%0], [%1, " BOX "], [" P "], " Q ", " S ";" ::"r"(to),         \
                 "l"(map), __VA_ARGS__, "r"(barrier), "h"(blocks), "l"(hint)                                         \
                 : "memory");                                                                                        \
  }                                                                                                                  \
  GPUKERN_D void tma_store(const TensorMap* map, const int (&at)[R], uint32_t from) {                                \
    asm volatile("cp.async.bulk.tensor." #R "d.global.shared::cta.tile.bulk_group [%1, " BOX "], [%0];" ::"r"(from), \
                 "l"(map), __VA_ARGS__                                                                               \
                 : "memory");                                                                                        \
  }                                                                                                                  \
  GPUKERN_D void tma_store_hint(const TensorMap* map, const int (&at)[R], uint32_t from, uint64_t hint) {            \
    asm volatile("cp.async.bulk.tensor." #R "d.global.shared::cta.tile.bulk_group.L2::cache_hint [%1, " BOX          \
                 "], [%0], " P ";" ::"r"(from),                                                                      \
                 "l"(map), __VA_ARGS__, "l"(hint)                                                                    \
                 : "memory");                                                                                        \
  }
GPUKERN_TMA_RANKS(GPUKERN_TMA)
#undef GPUKERN_TMA
#undef GPUKERN_TMA_RANKS

// Makes one group of this thread's stores since the last commit.
GPUKERN_D void bulk_commit_group() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
// Waits until at most N groups are in flight; with _read, until at most N groups still read shared memory.
template <int N> GPUKERN_D void bulk_wait_group() { asm volatile("cp.async.bulk.wait_group %0;" ::"n"(N) : "memory"); }
template <int N> GPUKERN_D void bulk_wait_group_read() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(N) : "memory");
}
GPUKERN_D void prefetch_tensormap(const TensorMap* map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

namespace platform {

// Encodes the map; nullptr, or why that failed.
inline const char* encode_tensor_map(const TensorMapFields& f, TensorMap& map) {
  if (const char* problem = tensor_map_problem(f)) return problem;
  using Encode = CUresult (*)(CUtensorMap*, CUtensorMapDataType, cuuint32_t, void*, const cuuint64_t*,
                              const cuuint64_t*, const cuuint32_t*, const cuuint32_t*, CUtensorMapInterleave,
                              CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill);
  // Looked up at run time, so that nothing links to the driver.
  static const Encode encode = [] {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult status;
    const cudaError_t error =
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault, &status);
    return error == cudaSuccess && status == cudaDriverEntryPointSuccess ? reinterpret_cast<Encode>(found) : nullptr;
  }();
  if (!encode) return "the driver has no cuTensorMapEncodeTiled";
  return encode_tensor_map_by(encode, f, map) ? nullptr : "the driver refuses this tensor map";
}

}  // namespace platform
}  // namespace gpukern
