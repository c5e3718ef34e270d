// Programmatic dependent launch, sm_90: a kernel that starts while the one before it still runs.
#pragma once
#include "../platform/gpu.h"
#include "../platform/waits.h"
#if defined(GPUKERN_MODEL)
#include "../platform/model/dependent_launch.h"
#else
namespace gpukern {

// Until the kernels before this one have ended; and: the next kernel may start.
GPUKERN_D void griddepcontrol_wait() {
  GPUKERN_NOTE(waits::Word::earlier_kernels, 0, 0);
  asm volatile("griddepcontrol.wait;" ::: "memory");
}
GPUKERN_D void griddepcontrol_launch_dependents() { asm volatile("griddepcontrol.launch_dependents;" ::: "memory"); }

}  // namespace gpukern
#endif
