// What a test calls: launches under the model behind plain C functions.  Every function returns "" or what went wrong,
// as text that lives until the next call on the same thread.
#pragma once
#include "memory.h"

#define GPUKERN_EXPORT extern "C" __attribute__((visibility("default")))

namespace gpukern::model {
inline const char* answer(int error) {
  if (error == 0) return "";
  if (error < 0) return "a launcher was asked for what its table does not have";
  return last_error().empty() ? "a launcher refuses what it was given" : last_error().c_str();
}
}  // namespace gpukern::model
