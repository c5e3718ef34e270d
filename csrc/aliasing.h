// Which tensors share memory: what has to be copied before a result is written over it.
#pragma once
#include <ATen/core/Tensor.h>

namespace gpukern {

// Whether a byte of one may be a byte of the other.  Exact for strided views, interleaved columns and rows included,
// but for layouts so tangled that the search gives up: then the answer is yes.  No: sparse tensors, and those of
// tracers, which have no memory.
bool may_overlap(const at::Tensor& a, const at::Tensor& b);

// Whether every element of one is the same element of the other, so that a pass that reads an element before it writes
// it needs no copy.
bool coincide(const at::Tensor& a, const at::Tensor& b);

// Whether writing `out` may change what is in t.  resized: out takes another shape first, and may become any part of
// its storage.
bool written_over(const at::Tensor& t, const at::Tensor& out, bool resized);

// t, or a copy of it where that is so.
inline at::Tensor unaliased(const at::Tensor& t, const at::Tensor& out, bool resized = false) {
  return written_over(t, out, resized) ? t.clone() : t;
}

}  // namespace gpukern
