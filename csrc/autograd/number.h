// Factors that a tracer may keep open: an int that varies from call to call is a symbol while a model is traced.
#pragma once
#include <c10/core/Scalar.h>

namespace gpukern {

// Whether `s` is that number; a symbol is asked under a guard, where Scalar::equal refuses it.
inline bool equals(const c10::Scalar& s, double number) {
  if (!s.isSymbolic()) return s.equal(number);
  if (s.isFloatingPoint()) return s.toSymFloat() == c10::SymFloat(number);
  const auto whole = static_cast<int64_t>(number);
  return static_cast<double>(whole) == number && s.toSymInt() == whole;
}

}  // namespace gpukern
