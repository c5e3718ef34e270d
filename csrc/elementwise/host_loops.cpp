// The CPU loops of one family (GPUKERN_FAMILY) for one vector capability (CPU_CAPABILITY); see host.h.
#include <ATen/cpu/vec/functional.h>
#include <ATen/cpu/vec/vec.h>
#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <tuple>
#include <type_traits>

#include "../formulas/capability.h"
#if GPUKERN_HOST_REGISTERS
#include "host_vector.h"  // before the formulas, which must see the functions for SIMD registers
#endif
#include "../formulas/op.h"
#include "host.h"

#define GPUKERN_STRING_(x) #x
#define GPUKERN_STRING(x) GPUKERN_STRING_(x)
// clang-format off
#define GPUKERN_PATH_(x) ../formulas/ops/x.h
// clang-format on
#define GPUKERN_PATH(x) GPUKERN_STRING(GPUKERN_PATH_(x))
#include GPUKERN_PATH(GPUKERN_FAMILY)

GPUKERN_ELEMENTWISE_BEGIN

#if GPUKERN_HOST_REGISTERS

template <class K, class T> void real_loop(void* out, const void* const* in, int64_t n, const void* scalars) {
  using V = Vec<T>;
  constexpr int64_t width = V::size();
  V s[K::scalars + 1];
  for (int k = 0; k < K::scalars; ++k) s[k] = V(static_cast<const T*>(scalars)[k]);
  T* const y = static_cast<T*>(out);
  const T* x[K::inputs];
  for (int k = 0; k < K::inputs; ++k) x[k] = static_cast<const T*>(in[k]);
  int64_t i = 0;
  for (; i + width <= n; i += width) {
    V v[K::inputs];
    for (int k = 0; k < K::inputs; ++k) v[k] = V::loadu(x[k] + i);
    K::run(static_cast<const V*>(v), static_cast<const V*>(s)).store(y + i);
  }
  if (i < n) {  // the tail uses the same instructions, so a result does not depend on the element's position
    V v[K::inputs];
    for (int k = 0; k < K::inputs; ++k) v[k] = V::loadu(x[k] + i, n - i);
    K::run(static_cast<const V*>(v), static_cast<const V*>(s)).store(y + i, n - i);
  }
}

#else

template <class K, class T> void real_loop(void* out, const void* const* in, int64_t n, const void* scalars) {
  T s[K::scalars + 1];
  for (int k = 0; k < K::scalars; ++k) s[k] = static_cast<const T*>(scalars)[k];
  T* const y = static_cast<T*>(out);
  for (int64_t i = 0; i < n; ++i) {
    T v[K::inputs];
    for (int k = 0; k < K::inputs; ++k) v[k] = static_cast<const T*>(in[k])[i];
    y[i] = K::run(static_cast<const T*>(v), static_cast<const T*>(s));
  }
}

#endif

// Integers and bool, read and written as they are and computed as int64_t: the compiler narrows the arithmetic where it
// can.  ivdep: the output may be one of the operands, but no iteration reads what another wrote.
template <class K, class T, class R>
void integer_loop(void* out, const void* const* in, int64_t n, const void* scalars) {
  int64_t s[K::scalars + 1];
  for (int k = 0; k < K::scalars; ++k) s[k] = static_cast<const int64_t*>(scalars)[k];
  R* const y = static_cast<R*>(out);
  const T* x[K::inputs];
  for (int k = 0; k < K::inputs; ++k) x[k] = static_cast<const T*>(in[k]);
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC ivdep
#endif
  for (int64_t i = 0; i < n; ++i) {
    int64_t v[K::inputs];
    for (int k = 0; k < K::inputs; ++k) v[k] = x[k][i];
    const int64_t result = K::run(static_cast<const int64_t*>(v), static_cast<const int64_t*>(s));
    if constexpr (std::is_same_v<R, bool>) y[i] = result != 0;
    else y[i] = static_cast<R>(result);
  }
}

