// float32 as the sum of bfloat16 numbers: which products of such terms a precision adds, and the layout of the terms,
// which a pass writes before the product (divide.cuh).  For every folder that multiplies them.
#pragma once
#include "refusals.h"

namespace gpukern::gemm::terms {

// ---- what is added ------------------------------------------------------------------------------

// x = hi + mid / 2^8 + lo / 2^16: term i of an operand is scaled by 2^(8 i), a product of terms i and j by 2^(8 (i+j)).
constexpr int kShift = 8;
struct Pair {
  uint8_t a, b;
  constexpr int order() const { return a + b; }
};
// From the smallest to the largest; bf16xN adds the last N.
constexpr Pair kPairs[9] = {{2, 2}, {2, 1}, {1, 2}, {1, 1}, {2, 0}, {0, 2}, {1, 0}, {0, 1}, {0, 0}};
// is_transposed: of the transposed product, whose sums are added in the same order.
constexpr Pair pair(int i, int products, bool is_transposed) {
  const Pair p = kPairs[9 - products + i];
  return is_transposed ? Pair{p.b, p.a} : p;
}
constexpr int terms_of(Precision p) { return p == Precision::bf16x3 ? 2 : 3; }
constexpr Reason kNoTerms =
    "this call does not ask for bfloat16 terms (precision=\"bf16x3\", \"bf16x6\" or \"bf16x9\")";

// ---- where the terms lie ------------------------------------------------------------------------

// The terms of one operand, [term][batch][line][pitch]: lines run along k if the operand does, else along its other
// dimension.  Lines are padded to 16 bytes.
struct TermLayout {
  bool along_k;
  int64_t batches, lines, length, pitch;
  constexpr int64_t matrix() const { return lines * pitch; }
  constexpr int64_t term() const { return batches * matrix(); }
};
constexpr TermLayout place_of(bool along_k, int64_t side, int64_t k, int64_t batch, int64_t batch_stride) {
  const int64_t length = along_k ? k : side;
  return {along_k, batch_stride == 0 ? 1 : batch, along_k ? side : k, length, ceil_div(length, 8) * 8};
}
constexpr TermLayout place_a(const Problem& p) { return place_of(a_lies_along_k(p), p.m, p.k, p.batch, p.a.batch); }
constexpr TermLayout place_b(const Problem& p) { return place_of(b_lies_along_k(p), p.n, p.k, p.batch, p.b.batch); }
// Bytes of both operands' terms, A's before B's.
constexpr int64_t workspace(const Problem& p) {
  return term_products(p.precision) ? 2 * terms_of(p.precision) * (place_a(p).term() + place_b(p).term()) : 0;
}
constexpr Reason refused_operands(const Problem& p) {
  return workspace(p) / 16 / 256 > kGridLimit
             ? "the operands are too large to be split into bfloat16 terms in one launch"
             : nullptr;
}
// Modelled cycles of the pass that divides an operand: 4 bytes loaded and 2 stored for each term, at 46 bytes a cycle
// and SM.
constexpr double division_cost(const Problem& p, double sms) { return 3.0 * double(workspace(p)) / (46 * sms); }

}  // namespace gpukern::gemm::terms
