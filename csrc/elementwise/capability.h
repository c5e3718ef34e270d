// The namespace of the elementwise formulas, and whether they run on SIMD registers.
//
// The CPU loops compile this folder once a vector capability.  Each copy lives in a namespace of its own: the linker
// keeps one copy of an inline function, and a baseline processor must not end up in the AVX-512 one.
#pragma once

#ifdef CPU_CAPABILITY
#define GPUKERN_ELEMENTWISE_BEGIN  \
  namespace gpukern::elementwise { \
  inline namespace CPU_CAPABILITY {
#else
#define GPUKERN_ELEMENTWISE_BEGIN  \
  namespace gpukern::elementwise { \
  inline namespace common {
#endif
#define GPUKERN_ELEMENTWISE_END \
  }                             \
  }

// The baseline of x86 runs on scalars, which the compiler vectorises where it can: ATen's registers for it are arrays.
#if defined(CPU_CAPABILITY) && !(defined(CPU_CAPABILITY_DEFAULT) && defined(__x86_64__))
#define GPUKERN_HOST_REGISTERS 1
#else
#define GPUKERN_HOST_REGISTERS 0
#endif
