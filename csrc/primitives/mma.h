// mma.sync, one instruction each: d += a b, a row-major and b column-major.  From sm_80 on; those marked sm_89 or sm_90
// need GPUKERN_SM89 or GPUKERN_SM90 (target.h).
#pragma once
#if defined(GPUKERN_MODEL)
#include "../platform/model/mma.h"
#else
#include "../platform/cuda/mma.h"
#endif
