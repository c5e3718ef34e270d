// The instructions of ../../primitives/named_barrier.h.
#pragma once
#include "../gpu.h"
#include "../waits.h"

namespace gpukern {

GPUKERN_D void barrier_sync(int id, int threads) {
  GPUKERN_NOTE(waits::Word::named_barrier, static_cast<uint32_t>(id), static_cast<uint32_t>(threads));
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
// Does not wait; threads that wait see this thread's earlier writes.
GPUKERN_D void barrier_arrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

}  // namespace gpukern
