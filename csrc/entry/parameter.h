// The parameter types of the library's ops, and their names in torch's argument parser.
#pragma once
#include <ATen/core/jit_type.h>
#include <c10/util/Exception.h>

#include <cstdint>

namespace gpukern::entry {

constexpr int kMaxParameters = 12;

enum class Parameter : uint8_t {
  tensor,
  optional_tensor,
  tensors,
  number,
  optional_number,
  whole,
  wholes,
  optional_wholes,
  dtype,
  flag,
  text,
  optional_text
};

inline Parameter parameter_of(const c10::TypePtr& type) {
  if (type->kind() == c10::TypeKind::ListType)
    return type->castRaw<c10::ListType>()->getElementType()->kind() == c10::TypeKind::TensorType ? Parameter::tensors
                                                                                                 : Parameter::wholes;
  if (type->kind() == c10::TypeKind::OptionalType) {
    switch (type->castRaw<c10::OptionalType>()->getElementType()->kind()) {
      case c10::TypeKind::TensorType: return Parameter::optional_tensor;
      case c10::TypeKind::NumberType: return Parameter::optional_number;
      case c10::TypeKind::ListType: return Parameter::optional_wholes;
      case c10::TypeKind::IntType: return Parameter::dtype;  // a schema's `ScalarType?` is an int to the dispatcher
      default: return Parameter::optional_text;
    }
  }
  switch (type->kind()) {
    case c10::TypeKind::TensorType: return Parameter::tensor;
    case c10::TypeKind::NumberType: return Parameter::number;
    case c10::TypeKind::IntType: return Parameter::whole;
    case c10::TypeKind::BoolType: return Parameter::flag;
    default: return Parameter::text;
  }
}

// In the notation of torch's PythonArgParser.
inline const char* parser_type(Parameter p) {
  switch (p) {
    case Parameter::tensor: return "Tensor";
    case Parameter::optional_tensor: return "Tensor?";
    case Parameter::tensors: return "TensorList";
    case Parameter::number: return "Scalar";
    case Parameter::optional_number: return "Scalar?";
    case Parameter::whole: return "int64_t";
    case Parameter::wholes: return "IntArrayRef";
    case Parameter::optional_wholes: return "IntArrayRef?";
    case Parameter::dtype: return "ScalarType?";
    case Parameter::flag: return "bool";
    case Parameter::text: return "c10::string_view";
    case Parameter::optional_text: return "c10::string_view?";
  }
  TORCH_INTERNAL_ASSERT(false, "gpukern: a parameter of an unknown type");
}

}  // namespace gpukern::entry
