// Which of the faults of primitive_faults.py is on: the planted texts test it at run time.
#pragma once
#include <type_traits>

extern "C" int gpukern_planted();

namespace gpukern {
constexpr bool planted(int fault) {
  if (std::is_constant_evaluated()) return false;
  return gpukern_planted() == fault;
}
}  // namespace gpukern