#if GPUKERN_HOST_REGISTERS
// Two registers of float for one of a half type.
template <class K, class T> void half_loop(void* out, const void* const* in, int64_t n, const void* scalars) {
  using H = Vec<T>;
  using F = Vec<float>;
  constexpr int64_t width = H::size();
  F s[K::scalars + 1];
  for (int k = 0; k < K::scalars; ++k) s[k] = F(static_cast<const float*>(scalars)[k]);
  T* const y = static_cast<T*>(out);
  const T* x[K::inputs];
  for (int k = 0; k < K::inputs; ++k) x[k] = static_cast<const T*>(in[k]);
  for (int64_t i = 0; i < n; i += width) {
    const int64_t count = n - i < width ? n - i : width;
    F low[K::inputs], high[K::inputs];
    for (int k = 0; k < K::inputs; ++k) {
      const H both = count == width ? H::loadu(x[k] + i) : H::loadu(x[k] + i, count);
      std::tie(low[k], high[k]) = at::vec::convert_to_float<T>(both);
    }
    const F first = K::run(static_cast<const F*>(low), static_cast<const F*>(s));
    const F second = K::run(static_cast<const F*>(high), static_cast<const F*>(s));
    const H result = at::vec::convert_from_float<T>(first, second);
    if (count == width) result.store(y + i);
    else result.store(y + i, count);
  }
}
#endif

// The loop for operands of type T.
template <class Op, class T> host::Loop typed() {
  using K = Kernel<Op, 0>;
  [[maybe_unused]] constexpr bool half = std::is_same_v<T, c10::Half> || std::is_same_v<T, c10::BFloat16>;
  if constexpr (Op::spec.condition != 0) {
    return nullptr;  // operands of two types
  } else if constexpr (std::is_same_v<T, int64_t> && !Op::spec.predicate) {
    return nullptr;  // the dense loop is the one
  } else if constexpr (std::is_integral_v<T> && has_integers<Op>()) {
    return &integer_loop<K, T, std::conditional_t<Op::spec.predicate, bool, T>>;
#if GPUKERN_HOST_REGISTERS
  } else if constexpr (half && has_floats<Op>() && !Op::spec.predicate) {
    return &half_loop<K, T>;
#endif
  } else {
    return nullptr;
  }
}

template <class Op, int Variant> void fill(host::Loop* row) {
  if constexpr (has_variant<Op>(Variant)) {
    using K = Kernel<Op, Variant>;
    if constexpr (has_floats<Op>()) {
      row[Variant * host::kComputes + 0] = &real_loop<K, float>;
      row[Variant * host::kComputes + 1] = &real_loop<K, double>;
    }
    if constexpr (has_integers<Op>() && Variant == 0)
      row[Variant * host::kComputes + 2] = &integer_loop<K, int64_t, int64_t>;
  }
  if constexpr (Variant + 1 < kVariants) fill<Op, Variant + 1>(row);
}

// In the order of DType.
template <class Op, class... T> void fill_typed(host::Loop* row) {
  int type = 0;
  ((row[type++] = typed<Op, T>()), ...);
}

template <class... Ops> struct Table {
  host::Loop dense[sizeof...(Ops)][kVariants * host::kComputes] = {}, typed[sizeof...(Ops)][host::kStaged] = {};
  explicit Table(List<Ops...>) {
    int op = 0;
    ((fill<Ops, 0>(dense[op]),
      fill_typed<Ops, c10::Half, c10::BFloat16, float, double, uint8_t, int8_t, int16_t, int32_t, int64_t, bool>(
          typed[op++])),
     ...);
  }
};

GPUKERN_ELEMENTWISE_END

// loops_<family>_<capability>().
#define GPUKERN_LOOPS__(family, capability) loops_##family##_##capability
#define GPUKERN_LOOPS_(family, capability) GPUKERN_LOOPS__(family, capability)
namespace gpukern::elementwise::host {
Loops GPUKERN_LOOPS_(GPUKERN_FAMILY, CPU_CAPABILITY)() {
  static const CPU_CAPABILITY::Table table(CPU_CAPABILITY::GPUKERN_FAMILY::Ops{});
  return {table.dense[0], table.typed[0]};
}
}  // namespace gpukern::elementwise::host
