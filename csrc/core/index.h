// Arithmetic of extents and indices.
#pragma once
#include <cstdint>

namespace gpukern {

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int min_of(int a, int b) { return a < b ? a : b; }

}  // namespace gpukern
