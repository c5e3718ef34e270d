// The primitives that every GPU has, for the machine model (machine.h).  The same names as in cuda.h and hip.h.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "../device.h"
#include "machine.h"
#include "memory.h"
#include "types.h"

#define GPUKERN_HD inline
#define GPUKERN_D inline
#define GPUKERN_OUTLINE inline
#define GPUKERN_OUTLINE_CUDA inline
#define GPUKERN_KERNEL void
#define GPUKERN_BOUNDS(...)
#define GPUKERN_GRID_CONST

#define threadIdx (::gpukern::model::self().index)
#define blockIdx (::gpukern::model::self().block->index)
#define blockDim (::gpukern::model::block_dim())
#define gridDim (::gpukern::model::grid_dim())

// Default arguments that are evaluated where a primitive is called.
#define GPUKERN_SAID_AT const char *file = __builtin_FILE(), int line = __builtin_LINE()

// GPUKERN_SHARED(float, tile, [16][17]): a static variable of the block.
#define GPUKERN_SHARED(type, name, ...)  \
  typedef type name##_shape __VA_ARGS__; \
  name##_shape& name = ::gpukern::model::static_variable<name##_shape>([] {})

namespace gpukern {

using LaneMask = uint64_t;
constexpr LaneMask kAllLanes = ~LaneMask{0};

inline int warp_size() { return model::wave(); }
inline void syncthreads(GPUKERN_SAID_AT) { model::barrier(0, -1, true, GPUKERN_HERE("syncthreads")); }

namespace model {
inline LaneMask full_mask() { return wave() == 64 ? kAllLanes : (LaneMask{1} << wave()) - 1; }

// Every lane gets the value of lane `source`, or its own if that lane lies outside its group of `width`.
template <class T, class F> T shuffle(T value, int width, F source, Place at) {
  if (width == 0) width = wave();
  if (width < 1 || width > wave() || (width & (width - 1))) fail(at, "%d lanes are no group of a warp", width);
  const int lane = self().number % wave(), first = lane & -width;
  struct Lane {
    T mine, got;
    int from;
  } me{value, value, source(lane, first, width)};
  collective(full_mask(), &me, at, [](void* const* lanes) {
    for (int l = 0; l < wave(); ++l) {
      Lane& to = *static_cast<Lane*>(lanes[l]);
      if (to.from >= 0 && to.from < wave()) to.got = static_cast<const Lane*>(lanes[to.from])->mine;
    }
  });
  return me.got;
}

// The lanes with a true `yes`.
inline LaneMask vote(bool yes, Place at) {
  struct Lane {
    bool yes;
    LaneMask all;
  } me{yes, 0};
  collective(full_mask(), &me, at, [](void* const* lanes) {
    LaneMask all = 0;
    for (int l = 0; l < wave(); ++l) all |= LaneMask{static_cast<const Lane*>(lanes[l])->yes} << l;
    for (int l = 0; l < wave(); ++l) static_cast<Lane*>(lanes[l])->all = all;
  });
  return me.all;
}
}  // namespace model

inline void syncwarp(LaneMask mask = kAllLanes, GPUKERN_SAID_AT) {
  model::collective(mask & model::full_mask(), nullptr, GPUKERN_HERE("syncwarp"), [](void* const*) {}, true);
}
// width: lanes of a group, a power of 2 (0: the whole warp).  A source lane outside the caller's group gives the
// caller's own value.
template <class T> T shfl(T v, int lane, int width = 0, GPUKERN_SAID_AT) {
  return model::shuffle(
      v, width, [lane](int, int first, int group) { return first + (lane & (group - 1)); }, GPUKERN_HERE("shfl"));
}
template <class T> T shfl_up(T v, int lanes, int width = 0, GPUKERN_SAID_AT) {
  return model::shuffle(
      v, width, [lanes](int l, int first, int) { return l - lanes >= first ? l - lanes : l; }, GPUKERN_HERE("shfl_up"));
}
template <class T> T shfl_down(T v, int lanes, int width = 0, GPUKERN_SAID_AT) {
  return model::shuffle(
      v, width, [lanes](int l, int first, int group) { return l + lanes < first + group ? l + lanes : l; },
      GPUKERN_HERE("shfl_down"));
}
template <class T> T shfl_xor(T v, int lanes, int width = 0, GPUKERN_SAID_AT) {
  return model::shuffle(
      v, width, [lanes](int l, int first, int group) { return (l ^ lanes) < first + group ? l ^ lanes : l; },
      GPUKERN_HERE("shfl_xor"));
}
inline LaneMask ballot(bool yes, GPUKERN_SAID_AT) { return model::vote(yes, GPUKERN_HERE("ballot")); }
inline bool vote_any(bool yes, GPUKERN_SAID_AT) { return model::vote(yes, GPUKERN_HERE("vote_any")) != 0; }
inline bool vote_all(bool yes, GPUKERN_SAID_AT) {
  return model::vote(yes, GPUKERN_HERE("vote_all")) == model::full_mask();
}

namespace model {
enum class Atomic { add, max, min, exchange, cas };
// For int, unsigned, unsigned long long, float and double; returns the previous value.
template <class T> T atomic(Atomic op, T* p, T value, T compare, Place at);
}  // namespace model

// On shared or global memory; each returns the previous value.  They order no other access.
template <class T> T atomic_add(T* p, T v, GPUKERN_SAID_AT) {
  return model::atomic(model::Atomic::add, p, v, T(), GPUKERN_HERE("atomic_add"));
}
template <class T> T atomic_max(T* p, T v, GPUKERN_SAID_AT) {
  static_assert(std::is_integral_v<T>);
  return model::atomic(model::Atomic::max, p, v, T(), GPUKERN_HERE("atomic_max"));
}
template <class T> T atomic_min(T* p, T v, GPUKERN_SAID_AT) {
  static_assert(std::is_integral_v<T>);
  return model::atomic(model::Atomic::min, p, v, T(), GPUKERN_HERE("atomic_min"));
}
template <class T> T atomic_exchange(T* p, T v, GPUKERN_SAID_AT) {
  return model::atomic(model::Atomic::exchange, p, v, T(), GPUKERN_HERE("atomic_exchange"));
}
template <class T> T atomic_cas(T* p, T expected, T v, GPUKERN_SAID_AT) {
  static_assert(std::is_integral_v<T>);
  return model::atomic(model::Atomic::cas, p, v, expected, GPUKERN_HERE("atomic_cas"));
}

namespace model {
template <class Shape, class Unique> Shape& static_variable(Unique) {
  static const char here = 0;  // one per instantiation, like the variable
  return *static_cast<Shape*>(static_shared(&here, sizeof(Shape), alignof(Shape)));
}
}  // namespace model

inline char* shared_memory() { return model::self().block->shared; }
inline uint32_t shared_address(const void* p, GPUKERN_SAID_AT) {
  return model::shared_address(p, GPUKERN_HERE("shared_address"));
}

template <class T, int N> struct alignas(sizeof(T) * N) Packet {
  T v[N];
};

namespace model {
inline void check_alignment(const void* p, size_t bytes, Place at) {
  if (reinterpret_cast<uintptr_t>(p) % bytes)
    fail(at, "an access of %zu bytes at %p, which is not a multiple of that", bytes, p);
}
}  // namespace model

// Always inlined, so that messages have the line of the kernel.
#define GPUKERN_WORD inline __attribute__((always_inline))
template <class T, int N> GPUKERN_WORD Packet<T, N> load_packet(const Packet<T, N>* p, GPUKERN_SAID_AT) {
  model::check_alignment(p, sizeof *p, GPUKERN_HERE("load_packet"));
  Packet<T, N> packet;
  std::memcpy(&packet, static_cast<const void*>(p), sizeof packet);
  return packet;
}
template <class T, int N> GPUKERN_WORD Packet<T, N> load_packet_once(const Packet<T, N>* p, GPUKERN_SAID_AT) {
  return load_packet(p, file, line);
}
template <class T, int N> GPUKERN_WORD void store_packet(Packet<T, N>* p, const Packet<T, N>& packet, GPUKERN_SAID_AT) {
  model::check_alignment(p, sizeof *p, GPUKERN_HERE("store_packet"));
  std::memcpy(static_cast<void*>(p), &packet, sizeof packet);
}

namespace platform {

template <class... Parameters, class... Arguments>
int launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared, Stream, Arguments... arguments) {
  model::last_error() = model::run({reinterpret_cast<const void*>(kernel), grid, block, shared,
                                    [=] { kernel(static_cast<Parameters>(arguments)...); }});
  return model::last_error().empty() ? 0 : 1;
}

}  // namespace platform
}  // namespace gpukern
