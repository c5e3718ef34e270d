// The target of this compiler pass, so that code can leave out instructions that the target lacks.
#pragma once
#include "gpu.h"

#if defined(GPUKERN_MODEL)
#define GPUKERN_SM89 1
#define GPUKERN_SM90 1
#else
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890
#define GPUKERN_SM89 1
#else
#define GPUKERN_SM89 0
#endif
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#define GPUKERN_SM90 1
#else
#define GPUKERN_SM90 0
#endif
#endif

namespace gpukern {

// Whether the target is sm_90a, whose primitives (TMA, wgmma ..) no other target has.
GPUKERN_D bool has_sm90a() {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL) || defined(GPUKERN_MODEL)
  return true;
#else
  return false;
#endif
}

}  // namespace gpukern
