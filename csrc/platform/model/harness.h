// Plain C functions for tests: launches under the model.  Every function returns "" or the fault, as text that is valid
// until the next call on the same thread.  A refusal before the launch begins with kRefused.
#pragma once
#include "../device.h"
#include "memory.h"

#define GPUKERN_EXPORT extern "C" __attribute__((visibility("default")))

namespace gpukern::model {
constexpr const char* kRefused = "refused: ";
inline const char* refused(const char* why) {
  last_error() = std::string(kRefused) + why;
  return last_error().c_str();
}
inline const char* answer(int error) {
  if (error == 0) return "";
  if (error < 0 || (error == platform::kNoKernel && last_error().empty())) return refused("it has no kernel for this");
  if (error == platform::kNoTensorMap && last_error().empty()) return refused("TMA takes no such operand");
  return last_error().c_str();
}
}  // namespace gpukern::model
