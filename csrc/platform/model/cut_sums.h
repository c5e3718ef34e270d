// Sums as tensor cores make them: all terms of a step, the sum so far among them, are aligned to the largest and cut,
// and so is what they add up to.
//
// How far, nobody's manual says; it was measured (Fasi, Higham, Mikaitis and Pranesh 2021, "Numerical behavior of
// NVIDIA tensor cores"; Khattak and Mikaitis 2025, "Accurate models of NVIDIA tensor cores"; for float8 the DeepSeek-V3
// Technical Report, 3.3.2).  Those align to the sum of the factors' exponents, which may be one less than the product's
// own; here it is the product's, so that the cut is never finer than theirs.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "types.h"

namespace gpukern::model {

// bits: of a term that are kept below the leading one of the largest.  block: of k, that are added in one step.
struct Cut {
  int bits, block;
};
constexpr Cut kHopperCut16{25, 16}, kHopperCut32{25, 8};  // wgmma of 16 bits, of tf32
constexpr Cut kAmpereCut16{24, 8}, kAmpereCut32{24, 4};   // mma.sync of the same
constexpr Cut kCut8{13, 32};                              // float8 ("around 14 bits")

// One sum of one block, for whatever the fast way below does not take: infinities, NaN and what is nearly 0.
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
  const int unit = std::ilogb(largest) - cut.bits;  // 2^unit is the least that is kept
  for (int k = 0; k < cut.block; ++k) total += std::trunc(std::ldexp(double{left[k * step]} * right[k * width], -unit));
  total = std::ldexp(total + std::trunc(std::ldexp(double{sum}, -unit)), unit);
  const float nearest = static_cast<float>(total);
  return std::fabs(nearest) > std::fabs(total) ? std::nextafter(nearest, 0.0f) : nearest;
}

namespace cut {
typedef float Four __attribute__((vector_size(16)));
typedef int32_t FourInts __attribute__((vector_size(16)));

inline Four load(const float* from) {
  Four v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
inline FourInts bits(Four v) { return reinterpret_cast<FourInts>(v); }
inline Four number(FourInts v) { return reinterpret_cast<Four>(v); }
inline FourInts magnitude(FourInts v) { return (v ^ (v >> 31)) - (v >> 31); }
inline bool any(FourInts mask) { return (mask[0] | mask[1] | mask[2] | mask[3]) != 0; }
constexpr int32_t kSignless = 0x7fffffff, kInfinity = 0x7f800000;

// Eight sums of one block, four by four, so that neither half waits for the other.  Terms are whole numbers of the
// unit, which 32 bits hold: less than 2^(bits + 1) each.
template <int Bits, int Block>
inline void add_eight(const float* left, int step, const float* right, int width, float* sum) {
  static_assert((Block + 1) * (int64_t{2} << Bits) < int64_t{1} << 31);
  Four before[2], largest[2], plain[2], terms[Block][2];
  for (int h = 0; h < 2; ++h) {
    before[h] = plain[h] = load(sum + 4 * h);
    largest[h] = number(bits(before[h]) & kSignless);
  }
#pragma GCC unroll 16
  for (int k = 0; k < Block; ++k)
    for (int h = 0; h < 2; ++h) {
      terms[k][h] = left[k * step] * load(right + k * width + 4 * h);
      plain[h] += terms[k][h];
      const Four size = number(bits(terms[k][h]) & kSignless);
      largest[h] = size > largest[h] ? size : largest[h];
    }
  FourInts odd = {};
  for (int h = 0; h < 2; ++h)
    odd |= ((bits(plain[h]) & kInfinity) == kInfinity) | (((bits(largest[h]) >> 23) <= Bits) & (bits(largest[h]) != 0));
  if (any(odd)) {
    for (int c = 0; c < 8; ++c) sum[c] = cut_sum({Bits, Block}, left, step, right + c, width, sum[c]);
    return;
  }
  Four unit[2], many[2];
  FourInts total[2];
  for (int h = 0; h < 2; ++h) {
    const FourInts exponent = bits(largest[h]) >> 23, one = FourInts{} + 1;
    const FourInts scale = bits(largest[h]) != 0 ? exponent - Bits : one;  // of nothing any unit will do
    unit[h] = number(scale << 23), many[h] = number((254 - scale) << 23);
    total[h] = __builtin_convertvector(before[h] * many[h], FourInts);
  }
#pragma GCC unroll 16
  for (int k = 0; k < Block; ++k)
    for (int h = 0; h < 2; ++h) total[h] += __builtin_convertvector(terms[k][h] * many[h], FourInts);
  for (int h = 0; h < 2; ++h) {  // of the sum the leading 24 bits
    const Four nearest = __builtin_convertvector(total[h], Four);
    const FourInts too_large = magnitude(__builtin_convertvector(nearest, FourInts)) > magnitude(total[h]);
    const Four after = number(bits(nearest) + too_large) * unit[h];
    std::memcpy(sum + 4 * h, &after, sizeof after);
  }
}
}  // namespace cut

// sum += left right, of one row and n columns (a multiple of 8): left[k * step], right[k * width + column].
template <Cut How>
inline void add_cut(int n, int k, const float* left, int step, const float* right, int width, float* sum) {
  for (int from = 0; from < k; from += How.block)
    for (int c = 0; c < n; c += 8)
      cut::add_eight<How.bits, How.block>(left + from * step, step, right + from * width + c, width, sum + c);
}

}  // namespace gpukern::model
