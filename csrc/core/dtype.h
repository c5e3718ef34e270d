// Element types as plain data: kernels, selection and tests use them without torch.
#pragma once
#include <cstdint>

namespace gpukern {

enum class DType : uint8_t {
  f16,
  bf16,
  f32,
  f64,
  u8,
  i8,
  i16,
  i32,
  i64,
  b8,
  c64,
  c128,
  e4m3,
  e5m2,
  e4m3fnuz,
  e5m2fnuz
};
constexpr int kDTypes = 16;

// Bytes of an element.
constexpr int bytes(DType t) {
  constexpr int table[kDTypes] = {2, 2, 4, 8, 1, 1, 2, 4, 8, 1, 8, 16, 1, 1, 1, 1};
  return table[static_cast<int>(t)];
}

// torch's names.
constexpr const char* name(DType t) {
  constexpr const char* table[kDTypes] = {"float16",       "bfloat16",    "float32",         "float64",
                                          "uint8",         "int8",        "int16",           "int32",
                                          "int64",         "bool",        "complex64",       "complex128",
                                          "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"};
  return table[static_cast<int>(t)];
}

// Sets of types, as bits.
constexpr unsigned bit(DType t) { return 1u << static_cast<int>(t); }
constexpr unsigned kFloating = bit(DType::f16) | bit(DType::bf16) | bit(DType::f32) | bit(DType::f64);
constexpr unsigned kIntegers = bit(DType::u8) | bit(DType::i8) | bit(DType::i16) | bit(DType::i32) | bit(DType::i64);
constexpr unsigned kComplex = bit(DType::c64) | bit(DType::c128);
constexpr unsigned kFloat8 = bit(DType::e4m3) | bit(DType::e5m2) | bit(DType::e4m3fnuz) | bit(DType::e5m2fnuz);

}  // namespace gpukern
