// wgmma: every width, both types, majors and swizzles of both operands, A from registers.
//
// The matrices are made of small integers by a formula, so that every sum is exact; a case's output is either what the
// threads hold or, where that would be much, a sum of it with weights that distinguish the registers.
#include <utility>

#include "hopper.h"

namespace gpukern::conformance {
namespace {

constexpr int kK = 16;
constexpr uint32_t kShared = 2 * 16384;

GPUKERN_D float a_element(int row, int k) { return static_cast<float>((row * 5 + k * 3 + 1) % 7 - 3); }
GPUKERN_D float b_element(int column, int k) { return static_cast<float>((column * 3 + k * 2 + 2) % 5 - 2); }

// An operand's layout, and its descriptor.
template <Major M, Swizzle S> struct Layout {
  static constexpr int kSpan = S == Swizzle::none ? 16 : static_cast<int>(S);
  static constexpr int kWide = kSpan / 2;  // elements of a span
  static constexpr bool kPlain = S == Swizzle::none;

  static GPUKERN_D uint32_t offset(int row, int k) {
    if constexpr (kPlain && M == Major::k) return row / 8 * 256 + k / 8 * 128 + row % 8 * 16 + k % 8 * 2;
    if constexpr (kPlain && M == Major::mn) return row / 8 * 256 + k / 8 * 128 + k % 8 * 16 + row % 8 * 2;
    if constexpr (M == Major::k) return swizzled(row * kSpan + k * 2, S);
    return swizzled(row / kWide * kK * kSpan + k * kSpan + row % kWide * 2, S);
  }
  static GPUKERN_D uint64_t descriptor(uint32_t address) {
    if constexpr (kPlain) return matrix_descriptor(address, 128, 256, S);
    if constexpr (M == Major::k) return matrix_descriptor(address, 16, 8 * kSpan, S);
    return matrix_descriptor(address, kK * kSpan, 8 * kSpan, S);
  }
};

template <class T, class A, class B> GPUKERN_D void place(int columns) {
  const int t = static_cast<int>(threadIdx.x);
  char* const shared = shared_memory();
  for (int i = t; i < 64 * kK; i += 128) {
    const T value = from_float<T>(a_element(i / kK, i % kK));
    memcpy(shared + A::offset(i / kK, i % kK), &value, 2);
  }
  for (int i = t; i < columns * kK; i += 128) {
    const T value = from_float<T>(b_element(i / kK, i % kK));
    memcpy(shared + 16384 + B::offset(i / kK, i % kK), &value, 2);
  }
  fence_proxy_async_shared();
  syncthreads();
}

template <int R> GPUKERN_D void sum_up(const float (&d)[R], uint32_t* output) {
  float sum = 0;
  for (int i = 0; i < R; ++i) sum += static_cast<float>(i % 16 + 1) * d[i];
  memcpy(output + threadIdx.x, &sum, 4);
}
template <int R> GPUKERN_D void all_of(const float (&d)[R], uint32_t* output) {
  for (int i = 0; i < R; ++i) memcpy(output + threadIdx.x * R + i, &d[i], 4);
}

template <class T, int N, Major MA, Major MB, Swizzle SA, Swizzle SB, bool All>
GPUKERN_KERNEL product_kernel(uint32_t* output) {
  using A = Layout<MA, SA>;
  using B = Layout<MB, SB>;
  if (!has_sm90a()) return;
  place<T, A, B>(N);
  const uint32_t shared = shared_address(shared_memory());
  float d[N / 2];
  for (float& x : d) x = 1e30f;  // scale-d 0: forgotten
  wgmma_fence();
  wgmma<T, N, MA, MB>(d, A::descriptor(shared), B::descriptor(shared + 16384), false);
  wgmma_commit_group();
  wgmma_wait_group<0>();
  if constexpr (All) all_of(d, output);
  else sum_up(d, output);
}

void add_named(std::string name, std::function<int(const Buffers&)> launch) {
  static std::vector<std::string> names;
  names.reserve(256);
  names.push_back(std::move(name));
  add({names.back().c_str(), std::move(launch)});
}

template <class T, int N, Major MA, Major MB, Swizzle SA, Swizzle SB, bool All> void add_product(std::string name) {
  add_named(std::move(name), [](const Buffers& b) {
    return platform::launch(&product_kernel<T, N, MA, MB, SA, SB, All>, dim3(1), dim3(128), kShared, nullptr, b.output);
  });
}

template <int... I> void add_widths(std::integer_sequence<int, I...>) {
  (add_product<bfloat16_t, 8 * (I + 1), Major::k, Major::k, Swizzle::none, Swizzle::none, false>(
       "wgmma_bf16_n" + std::to_string(8 * (I + 1))),
   ...);
  (add_product<half_t, 8 * (I + 1), Major::k, Major::k, Swizzle::bytes32, Swizzle::none, false>(
       "wgmma_f16_n" + std::to_string(8 * (I + 1))),
   ...);
}

template <Major MA, Major MB> void add_swizzles(const std::string& name) {
  add_product<bfloat16_t, 128, MA, MB, Swizzle::none, Swizzle::bytes128, false>(name + "_none_128");
  add_product<half_t, 128, MA, MB, Swizzle::bytes32, Swizzle::bytes64, false>(name + "_32_64");
  add_product<bfloat16_t, 128, MA, MB, Swizzle::bytes64, Swizzle::bytes32, false>(name + "_64_32");
  add_product<half_t, 128, MA, MB, Swizzle::bytes128, Swizzle::none, false>(name + "_128_none");
}

// A from registers, by the manual's figure.
template <class T, Major MB> GPUKERN_KERNEL registers_kernel(uint32_t* output) {
  using B = Layout<MB, Swizzle::bytes64>;
  if (!has_sm90a()) return;
  place<T, Layout<Major::k, Swizzle::none>, B>(32);
  const int t = static_cast<int>(threadIdx.x), lane = t % 32;
  uint32_t a[4];
  for (int i = 0; i < 4; ++i) {
    const int row = t / 32 * 16 + lane / 4 + i % 2 * 8, k = lane % 4 * 2 + i / 2 * 8;
    const T pair[2] = {from_float<T>(a_element(row, k)), from_float<T>(a_element(row, k + 1))};
    memcpy(&a[i], pair, 4);
  }
  float d[16];
  for (float& x : d) x = 3;
  wgmma_fence();
  wgmma<T, 32, MB>(d, a, B::descriptor(shared_address(shared_memory()) + 16384), true);
  wgmma_commit_group();
  wgmma_wait_group<0>();
  all_of(d, output);
}

// scale-d 1 adds, and groups end in the order in which they were committed.
GPUKERN_KERNEL accumulate_kernel(uint32_t* output) {
  using L = Layout<Major::k, Swizzle::bytes128>;
  if (!has_sm90a()) return;
  place<bfloat16_t, L, L>(16);
  const uint32_t shared = shared_address(shared_memory());
  float d[8], e[8];
  for (int i = 0; i < 8; ++i) {
    d[i] = 100;
    e[i] = 7;
  }
  wgmma_fence_operand(d);
  wgmma_fence();
  wgmma<bfloat16_t, 16, Major::k, Major::k>(d, L::descriptor(shared), L::descriptor(shared + 16384), true);
  wgmma<bfloat16_t, 16, Major::k, Major::k>(d, L::descriptor(shared), L::descriptor(shared + 16384), true);
  wgmma_commit_group();
  wgmma_fence_operand(e);
  wgmma_fence();  // for registers that no wgmma had yet
  wgmma<bfloat16_t, 16, Major::k, Major::k>(e, L::descriptor(shared), L::descriptor(shared + 16384), false);
  wgmma_commit_group();
  wgmma_wait_group<1>();
  all_of(d, output);
  wgmma_wait_group<0>();
  all_of(e, output + 1024);
}

const bool added = [] {
  add_widths(std::make_integer_sequence<int, 32>());
  add_swizzles<Major::k, Major::k>("wgmma_k_k");
  add_swizzles<Major::k, Major::mn>("wgmma_k_mn");
  add_swizzles<Major::mn, Major::k>("wgmma_mn_k");
  add_swizzles<Major::mn, Major::mn>("wgmma_mn_mn");
  add_product<bfloat16_t, 16, Major::k, Major::k, Swizzle::none, Swizzle::none, true>("wgmma_fragment");
  const auto alone = [](const char* name, auto kernel) {
    add_named(name, [=](const Buffers& b) {
      return platform::launch(kernel, dim3(1), dim3(128), kShared, nullptr, b.output);
    });
  };
  alone("wgmma_registers_bf16", &registers_kernel<bfloat16_t, Major::k>);
  alone("wgmma_registers_f16", &registers_kernel<half_t, Major::mn>);
  alone("wgmma_accumulate", &accumulate_kernel);
  return true;
}();

}  // namespace
}  // namespace gpukern::conformance
