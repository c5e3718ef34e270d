// torch's element types and ours, in one table.  For .cpp files.
#pragma once
#include <c10/core/ScalarType.h>

#include <array>
#include <optional>
#include <utility>

#include "dtype.h"

namespace gpukern {

inline constexpr std::pair<c10::ScalarType, DType> kScalarTypes[] = {
    {c10::ScalarType::Half, DType::f16},
    {c10::ScalarType::BFloat16, DType::bf16},
    {c10::ScalarType::Float, DType::f32},
    {c10::ScalarType::Double, DType::f64},
    {c10::ScalarType::Byte, DType::u8},
    {c10::ScalarType::Char, DType::i8},
    {c10::ScalarType::Short, DType::i16},
    {c10::ScalarType::Int, DType::i32},
    {c10::ScalarType::Long, DType::i64},
    {c10::ScalarType::Bool, DType::b8},
    {c10::ScalarType::ComplexFloat, DType::c64},
    {c10::ScalarType::ComplexDouble, DType::c128},
    {c10::ScalarType::Float8_e4m3fn, DType::e4m3},
    {c10::ScalarType::Float8_e5m2, DType::e5m2},
    {c10::ScalarType::Float8_e4m3fnuz, DType::e4m3fnuz},
    {c10::ScalarType::Float8_e5m2fnuz, DType::e5m2fnuz},
};

namespace detail {
constexpr int kNone = -1;
constexpr auto kByScalarType = [] {
  std::array<int8_t, static_cast<size_t>(c10::ScalarType::NumOptions) + 1> table{};
  table.fill(kNone);
  for (const auto& [theirs, ours] : kScalarTypes) table[static_cast<size_t>(theirs)] = static_cast<int8_t>(ours);
  return table;
}();
}  // namespace detail

// nullopt for a type that no kernel here has.
constexpr std::optional<DType> dtype_of(c10::ScalarType type) {
  const int8_t found = detail::kByScalarType[static_cast<size_t>(type)];
  return found == detail::kNone ? std::nullopt : std::optional(static_cast<DType>(found));
}

constexpr c10::ScalarType scalar_type_of(DType type) {
  for (const auto& [theirs, ours] : kScalarTypes)
    if (ours == type) return theirs;
  return c10::ScalarType::Undefined;
}

}  // namespace gpukern
