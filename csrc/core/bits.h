// The bits of a value as another type of the same size.
#pragma once
#include <cstring>

#include "../platform/gpu.h"

namespace gpukern {

template <class To, class From> GPUKERN_HD To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof(To));
  return to;
}

}  // namespace gpukern
