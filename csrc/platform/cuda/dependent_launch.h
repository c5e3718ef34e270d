// The instructions of ../../primitives/dependent_launch.h.
#pragma once
#include "../gpu.h"
#include "../waits.h"

namespace gpukern {

// Waits until the previous kernels have ended; and: allows the next kernel to start.
GPUKERN_D void griddepcontrol_wait() {
  GPUKERN_NOTE(waits::Word::earlier_kernels, 0, 0);
  asm volatile("griddepcontrol.wait;" ::: "memory");
}
GPUKERN_D void griddepcontrol_launch_dependents() { asm volatile("griddepcontrol.launch_dependents;" ::: "memory"); }

}  // namespace gpukern
