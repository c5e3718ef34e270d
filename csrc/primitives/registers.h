// setmaxnreg, sm_90a: changes the number of registers per thread.
#pragma once
#if defined(GPUKERN_MODEL)
#include "../platform/model/registers.h"
#else
#include "../platform/cuda/registers.h"
#endif
