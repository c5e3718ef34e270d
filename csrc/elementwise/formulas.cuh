// Which formulas a kernel has: one of its own, or all of a family that read as many operands, numbered.
#pragma once
#include <type_traits>

#include "../platform/gpu.h"
#include "plan.h"

GPUKERN_ELEMENTWISE_BEGIN

// Inputs of a kernel that are conditions, bool whatever the others are, as bits.
template <class K> struct Conditions {
  static constexpr unsigned bits = 0;
};
template <class Op> struct Conditions<Value<Op>> {
  static constexpr unsigned bits = Op::spec.condition;
};
template <class Op, int I> struct Conditions<Grad<Op, I>> {
  static constexpr unsigned find() {
    unsigned found = 0;
    int place = 1;  // g comes first
    for (int k = 0; k < Op::spec.inputs; ++k)
      if (Grad<Op, I>::bits >> k & 1) found |= (Op::spec.condition >> k & 1u) << place++;
    return found;
  }
  static constexpr unsigned bits = Op::spec.saves == Saves::result ? 0 : find();
};

template <class V> GPUKERN_HD V scalar_of(const Plan& p, int k) {
  if constexpr (std::is_same_v<V, int64_t>) return p.iscalar[k];
  else return static_cast<V>(p.scalar[k]);
}

// Whose kernel of packets serves a variant in V: its own, one of several formulas, or none, and `any` serves, whose
// reads of neighbours are runs too.
//
// A kernel is mostly addresses, and a formula the smaller part; so only values of floating types, which most programs
// mostly run, have kernels to themselves. Gradients and integers are chosen by number, once a packet. Second
// derivatives have no kernel of packets, and double has them only for values of ops that torch has.
enum class Packets : uint8_t { none, own, shared };
template <class Op, int Variant, class V> constexpr Packets packets_of() {
  if constexpr (!has_variant<Op>(Variant) || Variant > kMaxInputs) {
    return Packets::none;
  } else {
    constexpr bool value = Variant == 0, whole = std::is_same_v<V, int64_t>;
    constexpr bool there =
        std::is_same_v<V, float> || (value && (whole ? has_integers<Op>() : !(Op::spec.aten && !*Op::spec.aten)));
    if (!there) return Packets::none;
    return (value && !whole) || Conditions<Kernel<Op, Variant>>::bits ? Packets::own : Packets::shared;
  }
}

// The formulas of a list that read N operands and compute in V, numbered: all that there are, or (Some) those that
// share a kernel of packets.
struct Formula {
  int op, variant;
};
template <class L, class V, int N, bool Some> struct Formulas;
template <class... Ops, class V, int N, bool Some> struct Formulas<List<Ops...>, V, N, Some> {
  Formula all[sizeof...(Ops) * kVariants + 1] = {};
  int count = 0;

  template <class Op, int Variant> static constexpr bool has() {
    if constexpr (has_variant<Op>(Variant)) {
      if (Kernel<Op, Variant>::inputs != N) return false;
      if (Some) return packets_of<Op, Variant, V>() == Packets::shared;
      return !std::is_same_v<V, int64_t> || (Variant == 0 && has_integers<Op>());
    }
    return false;
  }
  template <class Op, int Variant> constexpr void add(int op) {
    if (has<Op, Variant>()) all[count++] = {op, Variant};
    if constexpr (Variant + 1 < kVariants) add<Op, Variant + 1>(op);
  }
  constexpr Formulas() {
    int op = 0;
    (add<Ops, 0>(op++), ...);
  }
  constexpr int find(int op, int variant) const {
    for (int i = 0; i < count; ++i)
      if (all[i].op == op && all[i].variant == variant) return i;
    return -1;
  }
};
template <class L, class V, int N, bool Some = false> inline constexpr Formulas<L, V, N, Some> kFormulas{};

template <int I, class L> struct At;
template <int I, class First, class... Rest> struct At<I, List<First, Rest...>> : At<I - 1, List<Rest...>> {};
template <class First, class... Rest> struct At<0, List<First, Rest...>> {
  using type = First;
};

// The kernel that formula I of a list is.
template <class L, class V, int N, bool Some, int I> struct Numbered {
  static constexpr Formula found = kFormulas<L, V, N, Some>.all[I];
  using type = Kernel<typename At<found.op, L>::type, found.variant>;
};

GPUKERN_ELEMENTWISE_END
