// The model of ../../primitives/named_barrier.h.
#pragma once
#include "../waits.h"
#include "words.h"

namespace gpukern {

namespace model {
void named_barrier(int id, int threads, bool wait, Place at);
}  // namespace model

inline void barrier_sync(int id, int threads, GPUKERN_SAID_AT) {
  GPUKERN_NOTE(waits::Word::named_barrier, static_cast<uint32_t>(id), static_cast<uint32_t>(threads));
  model::named_barrier(id, threads, true, GPUKERN_HERE("barrier_sync"));
}
inline void barrier_arrive(int id, int threads, GPUKERN_SAID_AT) {
  model::named_barrier(id, threads, false, GPUKERN_HERE("barrier_arrive"));
}

}  // namespace gpukern
