// The words that sm_90a adds: mbarriers, clusters, TMA, wgmma.  On a device each is one instruction of PTX; under the
// model (model/hopper.h) the same names are executed.  Shared memory is named by 32-bit addresses (shared_address).
#pragma once
#include <memory>

#include "gpu.h"
#include "tensor_map.h"
#if defined(GPUKERN_MODEL)
#include "model/hopper.h"
#else
#include <cuda.h>

#include "hopper_wgmma.h"
#include "hopper_wgmma_k.h"
#include "tensor_map_encode.h"
#include "waits.h"
#include "waits_host.h"

namespace gpukern {

using TensorMap = CUtensorMap;

// Whether this pass of the compiler is one for sm_90a: behind it, code for other devices does not keep these words.
GPUKERN_D bool has_sm90a() {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  return true;
#else
  return false;
#endif
}

// ---- mbarrier: counts arrivals and bytes ------------------------------------------------------------------------

GPUKERN_D void mbarrier_init(uint32_t barrier, uint32_t count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory");
}
GPUKERN_D void mbarrier_inval(uint32_t barrier) {
  asm volatile("mbarrier.inval.shared::cta.b64 [%0];" ::"r"(barrier) : "memory");
}
GPUKERN_D void mbarrier_arrive(uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
GPUKERN_D void mbarrier_arrive_expect_tx(uint32_t barrier, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
GPUKERN_D void mbarrier_expect_tx(uint32_t barrier, uint32_t bytes) {
  asm volatile("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
// On a barrier of any block of the cluster, by its address from mapa.
GPUKERN_D void mbarrier_arrive_cluster(uint32_t barrier) {
  asm volatile("mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];" ::"r"(barrier) : "memory");
}
// Whether the phase of that parity is complete; may wait a while for it.
GPUKERN_D bool mbarrier_try_wait_parity(uint32_t barrier, uint32_t parity) {
  uint32_t done;
  asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}"
               : "=r"(done)
               : "r"(barrier), "r"(parity)
               : "memory");
  return done;
}
// For ever, but for the first runs on a device (waits.h).
GPUKERN_D void mbarrier_wait_parity(uint32_t barrier, uint32_t parity) {
#ifdef GPUKERN_BOUNDED_WAITS
  waits::until([=] { return mbarrier_try_wait_parity(barrier, parity); }, waits::Word::mbarrier, barrier, parity);
#else
  while (!mbarrier_try_wait_parity(barrier, parity)) {
  }
#endif
}
// Makes initialised barriers known to the cluster and to the async proxy.
GPUKERN_D void fence_mbarrier_init() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
// What threads wrote becomes visible to copies and matrix units.
GPUKERN_D void fence_proxy_async() { asm volatile("fence.proxy.async;" ::: "memory"); }
GPUKERN_D void fence_proxy_async_shared() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// ---- clusters ---------------------------------------------------------------------------------------------------

GPUKERN_D uint32_t cluster_rank() {
  uint32_t rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
GPUKERN_D uint32_t cluster_size() {
  uint32_t size;
  asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
  return size;
}
GPUKERN_D void cluster_arrive() { asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory"); }
GPUKERN_D void cluster_arrive_relaxed() { asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory"); }
GPUKERN_D void cluster_wait() {
  GPUKERN_NOTE(waits::Word::cluster_barrier, 0, 0);
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}

// The address, in the cluster, of what lies at `address` in block `rank`.
GPUKERN_D uint32_t mapa(uint32_t address, uint32_t rank) {
  uint32_t mapped;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(mapped) : "r"(address), "r"(rank));
  return mapped;
}
template <class T> GPUKERN_D T load_cluster(uint32_t address) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8 || sizeof(T) == 16);
  uint32_t bits[sizeof(T) / 4];
  if constexpr (sizeof(T) == 4)
    asm volatile("ld.shared::cluster.u32 %0, [%1];" : "=r"(bits[0]) : "r"(address) : "memory");
  else if constexpr (sizeof(T) == 8)
    asm volatile("ld.shared::cluster.v2.u32 {%0, %1}, [%2];" : "=r"(bits[0]), "=r"(bits[1]) : "r"(address) : "memory");
  else
    asm volatile("ld.shared::cluster.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(bits[0]), "=r"(bits[1]), "=r"(bits[2]), "=r"(bits[3])
                 : "r"(address)
                 : "memory");
  T v;
  memcpy(&v, bits, sizeof v);
  return v;
}
template <class T> GPUKERN_D void store_cluster(uint32_t address, const std::type_identity_t<T>& v) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8 || sizeof(T) == 16);
  uint32_t bits[sizeof(T) / 4];
  memcpy(bits, &v, sizeof v);
  if constexpr (sizeof(T) == 4)
    asm volatile("st.shared::cluster.u32 [%0], %1;" ::"r"(address), "r"(bits[0]) : "memory");
  else if constexpr (sizeof(T) == 8)
    asm volatile("st.shared::cluster.v2.u32 [%0], {%1, %2};" ::"r"(address), "r"(bits[0]), "r"(bits[1]) : "memory");
  else
    asm volatile("st.shared::cluster.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(bits[0]), "r"(bits[1]),
                 "r"(bits[2]), "r"(bits[3])
                 : "memory");
}

// ---- TMA: boxes of tensors --------------------------------------------------------------------------------------

// Which data stay in L2: the encodings of createpolicy's plain policies.
constexpr uint64_t kEvictNormal = 0x1000000000000000, kEvictFirst = 0x12F0000000000000, kEvictLast = 0x14F0000000000000;

// One function a rank: N coordinates C of the box, and the operands that follow them, from %FIRST on.
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

// This thread's stores since the last commit are one group.
GPUKERN_D void bulk_commit_group() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
// Until at most N groups are under way; or, _read, are still reading shared memory.
template <int N> GPUKERN_D void bulk_wait_group() { asm volatile("cp.async.bulk.wait_group %0;" ::"n"(N) : "memory"); }
template <int N> GPUKERN_D void bulk_wait_group_read() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(N) : "memory");
}
GPUKERN_D void prefetch_tensormap(const TensorMap* map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

// ---- the threads themselves -------------------------------------------------------------------------------------

// A warpgroup takes or gives back registers, N a thread afterwards.
template <int N> GPUKERN_D void setmaxnreg_inc() { asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N)); }
template <int N> GPUKERN_D void setmaxnreg_dec() { asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N)); }

