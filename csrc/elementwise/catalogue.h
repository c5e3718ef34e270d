// The catalogue at run time: one entry per struct of ops/, in the order of the lists.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "../formulas/op.h"
#include "host.h"

namespace gpukern::elementwise {

struct Op {
  const Spec* spec;
  std::string key;        // "silu", or "gelu.tanh" where there is a choice
  int id, family, index;  // place in the catalogue, family, place in the family's list
  unsigned variants;      // bits of has_variant
  int saved;              // operands a gradient formula can read: the inputs, or 1 for the result
  unsigned saved_bits[kMaxInputs];

  bool has(int variant) const { return variants >> variant & 1; }
  bool saves_result() const { return spec->saves == Saves::result; }
};

inline bool has_inplace(const Spec& spec) { return spec.has_inplace && spec.condition == 0; }

constexpr int kMaxOps = 512;  // for tables that are filled without a lock; catalogue.cpp checks it

const std::vector<Op>& catalogue();
const char* family_name(int family);

// The op of a name and a choice; without a choice the first one; null if there is none.
const Op* find(std::string_view name, std::string_view choice = {});
const Op* find_key(std::string_view key);
// The choice with this name, given the first op of the public name; null if there is none.
const Op* choice_of(const Op& first, std::string_view choice);
// Names of the choices of an op, for a message: "none, relu, gelu".
std::string choices(std::string_view name);

namespace host {
// The loop of a variant for a compute type, for the vector capability that torch uses; null if there is none.
Loop loop(const Op& op, int variant, Compute compute);
// The loop of the value for operands that all have this type, null if there is none; a predicate's writes bool.
Loop typed_loop(const Op& op, DType type);
const Stage& stage();
const char* capability();  // "DEFAULT", "AVX2" or "AVX512"
}  // namespace host

}  // namespace gpukern::elementwise
