// Truncated sums as in tensor cores: all addends of a step, the accumulator among them, are aligned to the largest and
// truncated, and so is their sum.
//
// No manual says at which bit; it was measured (Fasi, Higham, Mikaitis and Pranesh 2021, "Numerical behavior of NVIDIA
// tensor cores"; Khattak and Mikaitis 2025, "Accurate models of NVIDIA tensor cores"; for float8 the DeepSeek-V3
// Technical Report, 3.3.2).  They align to the sum of the factors' exponents, which may be one less than the product's
// own exponent.  Here it is the product's, so that the model never keeps more bits than they do.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "types.h"

namespace gpukern::model {

// bits: kept below the leading bit of the largest addend.  block: the k that are added in one step.
struct Cut {
  int bits, block;
};
constexpr Cut kHopperCut16{25, 16}, kHopperCut32{25, 8};  // wgmma of 16 bits, of tf32
constexpr Cut kAmpereCut16{24, 8}, kAmpereCut32{24, 4};   // mma.sync of the same
constexpr Cut kCut8{13, 32};                              // float8 ("around 14 bits")

// One sum of one block, for values that the fast path below does not take: infinities, NaN and numbers near 0.
inline float cut_sum(Cut cut, const float* left, int step, const float* right, int width, float sum) {
  double largest = std::fabs(sum), total = 0;
  float plain = 0;
  for (int k = 0; k < cut.block; ++k) {
    const float term = left[k * step] * right[k * width];
    plain += term;
    largest = std::fmax(largest, std::fabs(double{left[k * step]} * right[k * width]));
  }
  plain += sum;
  if (!std::isfinite(plain)) return plain;
  if (largest == 0) return 0;
  const int unit = std::ilogb(largest) - cut.bits;  // 2^unit is the last bit that is kept
  for (int k = 0; k < cut.block; ++k) total += std::trunc(std::ldexp(double{left[k * step]} * right[k * width], -unit));
  total = std::ldexp(total + std::trunc(std::ldexp(double{sum}, -unit)), unit);
  const float nearest = static_cast<float>(total);
  return std::fabs(nearest) > std::fabs(total) ? std::nextafter(nearest, 0.0f) : nearest;
}

namespace cut {
// Vectors of numbers.  They are never function arguments: how those are passed depends on the target.
struct Four {
  static constexpr int width = 4;
  typedef float Floats __attribute__((vector_size(16)));
  typedef int32_t Ints __attribute__((vector_size(16)));
};
struct Eight {
  static constexpr int width = 8;
  typedef float Floats __attribute__((vector_size(32)));
  typedef int32_t Ints __attribute__((vector_size(32)));
};
constexpr int32_t kSignless = 0x7fffffff, kInfinity = 0x7f800000;
#define GPUKERN_INLINE inline __attribute__((always_inline))

// Eight sums of one block, as one vector or as two independent ones of four.  Addends are integer multiples of the
// unit, below 2^(bits + 1) each, so 32 bits suffice.
template <class Vector, int Bits, int Block>
GPUKERN_INLINE void add_eight(const float* left, int step, const float* right, int width, float* sum) {
  static_assert((Block + 1) * (int64_t{2} << Bits) < int64_t{1} << 31);
  using Floats = typename Vector::Floats;
  using Ints = typename Vector::Ints;
  constexpr int each = Vector::width, parts = 8 / each;
  Floats before[parts], largest[parts], plain[parts], terms[Block][parts];
  for (int h = 0; h < parts; ++h) {
    std::memcpy(&before[h], sum + each * h, sizeof before[h]);
    plain[h] = before[h];
    largest[h] = (Floats)((Ints)before[h] & kSignless);
  }
#pragma GCC unroll 16
  for (int k = 0; k < Block; ++k)
    for (int h = 0; h < parts; ++h) {
      Floats factor;
      std::memcpy(&factor, right + k * width + each * h, sizeof factor);
      terms[k][h] = left[k * step] * factor;
      plain[h] += terms[k][h];
      const Floats size = (Floats)((Ints)terms[k][h] & kSignless);
      largest[h] = size > largest[h] ? size : largest[h];
    }
  Ints odd = {};
  for (int h = 0; h < parts; ++h) {
    const Ints largest_bits = (Ints)largest[h], plain_bits = (Ints)plain[h];
    odd |= ((plain_bits & kInfinity) == kInfinity) | (((largest_bits >> 23) <= Bits) & (largest_bits != 0));
  }
  int32_t any = 0;
  for (int i = 0; i < each; ++i) any |= odd[i];
  if (any != 0) {
    for (int c = 0; c < 8; ++c) sum[c] = cut_sum({Bits, Block}, left, step, right + c, width, sum[c]);
    return;
  }
  Floats unit[parts], many[parts];
  Ints total[parts];
  for (int h = 0; h < parts; ++h) {
    const Ints largest_bits = (Ints)largest[h], exponent = largest_bits >> 23, one = Ints{} + 1;
    const Ints scale = largest_bits != 0 ? exponent - Bits : one;  // if all addends are 0, any unit will do
    unit[h] = (Floats)(scale << 23), many[h] = (Floats)((254 - scale) << 23);
    total[h] = __builtin_convertvector(before[h] * many[h], Ints);
  }
#pragma GCC unroll 16
  for (int k = 0; k < Block; ++k)
    for (int h = 0; h < parts; ++h) total[h] += __builtin_convertvector(terms[k][h] * many[h], Ints);
  for (int h = 0; h < parts; ++h) {  // keep the leading 24 bits of the sum
    const Floats nearest = __builtin_convertvector(total[h], Floats);
    const Ints rounded = __builtin_convertvector(nearest, Ints);
    const Ints too_large = ((rounded ^ (rounded >> 31)) - (rounded >> 31)) >  // magnitudes
                           ((total[h] ^ (total[h] >> 31)) - (total[h] >> 31));
    const Floats after = (Floats)((Ints)nearest + too_large) * unit[h];
    std::memcpy(sum + each * h, &after, sizeof after);
  }
}

// One block after another; the inner loop goes over rows, which are independent.
template <class Vector, Cut How>
GPUKERN_INLINE void add(int m, int n, int k, const float* left, int row, int step, const float* right, float* sum) {
  for (int from = 0; from < k; from += How.block)
    for (int r = 0; r < m; ++r)
      for (int c = 0; c < n; c += 8)
        add_eight<Vector, How.bits, How.block>(left + r * row + from * step, step, right + from * n + c, n,
                                               sum + r * n + c);
}
#ifdef __x86_64__
template <Cut How>
__attribute__((target("avx2"))) void add_by_avx2(int m, int n, int k, const float* left, int row, int step,
                                                 const float* right, float* sum) {
  add<Eight, How>(m, n, k, left, row, step, right, sum);
}
#endif
#undef GPUKERN_INLINE
}  // namespace cut

// sum += left right, for m rows and n columns (a multiple of 8).  right and sum are row-major and dense; left has the
// element (r, k) at left[r * row + k * step].
template <Cut How>
void add_cut(int m, int n, int k, const float* left, int row, int step, const float* right, float* sum) {
#ifdef __x86_64__
  static const bool wide = __builtin_cpu_supports("avx2");
  if (wide) return cut::add_by_avx2<How>(m, n, k, left, row, step, right, sum);
#endif
  cut::add<cut::Four, How>(m, n, k, left, row, step, right, sum);
}

}  // namespace gpukern::model
