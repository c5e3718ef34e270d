// The host's configuration: at::cpu::* are ATen's CPU kernels with torch's own checks, and no dispatch.
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/add.h>
#include <ATen/ops/addmm_cpu_dispatch.h>
#include <ATen/ops/addmv_cpu_dispatch.h>
#include <ATen/ops/baddbmm_cpu_dispatch.h>
#include <ATen/ops/bmm_cpu_dispatch.h>
#include <ATen/ops/empty_cpu_dispatch.h>
#include <ATen/ops/mm_cpu_dispatch.h>
#include <ATen/ops/mv.h>

#include "products.h"

namespace gpukern::gemm::host {
namespace {
// The addend of a vector.  For k = 0 torch's kernel gives the result the shape of an addend that broadcasts.
Tensor vector_addend(const Args& x) {
  const auto a = x.a.sizes();
  const bool broadcasts = a.size() == 2 && a[1] == 0 && x.c->numel() == 1 && x.c->dim() < 2;
  return broadcasts ? x.c->expand(a[0]) : *x.c;
}
}  // namespace

Tensor product(const Args& x, const Tensor* given) {
  if (!given) {
    switch (x.kind) {
      case Kind::mm: return x.c ? at::cpu::addmm(*x.c, x.a, x.b, *x.beta, *x.alpha) : at::cpu::mm(x.a, x.b);
      case Kind::bmm: return x.c ? at::cpu::baddbmm(*x.c, x.a, x.b, *x.beta, *x.alpha) : at::cpu::bmm(x.a, x.b);
      default: break;
    }
    if (x.c) return at::cpu::addmv(vector_addend(x), x.a, x.b, *x.beta, *x.alpha);
  }
  const std::array<int64_t, 1> rows{x.a.dim() ? x.a.sizes()[0] : 0};
  Tensor out = given ? *given : at::cpu::empty(rows, x.b.options());
  switch (x.kind) {
    case Kind::mm:
      return x.c ? at::cpu::addmm_out(out, *x.c, x.a, x.b, *x.beta, *x.alpha) : at::cpu::mm_out(out, x.a, x.b);
    case Kind::bmm:
      return x.c ? at::cpu::baddbmm_out(out, *x.c, x.a, x.b, *x.beta, *x.alpha) : at::cpu::bmm_out(out, x.a, x.b);
    default: break;
  }
  if (x.c) return at::cpu::addmv_out(out, vector_addend(x), x.a, x.b, *x.beta, *x.alpha);
  // mv is addmv with a beta of 0, which reads nothing of its addend; the addend only has to have the shape.
  if (out.dim() != 1 || (x.a.dim() && out.sizes()[0] != rows[0])) out.resize_(rows);
  return at::cpu::addmv_out(out, out, x.a, x.b, 0, 1);
}

void finish(const Tensor& out, Activation activation, const Tensor* residual) {
  activated(activation, out, true);
  if (residual) const_cast<Tensor&>(out).add_(*residual);
}

}  // namespace gpukern::gemm::host
