// The inputs of an op that writes into a tensor.  Inputs that the op would overwrite before it reads them are copied.
//
// TensorIterator refuses partial overlap where it can detect it, and that refusal remains.  It cannot detect overlap of
// views with gaps (columns of a wider matrix) or with an output that will be resized, and would read overwritten
// values.
#pragma once
#include <ATen/MemoryOverlap.h>

#include <algorithm>

#include "../aliasing.h"
#include "elementwise.h"

namespace gpukern::elementwise {

class UnaliasedInputs {
 public:
  UnaliasedInputs(const Inputs& in, int n, const Tensor& out) : in_(in) {
    for (int k = 0; k < n; ++k) {
      const Tensor& t = *in[k];
      if (t.is_same(out) || !written_over(t, out, true)) continue;  // no common storage: nearly every call
      const bool resized = !broadcasts_to(in, n, out);
      if (!resized && (!written_over(t, out, false) || coincide(t, out))) continue;
      if (at::get_overlap_status(out, t) == at::MemOverlapStatus::Partial) continue;
      copies_[k] = t.clone();
      in_[k] = &copies_[k];
    }
  }
  const Inputs& inputs() const { return in_; }

 private:
  // Whether `out` has the shape of the result.
  static bool broadcasts_to(const Inputs& in, int n, const Tensor& out) {
    int64_t rank = 0;
    for (int k = 0; k < n; ++k) rank = std::max(rank, in[k]->dim());
    if (rank != out.dim()) return false;
    for (int64_t d = 1; d <= rank; ++d) {
      int64_t extent = 1;
      for (int k = 0; k < n; ++k)
        if (d <= in[k]->dim() && in[k]->sizes()[in[k]->dim() - d] != 1) extent = in[k]->sizes()[in[k]->dim() - d];
      if (extent != out.sizes()[rank - d]) return false;
    }
    return true;
  }
  std::array<Tensor, kMaxInputs> copies_;
  Inputs in_;
};

}  // namespace gpukern::elementwise
