// Clusters of blocks, sm_90: their barrier, and the shared memory of one block read and written by another.
#pragma once
#if defined(GPUKERN_MODEL)
#include "../platform/model/cluster.h"
#else
#include "../platform/cuda/cluster.h"
#endif
