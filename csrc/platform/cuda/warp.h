// The instructions of ../../primitives/warp.h.
#pragma once
#include "../gpu.h"

namespace gpukern {

template <class T> GPUKERN_D T reduce_add(T v, LaneMask mask = kAllLanes) { return __reduce_add_sync(mask, v); }
template <class T> GPUKERN_D T reduce_min(T v, LaneMask mask = kAllLanes) { return __reduce_min_sync(mask, v); }
template <class T> GPUKERN_D T reduce_max(T v, LaneMask mask = kAllLanes) { return __reduce_max_sync(mask, v); }
// The lanes of the mask that have the caller's value.
template <class T> GPUKERN_D LaneMask match_any(T v, LaneMask mask = kAllLanes) { return __match_any_sync(mask, v); }

// True in one lane of the warp, and in the same lane every time.
GPUKERN_D bool elect_sync() {
  uint32_t elected;
  asm volatile("{\n.reg .pred p;\nelect.sync _|p, 0xffffffff;\nselp.u32 %0, 1, 0, p;\n}" : "=r"(elected));
  return elected;
}

}  // namespace gpukern
