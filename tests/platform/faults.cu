// Kernels with one fault each, and a sound one, for the inspection (test_inspection.py), which must distinguish them.
#include "platform/gpu.h"

namespace gpukern {

// An index that moves puts an array into memory: a stack frame.
GPUKERN_KERNEL stacked(float* out, int n) {
  float x[512];
  for (int i = 0; i < 512; ++i) x[i] = out[i];
  for (int i = 0; i < n; ++i) x[(i * 7 + n) % 512] += x[i % 512];
  out[threadIdx.x] = x[n % 512];
}

// More values at a time than a block of 1024 threads leaves registers for.
GPUKERN_KERNEL GPUKERN_BOUNDS(1024) spilled(volatile float* out, const volatile float* in) {
  float x[200];
#pragma unroll
  for (int i = 0; i < 200; ++i) x[i] = in[i * 1024 + threadIdx.x];
#pragma unroll
  for (int i = 0; i < 200; ++i) out[i * 1024 + threadIdx.x] = x[i] * x[(i + 100) % 200];
}

// Named as the elementwise kernels are, so that their promises apply to these.
namespace elementwise::common {
namespace blend {
struct Narrow;
struct Sound;
}  // namespace blend
template <class Op> struct Value;
template <class K> struct Own;
struct Plan {
  float *out, *in;
};
template <class K, class V, int Size> GPUKERN_KERNEL rows(const Plan p);

template <> GPUKERN_KERNEL rows<Own<Value<blend::Narrow>>, float, 4>(const Plan p) {
  p.out[threadIdx.x] = p.in[threadIdx.x];
}

template <> GPUKERN_KERNEL rows<Own<Value<blend::Sound>>, float, 4>(const Plan p) {
  const auto* in = reinterpret_cast<const Packet<float, 4>*>(p.in) + threadIdx.x;
  auto a = load_packet_once(in), b = load_packet(in + 1024);
  for (int i = 0; i < 4; ++i) a.v[i] += b.v[i];
  store_packet(reinterpret_cast<Packet<float, 4>*>(p.out) + threadIdx.x, a);
}
}  // namespace elementwise::common

}  // namespace gpukern
