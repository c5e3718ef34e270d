// Numbers beside tensors.  While a model is traced, a number may be symbolic: an int that varies from call to call.
#pragma once
#include <c10/core/Scalar.h>
#include <c10/core/ScalarType.h>
#include <c10/util/TypeCast.h>

#include <limits>

namespace gpukern {

// Whether `s` equals the number; a symbolic one is compared under a guard, which Scalar::equal refuses to do.
inline bool equals(const c10::Scalar& s, double number) {
  if (!s.isSymbolic()) return s.equal(number);
  if (s.isFloatingPoint()) return s.toSymFloat() == c10::SymFloat(number);
  const auto whole = static_cast<int64_t>(number);
  return static_cast<double>(whole) == number && s.toSymInt() == whole;
}

namespace detail {
template <class T> bool held(const c10::Scalar& s) {
  if (s.isFloatingPoint()) return !c10::overflows<T, double>(s.toDouble());
  if (s.type() == c10::kUInt64) return !c10::overflows<T, uint64_t>(s.toUInt64());
  return !c10::overflows<T, int64_t>(s.toLong(), /*strict_unsigned=*/true);
}
}  // namespace detail

// Whether `s` lies in the range of `type`.  If not, torch's ops raise or convert, each in its own way.  True for a
// symbolic number: the call that runs has its value.
inline bool holds(c10::ScalarType type, const c10::Scalar& s) {
  if (s.isSymbolic()) return true;
  if (c10::isComplexType(type)) {
    const c10::ScalarType part = c10::toRealValueType(type);
    if (!s.isComplex()) return holds(part, s);
    return holds(part, s.toComplexDouble().real()) && holds(part, s.toComplexDouble().imag());
  }
  if (s.isComplex()) return false;
  switch (type) {
    case c10::ScalarType::Half: return detail::held<c10::Half>(s);
    case c10::ScalarType::BFloat16: return detail::held<c10::BFloat16>(s);
    case c10::ScalarType::Float: return detail::held<float>(s);
    case c10::ScalarType::Double: return detail::held<double>(s);
    case c10::ScalarType::Byte: return detail::held<uint8_t>(s);
    case c10::ScalarType::Char: return detail::held<int8_t>(s);
    case c10::ScalarType::Short: return detail::held<int16_t>(s);
    case c10::ScalarType::Int: return detail::held<int32_t>(s);
    case c10::ScalarType::Long: return detail::held<int64_t>(s);
    case c10::ScalarType::UInt16: return detail::held<uint16_t>(s);
    case c10::ScalarType::UInt32: return detail::held<uint32_t>(s);
    case c10::ScalarType::UInt64: return detail::held<uint64_t>(s);
    default: return true;  // every number converts to bool
  }
}

// The value of the number after conversion to `type`: integers wrap, floating types become infinite.
inline c10::Scalar converted(const c10::Scalar& s, c10::ScalarType type) {
  if (holds(type, s) || s.isComplex()) return s;
  if (c10::isFloatingType(type)) {
    const double value = s.toDouble(), infinity = std::numeric_limits<double>::infinity();
    return type == c10::ScalarType::Double ? value : value < 0 ? -infinity : infinity;
  }
  const int64_t whole = s.type() == c10::kUInt64 ? static_cast<int64_t>(s.toUInt64()) : s.toLong();
  switch (type) {
    case c10::ScalarType::Byte: return static_cast<int64_t>(static_cast<uint8_t>(whole));
    case c10::ScalarType::Char: return static_cast<int64_t>(static_cast<int8_t>(whole));
    case c10::ScalarType::Short: return static_cast<int64_t>(static_cast<int16_t>(whole));
    case c10::ScalarType::Int: return static_cast<int64_t>(static_cast<int32_t>(whole));
    default: return whole;
  }
}

}  // namespace gpukern
