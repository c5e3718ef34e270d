// Programmatic dependent launch, sm_90: a kernel starts while the previous one still runs.
#pragma once
#if defined(GPUKERN_MODEL)
#include "../platform/model/dependent_launch.h"
#else
#include "../platform/cuda/dependent_launch.h"
#endif
