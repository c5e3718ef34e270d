// The namespace of the elementwise formulas, and whether they run on SIMD registers.
//
// The CPU loops compile this folder once per vector capability, each copy in a namespace of its own.  Otherwise the
// linker would keep one copy of an inline function, possibly the AVX-512 one, for every processor.
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

// DEFAULT on x86 uses scalars, which the compiler vectorises where it can: ATen's vectors for it are plain arrays.
#if defined(CPU_CAPABILITY) && !(defined(CPU_CAPABILITY_DEFAULT) && defined(__x86_64__))
#define GPUKERN_HOST_REGISTERS 1
#else
#define GPUKERN_HOST_REGISTERS 0
#endif
