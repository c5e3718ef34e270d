// wgmma, sm_90a: matrix products of a warpgroup, whose operands lie in shared memory (A in registers too).
#pragma once
#include "tensor_map.h"
#if defined(GPUKERN_MODEL)
#include "../platform/model/wgmma.h"
#else
#include "../platform/cuda/wgmma_16_bits.h"
#include "../platform/cuda/wgmma_along_k.h"
#endif
