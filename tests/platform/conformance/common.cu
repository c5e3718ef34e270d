// The primitives that every GPU has.
#include "harness.h"

namespace gpukern::conformance {
namespace {

GPUKERN_D int thread() { return static_cast<int>(threadIdx.x); }

// ---- warps: 64 threads; one output row a width ---------------------------------------------------------

GPUKERN_CASE(shfl, 1, 64, 0) {
  const int t = thread(), from = static_cast<int>(input[64 + t]);
  output[t] = shfl(input[t], from);
  for (int width = 2, k = 1; width <= 32; width *= 2, ++k) output[k * 64 + t] = shfl(input[t], from, width);
}

GPUKERN_CASE(shfl_up, 1, 64, 0) {
  const int t = thread();
  for (int lanes = 1, k = 0; lanes < 32; lanes += 5, ++k) {
    output[2 * k * 64 + t] = shfl_up(input[t], lanes);
    output[(2 * k + 1) * 64 + t] = shfl_up(input[t], lanes, 8);
  }
}

GPUKERN_CASE(shfl_down, 1, 64, 0) {
  const int t = thread();
  for (int lanes = 1, k = 0; lanes < 32; lanes += 5, ++k) {
    output[2 * k * 64 + t] = shfl_down(input[t], lanes);
    output[(2 * k + 1) * 64 + t] = shfl_down(input[t], lanes, 8);
  }
}

GPUKERN_CASE(shfl_xor, 1, 64, 0) {
  const int t = thread();
  for (int lanes = 1, k = 0; lanes < 32; lanes += 5, ++k) {
    output[2 * k * 64 + t] = shfl_xor(input[t], lanes);
    output[(2 * k + 1) * 64 + t] = shfl_xor(input[t], lanes, 8);
  }
}

// Values of 8 bytes.
GPUKERN_CASE(shfl_wide, 1, 64, 0) {
  const int t = thread();
  const unsigned long long v = input[2 * t] | static_cast<unsigned long long>(input[2 * t + 1]) << 32;
  const unsigned long long got = shfl_down(shfl_xor(v, 3), 2);
  output[2 * t] = static_cast<uint32_t>(got);
  output[2 * t + 1] = static_cast<uint32_t>(got >> 32);
}

// Which lanes' values have bit k.
GPUKERN_CASE(votes, 1, 64, 0) {
  const int t = thread();
  for (int k = 0; k < 8; ++k) {
    const bool yes = input[t] >> k & 1;
    const uint64_t lanes = ballot(yes);
    const bool some = vote_any(yes), every = vote_all(yes);
    output[(3 * k + 0) * 64 + t] = static_cast<uint32_t>(lanes);
    output[(3 * k + 1) * 64 + t] = static_cast<uint32_t>(lanes >> 32);
    output[(3 * k + 2) * 64 + t] = some + 2 * every;
  }
}

// Each warp reverses its values through shared memory.
GPUKERN_CASE(syncwarp, 1, 64, 256) {
  auto* const all = reinterpret_cast<uint32_t*>(shared_memory());
  const int t = thread();
  all[t] = input[t];
  syncwarp();
  output[t] = all[t ^ 31];
  syncwarp();
  all[t ^ 31] = input[t] + 1;
  syncwarp(kAllLanes);
  output[64 + t] = all[t];
}

// ---- blocks ----------------------------------------------------------------------------------------------

GPUKERN_CASE(syncthreads, 2, 96, 384) {
  auto* const all = reinterpret_cast<uint32_t*>(shared_memory());
  const int t = thread(), block = static_cast<int>(blockIdx.x);
  all[t] = input[block * 96 + t];
  syncthreads();
  output[block * 96 + t] = all[95 - t];
}

GPUKERN_CASE(static_shared, 1, 64, 256) {
  GPUKERN_SHARED(uint32_t, tile, [8][9]);
  GPUKERN_SHARED(uint32_t, sum, );
  auto* const all = reinterpret_cast<uint32_t*>(shared_memory());
  const int t = thread();
  tile[t / 8][t % 8] = input[t];
  all[t] = 3 * input[t];
  if (t == 0) sum = 0;
  syncthreads();
  atomic_add(&sum, tile[t % 8][t / 8]);
  output[t] = tile[t % 8][t / 8] + all[63 - t];
  syncthreads();
  output[64 + t] = sum;
}

// ---- atomics: on shared memory, then on global memory ----------------------------------------------------

// 128 threads of 2 blocks have one value each; `words`: of 4 bytes, in T.
template <class T> GPUKERN_D T value_of(const uint32_t* input, int i) {
  T value;
  memcpy(&value, input + i * (sizeof(T) / 4), sizeof(T));
  return value;
}

template <class T, class F>
GPUKERN_D void on_shared_and_global(const uint32_t* input, uint32_t* output, T start, F act) {
  auto* const shared = reinterpret_cast<T*>(shared_memory());
  auto* const global = reinterpret_cast<T*>(output);
  if (thread() == 0) *shared = start;
  syncthreads();
  const T value = value_of<T>(input, static_cast<int>(blockIdx.x) * 64 + thread());
  act(shared, value);
  act(global, value);
  syncthreads();
  if (thread() == 0) global[1 + blockIdx.x] = *shared;
}

GPUKERN_CASE(atomic_add_int, 2, 64, 16) {
  on_shared_and_global<int>(input, output, 0, [](int* p, int v) { atomic_add(p, v); });
}
GPUKERN_CASE(atomic_add_unsigned, 2, 64, 16) {
  on_shared_and_global<unsigned>(input, output, 0, [](unsigned* p, unsigned v) { atomic_add(p, v); });
}
GPUKERN_CASE(atomic_add_wide, 2, 64, 16) {
  using T = unsigned long long;
  on_shared_and_global<T>(input, output, 0, [](T* p, T v) { atomic_add(p, v); });
}
GPUKERN_CASE(atomic_add_float, 2, 64, 16) {
  on_shared_and_global<float>(input, output, 0, [](float* p, float v) { atomic_add(p, v); });
}
GPUKERN_CASE(atomic_add_double, 2, 64, 16) {
  on_shared_and_global<double>(input, output, 0, [](double* p, double v) { atomic_add(p, v); });
}
GPUKERN_CASE(atomic_max_int, 2, 64, 16) {
  on_shared_and_global<int>(input, output, -2147483647, [](int* p, int v) { atomic_max(p, v); });
}
GPUKERN_CASE(atomic_max_unsigned, 2, 64, 16) {
  on_shared_and_global<unsigned>(input, output, 0, [](unsigned* p, unsigned v) { atomic_max(p, v); });
}
GPUKERN_CASE(atomic_max_wide, 2, 64, 16) {
  using T = unsigned long long;
  on_shared_and_global<T>(input, output, 0, [](T* p, T v) { atomic_max(p, v); });
}
GPUKERN_CASE(atomic_min_int, 2, 64, 16) {
  on_shared_and_global<int>(input, output, 2147483647, [](int* p, int v) { atomic_min(p, v); });
}
// The bits of the values, or'ed by exchange of what was seen.
template <class T> GPUKERN_D void or_by_cas(T* p, T v) {
  T seen = 0;
  for (T now; (now = atomic_cas(p, seen, seen | v)) != seen;) seen = now;
}
GPUKERN_CASE(atomic_cas_int, 2, 64, 16) {
  on_shared_and_global<int>(input, output, 0, [](int* p, int v) { or_by_cas(p, v); });
}
GPUKERN_CASE(atomic_cas_unsigned, 2, 64, 16) {
  on_shared_and_global<unsigned>(input, output, 0, [](unsigned* p, unsigned v) { or_by_cas(p, v); });
}
GPUKERN_CASE(atomic_cas_wide, 2, 64, 16) {
  using T = unsigned long long;
  on_shared_and_global<T>(input, output, 0, [](T* p, T v) { or_by_cas(p, v); });
}
// What the threads find there, and what stays, are the start and all values, in some order.
GPUKERN_CASE(atomic_exchange_unsigned, 1, 64, 16) {
  auto* const place = reinterpret_cast<unsigned*>(shared_memory());
  if (thread() == 0) *place = input[64];
  syncthreads();
  atomic_add(&output[0], atomic_exchange(place, input[thread()]));
  syncthreads();
  if (thread() == 0) atomic_add(&output[0], *place);
}
// Tickets: every old value once.
GPUKERN_CASE(atomic_returns_old, 1, 64, 0) {
  const unsigned ticket = atomic_add(&output[64], 1u);
  output[ticket] = input[ticket];
}

// ---- packets ---------------------------------------------------------------------------------------------

template <class T, int N> GPUKERN_D void copy_packets(const uint32_t* input, uint32_t* output) {
  const auto* const from = reinterpret_cast<const Packet<T, N>*>(input);
  auto* const to = reinterpret_cast<Packet<T, N>*>(output);
  const int t = thread();
  Packet<T, N> packet = t % 2 ? load_packet(from + t) : load_packet_once(from + t);
  const T first = packet.v[0];
  packet.v[0] = packet.v[N - 1];
  packet.v[N - 1] = first;
  store_packet(to + t, packet);
}
GPUKERN_CASE(packets_16, 1, 32, 0) { copy_packets<uint32_t, 4>(input, output); }
GPUKERN_CASE(packets_8, 1, 32, 0) { copy_packets<uint16_t, 4>(input, output); }
GPUKERN_CASE(packets_4, 1, 32, 0) { copy_packets<uint8_t, 4>(input, output); }

// ---- conversions: patterns of 16 bits to float32, and patterns of 32 bits from it ------------------------

GPUKERN_CASE(to_float, 1, 64, 0) {
  for (int i = thread(); i < 512; i += 64) {
    half_t half;
    bfloat16_t brain;
    const uint16_t bits = static_cast<uint16_t>(input[i]);
    memcpy(&half, &bits, 2);
    memcpy(&brain, &bits, 2);
    const float a = to_float(half), b = to_float(brain);
    memcpy(output + 2 * i, &a, 4);
    memcpy(output + 2 * i + 1, &b, 4);
  }
}
GPUKERN_CASE(from_float, 1, 64, 0) {
  for (int i = thread(); i < 512; i += 64) {
    float x;
    memcpy(&x, input + i, 4);
    const half_t half = from_float<half_t>(x);
    const bfloat16_t brain = from_float<bfloat16_t>(x);
    uint16_t both[2];
    memcpy(both, &half, 2);
    memcpy(both + 1, &brain, 2);
    memcpy(output + i, both, 4);
  }
}

}  // namespace
}  // namespace gpukern::conformance
