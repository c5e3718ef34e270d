// wgmma: products of matrices in shared memory by a warpgroup, asynchronously.
#pragma once
#include "../tensor_map.h"
#include "mbarrier.h"

namespace gpukern {
namespace model {

// What all lanes of a warpgroup say alike.
struct Product {
  bool half;  // 16-bit floats; else bfloat16
  int n;
  uint64_t a, b;  // matrix descriptors; `a` is not used where the lanes bring A in registers
  bool a_in_registers, a_mn_major, b_mn_major, accumulate;
  bool operator==(const Product&) const = default;
};
void wgmma(const Product& product, float* d, const uint32_t* a, Place at);
void wgmma_fence(Place at);
void wgmma_commit_group(Place at);
void wgmma_wait_group(int groups, Place at);

template <class T> constexpr bool is_half() {
  static_assert(std::is_same_v<T, half_t> || std::is_same_v<T, bfloat16_t>, "tf32, fp8 and s8 come with their rows");
  return std::is_same_v<T, half_t>;
}

}  // namespace model

// d (64 x N of a warpgroup) = a b, plus d where `accumulate`.  A thread's d[i] is row 16 w + l / 4 + 8 (i / 2 % 2),
// column 8 (i / 4) + 2 (l % 4) + i % 2, for warp w of the warpgroup and lane l.
template <class T, int N, Major A, Major B>
void wgmma(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate, GPUKERN_SAID_AT) {
  static_assert(N >= 8 && N <= 256 && N % 8 == 0);
  model::wgmma({model::is_half<T>(), N, a, b, false, A == Major::mn, B == Major::mn, accumulate}, d, nullptr,
               GPUKERN_HERE("wgmma"));
}
// A from registers: as in d, for columns 0..15: a[0] row l / 4, a[1] 8 rows further, a[2] and a[3] 8 columns further.
template <class T, int N, Major B>
void wgmma(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate, GPUKERN_SAID_AT) {
  static_assert(N >= 8 && N <= 256 && N % 8 == 0);
  model::wgmma({model::is_half<T>(), N, 0, b, true, false, B == Major::mn, accumulate}, d, a, GPUKERN_HERE("wgmma"));
}
// Before the first wgmma, and wherever threads have touched registers that the next one uses.
inline void wgmma_fence(GPUKERN_SAID_AT) { model::wgmma_fence(GPUKERN_HERE("wgmma_fence")); }
// Keeps the compiler from moving what threads do to these registers to the other side of what comes next.
template <int R> void wgmma_fence_operand(float (&)[R]) {}
inline void wgmma_commit_group(GPUKERN_SAID_AT) { model::wgmma_commit_group(GPUKERN_HERE("wgmma_commit_group")); }
// Until at most G groups are under way; only then may their registers and operands be touched.
template <int G> void wgmma_wait_group(GPUKERN_SAID_AT) {
  model::wgmma_wait_group(G, GPUKERN_HERE("wgmma_wait_group"));
}

}  // namespace gpukern
