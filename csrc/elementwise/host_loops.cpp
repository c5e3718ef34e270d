// The CPU loops of one family (GPUKERN_FAMILY) for one vector capability (CPU_CAPABILITY); see host.h.
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

#endif

template <class K, class T> void scalar_loop(void* out, const void* const* in, int64_t n, const void* scalars) {
  T s[K::scalars + 1];
  for (int k = 0; k < K::scalars; ++k) s[k] = static_cast<const T*>(scalars)[k];
  T* const y = static_cast<T*>(out);
  for (int64_t i = 0; i < n; ++i) {
    T v[K::inputs];
    for (int k = 0; k < K::inputs; ++k) v[k] = static_cast<const T*>(in[k])[i];
    y[i] = K::run(static_cast<const T*>(v), static_cast<const T*>(s));
  }
}

#if !GPUKERN_HOST_REGISTERS
template <class K, class T> void real_loop(void* out, const void* const* in, int64_t n, const void* scalars) {
  scalar_loop<K, T>(out, in, n, scalars);
}
#endif

template <class Op, int Variant> void fill(host::Loop* row) {
  if constexpr (has_variant<Op>(Variant)) {
    using K = Kernel<Op, Variant>;
    if constexpr (has_floats<Op>()) {
      row[Variant * host::kComputes + 0] = &real_loop<K, float>;
      row[Variant * host::kComputes + 1] = &real_loop<K, double>;
    }
    if constexpr (has_integers<Op>() && Variant == 0) row[Variant * host::kComputes + 2] = &scalar_loop<K, int64_t>;
  }
  if constexpr (Variant + 1 < kVariants) fill<Op, Variant + 1>(row);
}

template <class... Ops> struct Table {
  host::Loop loops[sizeof...(Ops)][kVariants * host::kComputes] = {};
  explicit Table(List<Ops...>) {
    int op = 0;
    (fill<Ops, 0>(loops[op++]), ...);
  }
};

GPUKERN_ELEMENTWISE_END

// loops_<family>_<capability>(): [op][variant][compute], null if there is none.
#define GPUKERN_LOOPS__(family, capability) loops_##family##_##capability
#define GPUKERN_LOOPS_(family, capability) GPUKERN_LOOPS__(family, capability)
namespace gpukern::elementwise::host {
const Loop* GPUKERN_LOOPS_(GPUKERN_FAMILY, CPU_CAPABILITY)() {
  static const CPU_CAPABILITY::Table table(CPU_CAPABILITY::GPUKERN_FAMILY::Ops{});
  return table.loops[0];
}
}  // namespace gpukern::elementwise::host
