// Clusters of blocks, sm_90: their barrier, and accesses of one block to the shared memory of another.
#pragma once
#if defined(GPUKERN_MODEL)
#include "../platform/model/cluster.h"
#else
#include "../platform/cuda/cluster.h"
#endif
