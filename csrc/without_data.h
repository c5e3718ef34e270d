// Calls of torch's own ops on tensors without data: meta tensors, and fake CPU tensors.
//
// torch refuses some types and numbers only in its kernels, which such tensors do not reach.  So the op is also called
// with stand-ins: CPU tensors of the same types with an element or two, for which the kernel raises the same error.
#pragma once
#include <ATen/core/Tensor.h>
#include <ATen/ops/as_strided.h>
#include <ATen/ops/ones.h>
#include <c10/core/GradMode.h>
#include <c10/core/impl/TorchDispatchModeTLS.h>

#include <algorithm>
#include <iterator>
#include <numeric>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace gpukern {

// Switches off the modes of tracers and users in its scope.
class ModesOff {
 public:
  ModesOff() : state_(c10::impl::TorchDispatchModeTLS::get_state()) { c10::impl::TorchDispatchModeTLS::set_state({}); }
  ~ModesOff() { c10::impl::TorchDispatchModeTLS::set_state(std::move(state_)); }
  ModesOff(const ModesOff&) = delete;
  ModesOff& operator=(const ModesOff&) = delete;

 private:
  c10::impl::TorchDispatchModeTLS state_;
};

// Whether some of the tensors have no data, and dense CPU tensors can stand in for all of them.
inline bool lack_data(c10::ArrayRef<const at::Tensor*> tensors) {
  bool some = false;
  for (const at::Tensor* t : tensors) {
    if (!(t->is_meta() || t->is_cpu()) || t->layout() != c10::kStrided) return false;
    some |= t->is_meta() || t->key_set().has(c10::DispatchKey::Python);
  }
  return some;
}

// Small stand-ins, whose sizes are equal or different as the original ones: the first size above 1 becomes 2, another
// one 3.  One element, which some of torch's kernels treat as a number, stays one.  Symbolic sizes, which may be equal
// to others or not, all become 2 if above 1.  The dimensions have the same order in memory, and dense ones stay dense:
// torch chooses some kernels by strides.
class StandIns {
 public:
  explicit StandIns(c10::ArrayRef<const at::Tensor*> tensors) {
    for (const at::Tensor* t : tensors)
      for (const c10::SymInt& n : t->sym_sizes()) {
        known_ = known_ && n.maybe_as_int();
        sizes_.insert(n.maybe_as_int().value_or(2));
      }
    sizes_.erase(0), sizes_.erase(1);
  }
  at::Tensor operator()(const at::Tensor& t) const {
    std::vector<int64_t> sizes, theirs, strides(t.dim()), order(t.dim());
    for (const c10::SymInt& n : t.sym_sizes()) {
      const int64_t size = n.maybe_as_int().value_or(2);
      sizes.push_back(size < 2 ? size : !known_ ? 2 : 2 + std::distance(sizes_.begin(), sizes_.find(size)));
    }
    bool told = true;
    for (const c10::SymInt& s : t.sym_strides()) {
      told = told && s.maybe_as_int();
      theirs.push_back(s.maybe_as_int().value_or(1));
    }
    if (!told) return at::ones(sizes, at::TensorOptions(t.scalar_type()));
    std::iota(order.rbegin(), order.rend(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t x, int64_t y) { return theirs[x] < theirs[y]; });
    int64_t next = 0, last = 0;  // for the strides that are not 0
    for (const int64_t d : order) {
      if (theirs[d] == 0) continue;
      if (next == 0) next = theirs[d] == 1 ? 1 : 2;
      strides[d] = next;
      last += (std::max<int64_t>(sizes[d], 1) - 1) * next;
      next *= std::max<int64_t>(sizes[d], 1);
    }
    return at::ones({last + 1}, at::TensorOptions(t.scalar_type())).as_strided(sizes, strides);
  }

 private:
  std::set<int64_t> sizes_;
  bool known_ = true;
};

// Calls f on stand-ins, which throws the error that f would throw with data; nullopt if the tensors have data.
template <class F, class... T> std::optional<at::Tensor> without_data(F f, const T&... tensors) {
  if (!lack_data({&tensors...})) return std::nullopt;
  const ModesOff modes_off;
  const at::NoGradGuard no_grad;
  const StandIns stand_in(c10::ArrayRef<const at::Tensor*>{&tensors...});
  return f(stand_in(tensors)...);
}

// Calls f on the tensors; without data it also throws the errors that f would throw with data.
template <class F, class... T> at::Tensor call_torch(F f, const T&... tensors) {
  without_data(f, tensors...);
  return f(tensors...);
}

// The same for a list.
template <class F> at::Tensor call_torch_of_list(F f, c10::ArrayRef<at::Tensor> tensors) {
  std::vector<const at::Tensor*> each;
  for (const at::Tensor& t : tensors) each.push_back(&t);
  if (lack_data(each)) {
    const ModesOff modes_off;
    const at::NoGradGuard no_grad;
    const StandIns stand_in(each);
    std::vector<at::Tensor> small;
    for (const at::Tensor& t : tensors) small.push_back(stand_in(t));
    f(small);
  }
  return f(tensors);
}

// The same for an f that writes into `out`.
template <class F> void write_torch_of_list(F f, const at::Tensor& out, c10::ArrayRef<at::Tensor> tensors) {
  std::vector<at::Tensor> all(tensors.begin(), tensors.end());
  all.push_back(out);
  call_torch_of_list(
      [&](c10::ArrayRef<at::Tensor> given) {
        f(given.back(), given.slice(0, given.size() - 1));
        return at::Tensor();
      },
      all);
}

}  // namespace gpukern
