// Programmatic dependent launch, sm_90: a kernel that starts while the one before it still runs.
#pragma once
#if defined(GPUKERN_MODEL)
#include "../platform/model/dependent_launch.h"
#else
#include "../platform/cuda/dependent_launch.h"
#endif
