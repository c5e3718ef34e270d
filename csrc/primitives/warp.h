// Reductions and matches over the lanes of a mask (int and unsigned; from sm_80 on), and the election of a leader lane
// (sm_90a).
#pragma once
#if defined(GPUKERN_MODEL)
#include "../platform/model/warp.h"
#else
#include "../platform/cuda/warp.h"
#endif
