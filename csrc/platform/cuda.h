// The primitives that every GPU has, for nvcc.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>
#include <set>
#include <type_traits>
#include <utility>

#include "device.h"

#define GPUKERN_HD __host__ __device__ __forceinline__
#define GPUKERN_D __device__ __forceinline__
#define GPUKERN_OUTLINE __device__ __noinline__
#define GPUKERN_OUTLINE_CUDA GPUKERN_OUTLINE
#define GPUKERN_KERNEL __global__ void
// GPUKERN_BOUNDS(threads[, blocks per SM])
#define GPUKERN_BOUNDS_(threads, blocks, ...) __launch_bounds__(threads, blocks)
#define GPUKERN_BOUNDS(...) GPUKERN_BOUNDS_(__VA_ARGS__, 1, )
#define GPUKERN_GRID_CONST __grid_constant__
// GPUKERN_SHARED(float, tile, [16][17]): a static variable of the block.
#define GPUKERN_SHARED(type, name, ...) __shared__ type name __VA_ARGS__

namespace gpukern {

using half_t = __half;
using bfloat16_t = __nv_bfloat16;

GPUKERN_HD float to_float(half_t x) { return __half2float(x); }
GPUKERN_HD float to_float(bfloat16_t x) { return __bfloat162float(x); }
template <class T> GPUKERN_HD T from_float(float x);
template <> GPUKERN_HD half_t from_float<half_t>(float x) { return __float2half_rn(x); }
template <> GPUKERN_HD bfloat16_t from_float<bfloat16_t>(float x) { return __float2bfloat16_rn(x); }

GPUKERN_D void syncthreads() { __syncthreads(); }
GPUKERN_D constexpr int warp_size() { return 32; }
using LaneMask = uint32_t;  // one bit per lane
constexpr LaneMask kAllLanes = ~LaneMask{0};

GPUKERN_D void syncwarp(LaneMask mask = kAllLanes) { __syncwarp(mask); }
// width: lanes of a group, a power of 2 (0: the whole warp).  A source lane outside the caller's group gives the
// caller's own value.
GPUKERN_D constexpr int group_of(int width) { return width ? width : 32; }
template <class T> GPUKERN_D T shfl(T v, int lane, int width = 0) {
  return __shfl_sync(kAllLanes, v, lane, group_of(width));
}
template <class T> GPUKERN_D T shfl_up(T v, int lanes, int width = 0) {
  return __shfl_up_sync(kAllLanes, v, lanes, group_of(width));
}
template <class T> GPUKERN_D T shfl_down(T v, int lanes, int width = 0) {
  return __shfl_down_sync(kAllLanes, v, lanes, group_of(width));
}
template <class T> GPUKERN_D T shfl_xor(T v, int lanes, int width = 0) {
  return __shfl_xor_sync(kAllLanes, v, lanes, group_of(width));
}
GPUKERN_D LaneMask ballot(bool yes) { return __ballot_sync(kAllLanes, yes); }
GPUKERN_D bool vote_any(bool yes) { return __any_sync(kAllLanes, yes); }
GPUKERN_D bool vote_all(bool yes) { return __all_sync(kAllLanes, yes); }

// On shared or global memory; each returns the previous value.  They order no other access.
template <class T> GPUKERN_D T atomic_add(T* p, T v) { return atomicAdd(p, v); }
template <class T> GPUKERN_D T atomic_max(T* p, T v) { return atomicMax(p, v); }
template <class T> GPUKERN_D T atomic_min(T* p, T v) { return atomicMin(p, v); }
template <class T> GPUKERN_D T atomic_exchange(T* p, T v) { return atomicExch(p, v); }
template <class T> GPUKERN_D T atomic_cas(T* p, T expected, T v) { return atomicCAS(p, expected, v); }

GPUKERN_D char* shared_memory() {
  extern __shared__ __align__(1024) char gpukern_shared[];
  return gpukern_shared;
}
// The 32-bit address of shared memory that asynchronous copies and matrix instructions take.
GPUKERN_D uint32_t shared_address(const void* p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }

// N elements that are loaded or stored with one access; the address is a multiple of the packet's size.
template <class T, int N> struct alignas(sizeof(T) * N) Packet {
  T v[N];
};

// A load that does not allocate in L1, of data that no kernel writes meanwhile and that this SM needs once.
GPUKERN_D uint4 load_streaming(const uint4* p) {
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(p));
  return v;
}
template <class T, int N> GPUKERN_D Packet<T, N> load_packet(const Packet<T, N>* p) { return *p; }
template <class T, int N> GPUKERN_D Packet<T, N> load_packet_once(const Packet<T, N>* p) {
  if constexpr (sizeof(Packet<T, N>) == 16) {
    const uint4 bits = load_streaming(reinterpret_cast<const uint4*>(p));
    Packet<T, N> packet;
    memcpy(&packet, &bits, 16);
    return packet;
  } else {
    return *p;
  }
}
template <class T, int N> GPUKERN_D void store_packet(Packet<T, N>* p, const Packet<T, N>& packet) { *p = packet; }

namespace platform {

// 0, or the runtime's error.  A kernel must opt into more than 48 KB of shared memory once per device; the size of a
// kernel never changes.
inline int allow_shared(const void* kernel, size_t bytes) {
  if (bytes <= 48 * 1024) return 0;
  int device = 0;
  if (const cudaError_t error = cudaGetDevice(&device)) return error;
  thread_local std::set<std::pair<const void*, int>> allowed;
  const std::pair<const void*, int> key(kernel, device);
  if (allowed.count(key)) return 0;
  const cudaError_t error =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
  if (error == cudaSuccess) allowed.insert(key);
  return error;
}

// 0, or the runtime's error.
template <class... Parameters, class... Arguments>
int launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared, Stream stream, Arguments... arguments) {
  if (const int error = allow_shared(reinterpret_cast<const void*>(kernel), shared)) return error;
  kernel<<<grid, block, shared, static_cast<cudaStream_t>(stream)>>>(static_cast<Parameters>(arguments)...);
  return cudaGetLastError();
}

}  // namespace platform
}  // namespace gpukern
