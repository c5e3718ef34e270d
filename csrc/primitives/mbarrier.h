// mbarrier, sm_90: a barrier in shared memory that counts arrivals and bytes.  Shared memory is named by 32-bit
// addresses (shared_address).
#pragma once
#if defined(GPUKERN_MODEL)
#include "../platform/model/mbarrier.h"
#else
#include "../platform/cuda/mbarrier.h"
#endif
