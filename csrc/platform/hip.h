// The primitives that every GPU has, for clang as a HIP compiler.  The same names as in cuda.h; waves have 64 lanes on
// CDNA.
#pragma once
#include <hip/hip_bf16.h>
#include <hip/hip_fp16.h>
#include <hip/hip_runtime.h>

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "device.h"

#define GPUKERN_HD __host__ __device__ __forceinline__
#define GPUKERN_D __device__ __forceinline__
#define GPUKERN_OUTLINE __device__ __noinline__
#define GPUKERN_OUTLINE_CUDA GPUKERN_D  // a call would spill the accumulators to the stack
#define GPUKERN_KERNEL __global__ void
#define GPUKERN_BOUNDS(...) __launch_bounds__(__VA_ARGS__)
#define GPUKERN_GRID_CONST
#define GPUKERN_SHARED(type, name, ...) __shared__ type name __VA_ARGS__

namespace gpukern {

using half_t = __half;
using bfloat16_t = __hip_bfloat16;

GPUKERN_HD float to_float(half_t x) { return __half2float(x); }
GPUKERN_HD float to_float(bfloat16_t x) { return __bfloat162float(x); }
template <class T> GPUKERN_HD T from_float(float x);
template <> GPUKERN_HD half_t from_float<half_t>(float x) { return __float2half(x); }
template <> GPUKERN_HD bfloat16_t from_float<bfloat16_t>(float x) { return __float2bfloat16(x); }

GPUKERN_D void syncthreads() { __syncthreads(); }
GPUKERN_D int warp_size() { return static_cast<int>(__builtin_amdgcn_wavefrontsize()); }
using LaneMask = uint64_t;
constexpr LaneMask kAllLanes = ~LaneMask{0};

// The lanes of a wave run in lockstep, so the mask has no effect.
GPUKERN_D void syncwarp(LaneMask = kAllLanes) { __builtin_amdgcn_wave_barrier(); }
GPUKERN_D int group_of(int width) { return width ? width : warp_size(); }
template <class T> GPUKERN_D T shfl(T v, int lane, int width = 0) { return __shfl(v, lane, group_of(width)); }
template <class T> GPUKERN_D T shfl_up(T v, int lanes, int width = 0) { return __shfl_up(v, lanes, group_of(width)); }
template <class T> GPUKERN_D T shfl_down(T v, int lanes, int width = 0) {
  return __shfl_down(v, lanes, group_of(width));
}
template <class T> GPUKERN_D T shfl_xor(T v, int lanes, int width = 0) { return __shfl_xor(v, lanes, group_of(width)); }
GPUKERN_D LaneMask ballot(bool yes) { return __ballot(yes); }
GPUKERN_D bool vote_any(bool yes) { return __any(yes); }
GPUKERN_D bool vote_all(bool yes) { return __all(yes); }

template <class T> GPUKERN_D T atomic_add(T* p, T v) { return atomicAdd(p, v); }
template <class T> GPUKERN_D T atomic_max(T* p, T v) { return atomicMax(p, v); }
template <class T> GPUKERN_D T atomic_min(T* p, T v) { return atomicMin(p, v); }
template <class T> GPUKERN_D T atomic_exchange(T* p, T v) { return atomicExch(p, v); }
template <class T> GPUKERN_D T atomic_cas(T* p, T expected, T v) { return atomicCAS(p, expected, v); }

GPUKERN_D char* shared_memory() {
  extern __shared__ __attribute__((aligned(1024))) char gpukern_shared[];
  return gpukern_shared;
}

// The parameter of a kernel that has one parameter.  clang loads a parameter completely at the start of the kernel, and
// keeps values for the epilogue in scalar registers that the mainloop needs.  Through its address it is loaded where it
// is used.
template <class T> GPUKERN_D const T& argument(const T&) {
  return *(const T*)__builtin_amdgcn_kernarg_segment_ptr();  // the cast from constant to generic memory has no C++ name
}

template <class T, int N> struct alignas(sizeof(T) * N) Packet {
  T v[N];
};
// 16 bytes as one vector: clang would split the copy of a struct, and merge part of it with another load.
using Vector16 = uint32_t __attribute__((ext_vector_type(4)));
template <class T, int N> GPUKERN_D Packet<T, N> load_packet(const Packet<T, N>* p) {
  if constexpr (sizeof(Packet<T, N>) == 16) {
    const Vector16 bits = *reinterpret_cast<const Vector16*>(p);
    Packet<T, N> packet;
    memcpy(&packet, &bits, 16);
    return packet;
  } else {
    return *p;
  }
}
template <class T, int N> GPUKERN_D Packet<T, N> load_packet_once(const Packet<T, N>* p) { return load_packet(p); }
template <class T, int N> GPUKERN_D void store_packet(Packet<T, N>* p, const Packet<T, N>& packet) {
  if constexpr (sizeof(Packet<T, N>) == 16) {
    Vector16 bits;
    memcpy(&bits, &packet, 16);
    *reinterpret_cast<Vector16*>(p) = bits;
  } else {
    *p = packet;
  }
}

namespace platform {

template <class... Parameters, class... Arguments>
int launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared, Stream stream, Arguments... arguments) {
  kernel<<<grid, block, shared, static_cast<hipStream_t>(stream)>>>(static_cast<Parameters>(arguments)...);
  return hipGetLastError();
}

}  // namespace platform
}  // namespace gpukern
