// Batch-invariant products on the CPU: a row of the result has the same bits whatever rows lie beside it.
//
// No BLAS promises that, however it is called: even with constant extents MKL sums the 16 rows of a small float64
// product in more than one order.  So this product adds every element in one order, that of k:
//
//     B, in panels of 2 vectors of columns             a panel, k by k, times 4 rows of A: 8 vectors of sums
//     +----+----+----+                                   a[0][k] *  b[k]  ->  sum[0]
//   k | p0 | p1 | p2 |   each panel lies in one piece    a[1][k] *  b[k]  ->  sum[1]
//     +----+----+----+                                   ..
//
// Rows are multiplied four at a time; missing ones are 0.  16-bit types are multiplied and summed in float32 and
// rounded once; integers are exact in any order, so a BLAS serves them.
//
// It is for reproducing results, not for speed: vectors of 16 bytes, which every processor has, where a BLAS takes 64.
#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>

#include "../../gpu_path.h"
#include "products.h"

namespace gpukern::gemm::host {
namespace {

constexpr int64_t kRows = 4, kVectors = 2;

template <class V> struct Lanes {
  static constexpr int64_t count = 16 / sizeof(V), columns = kVectors * count;
  typedef V Vector __attribute__((vector_size(16)));
};

// kRows rows of A, each k long, times a panel; the sums to rows of `columns`.
template <class V> void tile(const V* a, const V* panel, int64_t k, V* sums) {
  using L = Lanes<V>;
  using Vector = typename L::Vector;
  const auto* b = reinterpret_cast<const Vector*>(panel);
  Vector sum[kRows][kVectors] = {};
  for (int64_t i = 0; i < k; ++i, b += kVectors)
    for (int64_t r = 0; r < kRows; ++r)
      for (int64_t v = 0; v < kVectors; ++v) sum[r][v] += a[r * k + i] * b[v];
  for (int64_t r = 0; r < kRows; ++r)
    for (int64_t v = 0; v < kVectors; ++v)
      for (int64_t e = 0; e < L::count; ++e) sums[r * L::columns + v * L::count + e] = sum[r][v][e];
}

// The matrix in type V with its rows (or columns) filled up by zeros.
Tensor padded(const Tensor& t, int64_t rows, int64_t columns, at::ScalarType type) {
  Tensor all = at::zeros({rows, columns}, t.options().dtype(type));
  all.narrow(0, 0, t.sizes()[0]).narrow(1, 0, t.sizes()[1]).copy_(t);
  return all;
}

template <class V>
void matrix(const Args& x, const Tensor& a, const Tensor& b, const Tensor& c, const Tensor& out, at::ScalarType type) {
  constexpr int64_t columns = Lanes<V>::columns;
  const int64_t m = a.sizes()[0], k = a.sizes()[1], n = b.sizes()[1];
  const int64_t blocks = (m + kRows - 1) / kRows, panels = (n + columns - 1) / columns;
  const Tensor rows = padded(a, blocks * kRows, k, type);
  const Tensor packed = padded(b, k, panels * columns, type).view({k, panels, columns}).permute({1, 0, 2}).contiguous();
  const bool addend = x.c && !x.beta->equal(0);
  Tensor result = addend ? c.to(type).contiguous().clone() : at::zeros({m, n}, rows.options());
  const V alpha = x.c ? x.alpha->to<V>() : V(1), beta = addend ? x.beta->to<V>() : V(0);
  const V* const from = rows.const_data_ptr<V>();
  const V* const panel = packed.const_data_ptr<V>();
  V* const to = result.mutable_data_ptr<V>();
  at::parallel_for(0, panels, 1, [&](int64_t first, int64_t end) {
    V sums[kRows * columns];
    for (int64_t p = first; p < end; ++p)
      for (int64_t block = 0; block < blocks; ++block) {
        tile(from + block * kRows * k, panel + p * k * columns, k, sums);
        for (int64_t r = 0; r < kRows && block * kRows + r < m; ++r)
          for (int64_t e = 0; e < columns && p * columns + e < n; ++e) {
            V& d = to[(block * kRows + r) * n + p * columns + e];
            const V scaled = alpha * sums[r * columns + e];
            d = addend ? scaled + beta * d : scaled;
          }
      }
  });
  out.copy_(result);
}

// A BLAS serves complex numbers here, and keeps no such promise.
void refuse_complex(const Args& x) {
  TORCH_CHECK_NOT_IMPLEMENTED(!x.a.is_complex(), "gpukern.", op_name(x),
                              "(): batch_invariant=True needs one of gpukern's own kernels, but ATen's BLAS serves ",
                              x.a.scalar_type(), " on the CPU.");
}

}  // namespace

Tensor invariant(const Args& x, const Tensor* given) {
  if (!well_formed(x)) return product(x, given);  // torch's error
  refuse_complex(x);
  const Tensor out = given ? *given : gpu_path::empty_result(x);
  if (x.kind == Kind::mv || !at::isFloatingType(x.a.scalar_type()) || out.scalar_type() != x.a.scalar_type() ||
      !out.device().is_cpu())
    return product(x, &out);
  gpu_path::prepare(x, out);
  if (out.numel() == 0) return out;
  const Tensor c = x.c ? x.c->expand(out.sizes()) : Tensor();
  const auto one = [&](const Tensor& a, const Tensor& b, const Tensor& addend, const Tensor& d) {
    if (x.a.scalar_type() == at::kDouble) matrix<double>(x, a, b, addend, d, at::kDouble);
    else matrix<float>(x, a, b, addend, d, at::kFloat);
  };
  if (x.kind == Kind::mm) one(x.a, x.b, c, out);
  else
    for (int64_t i = 0; i < out.sizes()[0]; ++i)
      one(x.a.select(0, i), x.b.select(0, i), x.c ? c.select(0, i) : c, out.select(0, i));
  return out;
}

}  // namespace gpukern::gemm::host
