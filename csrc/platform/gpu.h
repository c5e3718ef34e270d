// The words of device code.  This is the one place that knows which compiler reads a source: everything else is written
// in these words, and so goes through nvcc, clang as HIP and the plain host compiler unchanged.
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
// The parameter of a kernel, read where it is used: hip.h says why it needs a word.
template <class T> GPUKERN_D const T& argument(const T& parameter) { return parameter; }
}  // namespace gpukern
#endif
