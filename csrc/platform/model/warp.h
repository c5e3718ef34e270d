// The model of ../../primitives/warp.h.
#pragma once
#include "words.h"

namespace gpukern {

namespace model {
bool elect_sync(Place at);

// Reduces the values of the lanes of `mask` by `combine`, in the order of the lanes.
template <class T, class F> T reduce(T value, LaneMask mask, Place at, F combine) {
  T mine = value;
  mask &= full_mask();
  collective(mask, &mine, at, [mask, combine](void* const* lanes) {
    T all{};
    bool first = true;
    for (int l = 0; l < wave(); ++l) {
      if (!(mask >> l & 1)) continue;
      const T one = *static_cast<const T*>(lanes[l]);
      all = first ? one : combine(all, one);
      first = false;
    }
    for (int l = 0; l < wave(); ++l)
      if (mask >> l & 1) *static_cast<T*>(lanes[l]) = all;
  });
  return mine;
}
}  // namespace model

template <class T> T reduce_add(T v, LaneMask mask = kAllLanes, GPUKERN_SAID_AT) {
  static_assert(sizeof(T) == 4 && std::is_integral_v<T>);
  return model::reduce(v, mask, GPUKERN_HERE("reduce_add"),
                       [](T x, T y) { return static_cast<T>(static_cast<uint32_t>(x) + static_cast<uint32_t>(y)); });
}
template <class T> T reduce_min(T v, LaneMask mask = kAllLanes, GPUKERN_SAID_AT) {
  static_assert(sizeof(T) == 4 && std::is_integral_v<T>);
  return model::reduce(v, mask, GPUKERN_HERE("reduce_min"), [](T x, T y) { return y < x ? y : x; });
}
template <class T> T reduce_max(T v, LaneMask mask = kAllLanes, GPUKERN_SAID_AT) {
  static_assert(sizeof(T) == 4 && std::is_integral_v<T>);
  return model::reduce(v, mask, GPUKERN_HERE("reduce_max"), [](T x, T y) { return x < y ? y : x; });
}

// The lanes of the mask that have the caller's value.
template <class T> LaneMask match_any(T v, LaneMask mask = kAllLanes, GPUKERN_SAID_AT) {
  struct Lane {
    T value;
    LaneMask same;
  } me{v, 0};
  mask &= model::full_mask();
  model::collective(mask, &me, GPUKERN_HERE("match_any"), [mask](void* const* lanes) {
    for (int l = 0; l < model::wave(); ++l)
      for (int k = 0; k < model::wave(); ++k)
        if (mask >> l & mask >> k & 1 && static_cast<Lane*>(lanes[l])->value == static_cast<Lane*>(lanes[k])->value)
          static_cast<Lane*>(lanes[l])->same |= LaneMask{1} << k;
  });
  return me.same;
}

// True in one lane of the warp, and in the same lane every time.
inline bool elect_sync(GPUKERN_SAID_AT) { return model::elect_sync(GPUKERN_HERE("elect_sync")); }

}  // namespace gpukern
