// The model of ../../primitives/cp_async.h.
#pragma once
#include "words.h"

namespace gpukern {

namespace model {
void copy_async(uint32_t to, const void* from, int bytes, int valid, Place at);
void commit_copies(Place at);
void wait_for_copies(int still_under_way, Place at);
}  // namespace model

template <int Bytes> void cp_async(uint32_t to, const void* from, int valid = Bytes, GPUKERN_SAID_AT) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
  model::copy_async(to, from, Bytes, valid, GPUKERN_HERE("cp_async"));
}
inline void cp_async_commit(GPUKERN_SAID_AT) { model::commit_copies(GPUKERN_HERE("cp_async_commit")); }
template <int StillUnderWay> void cp_async_wait(GPUKERN_SAID_AT) {
  model::wait_for_copies(StillUnderWay, GPUKERN_HERE("cp_async_wait"));
}

}  // namespace gpukern
