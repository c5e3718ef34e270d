// mbarrier, sm_90: a barrier in shared memory that counts arrivals and bytes.  Its argument is a 32-bit shared address
// (shared_address).
#pragma once
#if defined(GPUKERN_MODEL)
#include "../platform/model/mbarrier.h"
#else
#include "../platform/cuda/mbarrier.h"
#endif
