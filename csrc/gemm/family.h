// The functions around the products: each is one product, or a few of them, in other words.  They are made of the ops
// that people call, through the dispatcher, so derivatives, batching and tracing are those of what they are made of.
//
// Every one asks first whether torch would take the call and the rows here do (`together`, and its own rules of shape);
// anything else is torch's own op's, which serves it or says in its own words what is wrong.
#pragma once
#include "product.h"

namespace gpukern::gemm {

// Whether tensors are ours, of one type and on one device: what a product of several of them asks for.
bool together(c10::ArrayRef<Tensor> tensors);
// Whether `out=` can take a result of these operands: alike, and with no derivative asked of any.
bool writable(const Tensor& out, c10::ArrayRef<Tensor> operands);
// Gives `out` the shape, with torch's warning, and the values.
void write(const Tensor& out, const Tensor& result);

// sum over i of batch1[i] @ batch2[i] is one product, (n, b m) and (b m, p).
struct Factors {
  Tensor a, b;
};
Factors addbmm_factors(const Tensor& batch1, const Tensor& batch2);

// Operands with a name for each dimension, and their product: dimensions of one name are multiplied, and those that
// `kept` does not list summed.  The result has its dimensions in the order that costs nothing; `labels` says which.
using Labels = std::vector<int64_t>;
struct Labelled {
  Tensor tensor;
  Labels labels;
};
Labelled contract(Labelled x, Labelled y, const Labels& kept);
// The same where every shared dimension has equal extents: one mm, or one bmm where some of them are kept.
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
