// The formulas of a kernel: one, or all of a family with the same number of operands, selected by a number.
#pragma once
#include <type_traits>

#include "../platform/gpu.h"
#include "plan.h"

GPUKERN_ELEMENTWISE_BEGIN

// The inputs of a kernel that are conditions (always bool), as bits.
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

// The packet kernel that serves a variant in V: its own, one shared by several formulas, or none. Without one the
// kernel `any` serves it, whose loads of neighbouring elements coalesce too.
//
// Most of a kernel is address arithmetic, and the formula is the smaller part. So only values of floating types, which
// programs use most, have kernels of their own. Gradients and integers share kernels and select the formula once per
// packet. Second derivatives have no packet kernel, and double has them only for values of ops that torch has. Rare ops
// have none, and predicates neither: their result has another size than their operands.
enum class Packets : uint8_t { none, own, shared };
template <class Op, int Variant, class V> constexpr Packets packets_of() {
  if constexpr (!has_variant<Op>(Variant) || Variant > kMaxInputs || Op::spec.rare || Op::spec.predicate) {
    return Packets::none;
  } else {
    constexpr bool value = Variant == 0, whole = std::is_same_v<V, int64_t>;
    constexpr bool is_float = std::is_same_v<V, float>;
    constexpr bool there =
        is_float ? has_floats<Op>()
                 : value && (whole ? has_integers<Op>() : has_floats<Op>() && !(Op::spec.aten && !*Op::spec.aten));
    if (!there) return Packets::none;
    return (value && !whole) || Conditions<Kernel<Op, Variant>>::bits ? Packets::own : Packets::shared;
  }
}

// The formulas of a list with N operands in compute type V, numbered: all of them, or (Some) those that share a packet
// kernel.
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
      return std::is_same_v<V, int64_t> ? Variant == 0 && has_integers<Op>() : has_floats<Op>();
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

// Formula I of a list.
template <class L, class V, int N, bool Some, int I> struct Numbered {
  static constexpr Formula found = kFormulas<L, V, N, Some>.all[I];
  using type = Kernel<typename At<found.op, L>::type, found.variant>;
};

GPUKERN_ELEMENTWISE_END
