// The forms of the routed ops: signature, the test that refuses a call, and the gpukern function that serves it.
//
// A test reads fields only and allocates nothing, since every call of the op in the process pays for it.  It is strict:
// it refuses what torch would refuse, so that torch's kernel raises its own error.
#pragma once
#include <ATen/MemoryOverlap.h>
#include <ATen/core/Tensor.h>
#include <c10/core/Scalar.h>

#include <cstdint>

#include "gemm/gemm.h"

namespace gpukern::dropin {

using at::Scalar;
using at::Tensor;

enum class Reason : uint8_t { none, shape, dtype, mixed, layout, names, device, scalar, addend, out, overlap, count };
constexpr size_t kReasons = static_cast<size_t>(Reason::count);

inline const char* reason_text(Reason reason) {
  constexpr const char* text[kReasons] = {
      "",
      "shapes that do not fit, for which torch raises its error",
      "a dtype that gpukern leaves to torch",
      "operands of different dtypes",
      "not a strided tensor",
      "named tensors",
      "operands on different devices, or on a device that this build has no kernels for",
      "complex alpha or beta",
      "an addend whose dtype, layout or shape does not fit",
      "out with another dtype, device or shape than the result",
      "a result whose elements overlap in memory",
  };
  return text[static_cast<size_t>(reason)];
}

// The types torch multiplies on every device.  gpukern multiplies integers too, where torch raises an error on a GPU.
inline bool has_product(at::ScalarType t) {
  return t == at::kFloat || t == at::kDouble || t == at::kHalf || t == at::kBFloat16;
}

// torch had named tensors up to 2.12.
template <class Impl> bool has_names(const Impl& t) {
  if constexpr (requires { t.has_named_tensor_meta(); }) return t.has_named_tensor_meta();
  else return false;
}

// a: (m, k) or (batch, m, k); b: (k, n) or (batch, k, n), or a vector (k).
inline Reason refuse_pair(const Tensor& a, const Tensor& b, int64_t a_dim, int64_t b_dim) {
  if (!has_product(a.scalar_type())) return Reason::dtype;
  if (b.scalar_type() != a.scalar_type()) return Reason::mixed;
  if (a.layout() != at::kStrided || b.layout() != at::kStrided) return Reason::layout;
  if (a.dim() != a_dim || b.dim() != b_dim) return Reason::shape;
  if (a.sizes()[a_dim - 1] != b.sizes()[b_dim == 1 ? 0 : b_dim - 2]) return Reason::shape;
  if (a_dim == 3 && a.sizes()[0] != b.sizes()[0]) return Reason::shape;
  if (a.device() != b.device() || !gemm::serves(a.device())) return Reason::device;
  if (has_names(*a.unsafeGetTensorImpl()) || has_names(*b.unsafeGetTensorImpl())) return Reason::names;
  return Reason::none;
}

// Whether t has the shape of the product, or (for an addend) one that broadcasts to it.
inline bool fits(const Tensor& t, const Tensor& a, const Tensor& b, bool broadcast) {
  int64_t shape[3];
  const int64_t dims = b.dim() == 1 ? 1 : a.dim();
  for (int64_t i = 0; i < dims; ++i) shape[i] = a.sizes()[i];
  if (b.dim() > 1) shape[dims - 1] = b.sizes()[dims - 1];
  if (broadcast ? t.dim() > dims : t.dim() != dims) return false;
  for (int64_t i = 0; i < t.dim(); ++i) {
    const int64_t have = t.sizes()[i], want = shape[dims - t.dim() + i];
    if (have != want && !(broadcast && have == 1)) return false;
  }
  return true;
}

inline Reason refuse_addend(const Tensor& self, const Tensor& a, const Tensor& b, const Scalar& beta,
                            const Scalar& alpha) {
  if (beta.isComplex() || alpha.isComplex()) return Reason::scalar;
  if (self.scalar_type() != a.scalar_type() || self.layout() != at::kStrided) return Reason::addend;
  if (self.device() != a.device()) return Reason::device;
  if (has_names(*self.unsafeGetTensorImpl())) return Reason::names;
  return fits(self, a, b, true) ? Reason::none : Reason::addend;
}

inline Reason refuse_out(const Tensor& out, const Tensor& a, const Tensor& b) {
  if (out.scalar_type() != a.scalar_type() || out.layout() != at::kStrided || out.device() != a.device())
    return Reason::out;
  if (!fits(out, a, b, false)) return Reason::out;
  if (has_names(*out.unsafeGetTensorImpl())) return Reason::names;
  // Memory shared by out and an operand is allowed: gemm copies what it still needs.  torch's own product would be
  // wrong.
  return at::has_internal_overlap(out) == at::MemOverlap::Yes ? Reason::overlap : Reason::none;
}

// The six products.  A and B are the numbers of dimensions of the operands; the functions are gpukern's, below
// autograd.
struct Mm {
  static constexpr int64_t A = 2, B = 2;
  static constexpr auto make = &gemm::mm;
  static constexpr auto write = &gemm::mm_out;
};
struct Bmm {
  static constexpr int64_t A = 3, B = 3;
  static constexpr auto make = &gemm::bmm;
  static constexpr auto write = &gemm::bmm_out;
};
struct Mv {
  static constexpr int64_t A = 2, B = 1;
  static constexpr auto make = &gemm::mv;
  static constexpr auto write = &gemm::mv_out;
};
struct Addmm {
  static constexpr int64_t A = 2, B = 2;
  static constexpr auto make = &gemm::addmm;
  static constexpr auto write = &gemm::addmm_out;
};
struct Baddbmm {
  static constexpr int64_t A = 3, B = 3;
  static constexpr auto make = &gemm::baddbmm;
  static constexpr auto write = &gemm::baddbmm_out;
};
struct Addmv {
  static constexpr int64_t A = 2, B = 1;
  static constexpr auto make = &gemm::addmv;
  static constexpr auto write = &gemm::addmv_out;
};

template <class Op> struct Product {
  using Signature = Tensor(const Tensor&, const Tensor&);
  static Reason refuse(const Tensor& a, const Tensor& b) { return refuse_pair(a, b, Op::A, Op::B); }
  static Tensor run(const Tensor& a, const Tensor& b) { return Op::make(a, b); }
};

template <class Op> struct ProductOut {
  using Signature = Tensor&(const Tensor&, const Tensor&, Tensor&);
  static Reason refuse(const Tensor& a, const Tensor& b, const Tensor& out) {
    const Reason reason = refuse_pair(a, b, Op::A, Op::B);
    return reason != Reason::none ? reason : refuse_out(out, a, b);
  }
  static Tensor& run(const Tensor& a, const Tensor& b, Tensor& out) {
    Op::write(a, b, out);
    return out;
  }
};

template <class Op> struct Sum {
  using Signature = Tensor(const Tensor&, const Tensor&, const Tensor&, const Scalar&, const Scalar&);
  static Reason refuse(const Tensor& self, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha) {
    const Reason reason = refuse_pair(a, b, Op::A, Op::B);
    return reason != Reason::none ? reason : refuse_addend(self, a, b, beta, alpha);
  }
  static Tensor run(const Tensor& self, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha) {
    return Op::make(self, a, b, beta, alpha);
  }
};

template <class Op> struct SumOut {
  using Signature = Tensor&(const Tensor&, const Tensor&, const Tensor&, const Scalar&, const Scalar&, Tensor&);
  static Reason refuse(const Tensor& self, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha,
                       const Tensor& out) {
    const Reason reason = Sum<Op>::refuse(self, a, b, beta, alpha);
    if (reason != Reason::none) return reason;
    return refuse_out(out, a, b);
  }
  // Whether torch's kernel is right if the addend is `out` itself: not if that must be resized.
  static bool keeps(const Tensor& out, const Tensor& a, const Tensor& b) {
    return a.dim() == Op::A && b.dim() == Op::B && fits(out, a, b, false);
  }
  static Tensor& run(const Tensor& self, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha,
                     Tensor& out) {
    Op::write(self, a, b, beta, alpha, out);
    return out;
  }
};

template <class Op> struct SumInPlace {
  using Signature = Tensor&(Tensor&, const Tensor&, const Tensor&, const Scalar&, const Scalar&);
  static Reason refuse(const Tensor& self, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha) {
    return SumOut<Op>::refuse(self, a, b, beta, alpha, self);
  }
  static Tensor& run(Tensor& self, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha) {
    Op::write(self, a, b, beta, alpha, self);
    return self;
  }
};

// Names, here and in family_forms.h: `op` is the name that users enable, `name` that of the form in the dispatcher and
// in the statistics.
#define GPUKERN_FORM(Type, Base, OP, ATEN, OVERLOAD, NAME) \
  struct Type : Base {                                     \
    static constexpr const char* op = OP;                  \
    static constexpr const char* aten = "aten::" ATEN;     \
    static constexpr const char* overload = OVERLOAD;      \
    static constexpr const char* name = NAME;              \
  }
GPUKERN_FORM(MmForm, Product<Mm>, "mm", "mm", "", "mm");
GPUKERN_FORM(MmOut, ProductOut<Mm>, "mm", "mm", "out", "mm.out");
GPUKERN_FORM(BmmForm, Product<Bmm>, "bmm", "bmm", "", "bmm");
GPUKERN_FORM(BmmOut, ProductOut<Bmm>, "bmm", "bmm", "out", "bmm.out");
GPUKERN_FORM(MvForm, Product<Mv>, "mv", "mv", "", "mv");
GPUKERN_FORM(MvOut, ProductOut<Mv>, "mv", "mv", "out", "mv.out");
GPUKERN_FORM(AddmmForm, Sum<Addmm>, "addmm", "addmm", "", "addmm");
GPUKERN_FORM(AddmmOut, SumOut<Addmm>, "addmm", "addmm", "out", "addmm.out");
GPUKERN_FORM(AddmmInPlace, SumInPlace<Addmm>, "addmm", "addmm_", "", "addmm_");
GPUKERN_FORM(BaddbmmForm, Sum<Baddbmm>, "baddbmm", "baddbmm", "", "baddbmm");
GPUKERN_FORM(BaddbmmOut, SumOut<Baddbmm>, "baddbmm", "baddbmm", "out", "baddbmm.out");
GPUKERN_FORM(BaddbmmInPlace, SumInPlace<Baddbmm>, "baddbmm", "baddbmm_", "", "baddbmm_");
GPUKERN_FORM(AddmvForm, Sum<Addmv>, "addmv", "addmv", "", "addmv");
GPUKERN_FORM(AddmvOut, SumOut<Addmv>, "addmv", "addmv", "out", "addmv.out");
GPUKERN_FORM(AddmvInPlace, SumInPlace<Addmv>, "addmv", "addmv_", "", "addmv_");

template <class... Forms> struct FormList {};
using ProductForms = FormList<MmForm, MmOut, AddmmForm, AddmmOut, AddmmInPlace, BmmForm, BmmOut, BaddbmmForm,
                              BaddbmmOut, BaddbmmInPlace, MvForm, MvOut, AddmvForm, AddmvOut, AddmvInPlace>;

}  // namespace gpukern::dropin
