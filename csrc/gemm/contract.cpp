// The product of two tensors whose dimensions have names, and tensordot, which is one of those.
#include <ATen/WrapDimUtils.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/tensordot.h>

#include "../without_data.h"
#include "family.h"
#include "shapes.h"

namespace gpukern::gemm {
namespace {

bool has(const Labels& labels, int64_t label) { return std::find(labels.begin(), labels.end(), label) != labels.end(); }
int64_t dim_of(const Labelled& x, int64_t label) {
  return std::find(x.labels.begin(), x.labels.end(), label) - x.labels.begin();
}
c10::SymInt extent(const Labelled& x, int64_t label) { return x.tensor.sym_size(dim_of(x, label)); }

// Drops dimensions by summing over them; those of one element by a view.
void drop(Labelled& x, const Labels& gone) {
  std::vector<int64_t> summed;
  Labels left;
  for (const int64_t label : gone) {
    const int64_t d = dim_of(x, label);
    if (x.tensor.sym_size(d) != 1) summed.push_back(d);
  }
  if (!summed.empty()) x.tensor = at::sum(x.tensor, summed, /*keepdim=*/true);
  for (int64_t d = x.tensor.dim() - 1; d >= 0; --d) {
    if (has(gone, x.labels[d])) x.tensor = x.tensor.squeeze(d);
    else left.insert(left.begin(), x.labels[d]);
  }
  x.labels = std::move(left);
}

// Merges each group of dimensions into one; a view if memory allows.
Tensor grouped(const Labelled& x, std::initializer_list<const Labels*> groups) {
  std::vector<int64_t> order;
  Shape shape;
  for (const Labels* group : groups) {
    c10::SymInt count = 1;
    for (const int64_t label : *group) {
      order.push_back(dim_of(x, label));
      count = count * x.tensor.sym_size(order.back());
    }
    shape.push_back(count);
  }
  return x.tensor.permute(order).reshape_symint(shape);
}

Labels together_of(std::initializer_list<const Labels*> groups) {
  Labels all;
  for (const Labels* group : groups) all.insert(all.end(), group->begin(), group->end());
  return all;
}

// Every element times every element with the same index in the shared dimensions.
Labelled elementwise(const Labelled& x, const Labelled& y, const Labels& labels) {
  const auto aligned = [&](const Labelled& of) {
    std::vector<int64_t> order;
    for (const int64_t label : labels)
      if (has(of.labels, label)) order.push_back(dim_of(of, label));
    Tensor t = of.tensor.permute(order);
    for (size_t d = 0; d < labels.size(); ++d)
      if (!has(of.labels, labels[d])) t = t.unsqueeze(static_cast<int64_t>(d));
    return t;
  };
  static const auto mul =
      c10::Dispatcher::singleton().findSchemaOrThrow("gpukern::mul", "").typed<Tensor(const Tensor&, const Tensor&)>();
  return {mul.call(aligned(x), aligned(y)), labels};
}

}  // namespace

Labelled multiply(const Labelled& x, const Labelled& y, const Labels& kept) {
  Labels batch, summed, left, right;
  for (const int64_t label : x.labels) {
    if (!has(y.labels, label)) left.push_back(label);
    else if (has(kept, label)) batch.push_back(label);
    else summed.push_back(label);
  }
  for (const int64_t label : y.labels)
    if (!has(x.labels, label)) right.push_back(label);
  Shape shape;
  for (const Labels* group : {&batch, &left})
    for (const int64_t label : *group) shape.push_back(extent(x, label));
  for (const int64_t label : right) shape.push_back(extent(y, label));
  const Tensor product = batch.empty()
                             ? call::mm(grouped(x, {&left, &summed}), grouped(y, {&summed, &right}))
                             : call::bmm(grouped(x, {&batch, &left, &summed}), grouped(y, {&batch, &summed, &right}));
  return {product.reshape_symint(shape), together_of({&batch, &left, &right})};
}

Labelled contract(Labelled x, Labelled y, const Labels& kept) {
  // An extent of 1 broadcasts: the dimension is the other operand's alone.
  Labels one_in_x, one_in_y;
  for (const int64_t label : x.labels) {
    if (!has(y.labels, label)) continue;
    if (extent(y, label) == 1) one_in_y.push_back(label);
    else if (extent(x, label) == 1) one_in_x.push_back(label);
  }
  drop(x, one_in_x);
  drop(y, one_in_y);
  const auto lone = [&](const Labelled& of, const Labelled& other) {
    Labels gone;
    for (const int64_t label : of.labels)
      if (!has(other.labels, label) && !has(kept, label)) gone.push_back(label);
    return gone;
  };
  const Labels gone_x = lone(x, y), gone_y = lone(y, x);
  drop(x, gone_x);
  drop(y, gone_y);
  bool sums = false;
  for (const int64_t label : x.labels) sums = sums || (has(y.labels, label) && !has(kept, label));
  if (sums) return multiply(x, y, kept);
  Labels labels;
  for (const int64_t label : kept)
    if (has(x.labels, label) || has(y.labels, label)) labels.push_back(label);
  return elementwise(x, y, labels);
}

// ---- tensordot ----------------------------------------------------------------------------------

namespace {

// b's dimensions carry the names of a's that they are contracted with; nothing where torch refuses or sums.
std::optional<Labelled> named_after(const Tensor& a, const Tensor& b, at::IntArrayRef dims_a, at::IntArrayRef dims_b) {
  if (dims_a.size() != dims_b.size() || !together({a, b})) return std::nullopt;
  Labels labels(b.dim());
  for (int64_t d = 0; d < b.dim(); ++d) labels[d] = a.dim() + d;
  Labels seen;
  for (size_t i = 0; i < dims_a.size(); ++i) {
    const int64_t p = dims_a[i] < 0 ? dims_a[i] + a.dim() : dims_a[i];
    const int64_t q = dims_b[i] < 0 ? dims_b[i] + b.dim() : dims_b[i];
    if (p < 0 || p >= a.dim() || q < 0 || q >= b.dim() || has(seen, p) || labels[q] < a.dim()) return std::nullopt;
    if (a.sym_size(p) != b.sym_size(q)) return std::nullopt;
    labels[q] = p;
    seen.push_back(p);
  }
  return Labelled{b, labels};
}

Tensor contracted(const Tensor& a, const Labelled& b) {
  Labelled named{a, Labels(a.dim())};
  for (int64_t d = 0; d < a.dim(); ++d) named.labels[d] = d;
  return multiply(named, b, {}).tensor;
}

}  // namespace

Tensor tensordot(const Tensor& a, const Tensor& b, at::IntArrayRef dims_a, at::IntArrayRef dims_b) {
  const auto named = named_after(a, b, dims_a, dims_b);
  if (named) return contracted(a, *named);
  return call_torch([&](const Tensor& x, const Tensor& y) { return at::tensordot(x, y, dims_a, dims_b); }, a, b);
}
void tensordot_out(const Tensor& a, const Tensor& b, at::IntArrayRef dims_a, at::IntArrayRef dims_b,
                   const Tensor& out) {
  const auto named = named_after(a, b, dims_a, dims_b);
  if (named && writable(out, {a, b})) return write(out, contracted(a, *named));
  call_torch(
      [&](const Tensor& x, const Tensor& y, Tensor theirs) { return at::tensordot_out(theirs, x, y, dims_a, dims_b); },
      a, b, out);
}

}  // namespace gpukern::gemm