// True in one lane of the warp, and every time in the same.
GPUKERN_D bool elect_sync() {
  uint32_t elected;
  asm volatile("{\n.reg .pred p;\nelect.sync _|p, 0xffffffff;\nselp.u32 %0, 1, 0, p;\n}" : "=r"(elected));
  return elected;
}

// Until the kernels before this one have ended; and: the next kernel may start.
GPUKERN_D void griddepcontrol_wait() {
  GPUKERN_NOTE(waits::Word::earlier_kernels, 0, 0);
  asm volatile("griddepcontrol.wait;" ::: "memory");
}
GPUKERN_D void griddepcontrol_launch_dependents() { asm volatile("griddepcontrol.launch_dependents;" ::: "memory"); }

namespace platform {

// nullptr, or why there is no such map.
inline const char* encode_tensor_map(const TensorMapFields& f, TensorMap& map) {
  if (const char* problem = tensor_map_problem(f)) return problem;
  using Encode = CUresult (*)(CUtensorMap*, CUtensorMapDataType, cuuint32_t, void*, const cuuint64_t*,
                              const cuuint64_t*, const cuuint32_t*, const cuuint32_t*, CUtensorMapInterleave,
                              CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill);
  // Asked of the driver, so that nothing links to it.
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

// As launch(), with clusters of `cluster` blocks side by side.  overlaps: the kernel may start before the ones ahead of
// it in the stream have ended, and says griddepcontrol_wait before it touches what they read or write.
template <class... Parameters, class... Arguments>
int launch_clusters(void (*kernel)(Parameters...), int cluster, bool overlaps, dim3 grid, dim3 block, size_t shared,
                    Stream stream, Arguments... arguments) {
#if defined(GPUKERN_BOUNDED_WAITS)
  waits::arm();
  waits::remember(waits::name_of(reinterpret_cast<const void*>(kernel)), grid);
#endif
  if (const int error = allow_shared(reinterpret_cast<const void*>(kernel), shared)) return error;
  cudaLaunchAttribute attributes[2] = {};
  attributes[0].id = cudaLaunchAttributeClusterDimension;
  attributes[0].val.clusterDim.x = static_cast<unsigned>(cluster);
  attributes[0].val.clusterDim.y = attributes[0].val.clusterDim.z = 1;
  attributes[1].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[1].val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared;
  config.stream = static_cast<cudaStream_t>(stream);
  config.attrs = attributes;
  config.numAttrs = overlaps ? 2 : 1;
  return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}

}  // namespace platform
}  // namespace gpukern
#endif

namespace gpukern::platform {

// encode_tensor_map, which asks the driver, for maps that were not asked for of late.  A thread keeps its own.
inline const char* tensor_map(const TensorMapFields& f, TensorMap& map) {
  struct Entry {
    TensorMapFields fields;
    TensorMap map;
  };
  constexpr int entries = 64;
  thread_local const std::unique_ptr<Entry[]> known(new Entry[entries]);  // not in the thread's own little room
  uint64_t mix = reinterpret_cast<uint64_t>(f.address) >> 4;
  for (int d = 0; d < f.rank; ++d) mix = (mix ^ f.extent[d] ^ f.stride[d] << 16) * 0x9E3779B97F4A7C15 + f.box[d];
  Entry& entry = known[mix >> 58];
  if (!(entry.fields == f) || f.rank == 0) {
    entry.fields = {};  // of no map, if this one is refused
    if (const char* problem = encode_tensor_map(f, entry.map)) return problem;
    entry.fields = f;
  }
  map = entry.map;
  return nullptr;
}

}  // namespace gpukern::platform
