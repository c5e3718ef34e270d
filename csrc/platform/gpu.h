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
