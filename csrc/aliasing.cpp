#include "aliasing.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace gpukern {
namespace {

using at::Tensor;

// The memory of a tensor, in bytes: [first, end) has all its elements.
struct Place {
  c10::StorageImpl* storage = nullptr;    // null: it has no memory
  uint64_t base = 0, first = 0, end = 0;  // of the storage; of the elements.  Without data (meta) base is 0

  explicit Place(const Tensor& t) {
    if (!t.defined() || t.layout() != c10::kStrided || !t.has_storage()) return;
    const c10::TensorImpl& impl = *t.unsafeGetTensorImpl();
    if (impl.has_symbolic_sizes_strides() || impl.numel() == 0) return;
    storage = impl.unsafe_storage().unsafeGetStorageImpl();
    base = reinterpret_cast<uint64_t>(storage->_mutable_data_ptr_no_checks().get());
    const auto sizes = impl.sizes(), strides = impl.strides();
    int64_t last = 0;  // strides are never negative
    for (size_t d = 0; d < sizes.size(); ++d) last += (sizes[d] - 1) * strides[d];
    first = base + uint64_t(impl.storage_offset()) * impl.itemsize();
    end = first + uint64_t(last + 1) * impl.itemsize();
  }
  bool same_memory(const Place& other) const {
    return storage && other.storage && (storage == other.storage || (base && other.base));
  }
};

// stride * x for an integer x in [low, high].
struct Term {
  int64_t stride, low, high;
};

// Whether terms of decreasing stride can add up to `target`.  For each term only few x leave a rest that the following
// terms can reach, because their strides are shorter; `budget` ends a search where this does not hold.
struct Search {
  std::array<Term, 130> terms;           // 64 dimensions of each tensor at most, and the bytes of an element
  std::array<int64_t, 131> lows, highs;  // least and greatest sum of the terms from an index on
  int count = 0, budget = 4096;

  void add(int64_t stride, int64_t low, int64_t high) {
    if (stride == 0 || (low == 0 && high == 0)) return;
    for (int k = 0; k < count; ++k)
      if (terms[k].stride == stride) {
        terms[k].low += low, terms[k].high += high;
        return;
      }
    if (count < static_cast<int>(terms.size())) terms[count++] = {stride, low, high};
  }
  bool run(int64_t target) {
    std::sort(terms.begin(), terms.begin() + count, [](const Term& x, const Term& y) { return x.stride > y.stride; });
    lows[count] = highs[count] = 0;
    for (int k = count - 1; k >= 0; --k) {
      lows[k] = lows[k + 1] + terms[k].stride * terms[k].low;
      highs[k] = highs[k + 1] + terms[k].stride * terms[k].high;
    }
    return from(0, target);
  }
  bool from(int k, int64_t target) {
    if (target < lows[k] || target > highs[k]) return false;
    if (k == count) return true;  // no terms are left, and the rest is 0
    if (--budget <= 0) return true;
    const auto& [stride, low, high] = terms[k];
    const int64_t begin = std::max(low, floor_div(target - highs[k + 1] + stride - 1, stride));
    const int64_t end = std::min(high, floor_div(target - lows[k + 1], stride));
    for (int64_t x = begin; x <= end; ++x)
      if (from(k + 1, target - stride * x)) return true;
    return false;
  }
  static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }
};

}  // namespace

bool may_overlap(const Tensor& a, const Tensor& b) {
  const Place x(a), y(b);
  if (!x.same_memory(y) || x.end <= y.first || y.end <= x.first) return false;
  const auto bytes_a = static_cast<int64_t>(a.itemsize()), bytes_b = static_cast<int64_t>(b.itemsize());
  Search search;
  for (int64_t d = 0; d < a.dim(); ++d) search.add(a.strides()[d] * bytes_a, 0, a.sizes()[d] - 1);
  for (int64_t d = 0; d < b.dim(); ++d) search.add(b.strides()[d] * bytes_b, 1 - b.sizes()[d], 0);
  search.add(1, 1 - bytes_b, bytes_a - 1);
  return search.run(static_cast<int64_t>(y.first) - static_cast<int64_t>(x.first));
}

bool coincide(const Tensor& a, const Tensor& b) {
  const Place x(a), y(b);
  if (!x.same_memory(y) || x.first != y.first || a.itemsize() != b.itemsize() || a.sizes() != b.sizes()) return false;
  for (int64_t d = 0; d < a.dim(); ++d)
    if (a.sizes()[d] > 1 && a.strides()[d] != b.strides()[d]) return false;
  return a.is_conj() == b.is_conj() && a.is_neg() == b.is_neg();
}

bool written_over(const Tensor& t, const Tensor& out, bool resized) {
  if (!resized) return may_overlap(t, out);
  const Place x(t);
  if (!x.storage || !out.defined() || out.layout() != c10::kStrided || !out.has_storage()) return false;
  c10::StorageImpl& whole = *out.unsafeGetTensorImpl()->unsafe_storage().unsafeGetStorageImpl();
  if (x.storage == &whole) return true;
  const auto base = reinterpret_cast<uint64_t>(whole._mutable_data_ptr_no_checks().get());
  return base && x.base && x.first < base + whole.nbytes() && base < x.end;
}

}  // namespace gpukern
