// wgmma of the types that lie along k only: every width of tf32 and int8, every pair of float8's formats, swizzles.
//
// As in hopper_wgmma.cu: small integers by a formula, so that every sum is exact, and a sum of what a thread holds.
#include <utility>

#include "hopper.h"

namespace gpukern::conformance {
namespace {

constexpr uint32_t kShared = 2 * 16384;
constexpr int kBytes = 32;  // of k

// Whether the elements are formats of floats in 8 bits, and 1, 2 and 3 in them.
template <class T> struct Coded {
  static constexpr int size = 1;
  static GPUKERN_D uint32_t of(int x) { return static_cast<uint8_t>(x); }
};
template <> struct Coded<tf32_t> {
  static constexpr int size = 4;
  static GPUKERN_D uint32_t of(int x) {
    const float value = static_cast<float>(x);
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits | 0x1abc;  // the lower 13 bits are not looked at
  }
};
GPUKERN_D uint32_t coded(int x, uint32_t one, uint32_t two, uint32_t three) {
  const int size = x < 0 ? -x : x;
  return (size == 0 ? 0 : size == 1 ? one : size == 2 ? two : three) | (x < 0 ? 0x80u : 0u);
}
template <> struct Coded<e4m3_t> {
  static constexpr int size = 1;
  static GPUKERN_D uint32_t of(int x) { return coded(x, 0x38, 0x40, 0x44); }
};
template <> struct Coded<e5m2_t> {
  static constexpr int size = 1;
  static GPUKERN_D uint32_t of(int x) { return coded(x, 0x3c, 0x40, 0x42); }
};

GPUKERN_D int a_element(int row, int k) { return (row * 5 + k * 3 + 1) % 7 - 3; }
GPUKERN_D int b_element(int column, int k) { return (column * 3 + k * 2 + 2) % 5 - 2; }

template <Swizzle S> GPUKERN_D uint32_t offset_of(int row, int byte) {
  constexpr int span = static_cast<int>(S);
  if constexpr (S == Swizzle::none) return row / 8 * 256 + byte / 16 * 128 + row % 8 * 16 + byte % 16;
  return swizzled(row * span + byte, S);
}
template <Swizzle S> GPUKERN_D uint64_t descriptor_of(uint32_t address) {
  if constexpr (S == Swizzle::none) return matrix_descriptor(address, 128, 256, S);
  return matrix_descriptor(address, 16, 8 * static_cast<int>(S), S);
}

template <class T, Swizzle S, class F> GPUKERN_D void place(char* to, int rows, F element) {
  constexpr int size = Coded<T>::size, deep = kBytes / size;
  for (int i = static_cast<int>(threadIdx.x); i < rows * deep; i += 128) {
    const uint32_t bits = Coded<T>::of(element(i / deep, i % deep));
    memcpy(to + offset_of<S>(i / deep, i % deep * size), &bits, size);
  }
}

GPUKERN_D float value_of(float x) { return x; }
GPUKERN_D float value_of(uint32_t x) { return static_cast<float>(static_cast<int32_t>(x)); }

// A B, three times: discarded, from zero, and added.
template <class A, class B, int N, Swizzle SA, Swizzle SB> GPUKERN_KERNEL product_kernel(uint32_t* output) {
  using Sum = std::conditional_t<std::is_same_v<A, int8_t>, uint32_t, float>;
  if (!has_sm90a()) return;
  place<A, SA>(shared_memory(), 64, [](int row, int k) { return a_element(row, k); });
  place<B, SB>(shared_memory() + 16384, N, [](int column, int k) { return b_element(column, k); });
  fence_proxy_async_shared();
  syncthreads();
  const uint64_t a = descriptor_of<SA>(shared_address(shared_memory()));
  const uint64_t b = descriptor_of<SB>(shared_address(shared_memory()) + 16384);
  Sum d[N / 2];
  for (Sum& x : d) x = static_cast<Sum>(12345);
  wgmma_fence_operand(d);
  wgmma_fence();
  wgmma<A, B, N>(d, a, b, false);
  wgmma<A, B, N>(d, a, b, true);
  wgmma_commit_group();
  wgmma_fence_operand(d);
  wgmma_wait_group<0>();
  wgmma_fence_operand(d);
  float sum = 0;
  for (int i = 0; i < N / 2; ++i) sum += static_cast<float>(i % 16 + 1) * value_of(d[i]);
  memcpy(output + threadIdx.x, &sum, 4);
}

template <class A, class B, int N, Swizzle SA = Swizzle::none, Swizzle SB = Swizzle::none>
void add_product(std::string name) {
  static std::vector<std::string> names;
  names.push_back(std::move(name));
  add({names.back().c_str(), [](const Buffers& b) {
         return platform::launch(&product_kernel<A, B, N, SA, SB>, dim3(1), dim3(128), kShared, nullptr, b.output);
       }});
}

template <class T, int First, int Step, int... I>
void add_widths(const std::string& name, std::integer_sequence<int, I...>) {
  (add_product<T, T, First + Step * I>(name + std::to_string(First + Step * I)), ...);
}
template <class A, class B> void add_pair(const std::string& name) {
  add_product<A, B, 16, Swizzle::bytes128, Swizzle::none>(name + "_16");
  add_product<A, B, 64, Swizzle::bytes64, Swizzle::bytes32>(name + "_64");
  add_product<A, B, 128, Swizzle::none, Swizzle::bytes128>(name + "_128");
  add_product<A, B, 256, Swizzle::bytes32, Swizzle::bytes64>(name + "_256");
}

const bool added = [] {
  add_widths<tf32_t, 8, 8>("wgmma_tf32_n", std::make_integer_sequence<int, 32>());
  add_widths<int8_t, 16, 16>("wgmma_s8_n", std::make_integer_sequence<int, 16>());
  add_widths<int8_t, 8, 16>("wgmma_s8_n", std::make_integer_sequence<int, 2>());
  add_pair<tf32_t, tf32_t>("wgmma_tf32");
  add_pair<int8_t, int8_t>("wgmma_s8");
  add_pair<e4m3_t, e4m3_t>("wgmma_e4m3_e4m3");
  add_pair<e4m3_t, e5m2_t>("wgmma_e4m3_e5m2");
  add_pair<e5m2_t, e4m3_t>("wgmma_e5m2_e4m3");
  add_pair<e5m2_t, e5m2_t>("wgmma_e5m2_e5m2");
  return true;
}();

}  // namespace
}  // namespace gpukern::conformance
