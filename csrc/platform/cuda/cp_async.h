// The instructions of ../../primitives/cp_async.h.
#pragma once
#include "../gpu.h"

namespace gpukern {

// Copies `valid` bytes; the rest of Bytes becomes 0.
template <int Bytes> GPUKERN_D void cp_async(uint32_t to, const void* from, int valid = Bytes) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
  if constexpr (Bytes == 16)  // bypasses L1
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(valid) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(to), "l"(from), "n"(Bytes), "r"(valid)
                 : "memory");
}
GPUKERN_D void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most that many of the thread's groups are in flight.  The thread sees the copied data then, other
// threads after a barrier.
template <int StillUnderWay> GPUKERN_D void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(StillUnderWay) : "memory");
}

}  // namespace gpukern
