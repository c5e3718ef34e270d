// The arguments of any product, for the torch side: the kernels below autograd and the Nodes read one struct.
#pragma once
#include <memory>

#include "gemm.h"
#include "select.h"

namespace at {
struct NoTF32Guard;
}

namespace gpukern::gemm {

enum class Kind : uint8_t { mm, bmm, mv };

// The tensors besides D of an epilogue that torch has no op for (fused.cpp, training.cpp): `saved`, at which the
// derivative of an activation is taken; scales; the sums of D's columns; the pre-activation.
struct EpilogueTensors {
  call::Name derivative = {};
  const Tensor* saved = nullptr;
  const Tensor* row_scale = nullptr;     // (batch, m, 1)
  const Tensor* column_scale = nullptr;  // (batch, 1, n)
  const Tensor* sums = nullptr;          // (n,), of the result's type
  const Tensor* aux = nullptr;           // of the result's shape and type: gets what goes into the activation
};

struct Args {
  Kind kind;
  const Tensor& a;
  const Tensor& b;
  const Tensor* c = nullptr;  // addmm, baddbmm, addmv
  const Scalar* beta = nullptr;
  const Scalar* alpha = nullptr;
  call::Name activation = {};
  const Tensor* residual = nullptr;
  call::How how = {};
  bool wide = false;                          // the result has the accumulator's type, and so has c
  const EpilogueTensors* epilogue = nullptr;  // behind a pointer: most calls have none, and do not pay for them

  bool plain() const { return !activation && !residual; }
};
const char* op_name(const Args& args);  // "addmm"

// Whether these tensors are ours above autograd: strided, of a type we take, on a device we serve (or traced on meta).
bool ours(const Args& args);
// The configuration for a problem; none if no configuration of this build takes it.  A forced one that cannot take it
// is an error with the reason.
Choice chosen(const Problem& problem, const Device& device, const Ranking& ranking);
// An activation of a type that has none is a TypeError.
void check_activation(const Args& args);
// Checks what torch has no message for: the type of a fused activation, and the residual's shape.
void check_tail(const Args& args);
void check_residual_shape(const Args& args, const Tensor& out);
// Warns once (an error under GPUKERN_STRICT=1) that a device has no kernels, before torch's own op serves it.
void report_device(const Args& args);
// torch's own product with the same arguments: for tensors that are not ours, and for torch's errors.
Tensor twin(const Args& args);
// Before that: refuses options that torch's kernels cannot honour (unless they will refuse the operands anyway).  While
// the guard lives, torch's switches do not allow tf32.
std::unique_ptr<at::NoTF32Guard> check_twin(const Args& args);
// The same into `out`, with the tail behind it.
Tensor theirs_out(const Args& args, const Tensor& out);

// The product below autograd: into `out`, resized as torch resizes, or into a new tensor.
Tensor run(const Args& args, const Tensor* out = nullptr);

// The precision that a call names; nothing if it leaves that to torch's switches.  An unknown name is a ValueError, a
// name beside operands that are not float32 a TypeError.
std::optional<Precision> asked_precision(const Args& args);
// That of any product, in the order above.
void check_how(const Args& args);

// The Problem of a product whose shapes fit; out may be undefined (then a new row-major result is meant).
Problem problem_of(const Args& args, const Tensor& out);
// The product's shape; nothing where the factors do not multiply.
std::optional<std::vector<int64_t>> result_shape(const Args& args);
// Whether shapes and types are what torch's product takes.
bool well_formed(const Args& args);

// matmul's rules of shape: the operands as one product, and the shape its result is viewed as.
struct Folded {
  Kind kind;
  Tensor a, b;
  std::optional<std::vector<c10::SymInt>> shape;
};
std::optional<Folded> fold(const Tensor& a, const Tensor& b);  // nothing where torch refuses the shapes

}  // namespace gpukern::gemm
