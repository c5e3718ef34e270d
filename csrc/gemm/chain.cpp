// multi_dot and chain_matmul: a chain of matrices in the order that takes the fewest multiplications.
#include <ATen/ops/chain_matmul.h>
#include <ATen/ops/linalg_multi_dot.h>
#include <torch/library.h>

#include "../without_data.h"
#include "family.h"
#include "shapes.h"

namespace gpukern::gemm {
namespace {

// Whether the chain multiplies: matrices, except that the first may be a row vector and the last a column vector.
bool is_chain(c10::ArrayRef<Tensor> all) {
  if (all.size() < 2 || !together(all)) return false;
  for (size_t i = 0; i < all.size(); ++i) {
    const bool end = i == 0 || i + 1 == all.size();
    if (all[i].dim() != 2 && !(end && all[i].dim() == 1)) return false;
    if (i && all[i - 1].sym_sizes().back() != all[i].sym_size(0)) return false;
  }
  return true;
}

struct Chain {
  std::vector<Tensor> matrices;
  std::vector<std::vector<size_t>> split;  // [i][j]: i..j is multiplied as (i..split) (split + 1..j)

  Tensor product(size_t i, size_t j) const {
    if (i == j) return matrices[i];
    const size_t k = split[i][j];
    return call::mm(product(i, k), product(k + 1, j));
  }
};

// Cormen, Leiserson, Rivest, Stein: Introduction to Algorithms, section 15.2.  If two orders cost the same, torch's is
// taken: three matrices from the left, more by the first split.
Chain ordered(std::vector<Tensor> matrices) {
  const size_t n = matrices.size();
  std::vector<int64_t> extent;  // matrix i is extent[i] x extent[i + 1]
  for (const Tensor& t : matrices) extent.push_back(t.sym_size(0).guard_int(__FILE__, __LINE__));
  extent.push_back(matrices.back().sym_size(1).guard_int(__FILE__, __LINE__));
  std::vector<std::vector<int64_t>> cost(n, std::vector<int64_t>(n, 0));
  Chain chain{std::move(matrices), std::vector<std::vector<size_t>>(n, std::vector<size_t>(n, 0))};
  for (size_t length = 1; length < n; ++length) {
    for (size_t i = 0; i + length < n; ++i) {
      const size_t j = i + length;
      for (size_t k = i; k < j; ++k) {
        const int64_t here = cost[i][k] + cost[k + 1][j] + extent[i] * extent[k + 1] * extent[j + 1];
        const bool better = here < cost[i][j] || (n == 3 && here == cost[i][j]);
        if (k == i || better) {
          cost[i][j] = here;
          chain.split[i][j] = k;
        }
      }
    }
  }
  return chain;
}

Tensor product_of_chain(c10::ArrayRef<Tensor> all) {
  std::vector<Tensor> matrices = all.vec();
  const bool row = matrices.front().dim() == 1, column = matrices.back().dim() == 1;
  if (row) matrices.front() = matrices.front().unsqueeze(0);
  if (column) matrices.back() = matrices.back().unsqueeze(1);
  Tensor out = ordered(std::move(matrices)).product(0, all.size() - 1);
  if (column) out = out.squeeze(1);
  return row ? out.squeeze(0) : out;
}

bool all_matrices(c10::ArrayRef<Tensor> all) {
  return std::all_of(all.begin(), all.end(), [](const Tensor& t) { return t.dim() == 2; });
}

void warn_of_chain_matmul() {
  TORCH_WARN_ONCE(
      "torch.chain_matmul is deprecated and will be removed in a future PyTorch release. Use torch.linalg.multi_dot "
      "instead, which accepts a list of two or more tensors rather than multiple parameters.");
}

}  // namespace

Tensor multi_dot(c10::ArrayRef<Tensor> tensors) {
  return is_chain(tensors) ? product_of_chain(tensors) : call_torch_of_list(at::linalg_multi_dot, tensors);
}
void multi_dot_out(c10::ArrayRef<Tensor> tensors, const Tensor& out) {
  if (is_chain(tensors) && writable(out, tensors)) return write(out, product_of_chain(tensors));
  write_torch_of_list([](Tensor theirs, at::TensorList all) { at::linalg_multi_dot_out(theirs, all); }, out, tensors);
}

Tensor chain_matmul(c10::ArrayRef<Tensor> matrices) {
  if (!is_chain(matrices) || !all_matrices(matrices)) return call_torch_of_list(at::chain_matmul, matrices);
  warn_of_chain_matmul();
  return product_of_chain(matrices);
}
void chain_matmul_out(c10::ArrayRef<Tensor> matrices, const Tensor& out) {
  if (is_chain(matrices) && all_matrices(matrices) && writable(out, matrices)) {
    warn_of_chain_matmul();
    return write(out, product_of_chain(matrices));
  }
  write_torch_of_list([](Tensor theirs, at::TensorList all) { at::chain_matmul_out(theirs, all); }, out, matrices);
}

}  // namespace gpukern::gemm
