// setmaxnreg, sm_90a: how many registers a thread has.
#pragma once
#if defined(GPUKERN_MODEL)
#include "../platform/model/registers.h"
#else
#include "../platform/cuda/registers.h"
#endif
