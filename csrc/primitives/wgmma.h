// wgmma, sm_90a: matrix products of a warpgroup with B in shared memory, and A in shared memory or registers.
#pragma once
#include "tensor_map.h"
#if defined(GPUKERN_MODEL)
#include "../platform/model/wgmma.h"
#else
#include "../platform/cuda/wgmma_16_bits.h"
#include "../platform/cuda/wgmma_along_k.h"
#endif
