// The words of device code, executed by the model (machine.h).  The same words as cuda.h and hip.h.
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
#define GPUKERN_KERNEL void
#define GPUKERN_BOUNDS(threads)
#define GPUKERN_GRID_CONST

#define threadIdx (::gpukern::model::self().index)
#define blockIdx (::gpukern::model::self().block->index)
#define blockDim (::gpukern::model::block_dim())
#define gridDim (::gpukern::model::grid_dim())

// Default arguments that are evaluated where a word is said.
#define GPUKERN_SAID_AT const char *file = __builtin_FILE(), int line = __builtin_LINE()

namespace gpukern {

inline void syncthreads(GPUKERN_SAID_AT) { model::barrier(0, -1, true, GPUKERN_HERE("syncthreads")); }

namespace model {
inline uint64_t full_mask() { return wave() == 64 ? ~uint64_t{0} : (uint64_t{1} << wave()) - 1; }

// Every lane gets the value of the lane that `source` names; its own where there is none.
template <class T, class F> T shuffle(T value, F source, Place at) {
  struct Lane {
    T mine, got;
    int from;
  } lane{value, value, source(self().number % wave())};
  collective(full_mask(), &lane, at, [](void* const* lanes) {
    for (int l = 0; l < wave(); ++l) {
      Lane& to = *static_cast<Lane*>(lanes[l]);
      if (to.from >= 0 && to.from < wave()) to.got = static_cast<const Lane*>(lanes[to.from])->mine;
    }
  });
  return lane.got;
}
}  // namespace model

inline void syncwarp(GPUKERN_SAID_AT) {
  model::collective(model::full_mask(), nullptr, GPUKERN_HERE("syncwarp"), [](void* const*) {}, true);
}
template <class T> T shfl_xor(T v, int lanes, GPUKERN_SAID_AT) {
  return model::shuffle(v, [lanes](int lane) { return lane ^ lanes; }, GPUKERN_HERE("shfl_xor"));
}
template <class T> T shfl_down(T v, int lanes, GPUKERN_SAID_AT) {
  return model::shuffle(v, [lanes](int lane) { return lane + lanes; }, GPUKERN_HERE("shfl_down"));
}

inline char* shared_memory() { return model::self().block->shared; }
inline uint32_t shared_address(const void* p, GPUKERN_SAID_AT) {
  return model::shared_address(p, GPUKERN_HERE("shared_address"));
}

template <class T, int N> struct alignas(sizeof(T) * N) Packet {
  T v[N];
};

namespace model {
template <class P> void check_alignment(const P* p, Place at) {
  if (reinterpret_cast<uintptr_t>(p) % sizeof(P))
    fail(at, "an access of %zu bytes at %p, which is not a multiple of that", sizeof(P), static_cast<const void*>(p));
}
}  // namespace model

template <class T, int N> Packet<T, N> load_packet(const Packet<T, N>* p, GPUKERN_SAID_AT) {
  model::check_alignment(p, GPUKERN_HERE("load_packet"));
  Packet<T, N> packet;
  std::memcpy(&packet, static_cast<const void*>(p), sizeof packet);
  return packet;
}
template <class T, int N> Packet<T, N> load_packet_once(const Packet<T, N>* p, GPUKERN_SAID_AT) {
  return load_packet(p, file, line);
}
template <class T, int N> void store_packet(Packet<T, N>* p, const Packet<T, N>& packet, GPUKERN_SAID_AT) {
  model::check_alignment(p, GPUKERN_HERE("store_packet"));
  std::memcpy(static_cast<void*>(p), &packet, sizeof packet);
}

namespace platform {

template <class... Parameters, class... Arguments>
int launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared, Stream, Arguments... arguments) {
  model::last_error() = model::run(reinterpret_cast<const void*>(kernel), grid, block, shared,
                                   [&] { kernel(static_cast<Parameters>(arguments)...); });
  return model::last_error().empty() ? 0 : 1;
}

}  // namespace platform
}  // namespace gpukern
