// The primitives that every GPU has.  Only this header knows which compiler reads a source: all other code uses these
// primitives, so nvcc, clang (HIP) and the host compiler compile the same source.
#pragma once
#if defined(__CUDACC__)
#include "cuda.h"
#elif defined(__HIP__)
#include "hip.h"
#elif defined(GPUKERN_MODEL)
#include "model/words.h"
#else
// Host code that shares formulas with the kernels.
#define GPUKERN_HD inline __attribute__((always_inline))
#endif

#if (defined(__CUDACC__) || defined(GPUKERN_MODEL)) && !defined(__HIP__)
namespace gpukern {
// The parameter of a kernel, read where it is used; the reason is in hip.h.
template <class T> GPUKERN_D const T& argument(const T& parameter) { return parameter; }
}  // namespace gpukern
#endif
