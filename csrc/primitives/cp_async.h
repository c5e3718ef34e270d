// cp.async, from sm_80 on: asynchronous copies from global to shared memory.
#pragma once
#if defined(GPUKERN_MODEL)
#include "../platform/model/cp_async.h"
#else
#include "../platform/cuda/cp_async.h"
#endif
