// The host row: at::cpu::* are ATen's CPU kernels with torch's own checks, and no dispatch.
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/add.h>
#include <ATen/ops/addmm_cpu_dispatch.h>
#include <ATen/ops/addmv_cpu_dispatch.h>
#include <ATen/ops/baddbmm_cpu_dispatch.h>
#include <ATen/ops/bmm_cpu_dispatch.h>
#include <ATen/ops/empty_cpu_dispatch.h>
#include <ATen/ops/mm_cpu_dispatch.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/zeros.h>

#include "../../gpu_path.h"
#include "products.h"

namespace gpukern::gemm::host {

Tensor product(const Args& x) {
  switch (x.kind) {
    case Kind::mm: return x.c ? at::cpu::addmm(*x.c, x.a, x.b, *x.beta, *x.alpha) : at::cpu::mm(x.a, x.b);
    case Kind::bmm: return x.c ? at::cpu::baddbmm(*x.c, x.a, x.b, *x.beta, *x.alpha) : at::cpu::bmm(x.a, x.b);
    default: break;
  }
  if (x.c) return at::cpu::addmv(*x.c, x.a, x.b, *x.beta, *x.alpha);
  Tensor out = at::cpu::empty({x.a.dim() ? x.a.sizes()[0] : 0}, x.b.options());
  product_out(x, out);
  return out;
}

void product_out(const Args& x, const Tensor& result) {
  Tensor& out = const_cast<Tensor&>(result);  // ATen's way to say that only the data changes
  switch (x.kind) {
    case Kind::mm:
      x.c ? at::cpu::addmm_out(out, *x.c, x.a, x.b, *x.beta, *x.alpha) : at::cpu::mm_out(out, x.a, x.b);
      break;
    case Kind::bmm:
      x.c ? at::cpu::baddbmm_out(out, *x.c, x.a, x.b, *x.beta, *x.alpha) : at::cpu::bmm_out(out, x.a, x.b);
      break;
    default:
      if (x.c) {
        at::cpu::addmv_out(out, *x.c, x.a, x.b, *x.beta, *x.alpha);
        break;
      }
      // mv is addmv with a beta of 0, which reads nothing of its addend; the addend only has to have the shape.
      if (out.dim() != 1 || (x.a.dim() && out.sizes()[0] != x.a.sizes()[0]))
        out.resize_({x.a.dim() ? x.a.sizes()[0] : 0});
      at::cpu::addmv_out(out, out, x.a, x.b, 0, 1);
  }
}

// ---- batch-invariant ----------------------------------------------------------------------------

// A BLAS sums an element in an order that depends on the extents: a row alone is a matrix times vector, the last rows of
// many may be another kernel's.  So every row is one of kRows of a product whose extents are always the same, and whose
// operands and result always lie in the same way; missing rows are 0.  16 is a multiple of what the BLAS kernels of
// today's processors take at a time (4, 6 or 8 rows; a test tries them all here), so that a row's place among
// the 16 does not matter either.
namespace {

constexpr int64_t kRows = 16;

void invariant_rows(const Args& x, const Tensor& a, const Tensor& b, const Tensor& c, const Tensor& out) {
  const auto sizes = out.sizes();
  const int64_t m = sizes[0];
  const bool addend = x.c && !x.beta->equal(0);
  const Tensor factor = b.strides()[0] == 1 || b.strides()[1] == 1 ? b : b.contiguous();
  Tensor some_a = at::cpu::empty({kRows, a.sizes()[1]}, a.options());
  Tensor some = at::cpu::empty({kRows, sizes[1]}, a.options());
  Tensor some_c = x.c ? at::zeros({kRows, sizes[1]}, a.options()) : Tensor();
  for (int64_t first = 0; first < m; first += kRows) {
    const int64_t count = std::min(kRows, m - first);
    if (count < kRows) some_a.zero_();
    some_a.narrow(0, 0, count).copy_(a.narrow(0, first, count));
    if (addend) some_c.narrow(0, 0, count).copy_(c.narrow(0, first, count));
    x.c ? at::cpu::addmm_out(some, some_c, some_a, factor, *x.beta, *x.alpha) : at::cpu::mm_out(some, some_a, factor);
    out.narrow(0, first, count).copy_(some.narrow(0, 0, count));
  }
}

}  // namespace

Tensor invariant(const Args& x) {
  if (!well_formed(x)) return product(x);  // torch's words
  Tensor out = gpu_path::empty_result(x);
  invariant_out(x, out);
  return out;
}

void invariant_out(const Args& x, const Tensor& out) {
  if (!well_formed(x) || x.kind == Kind::mv || out.scalar_type() != x.a.scalar_type() || !out.device().is_cpu())
    return product_out(x, out);
  gpu_path::prepare(x, out);
  if (out.numel() == 0 || x.b.numel() == 0) return product_out(x, out);
  const Tensor c = x.c ? x.c->expand(out.sizes()) : Tensor();
  if (x.kind == Kind::mm) return invariant_rows(x, x.a, x.b, c, out);
  for (int64_t i = 0; i < out.sizes()[0]; ++i)
    invariant_rows(x, x.a.select(0, i), x.b.select(0, i), x.c ? c.select(0, i) : c, out.select(0, i));
}

void finish(const Tensor& out, Activation activation, const Tensor* residual) {
  activated(activation, out, true);
  if (residual) const_cast<Tensor&>(out).add_(*residual);
}

}  // namespace gpukern::gemm::host
