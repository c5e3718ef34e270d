// The model of ../../primitives/dependent_launch.h.
#pragma once
#include "../waits.h"
#include "words.h"

namespace gpukern {

// Waits until the previous kernels have ended; and: allows the next kernel to start.
inline void griddepcontrol_wait(GPUKERN_SAID_AT) {
  GPUKERN_NOTE(waits::Word::earlier_kernels, 0, 0);
  model::wait_for_previous(GPUKERN_HERE("griddepcontrol_wait"));
}
inline void griddepcontrol_launch_dependents() { model::let_next_start(); }

}  // namespace gpukern
