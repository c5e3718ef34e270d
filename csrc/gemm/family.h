// Functions that are one product, or a few of them, in another notation.  They call the public ops through the
// dispatcher, so they have these ops' derivatives, batching rules and tracing.
//
// Each first checks that torch would take the call and gpukern can serve it (`together`, and its own rules of shape);
// every other call goes to torch's own op, which serves it or raises torch's error.
#pragma once
#include "product.h"

namespace gpukern::gemm {

// Whether tensors are ours, of one type and on one device, as a product of several of them needs.
bool together(c10::ArrayRef<Tensor> tensors);
// Whether `out=` can take a result of these operands: of the same type and device, and without a derivative.
bool writable(const Tensor& out, c10::ArrayRef<Tensor> operands);
// Gives `out` the shape, with torch's warning, and the values.
void write(const Tensor& out, const Tensor& result);

// sum over i of batch1[i] @ batch2[i] is one product, (n, b m) and (b m, p).
struct Factors {
  Tensor a, b;
};
Factors addbmm_factors(const Tensor& batch1, const Tensor& batch2);

// Operands with a name for each dimension, and their product: dimensions of one name are multiplied, and those that
// `kept` does not list summed.  The result has its dimensions in the order that costs nothing; `labels` names them.
using Labels = std::vector<int64_t>;
struct Labelled {
  Tensor tensor;
  Labels labels;
};
Labelled contract(Labelled x, Labelled y, const Labels& kept);
// The same if every shared dimension has equal extents: one mm, or one bmm if some of them are kept.
Labelled multiply(const Labelled& x, const Labelled& y, const Labels& kept);

Tensor einsum(std::string_view equation, c10::ArrayRef<Tensor> tensors, at::OptionalIntArrayRef path);
Tensor tensordot(const Tensor& a, const Tensor& b, at::IntArrayRef dims_a, at::IntArrayRef dims_b);
Tensor multi_dot(c10::ArrayRef<Tensor> tensors);
Tensor chain_matmul(c10::ArrayRef<Tensor> matrices);
void tensordot_out(const Tensor& a, const Tensor& b, at::IntArrayRef dims_a, at::IntArrayRef dims_b, const Tensor& out);
void multi_dot_out(c10::ArrayRef<Tensor> tensors, const Tensor& out);
void chain_matmul_out(c10::ArrayRef<Tensor> matrices, const Tensor& out);

std::vector<entry::Declaration> family_functions();

}  // namespace gpukern::gemm
