// wgmma: products of matrices in shared memory by a warpgroup, asynchronously.
#pragma once
#include "../../primitives/tensor_map.h"
#include "mbarrier.h"

namespace gpukern {
namespace model {

// The element type of an operand.
enum class Elements : uint8_t { f16, bf16, tf32, e4m3, e5m2, s8 };
constexpr int bytes_of(Elements k) { return k <= Elements::bf16 ? 2 : k == Elements::tf32 ? 4 : 1; }
template <class T> constexpr Elements kElements = Elements::s8;
template <> inline constexpr Elements kElements<half_t> = Elements::f16;
template <> inline constexpr Elements kElements<bfloat16_t> = Elements::bf16;
template <> inline constexpr Elements kElements<tf32_t> = Elements::tf32;
template <> inline constexpr Elements kElements<e4m3_t> = Elements::e4m3;
template <> inline constexpr Elements kElements<e5m2_t> = Elements::e5m2;

// The arguments that are equal in all lanes of a warpgroup.
struct Product {
  Elements kind_a, kind_b;
  int n;
  uint64_t a, b;  // matrix descriptors; `a` is not used if A is in registers
  bool a_in_registers, a_mn_major, b_mn_major, accumulate;
  bool operator==(const Product&) const = default;
};
// d: registers with floats or, for s8, 32-bit integers.
void wgmma(const Product& product, void* d, const uint32_t* a, Place at);
void wgmma_fence(Place at);
void wgmma_commit_group(Place at);
void wgmma_wait_group(int groups, Place at);

}  // namespace model

// PTX's imm-trans-a and imm-trans-b: 1 for an m- or n-major matrix.
template <Major M> constexpr bool kTransposed = static_cast<int>(M) == 1;

// d (64 x N of a warpgroup) = a b, plus d if `accumulate`.  A thread's d[i] is row 16 w + l / 4 + 8 (i / 2 % 2),
// column 8 (i / 4) + 2 (l % 4) + i % 2, for warp w of the warpgroup and lane l.
template <class T, int N, Major A, Major B>
void wgmma(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate, GPUKERN_SAID_AT) {
  static_assert(N >= 8 && N <= 256 && N % 8 == 0 && model::bytes_of(model::kElements<T>) == 2);
  model::wgmma({model::kElements<T>, model::kElements<T>, N, a, b, false, kTransposed<A>, kTransposed<B>, accumulate},
               d, nullptr, GPUKERN_HERE("wgmma"));
}
// The same for 32 bytes of k of tf32, float8 or int8; both operands are k-major.  d as above: floats, and for int8 the
// bits of 32-bit integers, which wrap.
template <class A, class B, int N, class Sum>
void wgmma(Sum (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate, GPUKERN_SAID_AT) {
  constexpr model::Elements left = model::kElements<A>, right = model::kElements<B>;
  constexpr bool whole = left == model::Elements::s8;
  static_assert(N >= 8 && N <= 256 && N % 8 == 0 && (!whole || N == 8 || N == 24 || N % 16 == 0));
  static_assert(bytes_of(left) != 2 && bytes_of(left) == bytes_of(right) && whole == (right == model::Elements::s8));
  static_assert(std::is_same_v<Sum, std::conditional_t<whole, uint32_t, float>>);
  model::wgmma({left, right, N, a, b, false, false, false, accumulate}, d, nullptr, GPUKERN_HERE("wgmma"));
}
// A in registers, laid out as d for columns 0..15: a[0] is row l / 4, a[1] 8 rows on, a[2] and a[3] 8 columns on.
template <class T, int N, Major B>
void wgmma(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate, GPUKERN_SAID_AT) {
  static_assert(N >= 8 && N <= 256 && N % 8 == 0 && model::bytes_of(model::kElements<T>) == 2);
  model::wgmma({model::kElements<T>, model::kElements<T>, N, 0, b, true, false, kTransposed<B>, accumulate}, d, a,
               GPUKERN_HERE("wgmma"));
}
// Required before the first wgmma, and whenever threads have touched registers that the next one uses.
inline void wgmma_fence(GPUKERN_SAID_AT) { model::wgmma_fence(GPUKERN_HERE("wgmma_fence")); }
// Keeps the compiler from moving accesses to these registers across this point.
template <class V, int R> void wgmma_fence_operand(V (&)[R]) {}
inline void wgmma_commit_group(GPUKERN_SAID_AT) { model::wgmma_commit_group(GPUKERN_HERE("wgmma_commit_group")); }
// Waits until at most G groups are in flight; the registers and operands of the others may then be touched.
template <int G> void wgmma_wait_group(GPUKERN_SAID_AT) {
  model::wgmma_wait_group(G, GPUKERN_HERE("wgmma_wait_group"));
}

}  // namespace gpukern
