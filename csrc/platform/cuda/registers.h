// The instructions of ../../primitives/registers.h.
#pragma once
#include "../gpu.h"

namespace gpukern {

// A warpgroup takes or releases registers; afterwards it has N per thread.
template <int N> GPUKERN_D void setmaxnreg_inc() { asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N)); }
template <int N> GPUKERN_D void setmaxnreg_dec() { asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N)); }

}  // namespace gpukern
