// Which tensors share memory: inputs that a result would overwrite must be copied first.
#pragma once
#include <ATen/core/Tensor.h>

namespace gpukern {

// Whether two tensors may have a byte in common.  Exact for strided views, interleaved columns and rows included; true
// for layouts so complicated that the search gives up; false for sparse tensors, and for those of tracers, which have
// no memory.
bool may_overlap(const at::Tensor& a, const at::Tensor& b);

// Whether equal indices of both are the same element, so that a pass that reads each element before writing it needs no
// copy.
bool coincide(const at::Tensor& a, const at::Tensor& b);

// Whether writing `out` may change t.  resized: out is resized first, and may then occupy any part of its storage.
bool written_over(const at::Tensor& t, const at::Tensor& out, bool resized);

// t, or a copy of it if writing `out` may change t.
inline at::Tensor unaliased(const at::Tensor& t, const at::Tensor& out, bool resized = false) {
  return written_over(t, out, resized) ? t.clone() : t;
}

}  // namespace gpukern
