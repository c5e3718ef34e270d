// Shapes as torch writes them, symbolic ones included: what functions made of products reshape with.
#pragma once
#include <initializer_list>
#include <vector>

#include "product.h"

namespace gpukern::gemm {

using Shape = std::vector<c10::SymInt>;

inline Shape joined(c10::SymIntArrayRef batch, std::initializer_list<c10::SymInt> last) {
  Shape shape(batch.begin(), batch.end());
  shape.insert(shape.end(), last);
  return shape;
}

// Spelled out, not -1: reshape cannot deduce an extent beside one of 0.
inline c10::SymInt product_of(c10::SymIntArrayRef sizes) {
  c10::SymInt count = 1;
  for (const auto& n : sizes) count = count * n;
  return count;
}

// All but the last dimension as one.
inline Tensor rows_of(const Tensor& t) {
  const auto sizes = t.sym_sizes();
  const size_t last = sizes.size() - 1;
  return t.reshape_symint({product_of(sizes.slice(0, last)), sizes[last]});
}

}  // namespace gpukern::gemm
