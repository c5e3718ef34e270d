// Named barriers: barriers of some warps of a block, by number; from sm_80 on.  `threads` is a multiple of 32.
#pragma once
#if defined(GPUKERN_MODEL)
#include "../platform/model/named_barrier.h"
#else
#include "../platform/cuda/named_barrier.h"
#endif
