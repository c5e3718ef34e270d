// Loads and stores between memory of any type and stride and dense blocks of a compute type, for one vector capability;
// see host.h.
#include <ATen/cpu/vec/functional.h>
#include <ATen/cpu/vec/vec.h>
#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <cstring>
#include <type_traits>

#include "../formulas/op.h"
#include "host.h"

GPUKERN_ELEMENTWISE_BEGIN
namespace {

template <class T> constexpr bool is_half = std::is_same_v<T, c10::Half> || std::is_same_v<T, c10::BFloat16>;

template <class C, class T> C widen(T x) {
  if constexpr (is_half<T>) return static_cast<C>(static_cast<float>(x));
  else return static_cast<C>(x);
}
template <class T, class C> T narrow(C x) {
  if constexpr (is_half<T>) return static_cast<T>(static_cast<float>(x));
  else if constexpr (std::is_same_v<T, bool>) return x != C(0);
  else return static_cast<T>(x);
}

template <class C, class T> void load(void* block, const char* memory, int64_t stride, int64_t n) {
  C* const to = static_cast<C*>(block);
  if (stride == 0) {
    T x;
    std::memcpy(&x, memory, sizeof(T));
    const C c = widen<C>(x);
    for (int64_t i = 0; i < n; ++i) to[i] = c;
  } else if (stride == static_cast<int64_t>(sizeof(T))) {
    const T* const from = reinterpret_cast<const T*>(memory);
    int64_t i = 0;
    if constexpr (GPUKERN_HOST_REGISTERS && is_half<T> && std::is_same_v<C, float>) {
      using V = at::vec::Vectorized<T>;
      for (; i + V::size() <= n; i += V::size()) {
        const auto [low, high] = at::vec::convert_to_float<T>(V::loadu(from + i));
        low.store(to + i);
        high.store(to + i + V::size() / 2);
      }
    }
    for (; i < n; ++i) to[i] = widen<C>(from[i]);
  } else {
    for (int64_t i = 0; i < n; ++i) to[i] = widen<C>(*reinterpret_cast<const T*>(memory + i * stride));
  }
}

template <class C, class T> void store(char* memory, const void* block, int64_t stride, int64_t n) {
  const C* const from = static_cast<const C*>(block);
  if (stride == static_cast<int64_t>(sizeof(T))) {
    T* const to = reinterpret_cast<T*>(memory);
    int64_t i = 0;
    if constexpr (GPUKERN_HOST_REGISTERS && is_half<T> && std::is_same_v<C, float>) {
      using V = at::vec::Vectorized<T>;
      using F = at::vec::Vectorized<float>;
      for (; i + V::size() <= n; i += V::size())
        at::vec::convert_from_float<T>(F::loadu(from + i), F::loadu(from + i + V::size() / 2)).store(to + i);
    }
    for (; i < n; ++i) to[i] = narrow<T>(from[i]);
  } else {
    for (int64_t i = 0; i < n; ++i) *reinterpret_cast<T*>(memory + i * stride) = narrow<T>(from[i]);
  }
}

// In the order of DType.
template <class C, class... T> void fill(host::Stage& stage, int compute) {
  int d = 0;
  ((stage.load[compute][d] = &load<C, T>, stage.store[compute][d] = &store<C, T>, ++d), ...);
}

}  // namespace
GPUKERN_ELEMENTWISE_END

#define GPUKERN_STAGE__(capability) stage_##capability
#define GPUKERN_STAGE_(capability) GPUKERN_STAGE__(capability)
namespace gpukern::elementwise::host {
const Stage& GPUKERN_STAGE_(CPU_CAPABILITY)() {
  static const Stage table = [] {
    Stage s;
#define GPUKERN_TYPES c10::Half, c10::BFloat16, float, double, uint8_t, int8_t, int16_t, int32_t, int64_t, bool
    CPU_CAPABILITY::fill<float, GPUKERN_TYPES>(s, 0);
    CPU_CAPABILITY::fill<double, GPUKERN_TYPES>(s, 1);
    CPU_CAPABILITY::fill<int64_t, GPUKERN_TYPES>(s, 2);
#undef GPUKERN_TYPES
    return s;
  }();
  return table;
}
}  // namespace gpukern::elementwise::host
