// Reductions and matches over the lanes of a warp (int and unsigned, by the lanes of the mask; from sm_80 on), and a
// leader (sm_90a).
#pragma once
#if defined(GPUKERN_MODEL)
#include "../platform/model/warp.h"
#else
#include "../platform/cuda/warp.h"
#endif
