// The model of ../../primitives/registers.h.
#pragma once
#include "words.h"

namespace gpukern {

namespace model {
void setmaxnreg(int count, bool more, Place at);
}  // namespace model

// A warpgroup takes or releases registers; afterwards it has N per thread.
template <int N> void setmaxnreg_inc(GPUKERN_SAID_AT) { model::setmaxnreg(N, true, GPUKERN_HERE("setmaxnreg_inc")); }
template <int N> void setmaxnreg_dec(GPUKERN_SAID_AT) { model::setmaxnreg(N, false, GPUKERN_HERE("setmaxnreg_dec")); }

}  // namespace gpukern
